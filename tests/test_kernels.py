"""The elementwise kernels in C against the reference, for every instruction set here."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

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


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    isa, threads = native.config()["isa"], native.get_num_threads()
    yield
    native.select_isa(isa)
    native.set_num_threads(threads)


def draw(shape: tuple[int, ...], dtype: type, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


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


# ---- threads, instruction sets, the environment ----


def everything() -> list[Array]:
    """Large enough for several threads: rows split, columns split, dot products, elementwise."""
    x = draw((300, 260), np.float32)
    tall, long = draw((5000, 33), np.float32), draw((3000, 400), np.float32)
    return [
        native.matmul(x, x.T),
        native.matmul(tall, tall[:64, :].T),
        native.matmul(x.T[:40], draw((300, 900), np.float32)),
        native.matmul(tall[:190], draw((33, 120), np.float32)),
        native.matmul(x[:190], draw((260, 120), np.float32)),
        native.matmul(draw((260, 190), np.float32).T, draw((260, 120), np.float32)),
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


def test_an_extension_of_another_version_is_named() -> None:
    old = "SimpleNamespace(lib=SimpleNamespace(), ffi=None)"
    done = python(
        "import sys; from types import SimpleNamespace; "
        f"sys.modules['minigrad.kernels._c'] = {old}; import minigrad"
    )
    assert done.returncode != 0
    assert "ImportError: the C extension was built from another version" in done.stderr
    assert "pip install -e ." in done.stderr
