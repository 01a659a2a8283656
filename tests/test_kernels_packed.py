"""The recurrent kernels over packed sequences: each sequence by itself, and the reference."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_kernels_memory import failures
from test_kernels_recurrent import (  # noqa: F401
    TOLERANCE,
    Arrays,
    _as_before,
    assert_close,
    assert_same_bits,
    backward,
    each_dtype,
    each_isa,
    each_net,
    forward,
    layer,
    run,
)

from minigrad.kernels import reference

native = pytest.importorskip("minigrad.kernels.native", reason="the C extension is not built")


def packed(net: str, lengths: list[int], absent: int, I: int, H: int, dtype: type) -> Arrays:
    """A layer's arrays over sequences of these lengths, longest first, and `absent` that have none:
    x (N, I) and gy (N, H) are the rows of one step after the other."""
    T, B = max(lengths), len(lengths)
    a = layer(net, T, B + absent, I, H, dtype)
    there = np.arange(T)[:, None] < [*lengths, *[0] * absent]  # (T, B)
    return a | {"x": a["x"][there], "gy": a["gy"][there], "batch_sizes": there.sum(1)}


def alone(net: str, a: Arrays, b: int) -> Arrays:
    """Sequence b of packed arrays, padded, a batch of its own."""
    first = np.cumsum(a["batch_sizes"]) - a["batch_sizes"]
    rows = (first + b)[a["batch_sizes"] > b]
    one = {name: a[name][b : b + 1] for name in ("h0", "c0", "gh_n", "gc_n")}
    rest = {name: value for name, value in a.items() if name != "batch_sizes"}
    return rest | one | {"x": a["x"][rows][:, None], "gy": a["gy"][rows][:, None]}


lengths = st.lists(st.integers(1, 9), min_size=1, max_size=14).map(lambda n: sorted(n)[::-1])


def sorted_out(net: str, results: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Results with a row for each row of x, for each sequence, and for neither."""
    if net.startswith("lstm"):
        output, c_n, gx, gh0, gc0, *weights = results
        return [output, gx], [gh0, c_n, gc0], [g for g in weights if g is not None]
    output, gx, gh0, *weights = results
    return [output, gx], [gh0], weights


@each_net
@given(lengths=lengths, absent=st.integers(0, 2))
@example(lengths=[3, 3], absent=0)
def test_each_sequence_is_what_it_is_alone(net: str, lengths: list[int], absent: int) -> None:
    a = packed(net, lengths, absent, 3, 4, np.float64)
    rows, states, weights = sorted_out(net, run(native, net, a))
    first, sums = np.cumsum(a["batch_sizes"]) - a["batch_sizes"], [0.0] * len(weights)
    for b in range(len(lengths)):
        own, own_states, more = sorted_out(net, run(reference, net, alone(net, a, b)))
        at = (first + b)[a["batch_sizes"] > b]
        assert_close([r[at] for r in rows], [r[:, 0] for r in own], 1e-12)
        assert_close([s[b] for s in states], [s[0] for s in own_states], 1e-12)
        sums = [s + g for s, g in zip(sums, more, strict=True)]
    assert_close(weights, sums, 1e-12)
    for name, state in zip(["gh_n", "c0", "gc_n"], states, strict=False):
        n = len(lengths)  # from there on no sequence has a step: states pass through
        assert_same_bits([state[n:]], [a[name][n:]])


@each_dtype
@each_isa
@each_net
@settings(max_examples=20, deadline=None)
@given(lengths=lengths, H=st.sampled_from([1, 5, 16, 33, 64]), need_x=st.booleans())
@example(lengths=[300, 200, 7], H=6, need_x=True)  # several chunks
def test_as_the_reference(
    net: str, isa: str, dtype: type, lengths: list[int], H: int, need_x: bool
) -> None:
    native.select_isa(isa)
    a = packed(net, lengths, 1, 7, H, dtype)
    assert_close(run(native, net, a, need_x), run(reference, net, a, need_x), TOLERANCE[dtype])


@each_isa
@each_net
@pytest.mark.parametrize(
    "lengths", [[9] * 3 + [7] * 6 + [2, 1, 1], [90, *range(40, 1, -1)], [4, 1]]
)
@pytest.mark.parametrize("H", [33, 340])
def test_same_bits_for_any_number_of_threads(
    net: str, isa: str, lengths: list[int], H: int
) -> None:
    native.select_isa(isa)
    a = packed(net, lengths, 2, 20, H, np.float32)
    results = []
    for threads in (1, 2, 3, 4):
        native.set_num_threads(threads)
        results.append(run(native, net, a))
        *inference, _ = forward(native, net, a, keep=False)
        assert_same_bits(inference, results[-1][: len(inference)])
        assert_same_bits(results[-1], results[0])


@each_net
@pytest.mark.parametrize("threads", [1, 2])
def test_reuse(net: str, threads: int) -> None:
    native.set_num_threads(threads)
    a = packed(net, [90, *range(40, 1, -1)], 2, 21, 21, np.float32)
    assert_same_bits(run(native, net, a, reuse=True), run(native, net, a))


@pytest.mark.parametrize("kernels", [native, reference])
@each_net
def test_of_equal_lengths_it_is_what_it_is_padded(net: str, kernels: Any) -> None:
    a = layer(net, 5, 6, 7, 8, np.float32)
    flat = {name: a[name].reshape(30, -1) for name in ("x", "gy")}
    results = run(kernels, net, a | flat | {"batch_sizes": np.full(5, 6)})
    for r, wanted in zip(results, run(kernels, net, a), strict=True):
        if wanted is not None:
            assert_close([r.ravel()], [wanted.ravel()], 1e-6)


@each_net
def test_memory_that_fails(net: str) -> None:
    a = packed(net, [7, 5, 5, 1], 1, 6, 40, np.float32)
    output, *_, saved = forward(native, net, a)
    assert failures(lambda: forward(native, net, a)[:-1]) >= 1
    assert failures(lambda: backward(native, net, a, output, saved, True, False)) >= 1


@each_net
@pytest.mark.parametrize(
    ("batch_sizes", "message"),
    [
        ([3, 2, 3], "never grow"),
        ([3, 2, 0], "at least 1"),
        ([6, 1, 1], "at most B=3"),
        ([3, 3, 3], "add up to 9, x has 8 rows"),
        ([], "integers"),
        ([3.0, 3.0, 2.0], "integers"),
        ([[3, 3, 2]], "integers"),
    ],
)
def test_batch_sizes_are_checked(net: str, batch_sizes: list, message: str) -> None:
    a = packed(net, [3, 3, 2], 0, 4, 5, np.float64) | {"batch_sizes": np.array(batch_sizes)}
    with pytest.raises(ValueError, match=f"{net[:3]}.*_forward: .*{message}"):
        forward(native, net, a)
