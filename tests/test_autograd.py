"""The engine: what is recorded, walked, kept and let go. Rules have their own tests."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad import autograd, primitive
from minigrad.autograd import grad
from minigrad.ops import elementwise


def leaf(*values, dtype=np.float64):
    return mg.tensor(values[0] if len(values) == 1 else list(values), dtype, requires_grad=True)


# ------------------------------------------------------------------------- accumulation


def test_reuse_of_a_value_adds_up():
    x = leaf(3.0)
    y = x * x + x * 2 + x
    y.backward()
    assert x.grad.item() == 2 * 3 + 2 + 1


def test_backward_twice_accumulates_in_grad():
    x = leaf(3.0)
    (x * 2).backward()
    (x * 5).backward()
    assert x.grad.item() == 7


def test_leaves_do_not_share_their_gradients():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x + y).backward(mg.ones(2, dtype=np.float64))
    x.grad[0] = 100.0
    assert y.grad.tolist() == [1, 1]


def test_deep_diamond_is_linear():
    x = leaf(1.0)
    y = x
    for _ in range(60):  # 2^60 paths
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_chain_of_a_million_nodes():
    x = leaf(1.0)
    y = x
    for _ in range(1_000_000):
        y = y + x.detach()
    y.backward()
    assert x.grad.item() == 1
    del y  # freeing it must not recurse either


def test_broadcast_gradients_are_summed_back():
    a, b = mg.ones(3, 1, 5, requires_grad=True), mg.ones(4, 1, requires_grad=True)
    (a * b).sum().backward()
    assert a.grad.shape == (3, 1, 5)
    assert (a.grad.data == 4).all()
    assert b.grad.shape == (4, 1)
    assert (b.grad.data == 15).all()


def test_gradients_keep_the_dtype_of_their_input():
    a, b = leaf(1.0, 2.0, dtype=np.float32), leaf(3.0, 4.0)
    y = a * b
    assert y.dtype == np.float64
    y.sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


def test_operation_with_several_outputs():
    x = mg.arange(6.0, dtype=np.float64).requires_grad_()
    a, b, _ = x.chunk(3)
    (a * 2 + b * b).sum().backward()
    assert x.grad.tolist() == [2, 2, 4, 6, 0, 0]


def test_several_roots_and_a_root_above_another():
    x = leaf(2.0)
    y = x * x
    z = y * 3
    autograd.backward([y, z, y])
    assert x.grad.item() == 4 + 12 + 4


# ------------------------------------------------------------------------- arguments of backward


def test_backward_needs_a_gradient_for_more_than_one_element():
    with pytest.raises(RuntimeError, match=r"shape \(2,\) needs its gradient"):
        leaf(1.0, 2.0).backward()


def test_backward_refuses_a_gradient_of_another_shape():
    y = leaf(1.0, 2.0) * 2
    with pytest.raises(ValueError, match=r"\(2,\) has a gradient of shape \(3,\)"):
        y.backward(mg.ones(3))


def test_backward_of_a_constant_is_refused():
    with pytest.raises(RuntimeError, match="does not require grad"):
        mg.ones(()).backward()


def test_second_backward_without_retain_graph():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8]
    with pytest.raises(RuntimeError, match=r"a second time.*retain_graph=True"):
        y.backward()


def test_a_failed_backward_changes_no_gradient():
    x, w = leaf(2.0), leaf(3.0)
    y = x * w
    y.backward()
    before = x.grad.item()
    with pytest.raises(RuntimeError):
        (y + x).backward()
    assert x.grad.item() == before


def test_backward_into_chosen_inputs():
    x, w = leaf(2.0), leaf(3.0)
    y = x * w
    autograd.backward(y * y, inputs=[y, x])
    assert y.grad.item() == 12
    assert x.grad.item() == 36
    assert w.grad is None


def test_grad_touches_no_leaf_and_stops_at_its_inputs():
    x, w = leaf(2.0), leaf(3.0)
    y = x * w
    gy, gw = grad(y * y * w, [y, w])
    assert (gy.item(), gw.item()) == (2 * 6 * 3, 36 + 36 * 2)
    assert x.grad is None
    assert w.grad is None


def test_grad_of_unused_input():
    x, w = leaf(2.0), leaf(3.0)
    with pytest.raises(RuntimeError, match="do not depend on input 1"):
        grad(x * x, [x, w])
    assert grad(x * x, [x, w], allow_unused=True)[1] is None
    assert grad(x * x, [x, w], materialize_grads=True)[1].item() == 0


def test_grad_computes_nothing_beside_the_way():
    """The rules of `w`'s branch would raise; asked for x alone, they do not run."""

    @primitive
    def refuse(a):
        return a * 1

    refuse.rules(a=lambda gy: 1 / 0)
    x, w = leaf(2.0), leaf(3.0)
    assert grad(x * x + refuse(w), x)[0].item() == 4
    with pytest.raises(ZeroDivisionError):
        grad(x * x + refuse(w), w)


# ------------------------------------------------------------------------- higher order


def test_every_order_of_a_power():
    x = leaf(2.0)
    y, factor = x**5, 1
    for order in range(5):
        [y] = grad(y, x, create_graph=True)
        factor *= 5 - order
        assert y.item() == factor * 2.0 ** (4 - order)


def test_second_derivative_through_backward():
    x = leaf(0.5)
    x.tanh().backward(create_graph=True)
    first, x.grad = x.grad, None
    first.backward()
    t = np.tanh(0.5)
    assert x.grad.item() == pytest.approx(-2 * t * (1 - t * t), abs=1e-15)


# ------------------------------------------------------------------------- derivatives of functions


def test_jvp_vjp_hvp_jacobian_hessian_agree():
    rng = np.random.default_rng(2)
    a = mg.tensor(rng.standard_normal((3, 3)))
    x, v = mg.tensor(rng.standard_normal(3)), mg.tensor(rng.standard_normal(3))

    def f(x):
        return (a @ x).tanh() * x

    J = autograd.jacobian(f, x)
    assert J.shape == (3, 3)
    np.testing.assert_allclose(autograd.jvp(f, x, v)[1].data, J.data @ v.data, atol=1e-14)
    np.testing.assert_allclose(autograd.vjp(f, x, v)[1].data, v.data @ J.data, atol=1e-14)

    def s(x):
        return f(x).sum()

    H = autograd.hessian(s, x)
    np.testing.assert_allclose(H.data, H.data.T, atol=1e-14)
    np.testing.assert_allclose(autograd.hvp(s, x, v)[1].data, H.data @ v.data, atol=1e-14)
    eps = 1e-5
    for j, e in enumerate(np.eye(3)):
        ahead, behind = (f(mg.tensor(x.data + d * eps * e)).data for d in (1, -1))
        np.testing.assert_allclose(J.data[:, j], (ahead - behind) / (2 * eps), atol=1e-9)


def test_derivatives_of_several_inputs():
    x, y = mg.tensor([1.0, 2.0]), mg.tensor(3.0)
    H = autograd.hessian(lambda x, y: (x * x * y).sum(), (x, y))
    assert H[0][0].tolist() == [[6, 0], [0, 6]]
    assert H[0][1].tolist() == [2, 4]
    assert H[1][0].tolist() == [2, 4]
    assert H[1][1].item() == 0
    Jx, Jy = autograd.jacobian(lambda x, y: x * y, (x, y))
    assert Jx.tolist() == [[3, 0], [0, 3]]
    assert Jy.tolist() == [1, 2]


def test_hessian_can_be_differentiated():
    x = leaf(2.0)
    H = autograd.hessian(lambda x: x**4, x, create_graph=True)
    assert grad(H, x)[0].item() == 24 * 2


# ------------------------------------------------------------------------- modes


def test_no_grad_records_nothing_as_block_and_decorator():
    x = leaf(1.0)

    @mg.no_grad()
    def twice(t):
        assert not mg.is_grad_enabled()
        return t * 2

    with mg.no_grad():
        assert not (x * 2).requires_grad
        with mg.enable_grad():
            assert (x * 2).requires_grad
    assert not twice(x).requires_grad
    assert mg.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        _ = 1 / 0
    assert mg.is_grad_enabled()


def test_detach_cuts_the_graph_and_shares_memory():
    x = leaf(2.0)
    y = x * 3
    (y.detach() * x).backward()
    assert x.grad.item() == 6
    assert y.detach().data is y.data


def test_modes_and_graphs_of_threads_are_their_own():
    failures = []

    def work(seed):
        try:
            with mg.set_grad_enabled(seed % 2 == 0):
                x = leaf(float(seed))
                for _ in range(200):
                    y = (x * x).tanh()
                    assert y.requires_grad == (seed % 2 == 0)
                if seed % 2 == 0:
                    for _ in range(100):
                        (x * x * x).backward()
                    assert x.grad.item() == 100 * 3 * seed**2
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


# ------------------------------------------------------------------------- memory


def test_a_graph_is_freed_without_the_cycle_collector():
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        y = (x.tanh() * x).chunk(2)[0].sum()
        node = weakref.ref(y.node)
        del y
        assert node() is None
    finally:
        gc.enable()


def test_what_no_rule_names_is_not_kept():
    def alive(make):
        x = leaf(1.0, 2.0)
        inner = x * 2  # an array of its own
        array = weakref.ref(inner.data)
        y = make(inner)
        del inner
        return array() is not None, y

    assert not alive(lambda t: t + 1)[0]
    assert not alive(lambda t: t.sum())[0]
    assert not alive(lambda t: t.tanh())[0]
    assert alive(lambda t: t * t)[0]


def test_a_frozen_weight_lets_its_input_go():
    x, w = leaf([[1.0, 2.0]]), mg.ones(2, 2, dtype=np.float64)
    inner = x * 2
    array = weakref.ref(inner.data)
    y = inner @ w
    del inner
    assert array() is None
    y.sum().backward()
    assert x.grad.tolist() == [[4, 4]]


def test_saved_values_go_during_backward():
    x = leaf(np.ones(4))
    inner = x.exp()
    array = weakref.ref(inner.data)
    y = (inner * 3).sum()
    del inner
    assert array() is not None
    y.backward()
    assert array() is None


# ------------------------------------------------------------------------- writing in place


def test_writing_into_a_value_that_backward_needs_is_caught():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = (x * w).sum()
    with mg.no_grad():
        w[0] = 7.0
    with pytest.raises(RuntimeError, match="mul: a value that its backward needs was written"):
        y.backward()


def test_writing_into_a_view_is_caught():
    x, base = leaf(1.0, 2.0), mg.tensor([[3.0, 4.0], [5.0, 6.0]])
    y = (x * base).sum()
    base[0][1] = 7.0
    with pytest.raises(RuntimeError, match="written in place"):
        y.backward()


def test_writing_into_an_output_that_its_rule_names_is_caught():
    x = leaf(1.0, 2.0)
    y = x.tanh()
    y.detach()[0] = 3.0
    with pytest.raises(RuntimeError, match="tanh"):
        y.sum().backward()


def test_writing_into_what_no_rule_needs_is_allowed():
    x, a = leaf(1.0, 2.0), mg.tensor([3.0, 4.0])
    y = (x + a).sum()
    a[0] = 9.0
    y.backward()
    assert x.grad.tolist() == [1, 1]


def test_in_place_on_a_recorded_tensor_is_refused():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="not recorded"):
        x[0] = 1.0
    y = x * 2
    with pytest.raises(RuntimeError, match="not recorded"), mg.no_grad():
        y[0] = 1.0


def test_an_optimiser_step_between_forward_and_backward_is_caught():
    layer = mg.nn.Linear(2, 2)
    loss = (layer(mg.ones(1, 2).requires_grad_()) ** 2).sum()
    loss.backward(retain_graph=True)
    mg.optim.SGD(layer.parameters(), lr=0.1).step()
    with pytest.raises(RuntimeError, match="written in place"):
        loss.backward()


# ------------------------------------------------------------------------- hooks


def test_hooks_see_and_change_gradients():
    x, seen = leaf(2.0), []
    y = x * x
    handle = y.register_hook(lambda g: seen.append(g.item()))
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: seen.append(g.item()))
    (y * 3).backward()
    assert seen == [3, 120]
    assert x.grad.item() == 120
    handle.remove()
    x.grad = None
    (x * x).backward()
    assert x.grad.item() == 4


def test_retain_grad():
    x = leaf(2.0)
    y = x * x
    y.retain_grad()
    (y * 3).backward()
    assert y.grad.item() == 3


# ------------------------------------------------------------------------- anomalies


def test_detect_anomaly_names_operation_line_and_value():
    x = leaf(1.0, 0.0)
    with autograd.detect_anomaly():
        y = x.sqrt()
        line = sys._getframe().f_lineno - 1
        with pytest.raises(FloatingPointError) as caught:
            y.sum().backward()
    message = str(caught.value)
    assert "sqrt" in message
    assert f"test_autograd.py:{line}" in message
    assert "inf at (1,)" in message
    x.sqrt().sum().backward()  # outside it, inf is an answer
    assert x.grad.data[1] == np.inf


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
