"""Optimisers: PyTorch's trajectories, groups, state, and refusals that change nothing."""

import copy
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import training_cases as cases

import minigrad as mg
from minigrad import optim

GOLDEN = dict(np.load(Path(__file__).parent / "golden" / "training.npz"))


def make(array):
    return mg.tensor(array, requires_grad=True)


def read(p):
    return p.detach().numpy().copy()


def write(p, g):
    p.grad = mg.tensor(g)


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
def test_trajectory_is_pytorchs(name):
    ours = cases.trajectory(optim, make, read, write, name)
    np.testing.assert_allclose(ours, GOLDEN[name], rtol=1e-12, atol=1e-12)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")
def test_golden_arrays_are_pytorchs():
    import make_golden

    live = make_golden.training()
    assert live.keys() == GOLDEN.keys()
    for name, value in live.items():
        np.testing.assert_allclose(GOLDEN[name], value, rtol=1e-13, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
@pytest.mark.parametrize("layout", ["rows", "transposed", "strided"])
def test_blocks_and_layouts_do_not_matter(name, layout, monkeypatch):
    """Arrays cut into many blocks, and those that are not contiguous, step as small ones do."""
    kind, options = cases.OPTIMIZERS[name]
    small = [make(row) for row in np.linspace(-1, 1, 42).reshape(6, 7)]
    memory = np.linspace(-1, 1, 42).reshape(6, 7).copy()
    if layout == "transposed":
        memory = memory.copy(order="F")
    elif layout == "strided":
        memory = np.repeat(memory, 2, axis=1)[:, ::2]
    large = mg.from_numpy(memory).requires_grad_()
    whole = getattr(optim, kind)(small, **options)
    cut = getattr(optim, kind)([large], **options)
    monkeypatch.setattr(optim.optimizer, "BLOCK", 15)
    for t in range(5):
        write(large, cases.gradient(read(large), t))
        for row, p in enumerate(small):
            p.grad = mg.tensor(large.grad.data[row])
        whole.step()
        cut.step()
    np.testing.assert_array_equal(large.data, np.stack([p.data for p in small]))


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
def test_float32_stays_float32(name):
    kind, options = cases.OPTIMIZERS[name]
    p = mg.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    optimizer = getattr(optim, kind)([p], **options)
    for g in (0.0, 1e-30, 1e30):
        p.grad = mg.full((2, 3), g)
        optimizer.step()
    assert p.dtype == np.float32
    arrays = [v for v in optimizer.state[p].values() if isinstance(v, np.ndarray)]
    assert all(v.dtype == np.float32 for v in arrays)


def test_centered_rmsprop_survives_a_variance_that_rounding_makes_negative():
    p = make(np.ones(30))
    optimizer = optim.RMSprop([p], lr=1e-3, centered=True, alpha=0.9)
    for _ in range(400):
        write(p, np.linspace(0.1, 3, 30))
        optimizer.step()
    assert np.isfinite(p.data).all()


def test_groups_have_options_of_their_own():
    a, b, c = make(np.ones(2)), make(np.ones(2)), make(np.ones(2))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 1.0}], lr=0.5)
    optimizer.add_param_group({"params": [c], "lr": np.float32(0.25)})
    for p in (a, b):
        write(p, np.ones(2))
    optimizer.step()
    assert (a.data == 0.5).all()
    assert (b.data == 0.0).all()
    assert (c.data == 1.0).all()  # no gradient
    assert type(optimizer.param_groups[2]["lr"]) is float
    optimizer.zero_grad(set_to_none=False)
    assert (a.grad.data == 0).all()
    assert c.grad is None
    optimizer.zero_grad()
    assert a.grad is None


def test_step_takes_a_closure():
    p = make(np.array([3.0]))
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with mg.no_grad():
        assert optimizer.step(closure).item() == 9.0
    np.testing.assert_allclose(p.data, [2.4])


def test_a_step_is_a_write_that_backward_notices():
    p = make(np.array([3.0]))
    loss = (p * p).sum()
    loss.backward(retain_graph=True)
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="written in place"):
        loss.backward()


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
def test_state_dict_continues_where_it_was(name):
    kind, options = cases.OPTIMIZERS[name]
    first = [make(cases.start(i)) for i in range(3)]
    optimizer = getattr(optim, kind)([{"params": first[:2]}, {"params": first[2:]}], **options)

    def run(optimizer, params, steps):
        for t in steps:
            for p in params:
                write(p, cases.gradient(read(p), t))
            optimizer.step()

    run(optimizer, first, range(3))
    second = [make(read(p)) for p in first]
    other = getattr(optim, kind)([{"params": second[:2]}, {"params": second[2:]}])
    saved = copy.deepcopy(optimizer.state_dict())
    other.load_state_dict(saved)
    run(optimizer, first, range(3, 6))
    run(other, second, range(3, 6))
    for p, q in zip(first, second, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    assert other.state[second[0]] is not saved["state"][0]


def test_load_state_dict_refuses_and_changes_nothing():
    p, q = make(np.ones(2)), make(np.ones((3, 2)))
    optimizer = optim.Adam([p, q])
    for t in (p, q):
        write(t, read(t))
    optimizer.step()
    good = optimizer.state_dict()
    before = repr(good)

    def refused(match, change):
        bad = copy.deepcopy(good)
        change(bad)
        with pytest.raises((ValueError, TypeError), match=match):
            optimizer.load_state_dict(bad)
        assert repr(optimizer.state_dict()) == before

    refused("no state", lambda s: s.pop("state"))
    refused("groups of", lambda s: s["param_groups"][0]["params"].pop())
    refused("has no amsgrad", lambda s: s["param_groups"][0].pop("amsgrad"))
    refused("lr must be", lambda s: s["param_groups"][0].update(lr=-1.0))
    refused("no parameter 7", lambda s: s["state"].update({7: s["state"][0]}))
    refused("parameter 1 has", lambda s: s["state"][1].pop("exp_avg"))
    refused("parameter 1: exp_avg has shape", lambda s: s["state"][1].update(exp_avg=mg.zeros(2)))
    refused("parameter 1: exp_avg has shape", lambda s: s["state"][1].update(exp_avg=None))
    refused("state of parameter 0 has", lambda s: s["param_groups"][0].update(amsgrad=True))
    with pytest.raises(ValueError, match="has no momentum"):
        optim.SGD([p, q]).load_state_dict(good)


@pytest.mark.parametrize(
    ("kind", "options", "match"),
    [
        ("SGD", {"lr": -1.0}, "SGD: lr must be at least 0 and finite, got -1.0"),
        ("SGD", {"lr": float("nan")}, "lr must be"),
        ("SGD", {"lr": "0.1"}, "lr must be a number, got '0.1'"),
        ("SGD", {"momentum": -0.1}, "momentum"),
        ("SGD", {"dampening": None}, "dampening must be a number"),
        ("SGD", {"nesterov": True}, "nesterov needs"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov needs"),
        ("SGD", {"maximize": 1}, "maximize must be a bool"),
        ("RMSprop", {"alpha": -1}, "alpha"),
        ("Adagrad", {"lr_decay": -1}, "lr_decay"),
        ("Adadelta", {"rho": 1.5}, "rho must be between 0 and 1"),
        ("Adam", {"betas": (0.9, 1.0)}, r"betas\[1\] must be below 1"),
        ("Adam", {"betas": (-0.1, 0.9)}, r"betas\[0\]"),
        ("Adam", {"betas": 0.9}, "betas must be two numbers"),
        ("Adam", {"eps": float("inf")}, "eps"),
        ("AdamW", {"weight_decay": -1}, "weight_decay"),
        ("NAdam", {"momentum_decay": -1}, "momentum_decay"),
    ],
)
def test_options_are_checked(kind, options, match):
    p = make(np.ones(2))
    with pytest.raises((ValueError, TypeError), match=match):
        getattr(optim, kind)([p], **options)
    optimizer = getattr(optim, kind)([p])
    with pytest.raises((ValueError, TypeError), match=match):
        optimizer.add_param_group({"params": [make(np.ones(2))], **options})
    assert len(optimizer.param_groups) == 1


def test_parameters_are_checked():
    p = make(np.ones(2))
    for bad, match in [
        (p, "an iterable of tensors"),
        ({"params": [p]}, "an iterable of tensors"),
        ([], "empty"),
        ([p, p], r"params\[1\] appears a second time"),
        ([{"params": [p]}, {"params": [p]}], "second time"),
        ([p, np.ones(2)], r"params\[1\] must be a tensor, got ndarray"),
        ([p * 2], "not a leaf"),
        ([mg.arange(3)], "floating point, got int64"),
        ([{"lr": 1.0}], "dict with 'params'"),
    ]:
        with pytest.raises((ValueError, TypeError), match=match):
            optim.SGD(bad)


def test_gradients_are_checked_before_any_step():
    p, q = make(np.ones(2)), make(np.ones(3))
    optimizer = optim.Adam([p, q])
    p.grad = mg.tensor(np.ones(2))
    for bad, match in [
        (mg.tensor(np.ones(2)), r"parameter 1 is \(3,\) float64, its grad is \(2,\)"),
        (mg.tensor(np.ones(3, np.float32)), "float32"),
        (np.ones(3), "no tensor, but ndarray"),
    ]:
        q.grad = bad
        with pytest.raises((ValueError, TypeError), match=match):
            optimizer.step()
        assert (p.data == 1).all()
        assert not optimizer.state
