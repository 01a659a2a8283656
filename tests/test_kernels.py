"""The elementwise kernels and matmul in C against the reference, for every instruction set here."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minigrad.kernels import reference

native = pytest.importorskip("minigrad.kernels.native", reason="the C extension is not built")
if os.environ.get("MINIGRAD_BACKEND") == "numpy":
    pytest.skip("MINIGRAD_BACKEND=numpy: nothing of C is asked for", allow_module_level=True)
Array = np.ndarray

ISAS = native.available_isas()
DTYPES = [np.float32, np.float64]
FINER = {np.float32: np.float64, np.float64: np.longdouble}
# Around each vector (2 .. 16 lanes), row of vectors (32), and what one thread does alone.
LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1000, 70001]
# Around each tile (6 or 12 rows, up to 32 columns, 128 in a wide one) and block (120, 256, 1024).
SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 15, 16, 17, 24, 25, 31, 32, 33, 64, 65, 119, 121, 129]
ROWS = st.sampled_from(SIZES)
DEPTHS = st.sampled_from([0, 1, 2, 7, 8, 15, 16, 17, 33, 64, 255, 256, 257, 300, 513])


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    isa, threads = native.config()["isa"], native.get_num_threads()
    yield
    native.select_isa(isa)
    native.set_num_threads(threads)


def each_isa(check: Callable[[], None]) -> None:
    for isa in ISAS:
        native.select_isa(isa)
        check()


def awkward(x: Array, how: str) -> Array:
    """The same numbers, lying in memory in another way."""
    if how == "transposed":
        return np.ascontiguousarray(np.swapaxes(x, -1, -2)).swapaxes(-1, -2)
    if how == "reversed":
        return np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    if how == "strided":
        return np.repeat(np.repeat(x, 3, axis=-2), 2, axis=-1)[..., ::3, ::2]
    if how == "wide":  # rows further apart than they are long
        return np.concatenate([x, np.full_like(x, np.nan)], axis=-1)[..., : x.shape[-1]]
    if how == "misaligned":
        room = np.empty(x.nbytes + 1, np.uint8)[1:]
        y = room.view(x.dtype).reshape(x.shape)
        y[...] = x
        return y
    if how == "record":  # elements not a whole number of elements apart
        y = np.empty(x.shape, [("tag", np.uint8), ("x", x.dtype)])
        y["x"] = x
        return y["x"]
    if how == "swapped":
        return x.astype(x.dtype.newbyteorder())
    return x


LAYOUTS = ["plain", "transposed", "reversed", "strided", "wide", "misaligned", "record", "swapped"]


# ---- elementwise ----


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
def test_elementwise_lengths(isa: str, dtype: type, name: str) -> None:
    native.select_isa(isa)
    rng = np.random.default_rng(0)
    tolerance = {"rtol": 8 * np.finfo(dtype).eps, "atol": 0}
    for n in LENGTHS:
        x, gy = rng.standard_normal((2, n)).astype(dtype)
        room = np.full(n + 2, np.nan, dtype)  # an unaligned vector, and nothing read beside it
        room[1 : n + 1] = x
        before = room.copy()
        y = getattr(native, name)(room[1 : n + 1])
        assert y.dtype == dtype
        np.testing.assert_allclose(y, getattr(reference, name)(x), **tolerance)
        grad = getattr(native, f"{name}_grad")(gy, y)
        assert grad.dtype == dtype
        wanted = getattr(reference, f"{name}_grad")(gy, y)
        np.testing.assert_allclose(grad, wanted, rtol=1e-5, atol=4 * np.finfo(dtype).eps)
        assert np.array_equal(room, before, equal_nan=True)


@pytest.mark.parametrize("how", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_elementwise_layouts(how: str, dtype: type) -> None:
    x = np.random.default_rng(0).standard_normal((9, 7)).astype(dtype)
    y = native.tanh(x)
    np.testing.assert_allclose(native.tanh(awkward(x, how)), y, rtol=1e-6)
    wanted = native.tanh_grad(x, y)
    for a, b in (awkward(x, how), y), (x, awkward(y, how)), (awkward(x, how), awkward(y, how)):
        np.testing.assert_allclose(native.tanh_grad(a, b), wanted, rtol=1e-6, atol=1e-7)


def test_elementwise_other_inputs() -> None:
    assert native.tanh(np.float32(0.5)).dtype == np.float32
    assert native.tanh(np.array(0.5)).shape == ()
    assert native.sigmoid(np.zeros((3, 0, 2), np.float32)).shape == (3, 0, 2)
    assert native.tanh(np.arange(3)).dtype == np.float64
    assert native.tanh(np.ones(3, np.float16)).dtype == np.float16
    assert np.allclose(native.tanh(np.array([1j])), np.tanh(1j))
    assert native.relu(np.array([-1, 2])).tolist() == [0, 2]
    mixed = native.tanh_grad(np.ones(3, np.float32), np.zeros(3))
    assert mixed.dtype == np.float64
    with pytest.raises(ValueError, match=r"gy has shape \(2,\), expected y's, \(3,\)"):
        native.sigmoid_grad(np.zeros(2), np.zeros(3))


# ---- along the last axis ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("isa", ISAS)
def test_log_softmax_rows(isa: str, dtype: type) -> None:
    native.select_isa(isa)
    eps, rng = np.finfo(dtype).eps, np.random.default_rng(0)
    for n in [m for m in LENGTHS if m]:
        x, gy = (10 * rng.standard_normal((2, 3, n))).astype(dtype)
        fine = reference.log_softmax(x.astype(FINER[dtype]))
        y = native.log_softmax(x)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, fine, rtol=0, atol=eps * (4 * np.abs(x).max() + n**0.5))
        found = native.log_softmax_grad(gy, y)
        wanted = reference.log_softmax_grad(gy.astype(FINER[dtype]), y.astype(FINER[dtype]))
        bound = 8 * eps * (np.abs(gy) + np.exp(fine) * np.abs(gy).sum(axis=-1, keepdims=True))
        assert np.all(np.abs(found - wanted) <= bound)
        assert native.log_softmax(np.repeat(x, 2, axis=1)[:, ::2]).tobytes() == y.tobytes()


@pytest.mark.parametrize("isa", ISAS)
def test_log_softmax_extremes(isa: str) -> None:
    native.select_isa(isa)
    inf, nan = np.inf, np.nan
    rows = [
        [inf, 1, 2],
        [-inf, 0, 0],
        [-inf, -inf, -inf],
        [nan, 1, 2],
        [1, 2, nan],
        [1e38, 0, -1e38],
    ]
    for n in (3, 40):
        x = np.full((len(rows), n), -5.0)
        x[:, :3] = rows
        for dtype in DTYPES:
            found, wanted = (
                native.log_softmax(x.astype(dtype)),
                reference.log_softmax(x.astype(dtype)),
            )
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert native.log_softmax(np.zeros((0, 3))).shape == (0, 3)
    assert native.log_softmax(np.zeros((2, 3), np.float16)).dtype == np.float16
    with pytest.raises(ValueError, match=r"gy has shape \(2,\), expected y's, \(3,\)"):
        native.log_softmax_grad(np.zeros(2), np.zeros(3))


# ---- matmul ----


def product(a: Array, b: Array) -> tuple[Array, Array]:
    """a @ b in more digits, and how far from it a correct sum may be."""
    fine = np.float64 if a.dtype == np.float32 else np.longdouble
    bound = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    eps = np.finfo(a.dtype).eps
    return a.astype(fine) @ b.astype(fine), eps * (a.shape[-1] + 2) * bound + 1e-300


def check(a: Array, b: Array) -> None:
    wanted, bound = product(a, b)
    for isa in ISAS:
        native.select_isa(isa)
        y = native.matmul(a, b)
        assert y.shape == wanted.shape
        assert y.dtype == a.dtype.newbyteorder("=")
        assert np.all(np.abs(y - wanted) <= bound), (isa, a.shape, b.shape, a.strides, b.strides)


def draw(shape: tuple[int, ...], dtype: type, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@given(
    ROWS, ROWS, DEPTHS, st.sampled_from(DTYPES), st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS)
)
@example(12, 32, 256, np.float32, "plain", "plain")
@example(1, 129, 33, np.float32, "plain", "transposed")
@example(129, 1, 33, np.float64, "transposed", "plain")
@example(129, 1, 33, np.float64, "plain", "strided")
def test_matmul(m: int, n: int, k: int, dtype: type, how_a: str, how_b: str) -> None:
    check(awkward(draw((m, k), dtype), how_a), awkward(draw((k, n), dtype, 1), how_b))


@pytest.mark.parametrize("dtype", DTYPES)
def test_matmul_larger_than_its_blocks(dtype: type) -> None:
    for m, n, k in (130, 70, 520), (7, 1100, 260), (250, 1040, 20), (1, 2100, 300), (1030, 1, 300):
        check(draw((m, k), dtype), draw((n, k), dtype, 1).T)
        check(draw((k, m), dtype).T, draw((k, n), dtype, 1))


sizes = st.integers(0, 3)


@given(st.lists(sizes, max_size=3), st.data(), sizes, sizes, sizes, st.sampled_from(DTYPES))
def test_matmul_batches(
    batch: list[int], data: st.DataObject, m: int, n: int, k: int, dtype: type
) -> None:
    """Leading axes that broadcast, are missing, permuted, or empty."""

    def operand(rows: int, columns: int, seed: int) -> Array:
        lead = [data.draw(st.sampled_from([1, size])) for size in batch]
        lead = lead[data.draw(st.integers(0, len(lead))) :]
        x = draw((*lead, rows, columns), dtype, seed)
        axes = data.draw(st.permutations(range(x.ndim)))
        return np.ascontiguousarray(x.transpose(axes)).transpose(np.argsort(axes))

    check(operand(m, k, 0), operand(k, n, 1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_matmul_batches_of_many_matrices(dtype: type) -> None:
    check(draw((50, 20, 30), dtype), draw((50, 30, 40), dtype, 1))
    check(draw((5, 10, 20, 30), dtype), draw((30, 40), dtype, 1))
    check(draw((3, 200, 150), dtype), draw((3, 100, 150), dtype, 1).swapaxes(1, 2))
    heads = draw((4, 9, 3, 8), dtype).transpose(0, 2, 1, 3)  # attention: (B, heads, T, d)
    check(heads, heads.swapaxes(-1, -2))
    check(draw((6, 1, 5), dtype)[:, :1], draw((5, 2), dtype, 1))
    check(draw((6, 5), dtype)[:, None, :], draw((5, 2), dtype, 1))


def test_matmul_other_inputs() -> None:
    a, b = draw((3, 4), np.float32), draw((4, 5), np.float64, 1)
    assert native.matmul(a, b).dtype == np.float64
    assert native.matmul(np.ones((2, 2), int), np.ones((2, 2), int)).dtype == np.int64
    assert native.matmul(a, np.ones((4, 2), np.complex64)).dtype == np.complex64
    assert native.matmul(a.astype(np.float16), b.astype(np.float16)).dtype == np.float16
    for shapes in (
        ((4,), (4,)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((4,), (2, 4, 5)),
        ((2, 3, 4), (4,)),
    ):
        x, y = (draw(shape, np.float64) for shape in shapes)
        np.testing.assert_allclose(native.matmul(x, y), np.matmul(x, y), rtol=1e-12)
        assert native.matmul(x, y).shape == np.matmul(x, y).shape
    with pytest.raises(ValueError, match="b has size 3 on axis -2, expected 4"):
        native.matmul(a, np.ones((3, 5), np.float32))
    with pytest.raises(ValueError, match=r"leading axes do not broadcast: \(2, 3, 4\)"):
        native.matmul(np.ones((2, 3, 4)), np.ones((3, 4, 5)))
    with pytest.raises(ValueError, match="at least one axis"):
        native.matmul(np.float32(2), a)
    giant = np.broadcast_to(np.float32(1), (2**40, 1))
    with pytest.raises((ValueError, MemoryError)):
        native.matmul(giant, giant.T)


def test_matmul_passes_on_infinities_and_nan() -> None:
    a, b = np.ones((7, 9), np.float32), np.ones((9, 40), np.float32)
    a[2, 3], b[4, 5] = np.inf, np.nan
    y = native.matmul(a, b)
    assert np.isnan(y[:, 5]).all()
    assert np.isinf(np.delete(y, 5, axis=1)[2]).all()
    assert np.isfinite(np.delete(np.delete(y, 5, axis=1), 2, axis=0)).all()


# ---- threads, instruction sets, the environment ----


def everything() -> list[Array]:
    """Large enough for several threads: rows split, columns split, dot products, elementwise."""
    x = draw((300, 260), np.float32)
    tall, long = draw((5000, 33), np.float32), draw((3000, 400), np.float32)
    return [
        native.matmul(x, x.T),
        native.matmul(tall, tall[:64, :].T),
        native.matmul(x.T[:40], draw((300, 900), np.float32)),
        native.matmul(long[:1], long.T),
        native.matmul(long, long[0]),
        native.matmul(long.reshape(30, 100, 400), long.reshape(30, 100, 400).swapaxes(1, 2)),
        native.tanh(long),
        native.sigmoid_grad(long, long),
        native.log_softmax(long),
        native.log_softmax_grad(long, long),
    ]


@pytest.mark.parametrize("isa", ISAS)
def test_same_bits_for_any_number_of_threads(isa: str) -> None:
    native.select_isa(isa)
    native.set_num_threads(1)
    wanted = everything()
    for threads in (2, 3, 4):
        native.set_num_threads(threads)
        assert native.get_num_threads() == native.config()["threads"] == threads
        for a, b in zip(everything(), wanted, strict=True):
            assert a.tobytes() == b.tobytes()


def test_set_num_threads_refuses() -> None:
    before = native.get_num_threads()
    for n in (0, -1):
        with pytest.raises(ValueError, match="at least 1"):
            native.set_num_threads(n)
    assert native.get_num_threads() == before
    native.set_num_threads(10**9)
    assert native.get_num_threads() == 256


def test_select_isa_refuses() -> None:
    before = native.config()
    with pytest.raises(ValueError, match="expected one of"):
        native.select_isa("mmx")
    assert native.config() == before


def test_several_python_threads_at_once() -> None:
    native.set_num_threads(2)
    wanted = everything()
    wrong: list[int] = []

    def work() -> None:
        for _ in range(5):
            got = everything()
            wrong.extend(i for i, a in enumerate(got) if a.tobytes() != wanted[i].tobytes())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)  # an emulator takes one minute
    assert not any(worker.is_alive() for worker in workers)
    assert not wrong


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


FORK = """
import os, signal
import numpy as np
from minigrad.kernels import native
native.set_num_threads(2)
x = np.random.default_rng(0).standard_normal((300, 300))
wanted = native.matmul(x, x)
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if (native.matmul(x, x) == wanted).all() else 1)
    assert (native.matmul(x, x) == wanted).all()
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_fork() -> None:
    done = python(FORK)
    assert done.returncode == 0, done.stderr


def test_environment() -> None:
    show = "from minigrad.kernels import native; print(native.config())"
    for isa in ISAS:
        assert f"'{isa}'" in python(show, MINIGRAD_ISA=isa).stdout
    assert "'threads': 3" in python(show, MINIGRAD_NUM_THREADS="3").stdout
    for name in ("MINIGRAD_ISA", "MINIGRAD_NUM_THREADS"):
        done = python(show, **{name: "mmx"})
        assert done.returncode != 0
        assert f"ImportError: {name}=mmx" in done.stderr
    mmx = {"MINIGRAD_ISA": "mmx", "MINIGRAD_NUM_THREADS": "mmx"}  # no matter to numpy
    done = python("import minigrad as mg; mg.show_config()", MINIGRAD_BACKEND="numpy", **mmx)
    assert (done.returncode, done.stderr) == (0, "")
    assert "numpy" in done.stdout
