"""A tensor beyond its operations: numpy, Python's protocols, printing, writing in place, making."""

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg


def leaf(*values):
    return mg.tensor(values, requires_grad=True)


# -------------------------------------------------------------------------------------- numpy


def test_as_array_shares_memory_and_refuses_to_drop_a_graph():
    x = mg.arange(3.0)
    assert np.shares_memory(np.asarray(x), x.data)
    assert np.array(x).dtype == np.float32
    assert not np.shares_memory(np.array(x), x.data)
    for drop in (np.asarray, lambda t: t.numpy(), np.from_dlpack):
        with pytest.raises(RuntimeError, match="requires grad"):
            drop(leaf(1.0))
    assert np.shares_memory(mg.from_numpy(x.data).data, x.data)


def test_dlpack_both_ways():
    x = mg.arange(6.0).reshape(2, 3)
    assert np.shares_memory(np.from_dlpack(x), x.data)
    assert np.shares_memory(mg.from_dlpack(x).data, x.data)
    torch = pytest.importorskip("torch")
    y = torch.from_dlpack(x)
    y[0, 0] = 7
    assert x[0, 0].item() == 7
    assert mg.from_dlpack(y).tolist() == x.tolist()


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.divide, np.subtract, np.maximum])
def test_ufuncs_record_themselves(ufunc):
    x = leaf(1.0, 2.0)
    for y in (ufunc(x, np.float32(3)), ufunc(np.ones(2, np.float32), x), ufunc(x, x)):
        assert isinstance(y, mg.Tensor)
        assert y.requires_grad
    np.testing.assert_array_equal(ufunc(x, 3).detach(), ufunc(x.data, 3))


@pytest.mark.parametrize("ufunc", [np.exp, np.sin, np.tanh, np.square, np.sqrt, np.log1p])
def test_unary_ufuncs_record_themselves(ufunc):
    x = leaf(0.5, 2.0)
    np.testing.assert_allclose(ufunc(x).detach(), ufunc(x.data), rtol=1e-6)
    assert ufunc(x).requires_grad


def test_ufuncs_that_would_drop_the_graph_are_refused():
    x = leaf(1.0, 2.0)
    for call in (lambda: np.cbrt(x), lambda: np.add.reduce(x), lambda: np.add(x, 1, where=[True])):
        with pytest.raises(TypeError, match="drop the graph"):
            call()
    assert np.cbrt(x.detach()).dtype == np.float32
    with pytest.raises(TypeError, match="cannot write into a tensor"):
        np.add(np.ones(2), 1, out=mg.zeros(2))


def test_an_array_on_the_left():
    y = np.ones((2, 2), np.float32) @ leaf(1.0, 2.0) + np.float32(1)
    assert y.requires_grad
    assert y.tolist() == [4, 4]


# --------------------------------------------------------------------------- Python's protocols


def test_iteration_length_containment_truth():
    x = leaf(1.0, 2.0)
    a, b = x
    (a * b).backward()
    assert x.grad.tolist() == [2, 1]
    assert len(x) == 2
    assert 2 in x
    assert 3 not in x
    assert bool(mg.tensor(1.0))
    assert not mg.tensor([0])
    assert [10, 20, 30][mg.tensor(1)] == 20
    assert float(x[1]) == 2
    assert int(mg.tensor(2.9)) == 2
    with pytest.raises(ValueError, match=r"one element, got shape \(2,\)"):
        bool(x)
    with pytest.raises(TypeError):
        range(mg.tensor(1.5))
    for refused in (len, iter):
        with pytest.raises(TypeError, match="without axes"):
            refused(mg.tensor(1.0))
    assert hash(x) == hash(x)


def test_copies_of_leaves():
    x = leaf(1.0, 2.0)
    x.sum().backward()
    for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert y.tolist() == [1, 2]
        assert y.requires_grad
        assert not np.shares_memory(y.data, x.data)
    assert copy.deepcopy(x).grad.tolist() == [1, 1]
    p = mg.nn.Parameter(mg.ones(2))
    assert type(pickle.loads(pickle.dumps(p))) is type(copy.deepcopy(p)) is mg.nn.Parameter
    for made in (copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError, match="only leaves"):
            made(x * 2)
    assert x.clone().requires_grad
    assert not np.shares_memory(x.clone().data, x.data)
    assert x.contiguous() is x
    assert x[::-1].contiguous().data.flags.c_contiguous


PRINTED = [
    (1.0, "tensor(1.)"), (-3.5, "tensor(-3.5000)"), ([], "tensor([])"),
    ([[], []], "tensor([], size=(2, 0))"), ([True, False], "tensor([ True, False])"),
    ([[1, 2], [30, -4]], "tensor([[ 1,  2],\n        [30, -4]])"),
    ([1.0, 2.5, 3], "tensor([1.0000, 2.5000, 3.0000])"), ([1.0, 20.0], "tensor([ 1., 20.])"),
    ([1.0, 2000.0], "tensor([1.0000e+00, 2.0000e+03])"), ([0.0, 0.0], "tensor([0., 0.])"),
    ([1e-5, 1.0], "tensor([1.0000e-05, 1.0000e+00])"),
    ([float("nan"), 1.5, float("inf")], "tensor([   nan, 1.5000,    inf])"),
    (np.ones(2), "tensor([1., 1.], dtype=float64)"),
    (np.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "text"), PRINTED)
def test_printing(data, text):
    assert repr(mg.tensor(data)) == text


def test_printing_of_histories():
    x = leaf(1.0)
    assert repr(x) == "tensor([1.], requires_grad=True)"
    assert repr(x.exp()) == "tensor([2.7183], grad_fn=<exp>)"
    assert repr(mg.nn.Parameter(mg.ones(1))).startswith("Parameter containing:\ntensor([1.]")
    assert f"{mg.tensor(2.0):.3f} {x}" == "2.000 tensor([1.], requires_grad=True)"
    wide = repr(mg.ones(3, 8, dtype=mg.float64) * 1.5)
    assert wide.endswith("\n       dtype=float64)")
    assert max(map(len, wide.splitlines())) <= 80


# ------------------------------------------------------------------------- writing in place


def test_writing_is_refused_where_a_gradient_would_get_lost():
    x, plain = leaf(1.0, 2.0), mg.zeros(2)
    for write in (
        lambda: x.zero_(),
        lambda: (x * 2).fill_(1),
        lambda: plain.__setitem__(0, x[0]),
        lambda: plain.copy_(x),
        lambda: x.__iadd__(1),
    ):
        with pytest.raises(RuntimeError, match="record"):
            write()
    assert plain.tolist() == [0, 0]
    with mg.no_grad():
        x[0] = 5
        x += 1
        plain[mg.tensor([True, False])] = x[0]
    assert x.tolist() == [6, 3]
    assert plain.tolist() == [6, 0]


def test_assigning_operators():
    x = alias = mg.ones(2)
    x += 1
    x *= 3
    x -= mg.ones(2)
    x /= 2
    assert alias.tolist() == [2.5, 2.5]
    assert alias is x
    total = mg.zeros(())
    total += leaf(2.0).sum()
    assert total.requires_grad
    n = mg.tensor([1])
    with pytest.raises(TypeError, match="float32, which does not go into int64"):
        n += 0.5
    with pytest.raises(ValueError, match="broadcast"):
        x += mg.ones(3, 2)


def test_a_write_is_seen_by_backward_through_views():
    x = leaf(1.0, 2.0)
    y = x * 1
    z = y.square()
    with mg.no_grad():
        y.detach()[0] = 7
    with pytest.raises(RuntimeError, match="in place"):
        z.sum().backward()


# ------------------------------------------------------------------------------------- making


def test_making():
    assert mg.zeros(2, 3).shape == mg.zeros((2, 3)).shape == mg.ones([2, 3]).shape == (2, 3)
    assert mg.full((2,), 1.5).tolist() == [1.5, 1.5]
    assert mg.full_like(mg.ones(2), 3).dtype == np.float32
    assert mg.ones_like(mg.zeros(2)).tolist() == mg.ones(2).tolist()
    assert mg.zeros_like(mg.ones(2)).tolist() == [0, 0]
    assert mg.arange(1, 2, 0.5).tolist() == [1, 1.5]
    assert mg.linspace(0, 1, 3).tolist() == [0, 0.5, 1]
    assert mg.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert mg.as_tensor(x := mg.ones(1)) is x
    assert np.shares_memory(mg.as_tensor(a := np.ones(2)).data, a)
    assert mg.as_tensor([1.0]).dtype == np.float32
    assert not np.shares_memory(mg.tensor(a).data, a)
    assert sorted(mg.randperm(4).tolist()) == [0, 1, 2, 3]
    assert mg.randint(3, (50,)).max().item() <= 2
    assert mg.randint(5, 7, (2, 2)).min().item() >= 5
    for make in (mg.rand, mg.randn):
        mg.manual_seed(3)
        first = make(2, 2)
        mg.manual_seed(3)
        assert make((2, 2)).tolist() == first.tolist()
    for refused in (["a"], [1j], None):
        with pytest.raises(TypeError):
            mg.tensor(refused)
    with pytest.raises(TypeError, match="expected a numpy array"):
        mg.from_numpy([1.0])
    with pytest.raises(TypeError, match="int64"):
        mg.tensor([1], requires_grad=True)


# -------------------------------------------------------------------------------------- dtypes


def test_alpha_multiplies_a_plain_number():
    x = mg.tensor([1, 2])
    assert x.add(1, alpha=3).tolist() == [4, 5]
    assert x.add(1, alpha=3).dtype == np.int64
    assert mg.sub(mg.tensor([1.0, 2.0]), 1, alpha=2).tolist() == [-1, 0]
    assert mg.add(mg.tensor([1.0, 2.0]), 2, alpha=0.5).dtype == np.float32


@pytest.mark.parametrize("join", [mg.cat, mg.stack])
def test_what_is_joined_has_the_dtype_of_a_sum(join):
    whole, single = mg.tensor([1, 2]), mg.tensor([0.5, 1.5], requires_grad=True)
    assert join([whole, single]).dtype == np.float32
    assert join([whole, single.double()]).dtype == np.float64
    assert join([whole, whole > 1]).dtype == np.int64
    join([whole, single]).sum().backward()
    assert single.grad.dtype == np.float32
