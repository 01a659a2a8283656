"""Recurrent layers and cells: every option against equations of its own, fused against composed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recurrent_equations import complex_step, sequence
from recurrent_modules import CELLS, F64, Mine, as_tuple, random, randomized

import minigrad as mg
from minigrad import nn
from minigrad.autograd import grad
from minigrad.nn.utils.rnn import pack_padded_sequence

# ---------------------------------------------------------------- options, by the complex step

VARIANTS = [
    ("RNN", {}),
    ("RNN", {"layer_norm": True, "clip": 0.7}),
    *[("RNN", {"activations": [a]}) for a in [
        "Relu", ("Affine", 0.4, 0.1), "LeakyRelu", ("LeakyRelu", 0.3), ("ThresholdedRelu", 0.2),
        ("ScaledTanh", 0.9, 0.6), "HardSigmoid", ("HardSigmoid", 0.4, 0.3), "Elu", ("Elu", 0.5),
        "Softsign", "Softplus", "Sigmoid", "Tanh",
    ]],
    ("LSTM", {}),
    ("LSTM", {"peephole": True}),
    ("LSTM", {"coupled": True}),
    ("LSTM", {"coupled": True, "peephole": True, "clip": 0.4, "proj_size": 2}),
    ("LSTM", {"proj_size": 1, "layer_norm": True}),
    ("LSTM", {"clip": 0.3}),
    ("LSTM", {"layer_norm": True, "peephole": True, "bias": False}),
    ("LSTM", {"activations": ["HardSigmoid", "Softsign", ("Elu", 0.7)], "peephole": True}),
    ("GRU", {}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"reset_after": False, "bias": False, "clip": 0.5}),
    ("GRU", {"reset_after": False, "layer_norm": True}),
    ("GRU", {"layer_norm": True, "activations": ["HardSigmoid", "LeakyRelu"]}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=str)
def test_options_against_the_complex_step(kind, options):
    check_against_equations(kind, options, {}, train=True)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("train", [True, False])
def test_zoneout_and_recurrent_dropout_against_the_complex_step(kind, train):
    check_against_equations(kind, {"zoneout": 0.3}, {"recurrent_dropout": 0.4}, train)


def test_recurrent_dropout_where_the_reset_gate_comes_before():
    check_against_equations("GRU", {"reset_after": False}, {"recurrent_dropout": 0.4}, True)


def check_against_equations(kind: str, options: dict, more: dict, train: bool) -> None:
    T, B, I, H = 3, 2, 2, 3
    rng = np.random.default_rng(3)
    layer = randomized(getattr(nn, kind)(I, H, dtype=F64, **options, **more)).train(train)
    names = {n: n.replace("_l0", "") for n, _ in layer.named_parameters()}
    x, state = random(rng, T, B, I), [random(rng, 1, B, s) for s in layer.state_sizes]
    mg.manual_seed(5)
    output, last = layer(x, tuple(state) if len(state) > 1 else state[0])
    made = [output, *as_tuple(last)]
    weights = [rng.standard_normal(y.shape) for y in made]
    loss = sum((y * w).sum() for y, w in zip(made, weights, strict=True))
    loss.backward()

    mg.manual_seed(5)
    drop, zone, p = 1.0, None, options.get("zoneout", 0.0)
    if more and train:
        drop = layer.drop_mask(0, B)
    if p:
        shapes = [(B, s) for s in layer.state_sizes]
        zone = [[mg.generator().random(s) < p if train else p for s in shapes] for _ in range(T)]
    arrays = {names[n]: w.data for n, w in layer.named_parameters()}
    arrays |= {"x": x.data, **{f"state{i}": s.data[0] for i, s in enumerate(state)}}

    def equations(a: dict) -> list:
        first = tuple(a[f"state{i}"] for i in range(len(state)))
        found = sequence(kind, a, a["x"], first, {**options, "H": H}, drop, zone)
        return [found[0], *[s[None] for s in found[1:]]]

    def total(a: dict):
        return sum((y * w).sum() for y, w in zip(equations(a), weights, strict=True))

    for y, wanted in zip(made, equations(arrays), strict=True):
        np.testing.assert_allclose(y.data, wanted, rtol=0, atol=1e-13)
    found = {names[n]: w.grad.data for n, w in layer.named_parameters()}
    found |= {"x": x.grad.data, **{f"state{i}": s.grad.data[0] for i, s in enumerate(state)}}
    for n, wanted in complex_step(total, arrays).items():
        np.testing.assert_allclose(found[n], wanted, rtol=0, atol=1e-11, err_msg=n)


@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=str)
def test_a_cell_step_by_step_is_its_layer(kind, options):
    rng = np.random.default_rng(0)
    layer = randomized(getattr(nn, kind)(2, 3, dtype=F64, **options))
    cell = CELLS[kind](2, 3, dtype=F64, **options)
    cell.load_state_dict({n.replace("_l0", ""): p for n, p in layer.named_parameters()})
    x, state = random(rng, 4, 2, 2), None
    output, last = layer(x)
    for t in range(4):
        state = cell(x[t], state)
        np.testing.assert_allclose(as_tuple(state)[0].data, output.data[t], atol=1e-14)
    for s, wanted in zip(as_tuple(state), as_tuple(last), strict=True):
        np.testing.assert_allclose(s.data, wanted.data[0], atol=1e-14)
    single = cell(x[0, 0], None)
    assert as_tuple(single)[0].shape == output.shape[2:]


# ------------------------------------------------------------------------- fused and composed


@st.composite
def configurations(draw):
    sizes = {n: draw(st.integers(1, most)) for n, most in zip("TBIH", (6, 4, 5, 9), strict=True)}
    options = {
        "num_layers": draw(st.integers(1, 2)),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
    }
    form = draw(st.sampled_from(["padded", "packed", "mask"]))
    lengths = [draw(st.integers(1, sizes["T"])) for _ in range(sizes["B"])]
    return sizes, options, form, lengths, draw(st.booleans()), draw(st.integers(0, 2**31))


def results(layer, x, hx, form, lengths, valid, needs_x) -> list:
    leaf = mg.tensor(x, requires_grad=needs_x)
    states = [mg.tensor(h, requires_grad=True) for h in hx]
    mask, input = None, leaf
    if form == "packed":
        input = pack_padded_sequence(leaf, lengths, layer.batch_first, enforce_sorted=False)
    elif form == "mask":
        mask = valid
    given = None if not states else states[0] if len(states) == 1 else tuple(states)
    output, last = layer(input, given, mask=mask)
    output = output.data if form == "packed" else output
    made = [output, *as_tuple(last)]
    rng = np.random.default_rng(0)
    layer.zero_grad()
    sum((y * rng.standard_normal(y.shape)).sum() for y in made).backward()
    leaves = [*([leaf] if needs_x else []), *states, *layer.parameters()]
    return [*(y.data for y in made), *(t.grad.data for t in leaves)]


FUSED = [
    *((kind, {}) for kind in CELLS),
    ("GRU", {"reset_after": False}),
    ("LSTM", {"proj_size": 2}),
]


@pytest.mark.parametrize(("kind", "form_of"), FUSED, ids=str)
@given(configurations())
@settings(max_examples=25)
def test_fused_is_composed(kind, form_of, configuration):
    sizes, options, form, lengths, given_states, seed = configuration
    T, B, I, H = sizes.values()
    if "proj_size" in form_of:
        form_of, H = {"proj_size": H}, H + seed % 3 + 1
    rng = np.random.default_rng(seed)
    layer = randomized(getattr(nn, kind)(I, H, dtype=F64, **options, **form_of), seed)
    assert "fused" in layer.explain()
    composed = copy.deepcopy(layer)
    composed.fused = None
    first = (B, T) if options["batch_first"] else (T, B)
    x, valid = rng.standard_normal((*first, I)), rng.random(first) < 0.7
    valid.flat[0] = True
    hx = [rng.standard_normal((layer.rows, B, size)) for size in layer.state_sizes]
    arguments = (x, hx if given_states else [], form, lengths, valid, bool(seed % 2))
    for a, b in zip(results(layer, *arguments), results(composed, *arguments), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("bias", ["both", "hh", ""])
@pytest.mark.parametrize(("kind", "form"), FUSED, ids=str)
def test_second_order_of_the_fused_layer_is_that_of_the_composition(kind, form, bias):
    rng = np.random.default_rng(0)
    layer = randomized(getattr(nn, kind)(4, 5, bias=bool(bias), dtype=F64, **form))
    if bias == "hh":
        layer.bias_ih_l0 = None
    x, states = random(rng, 3, 2, 4), [random(rng, 1, 2, size) for size in layer.state_sizes]
    inputs, second = [x, *states, *layer.parameters()], []
    for fused in (layer.fused, None):
        layer.fused = fused
        output, last = layer(x, tuple(states) if len(states) > 1 else states[0])
        loss = (output * output).sum() + sum((s**3).sum() for s in as_tuple(last))
        first = grad(loss, inputs, create_graph=True)
        second.append(grad(sum((g * g).sum() for g in first), inputs))
    for fused, composed in zip(*second, strict=True):
        np.testing.assert_allclose(fused.data, composed.data, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kind", "form"), FUSED, ids=str)
@pytest.mark.parametrize("packed", [False, True])
def test_gradcheck_of_the_fused_layer(kind, form, bias, packed):
    rng = np.random.default_rng(2)
    layer = randomized(getattr(nn, kind)(2, 4, bias=bias, dtype=F64, **form))
    states = [random(rng, 1, 3, size) for size in layer.state_sizes]
    names = [n for n, _ in layer.named_parameters()]

    def run(x, *tensors):
        hx, weights = tensors[: len(states)], tensors[len(states) :]
        vars(layer).update(zip(names, weights, strict=True))
        x = pack_padded_sequence(x, [3, 2, 1]) if packed else x
        output, last = layer(x, hx if len(hx) > 1 else hx[0])
        return output.data if packed else output, *as_tuple(last)

    mg.gradcheck(run, [random(rng, 3, 3, 2), *states, *layer.parameters()], atol=1e-7, rtol=1e-7)


def test_second_order_with_inputs_that_depend_on_one_another():
    """x feeds h0: the fused rule must not count the way through h0 as part of x's own."""
    rng = np.random.default_rng(1)
    layer, x, second = randomized(nn.LSTM(3, 3, dtype=F64)), random(rng, 2, 3, 3), []
    for fused in (nn.LSTM.fused, None):
        layer.fused = fused
        h0 = x[:1] * 0.5
        output, _ = layer(x, (h0, h0 * h0))
        [g] = grad((output**2).sum(), x, create_graph=True)
        second.append(grad((g * g).sum(), x)[0].data)
    np.testing.assert_allclose(second[0], second[1], rtol=0, atol=1e-12)


def test_explain_says_which_path():
    for kind, form in FUSED:
        assert "fused" in getattr(nn, kind)(2, 3, **form).explain()
    layer = nn.LSTM(2, 3, recurrent_dropout=0.5)
    assert "recurrent_dropout" in layer.explain()
    assert "fused" in layer.eval().explain()
    for option in ({"peephole": True}, {"coupled": True}, {"zoneout": 0.1}, {"clip": 1.0},
                   {"layer_norm": True}, {"activations": ["Sigmoid", "Tanh", "Tanh"]}):  # fmt: skip
        for proj_size in (0, 2):
            said = nn.LSTM(2, 3, proj_size=proj_size, **option).explain()
            assert "composed" in said
            assert next(iter(option)) in said
            assert "proj_size" not in said
    assert "no kernel covers clip" in nn.GRU(2, 3, reset_after=False, clip=1.0).explain()
    assert "Mine" in nn.Recurrent(Mine(2, 3)).explain()
