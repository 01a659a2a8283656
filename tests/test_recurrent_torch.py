"""RNN, LSTM and GRU against PyTorch's, with equal weights: outputs and all gradients."""

import numpy as np
import pytest
import torch_cases

import minigrad as mg
from minigrad import kernels
from minigrad.kernels import reference

EXPECTED = torch_cases.expected()


def check(name: str) -> None:
    found = torch_cases.compute(mg, name)
    assert EXPECTED[name].size == torch_cases.joined(found).size
    at = 0
    for n, a in found.items():
        wanted = EXPECTED[name][at : at + a.size].reshape(a.shape)
        at += a.size
        limit = 1e-11 if n.startswith("grad") else 1e-12
        np.testing.assert_allclose(a, wanted, rtol=0, atol=limit, err_msg=f"{name}: {n}")


@pytest.mark.parametrize("name", torch_cases.cases())
def test_float64(name):
    check(name)


@pytest.mark.parametrize("name", [n for n in torch_cases.cases() if ", packed, 2" in n])
def test_float64_on_numpy(name, monkeypatch):
    for function in vars(reference):
        if hasattr(kernels, function):
            monkeypatch.setattr(kernels, function, getattr(reference, function))
    check(name)


@pytest.mark.parametrize("name", torch_cases.ROUNDED)
def test_float32_rounds_no_worse_than_four_times_pytorch(name):
    exact = torch_cases.compute(mg, name, torch_cases.LARGE)
    found = torch_cases.compute(mg, name, torch_cases.LARGE, np.float32)
    assert all(a.dtype == np.float32 for a in found.values())
    own = torch_cases.rounding(found, exact)
    limit = 4 * np.maximum(EXPECTED[f"float32 {name}"], np.finfo(np.float32).eps / 2)
    for n, e, most in zip(found, own, limit, strict=True):
        assert e <= most, f"{name}, {n}: {e:.1e} beyond {most:.1e}"
