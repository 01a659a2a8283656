"""The walk back: sums, arguments, orders. Rules and the tape have their own tests."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from leaves import leaf

import minigrad as mg
from minigrad import autograd, primitive
from minigrad.autograd import grad

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


@primitive
def remembered(x):
    """y = x, with a rule that hands on an array that somebody else has, too."""
    return x.copy()


remembered.rules(x=lambda gy: MEMORY[: gy.shape[0]])
MEMORY = np.ones(4)


HANDED_ON = {  # a function of a leaf, whose gradient is in somebody else's hands
    "the caller's": lambda x: x + 0,
    "the caller's, another view": lambda x: x.reshape(2, 2),
    "a view of what is kept": remembered,
    "read-only": lambda x: mg.cat([x, x]).sum().broadcast_to((4,)),
}


@pytest.mark.parametrize("name", HANDED_ON)
@pytest.mark.parametrize("way", ["backward", "grad"])
def test_a_gradient_that_others_hold_is_copied(name, way):
    x = leaf(1.0, 2.0, 3.0, 4.0)
    y = HANDED_ON[name](x)
    gy = mg.ones(*y.shape, dtype=np.float64)
    g = grad(y, x, gy)[0] if way == "grad" else (y.backward(gy), x.grad)[1]
    g += 100.0
    assert (gy.data == 1).all()
    assert (MEMORY == 1).all()


def test_a_gradient_that_a_hook_or_another_input_holds_is_copied():
    x, seen = leaf(1.0, 2.0), []
    x.register_hook(seen.append)
    (x * 3).backward(mg.ones(2, dtype=np.float64))
    x.grad += 1
    assert seen[0].tolist() == [3, 3]
    a, b = grad((x * 3).sum(), [x, x])
    a += 1
    assert b.tolist() == [3, 3]


def test_a_gradient_that_nobody_else_holds_is_taken_over():
    """Beside the result there is one array of its size in backward, and no copy of it after."""
    x, gy = leaf(np.zeros(100_000)), mg.ones(100_000, dtype=np.float64)
    for shape in ((100_000,), (100, 1000)):  # of a gradient that is a view of a new array, too
        for way in (lambda y: y.backward(gy), lambda y: grad(y, x, gy)):
            x.grad = None
            y = (x.reshape(shape) * 3).reshape(100_000)
            tracemalloc.start()
            way(y)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 1.1 * x.data.nbytes


def test_a_gradient_keeps_no_greater_memory_alive():
    x = leaf(1.0, 2.0)
    cut = primitive(lambda x: x.copy())
    cut.rules(x=lambda gy: np.ones(1000)[:2])
    cut(x).sum().backward()
    owner = x.grad.data if x.grad.data.base is None else x.grad.data.base
    assert owner.nbytes == 16


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


def test_grad_lets_nothing_go_of_what_it_does_not_walk():
    x = leaf(2.0)
    y = x * x
    z = y * y
    assert grad(z, y)[0].item() == 2 * 4
    assert grad(y, x)[0].item() == 2 * 2  # the call that made y was asked for, not walked through


def test_calls_are_visited_from_the_latest_to_the_earliest():
    """Whatever the order in which the graph leads to them."""
    x, seen = leaf(2.0), []
    a = x * 2
    b = x * 3
    c = b * a
    d = a * c
    for name, t in zip("abcd", (a, b, c, d), strict=True):
        t.register_hook(lambda g, name=name: seen.append((name, g.item())))
    (d * 1).backward()  # d = a c = a^2 b
    assert seen == [("d", 1), ("c", 4), ("b", 16), ("a", 2 * 4 * 6)]
    assert x.grad.item() == 3 * 12 * 2**2


# ------------------------------------------------------------------------- higher order


def test_every_order_of_a_power():
    x = leaf(2.0)
    y, factor = x**5, 1
    for order in range(5):
        [y] = grad(y, x, create_graph=True)
        factor *= 5 - order
        assert y.item() == factor * 2.0 ** (4 - order)


def test_a_rule_may_make_a_plain_array_where_a_history_is_asked_for():
    x, constant = leaf(1.0, 2.0), primitive(lambda x: x * 1)
    constant.rules(x=lambda gy: np.full(2, 3.0))
    constant(x).sum().backward(create_graph=True)
    assert isinstance(x.grad, mg.Tensor)
    assert x.grad.tolist() == [3, 3]


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
