"""Primitives of one's own: rules, and autograd.Function."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from leaves import leaf

import minigrad as mg
from minigrad import primitive
from minigrad.autograd import grad
from minigrad.ops import elementwise

# ------------------------------------------------------------------------- primitives of one's own


def test_rules_that_name_what_is_not_there_are_refused():
    @primitive
    def f(a, *rest):
        return a

    with pytest.raises(TypeError, match="names unknown b"):
        f.rules(a=lambda gy, b: gy)
    with pytest.raises(TypeError, match="no argument 'c'"):
        f.rules(c=lambda gy: gy)
    with pytest.raises(TypeError, match="first argument of a rule is gy"):
        f.rules(a=lambda y: y)


def test_a_rule_with_a_gradient_of_an_impossible_shape_is_refused():
    @primitive
    def total(a):
        return a.sum()

    total.rules(a=lambda gy: gy)  # forgets to spread it
    with pytest.raises(RuntimeError, match=r"total: .*shape \(\) for an argument of shape \(2,\)"):
        total(leaf(1.0, 2.0)).backward()


def test_a_primitive_is_pickled_by_name():
    assert pickle.loads(pickle.dumps(elementwise.tanh)) is elementwise.tanh
    assert copy.deepcopy(elementwise.tanh) is elementwise.tanh


def test_a_primitive_on_arrays_returns_an_array():
    @primitive
    def cube(a):
        return a**3

    assert type(cube(np.ones(2))) is np.ndarray


class Exp(mg.Function):
    @staticmethod
    def forward(ctx, x, scale):
        y = (x * scale).exp()
        ctx.save_for_backward(y)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx, gy):
        [y] = ctx.saved_tensors
        return gy * y * ctx.scale, None


def test_function_any_order():
    x = leaf(0.3, 0.7)
    y = Exp.apply(x, 2.0).sum()
    for order in range(1, 4):
        [g] = grad(y, x, create_graph=True)
        np.testing.assert_allclose(g.data, 2**order * np.exp(2 * x.data), rtol=1e-14)
        y = g.sum()


def test_function_with_several_outputs_and_missing_gradients():
    class Both(mg.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b, a + b

        @staticmethod
        def backward(ctx, g_product, g_sum):
            a, b = ctx.saved_tensors
            assert g_sum.tolist() == [0, 0]
            return g_product * b + g_sum, g_product * a + g_sum

    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    product, _ = Both.apply(a, b)
    first = grad((product * product).sum(), [a, b], create_graph=True)
    assert first[0].tolist() == [18, 64]
    [second] = grad(first[0].sum(), a)
    assert second.tolist() == [18, 32]


def test_function_that_saves_several_outputs_any_order():
    class SineAndCosine(mg.Function):
        @staticmethod
        def forward(ctx, x):
            s, c = x.sin(), x.cos()
            ctx.save_for_backward(s, c)
            return s, c

        @staticmethod
        def backward(ctx, gs, gc):
            s, c = ctx.saved_tensors
            return gs * c - gc * s

    def both(x):
        s, c = SineAndCosine.apply(x)
        return s * s * c

    x = leaf(0.3, -1.1)
    y, expected = both(x), x.sin() * x.sin() * x.cos()
    for _ in range(4):
        [y] = grad(y.sum(), x, create_graph=True)
        [expected] = grad(expected.sum(), x, create_graph=True)
        np.testing.assert_allclose(y.detach(), expected.detach(), rtol=1e-13)
    mg.autograd.gradgradcheck(both, [x])


def test_function_checks_the_number_of_gradients():
    class Wrong(mg.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a * b

        @staticmethod
        def backward(ctx, gy):
            return gy

    with pytest.raises(RuntimeError, match=r"Wrong.backward: 1 gradients for 2 arguments"):
        Wrong.apply(leaf(1.0), leaf(2.0)).backward()


def test_function_saved_tensor_written_in_place():
    x = mg.tensor([1.0, 2.0])
    w = leaf(1.0, 1.0)

    class Mul(mg.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a)
            return a * b

        @staticmethod
        def backward(ctx, gy):
            return None, gy * ctx.saved_tensors[0]

    y = Mul.apply(x, w).sum()
    x[0] = 5.0
    with pytest.raises(RuntimeError, match="written in place"):
        y.backward()
