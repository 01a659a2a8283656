"""tanh, sigmoid, exp and relu in C within two units in the last place; and accuracy.py itself."""

import importlib
import os
import sys

import numpy as np
import pytest

native = pytest.importorskip("minigrad.kernels.native", reason="the C extension is not built")
if os.environ.get("MINIGRAD_BACKEND") == "numpy":
    pytest.skip("MINIGRAD_BACKEND=numpy: nothing of C is asked for", allow_module_level=True)
accuracy = importlib.import_module("accuracy")

ISAS = native.available_isas()
DTYPES = [np.float32, np.float64]
FUNCTIONS = list(accuracy.TRUE)


@pytest.fixture(autouse=True)
def _as_before():
    isa, threads = native.config()["isa"], native.get_num_threads()
    yield
    native.select_isa(isa)
    native.set_num_threads(threads)


@pytest.mark.parametrize("dtype", DTYPES)
def test_within_two_units_in_the_last_place(dtype):
    """Of 200 000 numbers; accuracy.py tries every float32, and 10^8 float64."""
    if np.finfo(accuracy.FINER[dtype]).eps == np.finfo(dtype).eps:
        pytest.skip("numpy's longdouble is float64 here: nothing finer to compare with")
    accuracy.check_oracle(FUNCTIONS, dtype)
    rng = np.random.default_rng(0)
    edge = 120 if dtype is np.float32 else 760
    x = np.concatenate(
        [
            accuracy.some_float64(0, 1 << 16),
            rng.standard_normal(60000),
            rng.uniform(-edge, edge, 40000),
            rng.uniform(-1, 1, 40000) * 10.0 ** rng.integers(-44, 1, 40000),
        ]
    )
    with np.errstate(over="ignore", invalid="ignore"):
        x = x.astype(dtype)
    for (isa, function), (error, at) in accuracy.worst_of(x, FUNCTIONS, ISAS).items():
        assert error <= (0 if function == "relu" else 1.9), f"{isa} {function} at {at.hex()}"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(isa, dtype):
    native.select_isa(isa)
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -tiny, huge, -huge], dtype)
    x = np.concatenate([x] * 5)  # in whole vectors and in what is left over
    for name, wanted in {
        "tanh": [np.nan, 1, -1, 0.0, -0.0, tiny, -tiny, 1, -1],
        "sigmoid": [np.nan, 1, 0, 0.5, 0.5, 0.5, 0.5, 1, 0],
        "exp": [np.nan, np.inf, 0, 1, 1, 1, 1, np.inf, 0],
        "relu": [np.nan, np.inf, 0, 0, 0, tiny, 0, huge, 0],
    }.items():
        y = accuracy.COMPUTED[name](x)
        assert np.array_equal(y, np.array(wanted * 5, dtype), equal_nan=True), (name, y[:9])
        if name == "tanh":
            assert np.array_equal(np.signbit(y[1:9]), np.signbit(x[1:9]))


# ---- the measure itself ----


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_ulp_is_the_distance_of_neighbours(dtype):
    info, finer = np.finfo(dtype), accuracy.FINER[dtype]
    x = np.array([1, 1.5, 3e-5, info.smallest_normal, info.smallest_normal / 3, 0], dtype)
    assert accuracy.units(x.astype(finer), dtype).tolist() == np.spacing(x).tolist()
    assert accuracy.units(np.array([info.max], finer), dtype)[0] == info.max - np.nextafter(
        info.max, dtype(0)
    )
    almost_one = np.array([1 - np.finfo(finer).epsneg], finer)
    assert accuracy.units(almost_one, dtype)[0] == info.epsneg  # below 1, if rounded to 1


@pytest.mark.parametrize(
    ("y", "true", "ulps"),
    [
        (1.0, 1.0, 0),
        (1 + 2**-22, 1.0, 2),
        (np.nan, 1.0, np.inf),
        (1.0, np.nan, np.inf),
        (np.nan, np.nan, 0),
        (np.inf, 1e300, 0),
        (-np.inf, 1e300, np.inf),
        (np.inf, 1.0, np.inf),
        (2.0**-149, 2.0**-148, 1),
    ],
)
def test_errors(y, true, ulps):
    true = np.array([true])
    unit = accuracy.units(true, np.float32)
    with np.errstate(all="ignore"):
        assert accuracy.errors(np.array([y], np.float32), true, unit).tolist() == [ulps]


def test_a_coarse_yardstick_is_refused(monkeypatch):
    monkeypatch.setitem(accuracy.FINER, np.float32, np.float32)
    with pytest.raises(RuntimeError, match="tanh: float32 is too coarse a yardstick"):
        accuracy.check_oracle(["tanh"], np.float32)


def test_the_parts_are_the_whole():
    numbers = [n for k in range(1, 8) for n in accuracy.blocks(np.float32, 0, f"{k}/7")]
    assert sorted(numbers) == list(range((1 << 32) // accuracy.BLOCK))
    with pytest.raises(SystemExit, match="expected K/N"):
        accuracy.blocks(np.float32, 0, "8/7")


@pytest.mark.parametrize("wrong", [False, True])
def test_the_command_says_where_the_worst_is_and_fails_above_the_bound(monkeypatch, capsys, wrong):
    monkeypatch.setattr(accuracy, "BLOCK", 1 << 16)
    if wrong:
        monkeypatch.setitem(accuracy.COMPUTED, "exp", lambda x: np.exp(x) * x.dtype.type(1.000001))
    options = f"float32 --function exp --isa {ISAS[0]} --part 16320/65536"  # about 1
    monkeypatch.setattr(sys, "argv", ["accuracy.py", *options.split()])
    assert accuracy.main() == wrong
    out, err = capsys.readouterr()
    assert "1 of 1 blocks" in err
    assert f"{ISAS[0]:9} exp " in out
    assert " ulp at 0x1." in out
