"""Operations where they end: extremes, kinks and ties, dtypes, empty arrays, illegal calls."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import quiet
from minigrad.nn import functional as F
from minigrad.nn.utils.rnn import pad_sequence

INF, NAN = math.inf, math.nan
ONE_HOT = mg.tensor([[1.0, 0.0]], mg.float64)
TARGET = mg.tensor([0.0, 1.0, 1.0], mg.float64)

# name, function, x, y, gradient of sum(y): PyTorch 2.13's numbers, in float64
GOLDEN = [
    ("softplus", F.softplus, [1e3, -1e3, 0], [1e3, 0, 0.6931471805599453], [1, 0, 0.5]),
    ("logsigmoid", F.logsigmoid, [-1e3, 1e3, 0], [-1e3, 0, -0.6931471805599453], [1, 0, 0.5]),
    ("sigmoid", mg.sigmoid, [-1e3, 1e3], [0, 1], [0, 0]),
    ("sqrt at 0", mg.sqrt, [0], [0], [INF]),
    ("sqrt below", mg.sqrt, [-1], [NAN], [NAN]),
    ("log", mg.log, [0, -1], [-INF, NAN], [INF, -1]),
    ("log1p", mg.log1p, [1e-20, -1], [1e-20, -INF], [1, INF]),
    ("expm1", mg.expm1, [1e-20, 1e3], [1e-20, INF], [1, INF]),
    ("exp", mg.exp, [1e3, -1e3], [INF, 0], [INF, 0]),
    ("reciprocal", mg.reciprocal, [0], [INF], [-INF]),
    ("asin", mg.asin, [1, 2], [math.pi / 2, NAN], [INF, NAN]),
    ("softmax, one -inf", lambda x: x.softmax(0)[0], [0, -INF, 0], 0.5, [0.25, 0, -0.25]),
    ("softmax, inf", lambda x: x.softmax(0), [0, INF], [NAN, NAN], [NAN, NAN]),
    ("log_softmax", lambda x: x.log_softmax(0)[0], [0, -INF, 1e3], -1e3, [1, 0, -1]),
    ("logsumexp", lambda x: x.logsumexp(0), [1e3, 1e3], 1000.6931471805599, [0.5, 0.5]),
    ("logsumexp of -inf", lambda x: x.logsumexp(0), [-INF, -INF], -INF, [NAN, NAN]),
    ("var of one", lambda x: x.var(), [1.5], NAN, [NAN]),
    ("var of one, 0", lambda x: x.var(correction=0), [1.5], 0, [0]),
    ("std of equals", lambda x: x.std(), [2, 2], 0, [0, 0]),
    ("norm of 0", lambda x: x.norm(), [0, 0], 0, [0, 0]),
    ("norm 3 of 0", lambda x: x.norm(3), [0, 0], 0, [0, 0]),
    ("norm 1/2", lambda x: x.norm(0.5), [0, 4], 4, [0, 1]),
    ("norm 0", lambda x: x.norm(0), [0, 4, -1], 2, [0, 0, 0]),
    ("norm inf, ties", lambda x: x.norm(INF), [-2, 1, 2], 2, [-0.5, 0, 0.5]),
    ("relu", mg.relu, [0, -0.0, 2, NAN], [0, 0, 2, NAN], [0, 0, 1, 1]),
    ("abs", mg.abs, [0, -2], [0, 2], [0, -1]),
    ("sign", mg.sign, [0, -2], [0, -1], [0, 0]),
    ("round to even", mg.round, [0.5, 1.5, -2.5], [0, 2, -2], [0, 0, 0]),
    ("max shares", lambda x: x.max(), [2, 1, 2], 2, [0.5, 0, 0.5]),
    ("max of an axis: the first", lambda x: x.max(0).values, [2, 1, 2], 2, [1, 0, 0]),
    ("min of an axis: the first", lambda x: x.min(0).values, [1, 2, 1], 1, [1, 0, 0]),
    ("amin shares", lambda x: x.amin(0), [1, 2, 1], 1, [0.5, 0, 0.5]),
    ("maximum shares", lambda x: mg.maximum(x, mg.ones(3)), [1, 2, 0], [1, 2, 1], [0.5, 1, 0]),
    ("minimum shares", lambda x: x.minimum(1.0), [1, 2, 0], [1, 1, 0], [0.5, 0, 1]),
    ("clamp", lambda x: x.clamp(-1, 1), [-1, 1, 2], [-1, 1, 1], [1, 1, 0]),
    ("hardtanh", F.hardtanh, [-1, 1, 0.5], [-1, 1, 0.5], [0, 0, 1]),
    ("hardsigmoid", F.hardsigmoid, [-3, 3, 0], [0, 1, 0.5], [0, 0, 1 / 6]),
    ("leaky_relu", F.leaky_relu, [0, -1], [0, -0.01], [0.01, 0.01]),
    ("elu", F.elu, [-1e3, 1e3, 0], [-1, 1e3, 0], [0, 1, 1]),
    ("gelu", F.gelu, [-3, 0, 1], [-0.00404969409489031, 0, 0.841344746068543],
     [-0.01194564720418392, 0.5, 1.0833154705876864]),
    ("prod of a zero", lambda x: x.prod(), [0, 2, 3], 0, [6, 0, 0]),
    ("prod of two", lambda x: x.prod(), [0, 0, 3], 0, [0, 0, 0]),
    ("x^0", lambda x: x**0, [0, 2], [1, 1], [0, 0]),
    ("0^x", lambda x: 0.0**x, [0, 2], [1, 0], [0, 0]),
    ("x^2 below 0", lambda x: x**2, [-3], [9], [-6]),
    ("atan2 at 0", lambda x: mg.atan2(x[0], x[1]), [0, 0], 0, [0, 0]),
    ("binary_cross_entropy", lambda x: F.binary_cross_entropy(x, TARGET, reduction="none"),
     [0, 1, 0], [0, 0, 100], [0, 0, -1e12]),
    ("..._with_logits",
     lambda x: F.binary_cross_entropy_with_logits(x, TARGET, reduction="none"),
     [1e3, 1e3, -1e3], [1e3, 0, 1e3], [1, 0, -1]),
    ("kl_div of 0", lambda x: F.kl_div(x, mg.tensor([0.0, 1.0], mg.float64), "sum"), [-1, -2], 2,
     [0, -1]),
    ("cosine_similarity of 0", lambda x: F.cosine_similarity(x[None], ONE_HOT), [0, 0], [0],
     [1e8, 0]),
    ("nothing to learn", lambda x: F.cross_entropy(x[None], np.array([-100])), [1, 2], NAN, [0, 0]),
    ("sum of nothing", lambda x: x[:0].sum(), [1, 2], 0, [0, 0]),
    ("mean of nothing", lambda x: x[:0].mean(), [1], NAN, [0]),
    ("prod of nothing", lambda x: x[:0].prod(), [1], 1, [0]),
]  # fmt: skip


@pytest.mark.parametrize(("function", "x", "y", "g"), [r[1:] for r in GOLDEN],
                         ids=[r[0] for r in GOLDEN])  # fmt: skip
def test_extremes_and_conventions(function, x, y, g):
    """As PyTorch says, without a warning (they are errors here)."""
    leaf = mg.tensor(x, mg.float64, requires_grad=True)
    result = function(leaf)
    np.testing.assert_allclose(result.detach(), np.asarray(y), rtol=1e-12, atol=1e-15)
    result.sum().backward()
    np.testing.assert_allclose(leaf.grad, np.asarray(g), rtol=1e-8, atol=1e-15)


ENDLESS, BIG = mg.tensor([INF, 1.0]), mg.full((2, 2), 3e38)
QUIET = [
    ("+", lambda: ENDLESS + -ENDLESS), ("-", lambda: ENDLESS - ENDLESS),
    ("*", lambda: ENDLESS * 0.0), ("overflow", lambda: BIG * BIG), ("number", lambda: 10 * BIG),
    ("sum", lambda: BIG.sum()), ("inf - inf in a sum", lambda: mg.tensor([INF, -INF]).sum()),
    ("cumsum", lambda: BIG.cumsum(0)), ("prod", lambda: BIG.prod()), ("@", lambda: BIG @ BIG),
    ("einsum", lambda: mg.einsum("ij,kj->ik", BIG, BIG)), ("mean", lambda: BIG.mean()),
    ("cast", lambda: ENDLESS.astype(np.int64)), ("float16", lambda: BIG.astype(np.float16)),
    ("var", lambda: BIG.var()), ("softmax", lambda: ENDLESS.softmax(0)),
    ("round", lambda: BIG.round(decimals=5)),
    ("tensor", lambda: mg.tensor([1e39])), ("tensor of an array", lambda: mg.tensor(1e39, "f4")),
    ("full", lambda: mg.full((2,), 1e39)), ("full_like", lambda: mg.full_like(BIG, 1e39)),
    ("arange", lambda: mg.arange(0, 1e39, 5e38)), ("linspace", lambda: mg.linspace(0, 1e39, 3)),
    ("fill_", lambda: mg.zeros(2).fill_(1e39)), ("copy_", lambda: mg.zeros(2).copy_(HUGE)),
    ("constant_", lambda: mg.nn.init.constant_(mg.zeros(2), 1e39)),
    ("where", lambda: mg.where(ENDLESS > 0, ENDLESS, 1e39)), ("clamp", lambda: BIG.clamp(1e39)),
    ("== and <", lambda: (BIG == 1e39, BIG < 1e39, BIG >= 1e39)),
    ("pad", lambda: mg.nn.functional.pad(ENDLESS, (1, 1), value=1e39)),
    ("pad_sequence", lambda: pad_sequence([ENDLESS, mg.zeros(3)], padding_value=1e39)),
    ("scatter_add", lambda: BIG.scatter_add(0, mg.tensor([[0, 0]]), BIG)),
    ("LSTM", lambda: LSTM(ENDLESS[:, None, None])[0]),
]  # fmt: skip
LSTM, HUGE = mg.nn.LSTM(1, 3), mg.tensor(1e39, dtype=mg.float64)


@pytest.mark.parametrize("call", [r[1] for r in QUIET], ids=[r[0] for r in QUIET])
def test_inf_and_nan_come_without_a_warning_and_numpy_keeps_its_own(call):
    call()
    with pytest.warns(RuntimeWarning, match="overflow"):
        BIG.numpy() * BIG.numpy()


@pytest.mark.parametrize("changed", [quiet._changed, []], ids=["as it is", "another numpy"])
def test_quiet_wherever_numpy_keeps_whether_it_warns(changed, monkeypatch):
    monkeypatch.setattr(quiet, "_changed", changed)
    for function, args in (
        (quiet.quiet(lambda a: a * a), (BIG.numpy(),)),
        (quiet.quiet(lambda a, b: a * b), (BIG.numpy(), BIG.numpy())),
        (quiet.quiet(lambda a, b, c: a * b * c), (BIG.numpy(), BIG.numpy(), 1)),
    ):
        assert np.isinf(function(*args)).all()
        with pytest.warns(RuntimeWarning, match="overflow"):
            BIG.numpy() * BIG.numpy()

    @quiet.quiet
    def fails(a):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails(1)
    with pytest.warns(RuntimeWarning, match="overflow"):
        BIG.numpy() * BIG.numpy()


# ------------------------------------------------------------------------------------- dtypes

I, B = mg.tensor([1, -2, 3]), mg.tensor([True, False, True])
F4, F8 = mg.tensor([0.5, 1.5, 2.5]), mg.tensor([0.5, 1.5, 2.5], mg.float64)
ZERO_DIM = mg.tensor(2.0, mg.float64)

DTYPES = [
    (lambda: I + 1, "int64"), (lambda: I + 1.5, "float32"), (lambda: I / 2, "float32"),
    (lambda: I / I, "float32"), (lambda: I * F4, "float32"), (lambda: I * F8, "float64"),
    (lambda: F4 * F8, "float64"), (lambda: F4 * ZERO_DIM, "float32"),
    (lambda: I * ZERO_DIM, "float64"), (lambda: ZERO_DIM * 2, "float64"),
    (lambda: B + B, "bool"), (lambda: B * 2, "int64"), (lambda: B * 0.5, "float32"),
    (lambda: I**2, "int64"), (lambda: I**2.0, "float32"), (lambda: 2.0**I, "float32"),
    (lambda: 1 / I, "float32"), (lambda: 2.5 - F4, "float32"), (lambda: F8 - 1, "float64"),
    (lambda: I.exp(), "float32"), (lambda: B.sigmoid(), "float32"), (lambda: I.sqrt(), "float32"),
    (lambda: I.tanh(), "float32"), (lambda: I.atan2(I), "float32"), (lambda: I.abs(), "int64"),
    (lambda: I.relu(), "int64"), (lambda: I.floor(), "int64"), (lambda: I.clamp(0), "int64"),
    (lambda: I.clamp(0.5), "float32"), (lambda: I.sum(), "int64"), (lambda: B.sum(), "int64"),
    (lambda: I.int().sum(), "int64"), (lambda: B.prod(), "int64"), (lambda: B.cumsum(0), "int64"),
    (lambda: F4.sum(), "float32"), (lambda: F4.mean(), "float32"), (lambda: F4.var(), "float32"),
    (lambda: I.max(), "int64"), (lambda: F4.argmax(), "int64"),
    (lambda: I.sum(dtype=np.int32), "int32"), (lambda: I.sum(0, dtype=mg.float32), "float32"),
    (lambda: I.mean(dtype=mg.float64), "float64"), (lambda: B.prod(dtype=np.int32), "int32"),
    (lambda: F4.cumsum(0, dtype=mg.float64), "float64"), (lambda: F8.sum(dtype=bool), "bool"),
    (lambda: I.cumsum(0, dtype=np.uint8), "uint8"), (lambda: F8.prod(0, dtype="f4"), "float32"),
    (lambda: B.any(), "bool"), (lambda: I.all(), "bool"), (lambda: F4 > 1, "bool"),
    (lambda: F4 > F8, "bool"), (lambda: I.softmax(0), "float32"), (lambda: I @ I, "int64"),
    (lambda: F4 @ F8, "float64"), (lambda: mg.where(B, 1.0, 0.0), "float32"),
    (lambda: mg.where(B, F4, 0), "float32"), (lambda: mg.where(B, I, 0.5), "float32"),
    (lambda: I.masked_fill(B, 7), "int64"), (lambda: mg.einsum("i,i->", I, I), "int64"),
    (lambda: F.gelu(F4), "float32"), (lambda: F.one_hot(mg.tensor([1])), "int64"),
    (lambda: mg.tensor([1.0]), "float32"), (lambda: mg.tensor(np.ones(1)), "float64"),
    (lambda: mg.arange(3), "int64"), (lambda: mg.arange(0, 1, 0.5), "float32"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "dtype"), DTYPES)
def test_dtype(call, dtype):
    assert call().dtype == dtype


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "cumsum"])
def test_reductions_in_another_dtype(name):
    """In float64 what float32 cannot hold; the gradient is float32 again."""
    x, wide = mg.tensor([3e38, 2e38]), mg.tensor([3e38, 2e38]).double()
    x.requires_grad_(), wide.requires_grad_()
    dim = {"dim": 0} if name == "cumsum" else {}
    y, expected = getattr(x, name)(dtype=mg.float64, **dim), getattr(wide, name)(**dim)
    np.testing.assert_array_equal(y.detach(), expected.detach())
    assert np.isfinite(y.detach().numpy()).all()
    y.sum().backward()
    expected.sum().backward()
    assert x.grad.dtype == mg.float32
    np.testing.assert_array_equal(x.grad, wide.grad.float())


@pytest.mark.parametrize("call", [lambda x: x.long(), lambda x: x.sum(dtype=np.int64)])
def test_integers_have_no_history(call):
    y = call(mg.tensor([1.5, 2.5], requires_grad=True))
    assert not y.requires_grad
    assert y.is_leaf


def test_default_dtype():
    try:
        mg.set_default_dtype(mg.float64)
        assert (I / 2).dtype == mg.zeros(1).dtype == mg.tensor(0.5).dtype == "float64"
    finally:
        mg.set_default_dtype(mg.float32)
    assert (I / 2).dtype == "float32"


# ------------------------------------------------------------------------------------ refused

X, V, E = mg.ones(2, 3), mg.ones(3), mg.ones(0, 3)
INDEX = mg.tensor([[0, 1]])

REFUSED = [  # call, exception, what its message names
    (lambda: X + mg.ones(4), ValueError, r"add: .*\(2, 3\) and .*axis -1 has sizes 3 and 4"),
    (lambda: mg.ones(2, 3, 2) * mg.ones(2, 2), ValueError, "mul: .* axis -2 has sizes 2 and 3"),
    (lambda: mg.where(B, X, mg.ones(4)), ValueError, r"where: .*\(4,\) .* axis -1"),
    (lambda: X.maximum(mg.ones(4)), ValueError, "maximum: .* axis -1"),
    (lambda: mg.ones(4) < X, ValueError, "lt: .* axis -1"),
    (lambda: B.logical_and(mg.ones(2).bool()), ValueError, "logical_and: .* axis -1 has sizes"),
    (lambda: X.masked_fill(mg.ones(2).bool(), 0), ValueError, "masked_fill: .* sizes 2 and 3"),
    (lambda: X.take_along_dim(mg.tensor([[0]] * 3), 1), ValueError, "take_along_dim: .* 2 and 3"),
    (lambda: X @ mg.ones(4, 2), ValueError, r"\b3\b.*\b4\b|\b4\b.*\b3\b"),
    (lambda: X @ mg.tensor(2.0), ValueError, r"\(2, 3\) and \(\)"),
    (lambda: X.mm(V), ValueError, r"mm: expected 2 and 2 axes, got shape \(3,\)"),
    (lambda: X.bmm(X), ValueError, "bmm: expected 3"),
    (lambda: mg.ones(2, 1, 1).bmm(mg.ones(3, 1, 1)), ValueError, "batches of 2 and 3"),
    (lambda: X.mv(X), ValueError, "mv: expected 2 and 1"),
    (lambda: V.dot(X), ValueError, "dot: expected 1 and 1"),
    (lambda: V.outer(X), ValueError, "outer: expected 1 and 1"),
    (lambda: mg.einsum("ij,jk", X, X), ValueError, "'j' to axes of 3 and 2"),
    (lambda: mg.einsum("ij", V), ValueError, "does not name 1 axes"),
    (lambda: mg.einsum("i->k", V), ValueError, "new one"),
    (lambda: mg.einsum("i,i", V), ValueError, "names 2 operands, got 1"),
    (lambda: mg.einsum("i"), ValueError, "at least one"),
    *((lambda n=n: getattr(X, n)(2), IndexError, rf"{n}: dim 2 is out of range for shape \(2, 3\)")
      for n in ("sum", "mean", "prod", "amax", "amin", "max", "min", "argmax", "argmin", "all",
                "any", "logsumexp", "softmax", "log_softmax", "cumsum", "sort", "argsort", "var",
                "std", "flip", "unbind", "squeeze")),
    *((lambda n=n: getattr(E, n)(0), IndexError, rf"{n}: axis 0 of shape \(0, 3\) has no elements")
      for n in ("amax", "amin", "max", "min", "argmax", "argmin")),
    *((lambda n=n: getattr(I, n)(), TypeError, f"{n}: expected floating-point")
      for n in ("mean", "var", "std", "norm")),
    (lambda: X.sum((0, -2)), ValueError, "twice"),
    (lambda: X.sum(True), TypeError, "expected an integer dim, got True"),
    (lambda: X.sum(1.0), TypeError, "expected an integer dim, got 1.0"),
    (lambda: X.softmax(), TypeError, "softmax: expected an integer dim"),
    (lambda: X.norm("nuc"), ValueError, "'nuc'"),
    (lambda: X.topk(4), ValueError, "k=4 of axis 1 of size 3"),
    (lambda: X.reshape(4), ValueError, r"reshape: \(2, 3\), of 6 elements.*\(4,\)"),
    (lambda: X.mT.view(6), ValueError, "not contiguous enough"),
    (lambda: X.flatten(1, 0), ValueError, "start_dim 1"),
    (lambda: X.permute(0, 0), ValueError, "each axis"),
    (lambda: X.transpose(0, 2), IndexError, "dim 2"),
    (lambda: X.swapaxes(-3, 0), IndexError, "dim -3"),
    (lambda: V.mT, ValueError, r"\(3,\)"),
    (lambda: mg.ones(1, 1, 1).T, ValueError, "see mT"),
    (lambda: X.unsqueeze(4), IndexError, "unsqueeze: dim 4"),
    (lambda: X.expand(3), ValueError, r"\(2, 3\)"),
    (lambda: X.broadcast_to(2, 4), ValueError, r"\(2,\s*3\)"),
    (lambda: X.repeat(2), ValueError, r"\(2, 3\)"),
    (lambda: X.tile(-1), ValueError, "negative"),
    (lambda: X.roll((1, 2), 0), ValueError, "2 shifts for 1"),
    (lambda: V.tril(), ValueError, "at least 2 axes"),
    (lambda: V.triu(), ValueError, "at least 2 axes"),
    (lambda: X.diagonal(0, 1, -1), ValueError, "both axis 1"),
    (lambda: X.unfold(1, 4, 1), ValueError, "size=4.*axis 1 of size 3"),
    (lambda: X.split([1, 1], 1), ValueError, "add up to 3 on axis 1"),
    (lambda: X.split(0), ValueError, "at least 1"),
    (lambda: X.chunk(0), ValueError, "at least 1"),
    (lambda: mg.cat([X, V]), ValueError, r"\(2, 3\) and \(3,\)"),
    (lambda: mg.cat([X, mg.ones(2, 4)]), ValueError, r"\(2, 3\) and \(2, 4\).*axis 0"),
    (lambda: mg.cat([]), ValueError, "at least one"),
    (lambda: mg.stack([X, V]), ValueError, r"\(2, 3\) and \(3,\)"),
    (lambda: F.pad(X, (1,)), ValueError, "pairs"),
    (lambda: F.pad(X, (-2, -2)), ValueError, "cuts off more"),
    (lambda: F.pad(X, (3, 0), "reflect"), ValueError, "axis 1 of size 3"),
    (lambda: F.pad(X, (1, 0), "odd"), ValueError, "'odd'"),
    (lambda: X[2], IndexError, "axis 0 with size 2"),
    (lambda: X[0.5], IndexError, "integers"),
    (lambda: X.gather(1, mg.tensor([[3]])), IndexError, "index 3 is outside axis 1 of size 3"),
    (lambda: X.gather(1, mg.tensor([[-1]])), IndexError, "index -1"),
    (lambda: X.gather(1, mg.tensor([0])), ValueError, "2 axes"),
    (lambda: X.gather(0, mg.tensor([[0, 0, 0, 0]])), ValueError, "axis 1 .* 4, .* 3"),
    (lambda: X.gather(0, X), TypeError, "integers"),
    (lambda: X.scatter_add(1, INDEX, mg.ones(1, 1)), ValueError, r"\(1, 1\).*\(1, 2\)"),
    (lambda: X.index_select(0, INDEX), TypeError, r"\(1, 2\)"),
    (lambda: X.index_select(0, mg.tensor([2])), IndexError, "size 2"),
    (lambda: X.take_along_dim(mg.tensor([1]), 1), ValueError, "2 axes"),
    (lambda: X.masked_fill(I, 1.0), TypeError, "booleans"),
    (lambda: X.masked_fill(mg.ones(2, 2, 3).bool(), 1.0), ValueError, r"\(2, 2, 3\).*\(2, 3\)"),
    (lambda: X.clamp(), ValueError, "min, max"),
    (lambda: X.hardtanh(2, 1), ValueError, "above max_val"),
    (lambda: X.gelu("sometimes"), ValueError, "sometimes"),
    (lambda: -B, TypeError, "bool"),
    (lambda: B - B, TypeError, "bool"),
    (lambda: I**-1, ValueError, "negative"),
    (lambda: X & X, TypeError, "bitwise_and"),
    (lambda: mg.exp("x"), Exception, "str"),
    *((lambda f=f: f(X, V), ValueError, r"\(2, 3\), target \(3,\)")
      for f in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.kl_div,
                F.binary_cross_entropy, F.binary_cross_entropy_with_logits)),
    (lambda: F.mse_loss(X, X, reduction="all"), ValueError, "'all'"),
    (lambda: F.smooth_l1_loss(X, X, beta=-1.0), ValueError, "-1.0"),
    (lambda: F.huber_loss(X, X, delta=0.0), ValueError, "0.0"),
    (lambda: F.binary_cross_entropy(X * 2, X), ValueError, r"\[0, 1\]"),
    (lambda: F.cross_entropy(X, mg.tensor([0, 3])), IndexError, "class 3 is outside 0 .. 2"),
    (lambda: F.cross_entropy(X, mg.tensor([0])), ValueError, r"\(2, 3\).*axis 1.*\(2,\).*\(1,\)"),
    (lambda: F.cross_entropy(X, V), TypeError, "integer classes"),
    (lambda: F.cross_entropy(X, mg.tensor([0, 1]), mg.ones(2)), ValueError, "weight"),
    (lambda: F.nll_loss(mg.tensor(1.0), 0), ValueError, "no axis of classes"),
    (lambda: F.layer_norm(X, 2), ValueError, r"\(2, 3\) does not end in \(2,\)"),
    (lambda: F.layer_norm(X, 3, mg.ones(2)), ValueError, r"weight has shape \(2,\)"),
    (lambda: F.batch_norm(V, None, None), ValueError, r"\(N, C, ...\), got shape \(3,\)"),
    (lambda: F.batch_norm(X[:1], None, None, training=True), ValueError, "more than 1 value"),
    (lambda: F.batch_norm(X, None, None, mg.ones(2)), ValueError, r"weight has shape \(2,\)"),
    (lambda: F.embedding(mg.tensor([2]), X), IndexError, "index 2 .* 2 rows"),
    (lambda: F.embedding(V, X), TypeError, "integers"),
    (lambda: F.one_hot(mg.tensor([3]), 3), IndexError, "3 is outside 0 .. 2"),
    (lambda: F.one_hot(V), TypeError, "integers"),
    (lambda: F.dropout(X, 1.5), ValueError, "1.5"),
    (lambda: F.cosine_similarity(X, X, 2), IndexError, "dim 2"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=range(len(REFUSED)))
def test_illegal_calls_say_why(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ------------------------------------------------------------------------------ single findings


def test_running_statistics():
    """running = (1 - momentum) running + momentum new, the variance with correction 1."""
    x = mg.tensor(np.arange(12.0).reshape(4, 3) ** 2)
    mean, var = mg.zeros(3, dtype=mg.float64), mg.ones(3, dtype=mg.float64)
    F.batch_norm(x, mean, var, training=True, momentum=0.25)
    np.testing.assert_allclose(mean, 0.25 * x.mean(0))
    np.testing.assert_allclose(var, 0.75 + 0.25 * x.var(0))
    y = F.batch_norm(x, mean, var)
    np.testing.assert_allclose(y, (x - mean) / (var + 1e-5).sqrt())


def test_dropout_keeps_the_mean_and_is_off_when_told():
    mg.manual_seed(1)
    x = mg.ones(10_000, requires_grad=True)
    y = F.dropout(x, 0.25)
    assert set(np.unique(y.data)) == {0, np.float32(1 / 0.75)}
    assert abs(y.mean().item() - 1) < 0.03
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.detach())
    assert F.dropout(x, 0.25, training=False) is x
    assert not F.dropout(x, 1.0).data.any()


def test_the_padding_row_of_an_embedding_gets_no_gradient():
    w = mg.ones(3, 2, requires_grad=True)
    F.embedding(mg.tensor([0, 2, 2, 0]), w, padding_idx=-3).sum().backward()
    np.testing.assert_array_equal(w.grad, [[0, 0], [0, 0], [2, 2]])


@pytest.mark.parametrize(("operation", "index"), [
    (mg.logical_and, [True, False, False]), (mg.logical_or, [True, True, True]),
    (mg.logical_xor, [False, True, True]),
])  # fmt: skip
def test_logic(operation, index):
    a, b = mg.tensor([1.0, 0.0, 2.0]), mg.tensor([3, 1, 0])
    np.testing.assert_array_equal(operation(a, b), index)
    assert not operation(a, b).requires_grad
    np.testing.assert_array_equal(a.logical_not(), [False, True, False])
    np.testing.assert_array_equal((a > 0) & (b > 0), [True, False, False])
    np.testing.assert_array_equal((a > 0) | (b > 5) ^ ~(a > 0), [True, True, True])
    np.testing.assert_array_equal(mg.tensor([NAN, INF, 1]).isnan(), [True, False, False])
    np.testing.assert_array_equal(mg.tensor([NAN, INF, 1]).isinf(), [False, True, False])
    np.testing.assert_array_equal(mg.tensor([NAN, INF, 1]).isfinite(), [False, False, True])


def test_sort_puts_nan_last_and_keeps_equals_in_order():
    x = mg.tensor([2.0, NAN, 1.0, 2.0])
    np.testing.assert_array_equal(x.sort().indices, [2, 0, 3, 1])
    np.testing.assert_array_equal(x.sort(descending=True).indices, [1, 0, 3, 2])
    np.testing.assert_array_equal(x.argsort(), [2, 0, 3, 1])
    np.testing.assert_array_equal(x.topk(2, largest=False).values, [1, 2])
