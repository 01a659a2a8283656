"""Recurrent layers without a graph: the short way has the bits, and the errors, of the long one."""

from __future__ import annotations

import numpy as np
import pytest
from recurrent_modules import as_tuple

import minigrad as mg
from minigrad import kernels, nn
from minigrad.nn.inference import unrecorded
from minigrad.nn.utils.rnn import pack_padded_sequence

FORMS = {"LSTM, projected": {"proj_size": 4}, "GRU, reset before": {"reset_after": False}}
SHORT = kernels.config()["backend"] == "c"  # numpy has nothing to keep packed, and no short way
KINDS = ["RNN", "LSTM", "GRU", *FORMS]


def made(kind, *sizes, **options):
    return getattr(nn, kind.split(",")[0])(*sizes, **options, **FORMS.get(kind, {}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["(T, B, I)", "batch_first", "(T, I)", "mask", "packed"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "bidirectional": True, "dropout": 0.5},
        {"learn_h0": True},
        {"checkpoint": 2},
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_inference_has_the_bits_of_a_recorded_call(kind, form, options, bias):
    layer = made(kind, 3, 5, bias=bias, batch_first=form == "batch_first", **options).eval()
    for p in layer.parameters():
        nn.init.normal_(p)
    for T in (1, 4):
        x, more = mg.randn(*((T, 3) if form == "(T, I)" else (T, 2, 3))), {}
        if form == "mask":
            more["mask"] = np.array([[True, t == 0] for t in range(T)])
        if form == "packed":
            x = pack_padded_sequence(x, [T, 1])
        wanted, states = layer(x, **more)
        with mg.no_grad():
            got, ends = layer(x, **more)
        wanted, got = (y.data if form == "packed" else y for y in (wanted, got))
        for a, b in zip((got, *as_tuple(ends)), (wanted, *as_tuple(states)), strict=True):
            assert type(a) is mg.Tensor
            assert b.requires_grad
            assert not a.requires_grad
            np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("form", ["batch", "batch_first", "unbatched"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_same_bits(name, dtype, num_layers, form, bias):
    layer = made(name, 5, 18, num_layers, bias=bias, batch_first=form == "batch_first", dtype=dtype)
    for shape in [(1, 2, 5), (3, 1, 5), (4, 6, 5)]:
        x = mg.randn(*(shape[1:] if form == "unbatched" else shape), dtype=dtype)
        hx = None
        for _ in range(2):
            with mg.no_grad():
                assert (unrecorded(layer, x, hx) is not None) == SHORT
                z, other = layer(x, hx)
            y, state = layer(x, hx)
            states = [(s if name[:4] == "LSTM" else (s,)) for s in (state, other)]
            for a, b in zip((y, *states[0]), (z, *states[1]), strict=True):
                assert (a.dtype, a.shape) == (b.dtype, b.shape)
                np.testing.assert_array_equal(a.data, b.data)
                assert a.requires_grad
                assert not b.requires_grad
            hx = other
            del y, state, states, a  # a graph has the weights' arrays: then they are not packed


@pytest.mark.parametrize("kind", KINDS)
def test_every_change_of_a_weight_is_followed(kind):
    layer, x = made(kind, 3, 5), mg.randn(1, 1, 3)

    def followed() -> None:
        with mg.no_grad():
            got = layer(x)[0]
        np.testing.assert_array_equal(got.data, layer(x)[0].data)
        assert not any(np.array_equal(got.data, before) for before in seen)
        seen.append(got.data)

    seen: list = []
    followed()
    w = layer.weight_ih_l0
    w.data[...] = 0.1
    followed()
    w.detach().numpy()[-1] += 1
    followed()
    nn.init.normal_(w)
    followed()
    layer.load_state_dict({n: v * 2 for n, v in layer.state_dict().items()})
    followed()
    layer.weight_ih_l0 = nn.Parameter(mg.randn(*w.shape))
    followed()
    layer(x)[0].sum().backward()
    mg.optim.SGD(layer.parameters(), lr=1.0).step()
    followed()
    layer.bias_ih_l0 = None
    followed()
    layer.to(np.float64)
    with (
        pytest.raises(TypeError, match="input is float32, the parameters are float64"),
        mg.no_grad(),
    ):
        layer(x)
    x = x.to("float64")
    followed()


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_after_the_other_has_the_bits_of_the_sequence(kind):
    layer, x, state = made(kind, 20, 37, 2), mg.randn(5, 1, 20), None
    with mg.no_grad():
        output, last = layer(x)
        for x_t, wanted in zip(x, output, strict=True):
            y, state = layer(x_t[None], state)
            np.testing.assert_array_equal(y.data[0], wanted.data)
    for a, b in zip(as_tuple(state), as_tuple(last), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_what_comes_back_shares_no_memory():
    layer, x = nn.LSTM(3, 4, batch_first=True), mg.randn(2, 1, 3)
    with mg.no_grad():
        hx = (mg.randn(1, 2, 4), mg.randn(1, 2, 4))
        y, (h, c) = layer(x, hx)
    arrays = [x.data, hx[0].data, hx[1].data, y.data, h.data, c.data]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])


def test_which_way_a_call_goes():
    x, short = mg.randn(2, 1, 3), nn.GRU(3, 4, 2, checkpoint=1)
    assert unrecorded(short, x, None) is None  # recorded
    with mg.no_grad():
        assert (unrecorded(short, x, None) is not None) == SHORT
        for layer in (
            nn.GRU(3, 4, 2, dropout=0.5),
            nn.GRU(3, 4, recurrent_dropout=0.5),
            nn.GRU(3, 4, zoneout=0.5),
            nn.GRU(3, 4, learn_h0=True),
        ):
            assert unrecorded(layer, x, None) is None
    short.requires_grad_(False)
    assert (unrecorded(short, x, None) is not None) == SHORT
    assert unrecorded(short, x.clone().requires_grad_(), None) is None
    assert unrecorded(short, x, mg.zeros(2, 1, 4, requires_grad=True)) is None


def test_the_same_errors():
    layer, x = nn.LSTM(3, 4), mg.randn(2, 1, 3)
    h = mg.zeros(1, 1, 4)
    cases = [
        (mg.randn(2, 1, 5), None),
        (mg.randn(2, 1, 3, dtype="float64"), None),
        (mg.zeros(0, 1, 3), None),
        (mg.zeros(3), None),
        (np.zeros((2, 1, 3)), None),
        (x, h),
        (x, (h, mg.zeros(1, 2, 4))),
        (x, (h[0], h)),
        (x, (h, h.to("float64"))),
        (x, (h, h.numpy())),
        (x, (h, mg.tensor(0.0))),
        (x, 3),
    ]
    for input, hx in cases:
        with pytest.raises((TypeError, ValueError)) as recorded:
            layer(input, hx)
        with mg.no_grad(), pytest.raises(recorded.type) as unrecorded:
            layer(input, hx)
        assert str(unrecorded.value) == str(recorded.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hx", [5, "h", None, (1.0, 2.0), np.zeros((1, 1, 4))], ids=repr)
@pytest.mark.parametrize("mode", [mg.enable_grad, mg.no_grad])
def test_states_that_are_none_are_named(kind, hx, mode):
    layer, x = made(kind, 3, 6), mg.randn(2, 1, 3)
    with mode(), pytest.raises(TypeError, match=f"{layer.__class__.__name__}: expected hx to be"):
        layer(x, [hx])
    if hx is not None:
        with mode(), pytest.raises(TypeError, match="expected hx to be"):
            layer(x, hx)
