"""Checkpoints of recurrent layers: the numbers of a plain layer, in a fraction of its memory."""

from __future__ import annotations

import sys
import tracemalloc
from functools import partial

import numpy as np
import pytest
from recurrent_modules import F64, as_tuple, random, randomized

import minigrad as mg
from minigrad import kernels, nn
from minigrad.autograd import grad
from minigrad.nn.utils.rnn import PackedSequence, pack_padded_sequence

# -------------------------------------------------------------------- the numbers of a plain layer

LAYERS = {
    "rnn": partial(nn.RNN, 2, 3, nonlinearity="relu"),
    "lstm": partial(nn.LSTM, 2, 3, 2, bidirectional=True),
    "gru": partial(nn.GRU, 2, 3, 2, bidirectional=True),
    "no bias": partial(nn.LSTM, 3, 3, bias=False),
    "projected": partial(nn.LSTM, 2, 3, 2, bidirectional=True, proj_size=2),
    "projected, no bias": partial(nn.LSTM, 3, 3, bias=False, proj_size=2),
    "reset before": partial(nn.GRU, 2, 3, reset_after=False),
    "composed": partial(nn.GRU, 2, 3, layer_norm=True),
    "random": partial(nn.LSTM, 2, 3, zoneout=0.3, recurrent_dropout=0.3),
    "learned": partial(nn.LSTM, 2, 3, learn_h0=True),
}
FORMS = ["batch", "packed", "masked"]


def trained(layer: nn.Module, form: str, given: bool, of: str) -> tuple[list, list]:
    """(outputs, gradients) of a step whose loss is of the output, the last states, or both."""
    rng = np.random.default_rng(0)
    x = random(rng, 7, 4, layer.input_size).to(layer.dtype).detach().requires_grad_()
    hx = None
    if given:
        hx = tuple(random(rng, layer.rows, 4, s) for s in layer.state_sizes)
    mask = rng.random((7, 4)) < [1, 0.7, 0.7, 0] if form == "masked" else None
    input = pack_padded_sequence(x, [7, 4, 4, 2]) if form == "packed" else x
    output, last = layer(input, hx[0] if hx and layer.single else hx, mask=mask)
    output = output.data if isinstance(output, PackedSequence) else output
    parts = {"output": (output,), "last": as_tuple(last), "both": (output, *as_tuple(last))}[of]
    sum((y * (y + 1)).sum() for y in parts).backward()
    leaves = [x, *layer.parameters(), *(hx or ())]
    return [y.data for y in (output, *as_tuple(last))], [t.grad.data for t in leaves]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("checkpoint", [1, 2, 3, 100, "sqrt"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("of", ["output", "last", "both"])
def test_checkpoints_change_nothing(name, checkpoint, form, of):
    found = []
    for k in (None, checkpoint):
        mg.manual_seed(1)
        layer = randomized(LAYERS[name](checkpoint=k, dtype=F64))
        ys, gs = trained(layer, form, name != "learned", of)
        found.append((ys, gs, mg.generator().random()))
    (ys, gs, after), (others, hs, after_too) = found
    assert after == after_too
    composed = name in ("composed", "random")  # of which each piece is a product of fewer rows
    for y, other in zip(ys, others, strict=True):
        np.testing.assert_allclose(other, y, rtol=0, atol=1e-14 * composed)
    for g, h in zip(gs, hs, strict=True):
        np.testing.assert_allclose(h, g, rtol=0, atol=1e-13 * max(1, np.abs(g).max()))


KINDS = {
    "LSTM": nn.LSTM,
    "GRU": nn.GRU,
    "projected": partial(nn.LSTM, proj_size=2),
    "reset before": partial(nn.GRU, reset_after=False),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, F64])
@pytest.mark.parametrize("size", [(33, 1, 40), (20, 3, 128), (70, 9, 33), (40, 32, 64)])
@pytest.mark.parametrize("threads", [1, 2])
def test_outputs_have_the_bits_of_a_plain_layer(kind, dtype, size, threads):
    """Whatever part of the batch or of the units a thread takes, in a piece or in the whole."""
    T, B, H = size
    before = kernels.get_num_threads()
    kernels.set_num_threads(threads)
    x = mg.tensor(np.random.default_rng(0).standard_normal((T, B, 5)).astype(dtype))
    found = []
    for k in (None, 1, 7, "sqrt"):
        mg.manual_seed(1)
        layer = KINDS[kind](5, H, checkpoint=k, dtype=dtype)
        y, last = layer(x)
        y.sum().backward()
        found.append(([y.data, *(s.data for s in as_tuple(last))], layer.weight_hh_l0.grad.data))
    kernels.set_num_threads(before)
    (wanted, g), *others = found
    for outputs, h in others:
        for a, b in zip(outputs, wanted, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(h, g, rtol=0, atol=100 * np.finfo(dtype).eps * np.abs(g).max())


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_differences(kind):
    rng = np.random.default_rng(0)
    layer = randomized(KINDS[kind](2, 3, checkpoint=2, dtype=F64))
    x, states = random(rng, 5, 2, 2), [random(rng, 1, 2, size) for size in layer.state_sizes]
    parameters = list(layer.parameters())
    names = [name for name, _ in layer.named_parameters()]

    def run(x, *tensors):
        state, weights = tensors[: len(states)], tensors[len(states) :]
        layer.__dict__.update(zip(names, weights, strict=True))
        y, last = layer(x, state[0] if layer.single else state)
        return y, *as_tuple(last)

    assert mg.gradcheck(run, [x, *states, *parameters], eps=1e-6, atol=1e-8, rtol=1e-7)


def test_checkpoint_of_an_own_cell():
    cell = nn.GRUCell(2, 3, dtype=F64)
    x, grads = random(np.random.default_rng(0), 6, 2, 2), []
    for k in (None, 2):
        layer = nn.Recurrent(cell, checkpoint=k)
        layer.zero_grad()
        layer(x)[0].sum().backward()
        grads.append([p.grad.data for p in layer.parameters()])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-14)


# ----------------------------------------------------------------------------- as others with rules


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_second_derivatives_are_those_of_a_plain_layer(kind):
    found = []
    for k in (None, 2):
        mg.manual_seed(0)
        layer = getattr(nn, kind)(2, 3, checkpoint=k, dtype=F64)
        x = random(np.random.default_rng(0), 5, 2, 2)
        [g] = grad(layer(x)[0].sum(), x, create_graph=True)
        found.append([t.data for t in grad((g**2).sum(), [x, *layer.parameters()])])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


def test_a_composed_checkpoint_has_no_second_derivative():
    layer = nn.Recurrent(nn.GRUCell(2, 3, dtype=F64), checkpoint=2)
    x = random(np.random.default_rng(0), 4, 1, 2)
    with pytest.raises(RuntimeError, match="second derivative"):
        grad(layer(x)[0].sum(), list(layer.parameters()), create_graph=True)


def test_backward_twice():
    layer, x = nn.LSTM(3, 3, checkpoint=2), mg.randn(5, 2, 3, requires_grad=True)
    y = layer(x)[0].sum()
    found = [grad(y, [x, *layer.parameters()], retain_graph=True) for _ in range(2)]
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, found[0][0].data)
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


@pytest.mark.parametrize("name", ["weight_hh_l0", "bias_ih_l0"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_parameter_written_between_is_noticed(kind, name):
    layer, x = getattr(nn, kind)(2, 3, checkpoint=2), mg.randn(4, 1, 2)
    y = layer(x)[0].sum()
    with mg.no_grad():
        getattr(layer, name).zero_()
    with pytest.raises(RuntimeError, match="in place"):
        y.backward()


def test_an_output_written_between_is_noticed():
    layer, x = nn.GRU(2, 3, checkpoint=2), mg.randn(4, 1, 2)
    y = layer(x)[0]
    loss = y.sum()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


# ------------------------------------------------------------------------------------------- memory


def peak(layer: nn.Module, T: int, B: int) -> int:
    """Bytes of arrays that a training step holds at once, besides input, gy and the weights."""
    x = mg.randn(T, B, layer.input_size, requires_grad=True)
    gy = mg.randn(T, B, layer.state_sizes[0])
    native = sys.modules.get("minigrad.kernels.native_recurrent")
    if native is not None:
        native.Kept.spare.clear()  # memory that other tests let go would serve unseen
    tracemalloc.start()
    output, _ = layer(x)
    output.backward(gy)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


# Numbers for each step, row and unit, where I is H: the output and gx; of an LSTM the gates and
# cell states, of a GRU the gates and what U_n h makes; the cell states' place is then gx's.
NUMBERS = {"RNN": (2, 2), "GRU": (6, 2), "LSTM": (6.125, 2)}


@pytest.mark.skipif(kernels.config()["backend"] != "c", reason="numpy makes more arrays")
@pytest.mark.parametrize("kind", NUMBERS)
def test_memory_of_a_training_step(kind):
    T, B, H = 400, 8, 16
    for checkpoint, numbers in zip((None, "sqrt"), NUMBERS[kind], strict=True):
        layer = getattr(nn, kind)(H, H, checkpoint=checkpoint)
        of_a_piece = 8 * 20 * B * H * 4  # states that enter 20 pieces, what is kept of 20 steps
        small = of_a_piece * (checkpoint is not None) + 60_000
        assert peak(layer, T, B) < numbers * T * B * H * 4 + small


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_checkpoints_hold_less_than_half(kind):
    small, plain = (peak(getattr(nn, kind)(16, 16, checkpoint=k), 900, 4) for k in ("sqrt", None))
    assert small < plain / 2
