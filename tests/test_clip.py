"""Clipping: PyTorch's numbers, any norm, and gradients at the ends of their range."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.nn.utils import clip_grad_norm_, clip_grad_value_


def with_grads(*grads):
    params = []
    for g in grads:
        params.append(mg.zeros(np.shape(g), dtype=np.asarray(g).dtype, requires_grad=True))
        params[-1].grad = mg.tensor(np.asarray(g))
    return params


def test_norm_before_and_gradients_after():
    params = with_grads(np.array([3.0, 0.0]), np.array([[4.0]]))
    params.append(mg.ones(2, requires_grad=True))  # no gradient
    norm = clip_grad_norm_(params, 2.5)
    assert isinstance(norm, mg.Tensor)
    assert norm.shape == ()
    assert norm.dtype == np.float64
    assert norm.item() == 5.0
    np.testing.assert_allclose(params[0].grad.data, [3 * 2.5 / (5 + 1e-6), 0])
    assert clip_grad_norm_(params, 2.6).item() == pytest.approx(2.5)
    np.testing.assert_allclose(params[1].grad.data, [[4 * 2.5 / (5 + 1e-6)]])


@given(
    st.integers(0, 2**31), st.sampled_from([0.5, 1.0, 2.0, 3.0, math.inf]),
    st.sampled_from([0.0, 0.1, 1.0, 1e3]),
)  # fmt: skip
def test_norms_are_pytorchs(seed, p, max_norm):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    grads = [rng.standard_normal(s) for s in ((3, 4), (5,), (), (0, 2))]
    ours, theirs = with_grads(*grads), [torch.nn.Parameter(torch.zeros(g.shape)) for g in grads]
    theirs = [torch.nn.Parameter(t.double()) for t in theirs]
    for t, g in zip(theirs, grads, strict=True):
        t.grad = torch.tensor(g)
    theirs = theirs[:3] if p == math.inf else theirs  # PyTorch: no largest of nothing
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, p)
    assert clip_grad_norm_(iter(ours), max_norm, p).item() == pytest.approx(expected.item(), 1e-13)
    for a, b in zip(ours, theirs, strict=False):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e30, 1e-30, 1e-44])
@pytest.mark.parametrize("p", [2.0, 3.0, 1.0])
def test_squares_may_leave_the_range(scale, p):
    g = (np.array([3.0, -4.0]) * scale).astype(np.float32)
    params = with_grads(g)
    norm = clip_grad_norm_(params, 1.0, p)
    expected = np.linalg.norm(g.astype(float), p)
    assert norm.item() == pytest.approx(expected, rel=1e-6)
    size = np.linalg.norm(params[0].grad.data.astype(float), p)
    assert size == pytest.approx(min(1.0, expected), rel=1e-6)


@pytest.mark.parametrize("p", [2.0, 3.0, math.inf])
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_not_finite(p, bad, place):
    grads = [np.array([1.0, 2.0]), np.array([3.0])]
    grads[place][0] = bad
    params = with_grads(*grads)
    with pytest.raises(RuntimeError, match=f"norm of the gradients is {abs(bad)}"):
        clip_grad_norm_(params, 1.0, p, error_if_nonfinite=True)
    for param, g in zip(params, grads, strict=True):
        np.testing.assert_array_equal(param.grad.data, g)
    norm = clip_grad_norm_(params, 1.0, p).item()
    np.testing.assert_equal(norm, abs(bad))
    kept = params[1 - place].grad.data
    assert np.isnan(kept).all() if math.isnan(bad) else (kept == 0).all()


def test_values():
    params = with_grads(np.array([3.0, -0.5, -7.0], np.float32))
    clip_grad_value_(params, 1)
    np.testing.assert_array_equal(params[0].grad.data, [1, -0.5, -1])
    clip_grad_value_(params[0], 0.25)
    np.testing.assert_array_equal(params[0].grad.data, [0.25, -0.25, -0.25])
    assert params[0].grad.dtype == np.float32


def test_clipping_is_a_write_that_backward_notices():
    for clip in (lambda p: clip_grad_norm_(p, 0.1), lambda p: clip_grad_value_(p, 0.1)):
        p = mg.tensor([2.0], requires_grad=True)
        (p * p * p).sum().backward(create_graph=True)
        loss = (p.grad * p.grad).sum()
        clip(p)
        with pytest.raises(RuntimeError, match="written in place"):
            loss.backward()


def test_nothing_to_clip():
    assert clip_grad_norm_([], 1.0).item() == 0.0
    assert clip_grad_norm_([mg.ones(2, requires_grad=True)], 1.0, math.inf).item() == 0.0
    params = with_grads(np.zeros(3))
    assert clip_grad_norm_(params, 0.0).item() == 0.0
    assert (params[0].grad.data == 0).all()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda p: clip_grad_norm_(p, -1.0), "max_norm must be at least 0, got -1.0"),
        (lambda p: clip_grad_norm_(p, math.nan), "max_norm must be at least 0, got nan"),
        (lambda p: clip_grad_norm_(p, "all"), "max_norm must be a number, got 'all'"),
        (lambda p: clip_grad_norm_(p, 1.0, 0), "norm_type must be above 0"),
        (lambda p: clip_grad_norm_([p[0].grad.data], 1.0), "must be tensors, got ndarray"),
        (lambda p: clip_grad_value_(p, -1.0), "clip_value must be at least 0"),
        (lambda p: clip_grad_value_(p, None), "clip_value must be a number"),
    ],
)
def test_arguments_are_checked(call, match):
    params = with_grads(np.array([3.0]))
    with pytest.raises((ValueError, TypeError), match=match):
        call(params)
    assert params[0].grad.item() == 3.0
