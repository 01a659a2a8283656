"""Recurrent layers in use: masks, packed input, states, copies, own cells, errors."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from recurrent_modules import CELLS, F64, Mine, as_tuple, random, randomized

import minigrad as mg
from minigrad import nn
from minigrad.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

# ------------------------------------------------------------------------ masks, packed, hx


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_may_hold_nan(kind, bidirectional):
    rng = np.random.default_rng(0)
    layer = randomized(getattr(nn, kind)(2, 3, 2, dtype=F64, bidirectional=bidirectional))
    x = rng.standard_normal((5, 3, 2))
    lengths = [3, 5, 1]
    valid = np.arange(5)[:, None] < lengths
    found = []
    for filler in (0.0, np.nan):
        leaf = mg.tensor(np.where(valid[..., None], x, filler), requires_grad=True)
        for packed in (True, False):
            input = pack_padded_sequence(leaf, lengths, enforce_sorted=False) if packed else leaf
            y, last = layer(input, mask=None if packed else valid)
            y = pad_packed_sequence(y)[0] if packed else y
            leaf.grad = None
            layer.zero_grad()
            (y**2).sum().backward()
            grads = [p.grad.data for p in layer.parameters()]
            found.append([y.data, *(s.data for s in as_tuple(last)), leaf.grad.data, *grads])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)
    for b, n in enumerate(lengths):
        alone, _ = layer(mg.tensor(x[:n, b]))
        np.testing.assert_allclose(found[0][0][:n, b], alone.data, atol=1e-14)


def test_mask_with_holes_skips_steps():
    rng = np.random.default_rng(0)
    layer = randomized(nn.GRU(2, 3, dtype=F64, bidirectional=True))
    x, valid = rng.standard_normal((6, 2, 2)), np.ones((6, 2), bool)
    valid[[1, 4], 0] = False
    valid[:, 1] = False
    h0 = rng.standard_normal((2, 2, 3))
    y, h_n = layer(mg.tensor(x), mg.tensor(h0), mask=valid)
    short, h_short = layer(mg.tensor(x[valid[:, 0], 0]), mg.tensor(h0[:, 0]))
    np.testing.assert_allclose(y.data[valid[:, 0], 0], short.data, atol=1e-15)
    assert not y.data[[1, 4], 0].any()
    np.testing.assert_allclose(h_n.data[:, 0], h_short.data, atol=1e-15)
    assert not y.data[:, 1].any()  # a sequence without a step keeps its first state
    np.testing.assert_array_equal(h_n.data[:, 1], h0[:, 1])


def test_packed_of_a_different_order_returns_states_in_the_callers():
    rng = np.random.default_rng(0)
    layer = nn.LSTM(2, 3, dtype=F64)
    sequences = [mg.tensor(rng.standard_normal((n, 2))) for n in (2, 4, 3)]
    h0, c0 = (mg.tensor(rng.standard_normal((1, 3, 3))) for _ in range(2))
    _, (h_n, c_n) = layer(pack_sequence(sequences, enforce_sorted=False), (h0, c0))
    for b, s in enumerate(sequences):
        _, (h, c) = layer(s, (h0[:, b], c0[:, b]))
        np.testing.assert_allclose(h_n.data[:, b], h.data, atol=1e-15)
        np.testing.assert_allclose(c_n.data[:, b], c.data, atol=1e-15)


def test_learned_first_states():
    layer = nn.LSTM(2, 3, 2, learn_h0=True, dtype=F64)
    assert not layer.h_0.data.any()
    randomized(layer)
    x = mg.tensor(np.ones((4, 5, 2)))
    y, _ = layer(x)
    states = tuple(s.broadcast_to(2, 5, 3) for s in (layer.h_0, layer.c_0))
    given, _ = layer(x, states)
    np.testing.assert_array_equal(y.data, given.data)
    y.sum().backward()
    assert layer.h_0.grad.shape == (2, 1, 3)
    assert layer.c_0.grad.data.any()


def test_dropout_between_layers():
    layer, x = nn.GRU(3, 8, 2, dropout=0.5, dtype=F64), mg.ones(4, 2, 3, dtype=F64)
    seen = []
    for _ in range(2):
        mg.manual_seed(1)
        seen.append(layer(x)[0].data)
    np.testing.assert_array_equal(*seen)
    assert np.abs(layer(x)[0].data - seen[0]).max() > 1e-3
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].data, layer(x)[0].data)
    with pytest.warns(UserWarning, match="num_layers is 1"):
        nn.GRU(3, 8, dropout=0.5)


def test_copies_stores_and_replaced_weights_are_followed():
    rng = np.random.default_rng(0)
    layer = nn.LSTM(2, 3, peephole=True, dtype=F64)
    x = random(rng, 3, 2, 2)
    wanted = layer(x)[0].data
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(twin(x)[0].data, wanted)
        with mg.no_grad():
            twin.weight_hh_l0.zero_()
        np.testing.assert_array_equal(layer(x)[0].data, wanted)
        assert np.abs(twin(x)[0].data - wanted).max() > 1e-3
    layer.weight_ih_l0 = nn.Parameter(mg.zeros(12, 2, dtype=F64))
    assert np.abs(layer(x)[0].data - wanted).max() > 1e-3


def test_repr():
    assert repr(nn.LSTM(3, 4, 2, dropout=0.1, bidirectional=True)) == (
        "LSTM(3, 4, num_layers=2, dropout=0.1, bidirectional=True)"
    )
    assert repr(nn.GRU(3, 4, reset_after=False, zoneout=0.1)) == (
        "GRU(3, 4, reset_after=False, zoneout=0.1)"
    )
    assert repr(nn.RNN(3, 4, nonlinearity="relu", bias=False)) == (
        "RNN(3, 4, nonlinearity=relu, bias=False)"
    )


def test_parameters_are_drawn_as_in_pytorch():
    layer = nn.LSTM(3, 64, 2, layer_norm=True, peephole=True)
    for name, p in layer.named_parameters():
        if name.startswith("gain"):
            assert np.all(p.data == 1)
        elif name.startswith("shift"):
            assert np.all(p.data == 0)
        else:
            assert 0.11 < np.abs(p.data).max() <= 0.125


# ------------------------------------------------------------------------------- own cells


def test_recurrent_of_an_own_cell():
    rng = np.random.default_rng(0)
    layer = nn.Recurrent(partial(Mine, hidden_size=3), 2, True, input_size=2, batch_first=True)
    assert {n.split(".")[1] for n, _ in layer.named_parameters()} == {"0", "1", "2", "3"}
    x = random(rng, 2, 5, 2)
    y, last = layer(x)
    assert y.shape == (2, 5, 6)
    assert [s.shape for s in last] == [(4, 2, 3), (4, 2, 2), (4, 2, 1)]
    np.testing.assert_allclose(last[2].data, 0.5)
    packed, ends = layer(pack_padded_sequence(x, [5, 3], batch_first=True))
    np.testing.assert_allclose(ends[2].data[:, 1], 0.3)
    np.testing.assert_allclose(pad_packed_sequence(packed, True)[0].data[0], y.data[0], atol=1e-15)


def test_recurrent_of_a_library_cell_is_its_layer():
    rng = np.random.default_rng(0)
    cell = nn.LSTMCell(2, 3, peephole=True, dtype=F64)
    layer = nn.LSTM(2, 3, peephole=True, dtype=F64)
    layer.load_state_dict({f"{n}_l0": p for n, p in cell.named_parameters()})
    x = random(rng, 4, 2, 2)
    for a, b in zip(nn.Recurrent(cell)(x), layer(x), strict=True):
        for s, t in zip(as_tuple(a), as_tuple(b), strict=True):
            np.testing.assert_allclose(s.data, t.data, atol=1e-15)


def test_recurrent_says_what_it_needs():
    with pytest.raises(ValueError, match="4 cells"):
        nn.Recurrent(nn.GRUCell(2, 3), 2, True)
    with pytest.raises(ValueError, match="input_size"):
        nn.Recurrent(lambda n: nn.GRUCell(n, 3))
    with pytest.raises(TypeError, match="state_size"):
        nn.Recurrent(nn.Linear(2, 3), input_size=2)


# ---------------------------------------------------------------------------------- errors

X = mg.zeros(5, 2, 3)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.LSTM(3, 4)(mg.zeros(5, 2, 7)), ValueError,
         "LSTM: input has 7 features on its last axis, this layer was made for input_size=3"),
        (lambda: nn.LSTM(3, 4)(mg.zeros(5)), ValueError, "2 or 3 axes"),
        (lambda: nn.LSTM(3, 4)(mg.zeros(0, 2, 3)), ValueError, "at least one step"),
        (lambda: nn.LSTM(3, 4)(mg.zeros(5, 2, 3, dtype=F64)), TypeError, "float64.*float32"),
        (lambda: nn.LSTM(3, 4)(np.zeros((5, 2, 3))), TypeError, "expected a tensor"),
        (lambda: nn.LSTM(3, 4)(X, mg.zeros(1, 2, 4)), TypeError, r"\(h, c\)"),
        (lambda: nn.GRU(3, 4, 2)(X, mg.zeros(1, 2, 4)), ValueError,
         r"h_0 of shape \(D\*num_layers, N, H\) = \(2, 2, 4\).*got \(1, 2, 4\)"),
        (lambda: nn.GRU(3, 4)(X, mg.zeros(1, 3, 4)), ValueError, r"\(1, 2, 4\).*\(1, 3, 4\)"),
        (lambda: nn.GRU(3, 4)(X, mg.zeros(1, 2, 4, dtype=F64)), TypeError, "float64.*float32"),
        (lambda: nn.GRU(3, 4)(mg.zeros(5, 3), mg.zeros(1, 1, 4)), ValueError, r"= \(1, 4\)"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "smaller than hidden_size=4, got 4"),
        (lambda: nn.LSTM(3, 4, proj_size=-1), ValueError, "got -1"),
        (lambda: nn.LSTM(-3, 4), ValueError, "LSTM: input_size must be at least 1, got -3"),
        (lambda: nn.GRU(3, 0), ValueError, "hidden_size"),
        (lambda: nn.GRU(3, 4, num_layers=0), ValueError, "num_layers"),
        (lambda: nn.RNN(3, 4.0), TypeError, "hidden_size"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "sin"),
        (lambda: nn.RNN(3, 4, dropout=1.5), ValueError, r"\[0, 1\]"),
        (lambda: nn.RNN(3, 4, zoneout=-0.1), ValueError, r"zoneout.*\[0, 1\]"),
        (lambda: nn.RNN(3, 4, recurrent_dropout=2), ValueError, r"recurrent_dropout.*\[0, 1\]"),
        (lambda: nn.RNN(3, 4, clip=0.0), ValueError, "clip"),
        (lambda: nn.RNN(3, 4, clip=-1.0), ValueError, "clip"),
        (lambda: nn.RNN(3, 4, checkpoint=0), ValueError, "checkpoint"),
        (lambda: nn.RNN(3, 4, peephole=True), TypeError, "peephole"),
        (lambda: nn.LSTM(3, 4, activations=["Tanh"]), ValueError, "expected 3 activations"),
        (lambda: nn.RNN(3, 4, activations=["Sine"]), ValueError, "no activation 'Sine'"),
        (lambda: nn.RNN(3, 4, activations=[("Elu", 1, 2)]), ValueError, "takes 1 parameters"),
        (lambda: nn.GRU(3, 4)(X, mask=np.ones((2, 5), bool)), ValueError, r"mask.*\(2, 5\)"),
        (lambda: nn.GRU(3, 4)(X, mask=np.ones((5, 2))), TypeError, "booleans"),
        (lambda: nn.GRU(3, 4)(X, mask=np.zeros((5, 2), bool)), ValueError, "not one step"),
        (lambda: nn.GRU(3, 4)(pack_padded_sequence(X, [5, 2]), mask=np.ones((5, 2), bool)),
         ValueError, "packed"),
        (lambda: nn.GRU(3, 4)(pack_padded_sequence(X, [5, 2]), mg.zeros(1, 3, 4)), ValueError,
         r"= \(1, 2, 4\).*got \(1, 3, 4\)"),
        (lambda: nn.LSTMCell(3, 4)(mg.zeros(2, 5)), ValueError, "5 features"),
        (lambda: nn.LSTMCell(3, 4)(X), ValueError, "1 or 2 axes"),
        (lambda: nn.LSTMCell(3, 4)(X[0], (mg.zeros(2, 4), mg.zeros(3, 4))), ValueError,
         r"c of shape \(N, H\) = \(2, 4\).*got \(3, 4\)"),
        (lambda: nn.GRUCell(3, 4)(X[0], mg.zeros(2, 4, dtype=F64)), TypeError, "float64"),
    ],
)  # fmt: skip
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# ------------------------------------------------------------------------------- inspect


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("form", ["(T, B, I)", "batch_first", "(T, I)"])
def test_inspect_has_the_letters_of_the_equations(kind, form):
    rng = np.random.default_rng(5)
    options = {"num_layers": 2, "bidirectional": True, "batch_first": form == "batch_first"}
    layer = randomized(getattr(nn, kind)(3, 4, dtype=F64, **options))
    x = random(rng, *((5, 3) if form == "(T, I)" else (5, 2, 3)))
    output, last = layer(x)  # the kernel
    rows = layer.inspect(x)
    assert [sorted(row) for row in rows] == [sorted(row) for row in rows[:1]] * 4
    seen = np.concatenate([row["h"].numpy() for row in rows[2:]], axis=-1)
    np.testing.assert_allclose(seen, output.detach().numpy(), atol=1e-12)
    time = 1 if form == "batch_first" else 0
    for r, row in enumerate(rows):
        assert not row["h"].requires_grad
        old, new = as_steps(row, time, backward=r % 2)
        if kind == "LSTM":
            np.testing.assert_allclose(new["c"], new["f"] * old["c"] + new["i"] * new["g"])
            np.testing.assert_allclose(new["h"], new["o"] * np.tanh(new["c"]))
            ends = [s.detach().numpy()[r] for s in last]
            np.testing.assert_allclose(new["c"][-1], ends[1], atol=1e-12)
        if kind == "GRU":
            np.testing.assert_allclose(new["h"], (1 - new["z"]) * new["n"] + new["z"] * old["h"])
    assert layer.explain().startswith(f"{kind}: fused")
    np.testing.assert_array_equal(layer(x)[0].detach().numpy(), output.detach().numpy())


def as_steps(row: dict, time: int, backward: bool) -> tuple[dict, dict]:
    """A row's values with time first, as it ran: those of the step before (0 at first), and all."""
    new = {k: np.moveaxis(v.numpy(), time, 0)[:: -1 if backward else 1] for k, v in row.items()}
    return {k: np.concatenate([np.zeros_like(v[:1]), v[:-1]]) for k, v in new.items()}, new


def test_inspect_takes_first_states_and_no_packed_input():
    layer = nn.LSTM(3, 4)
    x, hx = mg.randn(5, 2, 3), (mg.randn(1, 2, 4), mg.randn(1, 2, 4))
    [row] = layer.inspect(x, hx)
    np.testing.assert_allclose(row["h"].numpy(), layer(x, hx)[0].detach().numpy(), atol=1e-6)
    with pytest.raises(TypeError, match="LSTM: inspect takes a padded input"):
        layer.inspect(pack_sequence([x[:, 0]]))
    with pytest.raises(ValueError, match="input has 2 features"):
        layer.inspect(x[..., :2])
    assert layer.explain().startswith("LSTM: fused")
    assert layer(x)[0].requires_grad
