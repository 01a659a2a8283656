"""Truncated and checkpointed backpropagation through time, against definitions."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.autograd import grad
from minigrad.nn.utils.rnn import pack_padded_sequence

F64 = np.float64


def random(rng: np.random.Generator, *shape: int) -> mg.Tensor:
    return mg.tensor(rng.standard_normal(shape), requires_grad=True)


def loss(output, start, stop):
    data = output.data if isinstance(output, nn.utils.rnn.PackedSequence) else output
    return (data**2).sum() + data.sum()


def by_definition(cell, x, k1: int, k2: int) -> list[np.ndarray]:
    """The windows' gradients from their definition: states before step stop - k2 are constants."""
    T, parameters = len(x), list(cell.parameters())
    sums = [np.zeros(p.shape) for p in parameters]
    with mg.no_grad():
        state = tuple(mg.zeros(x.shape[1], n, dtype=F64) for n in cell.state_size)
        states = [state]
        for t in range(T):
            states.append(cell(x[t], states[-1]))
    for start in range(0, T, k1):
        stop = min(start + k1, T)
        since = max(0, stop - k2)
        state, total = states[since], 0.0
        for t in range(since, stop):
            state = cell(x[t], state)
            if t >= start:
                total = total + loss(state[0], t, t + 1)
        sums = [s + g.data for s, g in zip(sums, grad(total, parameters), strict=True)]
    return sums


@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (1, 3), (2, 5), (3, 4), (4, 4), (7, 7), (3, 20)])
def test_truncation_is_a_sliding_window(k1, k2):
    rng = np.random.default_rng(0)
    cell, layer = nn.LSTMCell(2, 3, dtype=F64), nn.LSTM(2, 3, dtype=F64)
    layer.load_state_dict({f"{n}_l0": p for n, p in cell.named_parameters()})
    x = mg.tensor(rng.standard_normal((7, 2, 2)))
    total, (h, c) = nn.TBPTT(k1, k2)(layer, x, loss)
    output, (h_n, c_n) = layer(x)
    assert total == pytest.approx(loss(output, 0, 7).item(), abs=1e-12)
    np.testing.assert_allclose(h.data, h_n.data, atol=1e-14)
    np.testing.assert_allclose(c.data, c_n.data, atol=1e-14)
    assert not h.requires_grad
    wanted = by_definition(cell, x, k1, k2)
    for p, g in zip(layer.parameters(), wanted, strict=True):
        np.testing.assert_allclose(p.grad.data, g, rtol=0, atol=1e-12)


@pytest.mark.parametrize("batch_first", [False, True])
def test_truncation_of_packed_input_is_that_of_each_sequence(batch_first):
    rng = np.random.default_rng(0)
    layer = nn.GRU(2, 3, 2, dtype=F64, batch_first=batch_first)
    x, lengths, h0 = rng.standard_normal((6, 3, 2)), [4, 6, 1], rng.standard_normal((2, 3, 3))
    wanted, ends = [np.zeros(p.shape) for p in layer.parameters()], []
    for b, n in enumerate(lengths):
        layer.zero_grad()
        one = x[:n, b : b + 1]
        one = mg.tensor(one.transpose(1, 0, 2) if batch_first else one)
        tbptt = nn.TBPTT(2, 3, batch_first)
        ends.append(tbptt(layer, one, loss, mg.tensor(h0[:, b : b + 1]))[1].data)
        wanted = [w + p.grad.data for w, p in zip(wanted, layer.parameters(), strict=True)]
    layer.zero_grad()
    packed = pack_padded_sequence(mg.tensor(x), lengths, enforce_sorted=False)
    _, end = nn.TBPTT(2, 3)(layer, packed, loss, mg.tensor(h0))
    # a sequence of 4 steps ends its last window at 4 alone and packed, as 2 divides both
    np.testing.assert_allclose(end.data, np.concatenate(ends, 1), atol=1e-13)
    for p, w in zip(layer.parameters(), wanted, strict=True):
        np.testing.assert_allclose(p.grad.data, w, atol=1e-12)


def test_report_and_steps():
    rng = np.random.default_rng(0)
    layer, x = nn.RNN(2, 8, dtype=F64), mg.tensor(rng.standard_normal((12, 2, 2)))
    parameters = list(layer.parameters())
    reports = [nn.TBPTT(1, k).report(layer, x, loss, parameters) for k in (1, 3, 12)]
    assert reports[-1].cosine == pytest.approx(1, abs=1e-12)
    assert reports[-1].norm_ratio == pytest.approx(1, abs=1e-12)
    assert reports[0].cosine < reports[1].cosine < 1
    assert all(p.grad is None for p in parameters)
    called = []
    nn.TBPTT(5, 5)(layer, x, loss, step=lambda: called.append(parameters[0].grad is not None))
    assert called == [True, True, True]


def test_stateful_use():
    layer, x = nn.LSTM(2, 3), mg.randn(4, 1, 2)
    _, state = layer(x)
    state = nn.detach_states(state)
    assert not any(s.requires_grad for s in state)
    layer(x, state)[0].sum().backward()
    assert nn.detach_states(None) is None


@pytest.mark.parametrize(("k1", "k2"), [(0, 1), (3, 2), (1, 0)])
def test_truncation_refuses(k1, k2):
    with pytest.raises(ValueError, match=f"k1={k1}, k2={k2}"):
        nn.TBPTT(k1, k2)
    with pytest.raises(ValueError, match="backward direction"):
        nn.TBPTT(1, 1)(nn.GRU(2, 3, bidirectional=True), mg.zeros(3, 1, 2), loss)
