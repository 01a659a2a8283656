"""nn.init: the distributions it names, and refusals that change nothing."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import init


@pytest.fixture(autouse=True)
def _seed():
    mg.manual_seed(3)


def filled(function, *args, shape=(300, 200), **kwargs):
    tensor = mg.full(shape, math.nan, dtype=np.float64)
    assert function(tensor, *args, **kwargs) is tensor
    return tensor.data


def looks_uniform(values, k):
    assert np.abs(values).max() <= k
    assert np.abs(values).max() > 0.999 * k
    assert values.std() == pytest.approx(k / math.sqrt(3), rel=0.01)
    assert abs(values.mean()) < 0.02 * k


def looks_normal(values, std, mean=0.0):
    assert values.mean() == pytest.approx(mean, abs=0.02 * std)
    assert values.std() == pytest.approx(std, rel=0.01)
    assert np.mean(np.abs(values - mean) < std) == pytest.approx(0.6827, abs=0.01)


def test_simple_ones():
    looks_uniform(filled(init.uniform_, -2.0, 2.0), 2.0)
    assert filled(init.uniform_).min() >= 0
    looks_normal(filled(init.normal_, 3.0, 2.0), 2.0, 3.0)
    assert (filled(init.constant_, 0.5) == 0.5).all()
    assert (filled(init.zeros_) == 0).all()
    assert (filled(init.ones_) == 1).all()
    np.testing.assert_array_equal(filled(init.eye_, shape=(2, 3)), np.eye(2, 3))


def test_parameters_are_filled_in_their_own_dtype_and_noticed():
    p = nn.Parameter(mg.zeros(4, 4))
    loss = (p * p).sum()
    init.normal_(p)
    assert p.dtype == np.float32
    assert p.requires_grad
    assert p.is_leaf
    with pytest.raises(RuntimeError, match="written in place"):
        loss.backward()


def test_the_seed_decides():
    first = filled(init.normal_)
    mg.manual_seed(3)
    np.testing.assert_array_equal(filled(init.normal_), first)
    assert (filled(init.normal_) != first).any()


def test_trunc_normal():
    values = filled(init.trunc_normal_)
    assert np.abs(values).max() <= 2
    assert values.std() == pytest.approx(0.8796, rel=0.01)  # of N(0, 1) within 2
    values = filled(init.trunc_normal_, 1.0, 0.5, 1.0, 9.0)
    assert values.min() >= 1
    assert values.mean() == pytest.approx(1 + 0.5 * math.sqrt(2 / math.pi), rel=0.01)
    for args, match in [((0.0, 0.0), "std must be above 0"), ((0, 1, 9, 10), "holds")]:
        with pytest.raises(ValueError, match=match):
            filled(init.trunc_normal_, *args)


def test_sparse():
    values = filled(init.sparse_, 0.33, std=2.0)
    assert ((values == 0).sum(axis=0) == 99).all()
    looks_normal(values[values != 0], 2.0)
    assert len({tuple(np.flatnonzero(c == 0)) for c in values.T}) == 200
    with pytest.raises(ValueError, match=r"sparsity must lie in \[0, 1\], got 2"):
        filled(init.sparse_, 2)


@pytest.mark.parametrize("shape", [(300, 200), (60, 40, 5, 5)])
def test_xavier_and_kaiming(shape):
    field = math.prod(shape[2:])
    out, into = shape[0] * field, shape[1] * field
    looks_uniform(filled(init.xavier_uniform_, shape=shape), math.sqrt(6 / (into + out)))
    looks_normal(filled(init.xavier_normal_, 2.0, shape=shape), 2 * math.sqrt(2 / (into + out)))
    k = math.sqrt(3) * math.sqrt(2 / (1 + 5)) / math.sqrt(into)
    looks_uniform(filled(init.kaiming_uniform_, a=math.sqrt(5), shape=shape), k)
    looks_uniform(
        filled(init.kaiming_uniform_, nonlinearity="relu", shape=shape), (6 / into) ** 0.5
    )
    std = 5 / 3 / math.sqrt(out)
    looks_normal(filled(init.kaiming_normal_, 0, "fan_out", "tanh", shape=shape), std)


def test_gains_are_pytorchs():
    torch = pytest.importorskip("torch")
    names = ("linear", "conv1d", "conv_transpose3d", "sigmoid", "tanh", "relu", "selu")
    for name in (*names, "leaky_relu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 2) == torch.nn.init.calculate_gain("leaky_relu", 2)


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (4, 3, 2), (5, 1)])
def test_orthogonal(shape):
    q = filled(init.orthogonal_, 2.0, shape=shape).reshape(shape[0], -1) / 2
    product = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(product, np.eye(min(q.shape)), atol=1e-14)


def test_orthogonal_matrices_are_all_as_likely():
    """Without the signs of R, numpy's QR would never make a positive corner."""
    corners = [filled(init.orthogonal_, shape=(2, 2))[0, 0] for _ in range(400)]
    assert np.mean(np.array(corners) > 0) == pytest.approx(0.5, abs=0.1)
    determinants = [np.linalg.det(filled(init.orthogonal_, shape=(2, 2))) for _ in range(400)]
    assert np.mean(np.array(determinants) > 0) == pytest.approx(0.5, abs=0.1)


def test_orthogonal_gates():
    weight = filled(init.orthogonal_gates_, 4, shape=(20, 5))
    gates = np.split(weight, 4)
    for gate in gates:
        np.testing.assert_allclose(gate @ gate.T, np.eye(5), atol=1e-14)
    assert np.abs(gates[0] - gates[1]).max() > 0.1
    for gates_, match in [(3, "20 rows are not of 3 gates"), (0, "not of 0 gates")]:
        with pytest.raises(ValueError, match=match):
            filled(init.orthogonal_gates_, gates_, shape=(20, 5))


@pytest.mark.parametrize("lstm", [nn.LSTM(2, 3, coupled=True), nn.LSTMCell(2, 3, coupled=True)])
def test_forget_bias_of_coupled_gates(lstm):
    init.forget_bias_(lstm)
    for name, p in lstm.named_parameters():
        if name.startswith("bias"):
            assert (p.data[:3] == (1.0 if "_ih" in name else 0.0)).all()


def test_forget_bias():
    lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    before = {n: p.data.copy() for n, p in lstm.named_parameters()}
    assert init.forget_bias_(lstm, 2.0) is lstm
    for name, p in lstm.named_parameters():
        if name.startswith("bias"):
            assert (p.data[4:8] == (2.0 if "_ih" in name else 0.0)).all()
            before[name][4:8] = p.data[4:8]
        np.testing.assert_array_equal(p.data, before[name])
    for wrong in (nn.GRU(3, 4), nn.LSTM(3, 4, bias=False), nn.Linear(3, 4), mg.ones(16)):
        with pytest.raises(ValueError, match="expected an LSTM or LSTMCell"):
            init.forget_bias_(wrong)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda t: init.uniform_(t, 1.0, 0.0), "a <= b"),
        (lambda t: init.uniform_(t.numpy()), "uniform_: expected a tensor, got ndarray"),
        (lambda t: init.eye_(t.numpy()), "eye_: expected a tensor"),
        (lambda t: init.normal_(t, 0.0, -1.0), "std must be at least 0, got -1.0"),
        (lambda t: init.eye_(t), r"eye_: expected 2 axes, got shape \(3,\)"),
        (lambda t: init.xavier_normal_(t), r"xavier_normal_: expected 2 axes or more, got shape"),
        (lambda t: init.orthogonal_(t), "2 axes or more"),
        (lambda t: init.kaiming_normal_(mg.ones(2, 2), mode="fan"), "mode must be fan_in or"),
        (lambda t: init.kaiming_normal_(mg.ones(2, 2), nonlinearity="swish"), "got 'swish'"),
        (lambda t: init.calculate_gain("leaky_relu", "0.1"), "slope param must be a number"),
    ],
)
def test_arguments_are_checked(call, match):
    tensor = mg.ones(3)
    with pytest.raises((ValueError, TypeError), match=match):
        call(tensor)
    assert (tensor.data == 1).all()


def test_nothing_to_fill():
    for function in (init.xavier_uniform_, init.kaiming_normal_, init.normal_):
        assert filled(function, shape=(0, 3)).shape == (0, 3)
        assert filled(function, shape=(3, 0)).shape == (3, 0)
