"""Every kernel on arrays that lie anywhere in memory: drawn strides, against contiguous copies.

An array is drawn as a view of a larger one that is NaN everywhere else: steps of any sign, axes in
any order, axes of stride 0, an offset, an address that is not aligned. What reads beside the view
gives NaN; what writes there is seen.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels import python
from test_kernels_recurrent import NETS, assert_close, assert_same_bits, backward, forward, layer

from minigrad.kernels import reference

native = pytest.importorskip("minigrad.kernels.native", reason="the C extension is not built")
Array = np.ndarray

DTYPES = st.sampled_from([np.float32, np.float64])
ISAS = st.sampled_from(native.available_isas())
SIDES = st.sampled_from([0, 1, 2, 3, 5, 8, 9, 17, 33])


@pytest.fixture(autouse=True, scope="module")
def _as_before() -> Iterator[None]:
    isa = native.config()["isa"]
    yield
    native.select_isa(isa)


@st.composite
def views(draw: Any, x: Array, repeat: bool = False) -> tuple[Array, Array]:
    """(view, memory): the numbers of x, somewhere in memory. repeat: some axes may have stride 0,
    where the view has x's first element of that axis all along."""
    plain = draw(st.integers(0, 3)) == 0
    axes = range(x.ndim) if plain else draw(st.permutations(range(x.ndim)))
    steps = [1 if plain else draw(st.sampled_from([1, 1, 1, -1, 2, -3])) for _ in axes]
    if repeat:
        steps = [0 if draw(st.integers(0, 5)) == 0 else step for step in steps]
    before = [0 if plain else draw(st.integers(0, 2)) for _ in axes]
    sides = [
        first
        + (min(n, 1) if step == 0 else n * abs(step))
        + (not plain and draw(st.integers(0, 1)))
        for n, step, first in zip(x.shape, steps, before, strict=True)
    ]
    order = [sides[axis] for axis in axes]  # which axis lies closest
    shift = draw(st.sampled_from([0, 0, 4, 1]))
    memory = np.full(int(np.prod(order)) * x.itemsize + shift, 0xFF, np.uint8)  # NaN
    base = memory[shift:].view(x.dtype).reshape(order).transpose(np.argsort(axes))
    view = base
    for axis, (n, step, first) in enumerate(zip(x.shape, steps, before, strict=True)):
        index = [slice(None)] * x.ndim
        if step == 0:
            index[axis] = slice(first, first + min(n, 1))
        else:
            index[axis] = slice(first, first + n * abs(step), abs(step))
        view = view[tuple(index)]
        view = np.flip(view, axis) if step < 0 else view
    source = x[tuple(slice(0, 1) if s == 0 else slice(None) for s in steps)]
    view[...] = source
    return np.broadcast_to(view, x.shape), memory


def numbers(shape: tuple[int, ...], dtype: type, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def test_views_are_what_they_say() -> None:
    """The strategy itself: it draws what the tests below are for."""
    kinds: set[str] = set()

    @settings(max_examples=300, database=None)
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        x = numbers((3, 4, 2), np.float32, 0)
        view, memory = data.draw(views(x, repeat=True))
        if 0 not in view.strides:
            assert np.array_equal(view, x)
        outside = np.count_nonzero(np.isnan(memory[memory.size % 4 :].view(np.float32)))
        kinds.update(
            name
            for name, found in {
                "contiguous": view.flags.c_contiguous,
                "reversed": min(view.strides) < 0,
                "repeated": 0 in view.strides,
                "transposed": any(abs(a) < abs(b) for a, b in pairwise(view.strides)),
                "unaligned": not view.flags.aligned,
                "spread": outside > 0,
            }.items()
            if found
        )

    collect()
    assert len(kinds) == 6, kinds


@given(st.data(), DTYPES, ISAS, st.lists(SIDES, max_size=3), st.booleans())
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
def test_elementwise(
    name: str, data: st.DataObject, dtype: type, isa: str, shape: list, repeat: bool
) -> None:
    native.select_isa(isa)
    x, memory = data.draw(views(numbers(tuple(shape), dtype, 0), repeat))
    gy, _ = data.draw(views(numbers(tuple(shape), dtype, 1), repeat))
    before = memory.copy()
    y = getattr(native, name)(x)
    assert_same_bits([y], [getattr(native, name)(x.copy())])
    assert_close([y], [getattr(reference, name)(x)], 1e-6)
    gx = getattr(native, f"{name}_grad")(gy, x)
    assert_same_bits([gx], [getattr(native, f"{name}_grad")(gy.copy(), x.copy())])
    assert_close([gx], [getattr(reference, f"{name}_grad")(gy, x)], 1e-5)
    assert memory.tobytes() == before.tobytes()


@given(st.data(), DTYPES, ISAS, SIDES, SIDES, SIDES, st.lists(st.integers(0, 3), max_size=2))
@settings(max_examples=300)
def test_matmul(
    data: st.DataObject, dtype: type, isa: str, m: int, k: int, n: int, batch: list
) -> None:
    native.select_isa(isa)
    lead = data.draw(st.integers(0, len(batch)))
    a, memory = data.draw(views(numbers((*batch, m, k), dtype, 0), repeat=True))
    b, _ = data.draw(views(numbers((*batch[lead:], k, n), dtype, 1), repeat=True))
    before = memory.copy()
    wanted = np.matmul(a.astype(np.longdouble), b.astype(np.longdouble)).astype(dtype)
    assert_close([native.matmul(a, b)], [wanted], 1e-5 if dtype is np.float32 else 1e-13)
    assert memory.tobytes() == before.tobytes()


@given(st.data(), DTYPES, ISAS, st.integers(0, 4), st.integers(0, 7), SIDES, SIDES)
@settings(max_examples=60)
@pytest.mark.parametrize("net", NETS)
def test_recurrent(
    net: str, data: st.DataObject, dtype: type, isa: str, T: int, B: int, I: int, H: int
) -> None:
    native.select_isa(isa)
    given = {name: data.draw(views(x)) for name, x in layer(net, T, B, I, H, dtype).items()}
    before = {name: memory.copy() for name, (_, memory) in given.items()}
    lying, plain = ({n: f(v) for n, (v, _) in given.items()} for f in (np.asarray, np.array))
    output, *more, saved = forward(native, net, lying)
    output_plain, *more_plain, saved_plain = forward(native, net, plain)
    assert_same_bits([output, *more], [output_plain, *more_plain])
    output, _ = data.draw(views(output))
    kept = None if saved is None else [data.draw(views(x))[0] for x in saved]
    assert_same_bits(
        backward(native, net, lying, output, kept, True, False),
        backward(native, net, plain, output_plain, saved_plain, True, False),
    )
    assert_close([output, *more], forward(reference, net, plain)[:-1], 2e-5)
    for name, (_, memory) in given.items():
        assert memory.tobytes() == before[name].tobytes(), name


# ---- arrays that are small in memory and huge to count ----


@pytest.mark.parametrize("shape", [(2**60,), (2**30, 2**30), (2**20, 1, 2**40)])
def test_elementwise_refuses_what_no_memory_holds(shape: tuple) -> None:
    x = np.broadcast_to(np.float32(1), shape)
    for name in ("tanh", "sigmoid", "relu"):
        with pytest.raises((MemoryError, ValueError)):
            getattr(native, name)(x)
        with pytest.raises((MemoryError, ValueError)):
            getattr(native, f"{name}_grad")(x, x)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2**31, 1), (1, 2**31)),  # the product's elements
        ((2**33, 1), (1, 2**33)),  # their count does not fit 64 bits
        ((2**32, 1, 1), (2**32, 1, 2**20)),
        ((2**31, 2**20, 1), (1, 2**20)),
        ((2**50, 1, 1), (1, 2**14)),
    ],
)
def test_matmul_refuses_what_no_memory_holds(a: tuple, b: tuple) -> None:
    one = np.float32(1)
    with pytest.raises((MemoryError, ValueError)):
        native.matmul(np.broadcast_to(one, a), np.broadcast_to(one, b))


ENDLESS = """
import sys
import numpy as np
sys.path.insert(0, {tests!r})
from test_kernels_recurrent import NETS, backward, forward, native
for net, gates in NETS.items():
    for B, I, H in (0, 3, 4), (2, 0, 0), (0, 0, 0):
        shapes = dict(x=(2**40, B, I), h0=(B, H), c0=(B, H), w_ih=(gates * H, I))
        shapes |= dict(w_hh=(gates * H, H), gy=(2**40, B, H))
        if net == "lstm_proj":
            shapes["w_hr"] = (H, H)
        a = {{name: np.ones(shape) for name, shape in shapes.items()}}
        output, *_, saved = forward(native, net, a)
        forward(native, net, a, keep=False)
        gx, _, *gw = backward(native, net, a, output, saved, True, False)
        assert gx.shape == (2**40, B, I)
        assert not any(g.any() for g in gw if g is not None)
"""


def test_many_steps_of_nothing_take_no_time() -> None:
    """x (2^40, 0, 3) takes no memory, so it can be asked for."""
    done = python(ENDLESS.format(tests=str(Path(__file__).parent)))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("isa", native.available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [(64, 64, 64), (40, 97, 128), (130, 128, 128), (37, 16, 1100)])
def test_a_product_is_the_same_wherever_in_a_cache_line_its_operands_begin(isa, dtype, size):
    native.select_isa(isa)
    rng, (m, k, n) = np.random.default_rng(0), size
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    results = []
    for places in 0, 1, 4, 8:
        memory = np.full(b.size + 64, np.nan, dtype)
        first = -memory.ctypes.data % 64 // memory.itemsize + places
        moved = memory[first : first + b.size].reshape(b.shape)
        moved[:] = b
        results.append(native.matmul(a, moved))
    exact = a.astype(float) @ b.astype(float)
    bound = k * np.finfo(dtype).eps * (abs(a) @ abs(b)).max()  # of k sums, each rounded
    np.testing.assert_allclose(results[0], exact, rtol=0, atol=bound)
    for result in results[1:]:
        assert_same_bits([result], [results[0]])
