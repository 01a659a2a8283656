"""The shapes of recurrent networks learn their toy tasks; attention, decoding by definition."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from recurrent_equations import complex_step

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn.decoding import beam_search, generate, greedy, log_softmax, sampler
from minigrad.nn.sequence import length_mask, pack_padded_sequence, pad_packed_sequence
from minigrad.nn.utils import clip_grad_norm_

F = nn.functional


@pytest.fixture(autouse=True)
def _seed():
    mg.manual_seed(0)


def learn(model: nn.Module, loss, steps: int, lr: float = 0.02) -> float:
    optimizer = optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return value.item()


# ------------------------------------------------------------------------------- the patterns


def test_one_to_one_learns_exclusive_or():
    x = mg.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([0, 1, 1, 0])
    model = nn.ManyToOne(nn.RNN(2, 8), nn.Linear(8, 2))  # a sequence of one step
    assert learn(model, lambda: F.cross_entropy(model(x.unsqueeze(0)), y), 150) < 0.1


def test_many_to_one_remembers_the_first_symbol():
    x = np.random.default_rng(0).integers(0, 2, (8, 32, 1))
    y, x = x[0, :, 0], mg.tensor(x.astype(np.float32))
    lengths = np.random.default_rng(1).integers(3, 9, 32)
    model = nn.ManyToOne(nn.GRU(1, 16, bidirectional=True), nn.Linear(32, 2))
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    assert learn(model, lambda: F.cross_entropy(model(packed), y), 60) < 0.05
    assert model(x).shape == (32, 2)


@pytest.mark.parametrize("bidirectional", [False, True])
@mg.no_grad()
def test_a_mask_leaves_out_what_packing_leaves_out(bidirectional):
    rnn, x, lengths = nn.GRU(2, 3, bidirectional=bidirectional), mg.randn(6, 4, 2), [6, 2, 4, 1]
    head = nn.Linear(3 * (1 + bidirectional), 2)
    packed, mask = pack_padded_sequence(x, lengths, enforce_sorted=False), length_mask(lengths, 6)
    one, many = nn.ManyToOne(rnn, head), nn.ManyToMany(rnn, head)
    np.testing.assert_allclose(one(x, mask=mask), one(packed), rtol=1e-6)
    wanted, _ = pad_packed_sequence(many(packed)[0])
    found, _ = many(x, mask=mask)
    np.testing.assert_allclose(found[mask], wanted[mask], rtol=1e-5)
    np.testing.assert_array_equal(found[~mask], head.bias.expand(11, 2))


def test_aligned_deep_network_learns_parity():
    x = np.random.default_rng(0).integers(0, 2, (6, 64, 1))
    y, x = (x.cumsum(0) % 2)[..., 0], mg.tensor(2.0 * x.astype(np.float32) - 1)
    model = nn.ManyToMany(nn.LSTM(1, 16, 2), nn.Linear(16, 2))

    def loss():
        return F.cross_entropy(model(x)[0].reshape(-1, 2), y.reshape(-1))

    assert learn(model, loss, 200, 0.03) < 0.1
    packed, _ = model(pack_padded_sequence(x, [6] * 64))
    np.testing.assert_allclose(packed.data.data, model(x)[0].data.reshape(-1, 2), atol=1e-6)


def test_one_to_many_learns_to_count_down():
    x = mg.tensor(np.linspace(0.2, 1, 16, dtype=np.float32)[:, None])
    target = mg.stack([x * 0.7**t for t in range(1, 6)])
    model = nn.OneToMany(1, 16, 1)
    before = ((model(x, 5) - target) ** 2).mean().item()
    assert learn(model, lambda: ((model(x, 5, target) - target) ** 2).mean(), 120) < before / 50
    assert ((model(x, 5) - target) ** 2).mean().item() < before / 10


def test_one_to_many_writes_symbols_that_it_reads_again():
    """Each of three classes is a word; a letter alone does not say which word goes on how."""
    words = np.array([[0, 1, 0, 2], [0, 2, 2, 1], [1, 0, 0, 2]]).T  # (T, B)
    target, x = F.one_hot(words, 3).float(), mg.eye(3)
    model = nn.OneToMany(3, 16, 3, feedback=lambda y: F.one_hot(y.argmax(-1), 3).float())

    def loss():
        return F.cross_entropy(model(x, 4, target).reshape(-1, 3), words.ravel())

    assert learn(model, loss, 120, 0.03) < 0.1
    assert model(x, 4).argmax(-1).tolist() == words.tolist()


def test_one_to_many_feeds_back_what_feedback_makes_of_an_output():
    model, x = nn.OneToMany(2, 3, 4, feedback=nn.Softmax(-1)), mg.randn(5, 2)
    h, y, expected = model.start(x).tanh(), mg.zeros(5, 4), []
    for _ in range(3):
        h = model.cell(y, h)
        expected.append(model.head(h))
        y = expected[-1].softmax(-1)
    np.testing.assert_array_equal(model(x, 3).data, mg.stack(expected).data)
    target = mg.randn(3, 5, 4)  # stands for what feedback makes: it goes in as it is
    h, y = model.start(x).tanh(), mg.zeros(5, 4)
    for t in range(3):
        h = model.cell(y, h)
        np.testing.assert_array_equal(model(x, 3, target)[t].data, model.head(h).data)
        y = target[t]


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        ({"feedback": "softmax"}, None, "OneToMany: feedback must be a function, got 'softmax'"),
        ({}, (mg.ones(5, 2), 0), "OneToMany: steps must be at least 1, got 0"),
        ({}, (mg.ones(2), 3), r"OneToMany: expected input \(B, 2\), got shape \(2,\)"),
        ({}, (mg.ones(5, 3), 3), r"OneToMany: expected input \(B, 2\), got shape \(5, 3\)"),
        ({}, (mg.ones(5, 2), 3, mg.ones(2, 5, 4)),
         r"OneToMany: expected target of shape \(T, B, O\) = \(3, 5, 4\), got \(2, 5, 4\)"),
        ({"feedback": lambda y: y.argmax(-1)}, (mg.ones(5, 2), 3),
         r"OneToMany: feedback made shape \(5,\) of an output of \(5, 4\): expected that again"),
    ],
)  # fmt: skip
def test_one_to_many_says_what_it_wants(options, given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        nn.OneToMany(2, 3, 4, **options)(*given)


STOP, START = 4, 5


def reversal(B: int, T: int = 3):
    source = np.random.default_rng(0).integers(0, 4, (T, B))
    target = np.concatenate([np.full((1, B), START), source[::-1], np.full((1, B), STOP)])
    return source, target


@pytest.mark.parametrize(("attention", "kind"), [(None, "LSTM"), ("dot", "GRU")])
def test_encoder_decoder_learns_to_reverse(attention, kind):
    source, target = reversal(64)
    model = nn.EncoderDecoder(4, 6, 8, 32, kind=kind, attention=attention)

    def loss():
        return F.cross_entropy(model(source, target[:-1]).reshape(-1, 6), target[1:].reshape(-1))

    assert learn(model, loss, 120) < 0.1
    start = np.full(64, START)
    state = model.encode(source)
    written = generate(model.step, state, start, 10, STOP)
    right = (written == target[1:].T).all(1).mean() if written.shape[1] == 4 else 0
    assert right > 0.95
    likely = generate(model.step, state, start, 10, STOP, sampler(0.1, top_k=2, top_p=0.9))
    np.testing.assert_array_equal(likely[:, :4], written)
    for b, found in enumerate(beam_search(model.step, state, start, 10, STOP, 3)):
        assert len(found) == 3
        if right == 1:
            np.testing.assert_array_equal(found[0].symbols, target[1:, b])


def test_teacher_forcing_and_lengths():
    source, target = reversal(3)
    model = nn.EncoderDecoder(4, 6, 5, 7, 2, kind="LSTM", attention="additive")
    forced = model(source, target[:-1])
    assert forced.shape == (4, 3, 6)
    state, symbols = model.encode(source), target[0]
    for t in range(4):
        scores, state = model.step(symbols, state)
        np.testing.assert_allclose(scores.data, forced.data[t], atol=1e-6)
        symbols = target[t + 1]
    own = model(source, target[:-1], teacher_forcing=0.0)
    np.testing.assert_allclose(own.data[0], forced.data[0], atol=1e-6)
    free = generate(model.step, model.encode(source), target[0], 4)
    np.testing.assert_array_equal(own.data.argmax(-1), free.T)
    padded = source.copy()
    padded[2, 0] = 3 - padded[2, 0]
    a, b = (model(s, target[:-1], lengths=[2, 3, 3]).data for s in (source, padded))
    np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="teacher_forcing"):
        model(source, target, teacher_forcing=1.1)
    with pytest.raises(ValueError, match="kind"):
        nn.EncoderDecoder(4, 6, 5, 7, kind="Transformer")


def test_attention_weights_are_those_that_made_the_scores():
    source, target = reversal(3)
    lengths = [2, 3, 3]
    model = nn.EncoderDecoder(4, 6, 5, 7, 2, attention="general")
    a = model.attention_weights(source, target[:-1], lengths)
    assert a.shape == (4, 3, 3)
    np.testing.assert_allclose(a.data.sum(-1), 1, atol=1e-6)
    assert (a.data[:, 0, 2] == 0).all()  # beyond the first one's length
    last, keys, _ = model.encode(source, lengths)
    output, _ = model.decoder(model.target(target[:-1]), last)
    context = np.einsum("nbs,sbk->nbk", a.data, keys.data)
    scores = model.head(mg.tensor(np.concatenate([output.data, context], -1)))
    np.testing.assert_allclose(
        scores.data, model(source, target[:-1], lengths).data, rtol=1e-5, atol=1e-6
    )
    with pytest.raises(ValueError, match="without attention"):
        nn.EncoderDecoder(4, 6, 5, 7).attention_weights(source, target)


# ----------------------------------------------------------------------------------- attention


def attention_by_definition(kind: str, p: dict, q, k, v, mask):
    """context (N, B, V) with loops; p the parameters by name."""
    contexts = []
    for n, b in np.ndindex(q.shape[:2]):
        at = np.flatnonzero(mask[:, b])
        if kind == "dot":
            scores = [q[n, b] @ k[t, b] for t in at]
        elif kind == "general":
            scores = [q[n, b] @ p["weight"] @ k[t, b] for t in at]
        else:
            scores = [
                p["weight_v"] @ np.tanh(p["weight_q"] @ q[n, b] + p["weight_k"] @ k[t, b])
                for t in at
            ]
        e = np.exp(np.array(scores))
        contexts.append((e / e.sum()) @ v[at, b])
    return np.array(contexts).reshape(*q.shape[:2], v.shape[2])


@pytest.mark.parametrize("kind", ["dot", "general", "additive"])
def test_attention(kind):
    rng = np.random.default_rng(0)
    K = 3 if kind == "dot" else 2
    module = nn.Attention(kind, 3, K, 4, dtype=np.float64)
    q, k, v = (rng.standard_normal(s) for s in [(2, 3, 3), (5, 3, K), (5, 3, 2)])
    mask = rng.random((5, 3)) < 0.6
    mask[0] = True
    leaves = [mg.tensor(np.where(mask[..., None], a, np.nan) if len(a) == 5 else a,
                        requires_grad=True) for a in (q, k, v)]  # fmt: skip
    context, weights = module(*leaves, mask=mask)
    p = {n: w.data for n, w in module.named_parameters()}
    np.testing.assert_allclose(
        context.data, attention_by_definition(kind, p, q, k, v, mask), atol=1e-14
    )
    np.testing.assert_allclose(weights.data.sum(-1), 1, atol=1e-14)
    assert not weights.data[:, ~mask.T].any()
    w = rng.standard_normal(context.shape)
    (context * w).sum().backward()

    def loss(a):
        made = attention_by_definition(kind, a, a["q"], a["k"], a["v"], mask)
        return (made * w).sum()

    wanted = complex_step(loss, {**p, "q": q, "k": k, "v": v})
    found = {n: t.grad.data for n, t in module.named_parameters()}
    found |= {n: t.grad.data for n, t in zip("qkv", leaves, strict=True)}
    for n, g in wanted.items():
        np.testing.assert_allclose(found[n], g, atol=1e-12, err_msg=n)
    single, _ = module(leaves[0][0], *leaves[1:], mask=mask)
    np.testing.assert_allclose(single.data, context.data[0], atol=1e-14)


Q, KEYS = mg.zeros(2, 3), mg.zeros(4, 2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Attention("cosine", 3), "cosine"),
        (lambda: nn.Attention("dot", 3, 4), "3 and 4"),
        (lambda: nn.Attention("general", 0), "query_size"),
        (lambda: nn.Attention("dot", 3)(mg.zeros(2, 4), KEYS), "queries"),
        (lambda: nn.Attention("dot", 3)(Q, mg.zeros(4, 3, 3)), "keys"),
        (lambda: nn.Attention("dot", 3)(Q, KEYS, mg.zeros(5, 2, 3)), "values"),
        (lambda: nn.Attention("dot", 3)(Q, KEYS, mask=np.ones((2, 4), bool)), "mask"),
        (lambda: nn.Attention("dot", 3)(Q, KEYS, mask=np.eye(4, 2, 1, dtype=bool)), "sequence 0"),
    ],
)
def test_attention_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------------------------ decoding


def chain(V: int, seed: int = 0):
    """A step whose scores depend on the symbols so far, through a state that folds them up."""
    table = np.random.default_rng(seed).standard_normal((97, V))

    def step(symbols, state):
        [code] = state.data
        code = (code * V + symbols + 1) % 97
        return mg.tensor(table[code]), mg.tensor(code[None])

    return step


def test_a_wide_beam_finds_the_best_of_all():
    V, length, stop, step = 3, 4, 0, chain(3)
    start, state = np.array([1, 2]), mg.tensor(np.array([[5, 11]]))

    def log_p(b, symbols):
        total, at, s = 0.0, start[b : b + 1], state[:, b : b + 1]
        for symbol in symbols:
            scores, s = step(at, s)
            total, at = total + log_softmax(scores.data)[0, symbol], np.array([symbol])
        return total

    whole = [
        s for n in range(1, length + 1) for s in product(range(V), repeat=n)
        if stop not in s[:-1] and (s[-1] == stop or n == length)
    ]  # fmt: skip
    for penalty in (0.0, 0.8):
        found = beam_search(step, state, start, length, stop, V**length, penalty)
        for b in range(2):
            best = max(whole, key=lambda s: log_p(b, s) / len(s) ** penalty)
            assert tuple(found[b][0].symbols) == best
            for h in found[b]:
                assert h.score == pytest.approx(log_p(b, h.symbols), abs=1e-12)
            assert sorted(tuple(h.symbols) for h in found[b]) == sorted(whole)
    narrow = beam_search(step, state, start, length, stop, 1)
    written = generate(step, state, start, length, stop)
    for b in range(2):
        symbols = narrow[b][0].symbols
        np.testing.assert_array_equal(symbols, written[b, : len(symbols)])
    with pytest.raises(ValueError, match="width"):
        beam_search(step, state, start, length, stop, 0)


def test_samplers():
    scores = np.log([[0.5, 0.3, 0.15, 0.05]]).repeat(4000, 0)
    counts = np.bincount(sampler()(scores), minlength=4) / 4000
    np.testing.assert_allclose(counts, [0.5, 0.3, 0.15, 0.05], atol=0.03)
    assert set(sampler(top_k=2)(scores)) == {0, 1}
    assert set(sampler(top_p=0.7)(scores)) == {0, 1}
    assert set(sampler(top_p=0.01)(scores)) == {0}
    hot = np.bincount(sampler(temperature=0.5)(scores), minlength=4) / 4000
    p = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    np.testing.assert_allclose(hot, p / p.sum(), atol=0.03)
    assert greedy(scores[:1]) == [0]
    for wrong in ({"temperature": 0.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}):
        with pytest.raises(ValueError, match="sampler"):
            sampler(**wrong)


def test_a_sequence_ends_with_stop():
    written = generate(chain(3), mg.tensor(np.array([[5, 11, 3]])), np.array([1, 2, 1]), 30, 0)
    for row in written:
        assert 0 not in row or not row[row.tolist().index(0) :].any()
