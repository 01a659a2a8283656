"""The LSTM kernels in C against the reference: every instruction set, around every tile edge."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minigrad.kernels import reference

native = pytest.importorskip("minigrad.kernels.native", reason="the C extension is not built")
Arrays = dict[str, np.ndarray]

ISAS = native.ffi.string(native.lib.mg_isa_available()).decode().split()
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}
FORWARD = ["x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh"]
BACKWARD = ["gy", "gh_n", "gc_n", "x", "h0", "w_ih", "w_hh", "output"]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    isa, threads = native.lib.mg_isa(), native.get_num_threads()
    yield
    assert native.lib.mg_select_isa(isa) == 0
    native.set_num_threads(threads)


def layer(T: int, B: int, I: int, H: int, dtype: type, seed: int = 0) -> Arrays:
    """Every array the two functions take, output and saved values aside."""
    rng = np.random.default_rng(seed)
    shapes = {
        "x": (T, B, I),
        "h0": (B, H),
        "c0": (B, H),
        "w_ih": (4 * H, I),
        "w_hh": (4 * H, H),
        "b_ih": (4 * H,),
        "b_hh": (4 * H,),
        "gy": (T, B, H),
        "gh_n": (B, H),
        "gc_n": (B, H),
    }
    scale = {"w_ih": (I + 1) ** -0.5, "w_hh": (H + 1) ** -0.5}
    return {
        name: (rng.standard_normal(shape) * scale.get(name, 1)).astype(dtype)
        for name, shape in shapes.items()
    }


def run(kernels, a: Arrays, need_x: bool = True, reuse: bool = False) -> list[np.ndarray | None]:
    """output, c_n and all gradients."""
    output, c_n, saved = kernels.lstm_forward(*(a.get(name) for name in FORWARD), True)
    wanted = (a.get(name) if name != "output" else output for name in BACKWARD)
    return [output, c_n, *kernels.lstm_backward(*wanted, saved, need_x, reuse)]


def assert_close(got: list, wanted: list, tolerance: float) -> None:
    for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
        assert (a is None) == (b is None), i
        if b is not None:
            assert a.shape == b.shape, i
            assert a.dtype == b.dtype, i
            scale = max(1, np.abs(b).max(initial=0))
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=str(i))


def assert_same_bits(got: list, wanted: list) -> None:
    for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
        assert (a is None) == (b is None), i
        if b is not None:
            np.testing.assert_array_equal(a, b, err_msg=str(i))


sizes = st.tuples(
    st.integers(0, 5),
    st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 12, 13]),
    st.one_of(st.integers(0, 20), st.sampled_from([31, 32, 33, 64, 65])),
    st.one_of(st.integers(0, 20), st.sampled_from([31, 32, 33, 63, 64, 65, 130])),
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=60, deadline=None)
@given(size=sizes, seed=st.integers(0, 99), left_out=st.sets(st.sampled_from("bygcx"), max_size=4))
@example(size=(0, 2, 3, 4), seed=0, left_out=set())
@example(size=(3, 0, 3, 4), seed=0, left_out=set())
@example(size=(3, 2, 0, 4), seed=0, left_out=set())
@example(size=(3, 2, 3, 0), seed=0, left_out=set())
@example(size=(140, 3, 5, 6), seed=0, left_out=set())  # several chunks
def test_as_the_reference(isa, dtype, size, seed, left_out) -> None:
    assert native.lib.mg_select_isa(isa.encode()) == 0
    a = layer(*size, dtype, seed)
    for letter, names in {"b": "b_ih b_hh", "y": "gy", "g": "gh_n", "c": "gc_n"}.items():
        if letter in left_out:
            a = {name: x for name, x in a.items() if name not in names.split()}
    need_x = "x" not in left_out
    assert_close(run(native, a, need_x), run(reference, a, need_x), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    "size", [(9, 16, 20, 48), (3, 2, 40, 300), (3, 1, 3, 400), (70, 9, 33, 35)]
)
def test_same_bits_for_any_number_of_threads(isa, dtype, size) -> None:
    assert native.lib.mg_select_isa(isa.encode()) == 0
    a = layer(*size, dtype)
    results = []
    for threads in (1, 2, 3, 4):
        native.set_num_threads(threads)
        results.append(run(native, a))
        forward = native.lstm_forward(*(a[name] for name in FORWARD), False)
        assert forward[2] is None
        assert_same_bits(list(forward[:2]), results[-1][:2])  # keep changes nothing
    for other in results[1:]:
        assert_same_bits(other, results[0])
    assert_close(results[0], run(reference, a), TOLERANCE[dtype])


def test_reuse() -> None:
    a = layer(5, 7, 9, 21, np.float32)
    output, _, saved = native.lstm_forward(*(a[name] for name in FORWARD), True)
    wanted = [output if name == "output" else a[name] for name in BACKWARD]
    first = native.lstm_backward(*wanted, saved, True, False)
    second = native.lstm_backward(*wanted, saved, True, False)  # False: saved is as it was
    third = native.lstm_backward(*wanted, saved, True, True)
    assert_same_bits(list(second), list(first))
    assert_same_bits(list(third), list(first))


def test_any_layout() -> None:
    a = layer(4, 5, 6, 7, np.float64)
    strided = {name: np.repeat(x, 2, axis=-1)[..., ::2] for name, x in a.items()}
    assert not strided["w_hh"].flags.c_contiguous
    assert_same_bits(run(native, strided), run(native, a))
    unaligned = {}
    for name, x in a.items():
        memory = np.empty(x.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(x.shape)
        memory[...] = x
        unaligned[name] = memory
    assert_same_bits(run(native, unaligned), run(native, a))


def test_inputs_are_left_alone() -> None:
    a = layer(4, 5, 6, 7, np.float64)
    before = {name: x.copy() for name, x in a.items()}
    run(native, a)
    assert_same_bits(list(a.values()), list(before.values()))


def test_nan_and_infinity_arrive() -> None:
    a = layer(3, 4, 5, 6, np.float64)
    a["x"][1, 2, 3] = np.nan
    output, _, _ = native.lstm_forward(*(a[name] for name in FORWARD), False)
    assert np.isnan(output[1:, 2]).all()
    assert np.isfinite(output[:, [0, 1, 3]]).all()
    a["x"][1, 2, 3] = np.inf
    wanted = reference.lstm_forward(*(a[name] for name in FORWARD), False)
    got = native.lstm_forward(*(a[name] for name in FORWARD), False)
    assert_close(list(got[:2]), list(wanted[:2]), 1e-12)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", np.zeros((2, 3)), "2 and 2 axes"),
        ("h0", np.zeros((4, 5)), r"h0 has shape \(4, 5\), expected \(3, 5\)"),
        ("c0", np.zeros((3, 4)), r"c0 has shape \(3, 4\), expected \(3, 5\)"),
        ("w_ih", np.zeros((20, 5)), r"w_ih has shape \(20, 5\), expected \(20, 4\)"),
        ("w_hh", np.zeros((5, 20)), r"w_hh has shape \(5, 20\), expected \(20, 5\)"),
        ("b_ih", np.zeros((20, 1)), r"b_ih has shape \(20, 1\), expected \(20,\)"),
        ("b_hh", np.zeros(20, np.float32), "b_hh is float32, expected float64"),
        ("w_hh", np.zeros((20, 5), np.int64), "w_hh is int64, expected float64"),
    ],
)
def test_wrong_arguments_are_named(name, value, message) -> None:
    a = layer(2, 3, 4, 5, np.float64) | {name: value}
    with pytest.raises(ValueError, match=message):
        native.lstm_forward(*(a[name] for name in FORWARD), True)


@pytest.mark.parametrize("name", ["gy", "gh_n", "gc_n", "output", "gates", "cells"])
def test_wrong_gradients_are_named(name) -> None:
    a = layer(2, 3, 4, 5, np.float64)
    output, _, saved = native.lstm_forward(*(a[name] for name in FORWARD), True)
    a |= {"output": output, "gates": saved[0], "cells": saved[1]}
    a[name] = a[name][..., :-1]
    with pytest.raises(ValueError, match=f"lstm_backward: {name} has shape"):
        native.lstm_backward(*(a[name] for name in BACKWARD), (a["gates"], a["cells"]), True, True)


def test_sizes_that_cannot_be_are_refused() -> None:
    huge = np.broadcast_to(np.float32(0), (2**31, 2**20, 1))
    h0 = np.broadcast_to(np.float32(0), (2**20, 2**20))
    with pytest.raises(ValueError, match="too large"):
        native.lstm_forward(huge, h0, h0, h0, h0, None, None, False)
