"""The table of operations: how each is called, what numpy makes of it, and what it may be given."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from strategies import (
    arrays,
    broadcast,
    gathered,
    indexed,
    matrices,
    one,
    same,
    with_axes,
    with_axis,
)

import minigrad as mg
from minigrad.kernels import reference
from minigrad.nn import functional as F
from minigrad.ops import recurrent, shape

T = mg.Tensor


class Operation(NamedTuple):
    """`call` gets tensors for arrays of floats and everything else as drawn; `value` the arrays."""

    name: str
    call: Callable
    value: Callable
    inputs: Any

    def __str__(self) -> str:
        return self.name


def erf(x):
    return np.vectorize(math.erf, otypes=[float])(x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, dim):
    e = np.exp(x - x.max(dim, keepdims=True, initial=0))
    return e / e.sum(dim, keepdims=True)


def norm(p):
    def value(x, dim, keepdim):
        axis = tuple(range(x.ndim)) if dim is None else dim
        if p == math.inf:
            return np.abs(x).max(axis=axis, keepdims=keepdim)
        return (np.abs(x) ** p).sum(axis=axis, keepdims=keepdim) ** (1 / p)

    return value


def picked(f, at):
    def value(x, dim, keepdim):
        return f(x, axis=dim, keepdims=keepdim), at(x, axis=dim, keepdims=keepdim)

    return value


def sorted_values(x, dim, descending):
    order = np.argsort(-x if descending else x, axis=dim, kind="stable")
    return np.take_along_axis(x, order, dim), order


def unfolded(x, dim, size, step):
    dim %= x.ndim
    windows = np.lib.stride_tricks.sliding_window_view(x, size, dim)
    return np.take(windows, np.arange(0, windows.shape[dim], step), dim)


def scattered(x, dim, index, src):
    y = x.copy()
    for at in np.ndindex(index.shape):
        to = list(at)
        to[dim] = index[at]
        y[tuple(to)] += src[at]
    return y


def gathered_values(x, dim, index):
    y = np.zeros(index.shape)
    for at in np.ndindex(index.shape):
        source = list(at)
        source[dim] = index[at]
        y[at] = x[tuple(source)]
    return y


def gelu_by_tanh(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def standardized(x, dims):
    return (x - x.mean(dims, keepdims=True)) / np.sqrt(x.var(dims, keepdims=True) + 1e-5)


ANY, POSITIVE, UNIT = (-3.0, 3.0), (0.25, 3.0), (-0.9, 0.9)

# --------------------------------------------------------------------------------- elementwise

UNARY = [  # name, value, domain
    ("neg", np.negative, ANY), ("exp", np.exp, ANY), ("expm1", np.expm1, ANY),
    ("log", np.log, POSITIVE), ("log1p", np.log1p, (-0.75, 3.0)), ("sqrt", np.sqrt, POSITIVE),
    ("rsqrt", lambda x: x**-0.5, POSITIVE), ("reciprocal", lambda x: 1 / x, POSITIVE),
    ("square", np.square, ANY), ("sin", np.sin, ANY), ("cos", np.cos, ANY),
    ("tan", np.tan, (-1.0, 1.0)), ("asin", np.arcsin, UNIT), ("acos", np.arccos, UNIT),
    ("atan", np.arctan, ANY), ("sinh", np.sinh, ANY), ("cosh", np.cosh, ANY),
    ("tanh", np.tanh, ANY), ("sigmoid", sigmoid, ANY), ("erf", erf, ANY),
    ("relu", lambda x: np.maximum(x, 0), ANY), ("abs", np.abs, ANY), ("sign", np.sign, ANY),
    ("floor", np.floor, ANY), ("ceil", np.ceil, ANY), ("round", np.round, ANY),
    ("clone", np.copy, ANY),
    ("logsigmoid", lambda x: -np.logaddexp(0, -x), ANY),
    ("softplus", lambda x: np.logaddexp(0, x), ANY),
    ("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x), ANY),
    ("elu", lambda x: np.where(x > 0, x, np.expm1(x)), ANY),
    ("gelu", lambda x: x / 2 * (1 + erf(x / math.sqrt(2))), ANY),
    ("silu", lambda x: x * sigmoid(x), ANY), ("softsign", lambda x: x / (1 + np.abs(x)), ANY),
    ("hardsigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), (-4.0, 4.0)),
    ("hardtanh", lambda x: np.clip(x, -1, 1), ANY),
]  # fmt: skip

BINARY = [  # name, value, domains
    ("add", np.add, ANY, ANY), ("sub", np.subtract, ANY, ANY), ("mul", np.multiply, ANY, ANY),
    ("div", np.divide, ANY, POSITIVE), ("pow", np.power, POSITIVE, ANY),
    ("atan2", np.arctan2, ANY, POSITIVE), ("maximum", np.maximum, ANY, ANY),
    ("minimum", np.minimum, ANY, ANY),
]  # fmt: skip

TABLE = [Operation(n, getattr(T, n), f, one(*d)) for n, f, d in UNARY]
TABLE += [Operation(n, getattr(T, n), f, broadcast(*d)) for n, f, *d in BINARY]
TABLE += [
    Operation("gelu tanh", lambda x: x.gelu("tanh"), gelu_by_tanh, one()),
    Operation("softplus beta", lambda x: x.softplus(2.5), lambda x: np.logaddexp(0, 2.5 * x) / 2.5,
              one()),
    Operation("add alpha", lambda a, b: a.add(b, alpha=2.5), lambda a, b: a + 2.5 * b,
              broadcast(ANY, ANY)),
    Operation("square by pow", lambda x: x**2, lambda x: x**2, one()),
    Operation("power of 2", lambda x: 2**x, lambda x: 2**x, one()),
    Operation("power of 0", lambda x: x**0, lambda x: x**0, one()),
    Operation("reflected", lambda x: 1 - 2 / x, lambda x: 1 - 2 / x, one(*POSITIVE)),
    Operation("clamp", lambda x: x.clamp(-1, 2), lambda x: np.clip(x, -1, 2), one()),
    Operation("clamp tensors", lambda x, a: x.clamp(min=a), np.maximum, broadcast(ANY, ANY)),
    Operation("where", lambda c, a, b: mg.where(c > 0, a, b), lambda c, a, b: np.where(c > 0, a, b),
              broadcast(ANY, ANY, ANY)),
    Operation("masked_fill", lambda x: x.masked_fill(x.detach() > 1, 2.5),
              lambda x: np.where(x > 1, 2.5, x), one()),
    Operation("astype", lambda x: x.astype(np.float64), lambda x: x, one()),
    Operation("round decimals", lambda x: x.round(1), lambda x: np.round(x, 1), one()),
]  # fmt: skip

# ---------------------------------------------------------------------------------- reductions

for _name, _value, _min_side in [
    ("sum", np.sum, 0), ("mean", np.mean, 1), ("prod", np.prod, 0), ("amax", np.max, 1),
    ("amin", np.min, 1),
]:  # fmt: skip
    TABLE.append(
        Operation(
            _name,
            getattr(T, _name),
            lambda x, dim, keepdim, f=_value: f(x, axis=dim, keepdims=keepdim),
            with_axes(-2.0, 2.0, _min_side),
        )
    )
TABLE += [
    Operation("axis, keepdims", lambda x, d, k: x.sum(axis=d, keepdims=k),
              lambda x, d, k: x.sum(axis=d, keepdims=k), with_axes()),
    Operation("var", lambda x, d, k: x.var(d, correction=0, keepdim=k),
              lambda x, d, k: x.var(axis=d, keepdims=k), with_axes(min_side=1)),
    Operation("std", lambda x, d, k: (x * x + x).std(d, correction=0, keepdim=k),
              lambda x, d, k: (x * x + x).std(axis=d, keepdims=k), with_axes(min_side=1)),
    Operation("logsumexp", T.logsumexp,
              lambda x, d, k: np.log(np.exp(x).sum(axis=d, keepdims=k)), with_axes(min_side=1)),
    *(Operation(f"norm {p}", lambda x, d, k, p=p: x.norm(p, d, k), norm(p),
                with_axes(*POSITIVE, min_side=1)) for p in (1, 2, 3, 0.5, math.inf)),
    Operation("max", T.max, picked(np.max, np.argmax), with_axis(st.booleans(), min_side=1)),
    Operation("min", T.min, picked(np.min, np.argmin), with_axis(st.booleans(), min_side=1)),
    Operation("max of all", lambda x: x.max(), np.max, one(min_side=1)),
    Operation("min of all", lambda x: x.min(), np.min, one(min_side=1)),
    Operation("sort", T.sort, sorted_values, with_axis(st.booleans())),
    Operation("topk", lambda x, d, k: x.topk(k, d),
              lambda x, d, k: tuple(np.take(v, np.arange(k), d) for v in sorted_values(x, d, True)),
              with_axis(st.integers(0, 1), min_side=1)),
    Operation("cumsum", T.cumsum, lambda x, d: np.cumsum(x, axis=d), with_axis()),
    Operation("softmax", T.softmax, softmax, with_axis()),
    Operation("log_softmax", T.log_softmax, lambda x, d: np.log(softmax(x, d)), with_axis()),
]  # fmt: skip

# -------------------------------------------------------------------------------------- shapes

X = arrays((2, 3, 4))


def fixed(*drawn):
    return st.tuples(*drawn)


def by(name, *args, value=None, **options):
    """A method with these arguments, on (2, 3, 4); its value by numpy's function of that name."""
    function = value or getattr(np, name)
    call = lambda x: getattr(x, name)(*args, **options)
    label = " ".join(map(str, (name, *args, *options.values())))
    return Operation(label, call, lambda x: function(x, *args, **options), fixed(X))


TABLE += [
    by("reshape", (4, -1)),
    Operation("view", lambda x: x.contiguous().view(-1, 2), lambda x: x.reshape(-1, 2), fixed(X)),
    by("flatten", value=np.ravel), by("flatten", 1, value=lambda x, d: x.reshape(2, 12)),
    by("permute", (2, -3, 1), value=np.transpose), by("transpose", 0, -1, value=np.swapaxes),
    by("swapaxes", -1, 1), by("unsqueeze", -2, value=np.expand_dims),
    by("broadcast_to", (5, 2, 3, 4)),
    by("expand", 5, -1, 3, 4, value=lambda x, *s: np.broadcast_to(x, (5, 2, 3, 4))),
    by("repeat", 2, 1, 3, value=lambda x, *s: np.tile(x, s)), by("tile", (2, 2, 1, 1)),
    by("flip", 0, -1, value=lambda x, *d: np.flip(x, d)), by("roll", 3),
    by("roll", (1, -2), (0, -1)),
    by("tril", -1), by("triu", 1), by("diagonal", 1, -1, 0), by("diagonal", -9, 1, 2),
    by("split", 3, -1, value=lambda x, n, d: np.split(x, [3], d)),
    by("split", [1, 0, 2], 1, value=lambda x, n, d: np.split(x, [1, 1], d)),
    by("chunk", 3, 2, value=lambda x, n, d: np.split(x, [2, 4][:1], d)),
    by("unbind", 1, value=lambda x, d: [x[:, i] for i in range(3)]),
    by("unfold", 2, 2, 1, value=unfolded), by("unfold", -1, 3, 2, value=unfolded),
    by("unfold", 1, 2, 5, value=unfolded), by("contiguous", value=np.copy),
    Operation("T", lambda x: x.T, np.transpose, one(max_dims=2)),
    Operation("mT", lambda x: x.mT, lambda x: np.swapaxes(x, -1, -2), one(min_dims=2)),
    Operation("squeeze", T.squeeze, np.squeeze, one()),
    Operation("squeeze dim", T.squeeze, lambda x, d: np.squeeze(x, d) if x.shape[d] == 1 else x,
              with_axis()),
    Operation("cat", lambda a, d: mg.cat([a, a * a, a], d),
              lambda a, d: np.concatenate([a, a * a, a], d), with_axis()),
    Operation("stack", lambda a, d: mg.stack([a, a * a], d),
              lambda a, d: np.stack([a, a * a], d), with_axis()),
    Operation("iteration", lambda x: tuple(x), lambda x: tuple(x), one(min_dims=1, min_side=1)),
    Operation("pad", lambda x: F.pad(x, (1, 2, -1, 1), value=2.5),
              lambda x: np.pad(x[:, 1:], ((0, 0), (0, 1), (1, 2)), constant_values=2.5), fixed(X)),
    *(Operation(f"pad {ours}", lambda x, m=ours: F.pad(x, (2, 1), m),
                lambda x, m=theirs: np.pad(x, ((0, 0), (0, 0), (2, 1)), m), fixed(X))
      for ours, theirs in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap"))),
]  # fmt: skip

# ------------------------------------------------------------------------- indices and products

TABLE += [
    Operation("getitem", lambda x, i: x[i], lambda x, i: x[i], indexed()),
    Operation("getitem, pairs", lambda x: x[[0, 0, 1, 0], :, [1, 1, 2, 3]],
              lambda x: x[[0, 0, 1, 0], :, [1, 1, 2, 3]], fixed(X)),
    Operation("gather", T.gather, gathered_values, gathered()),
    Operation("scatter_add", lambda x, d, i: x.scatter_add(d, i, x * x),
              lambda x, d, i: scattered(x, d, i, x * x),
              gathered().filter(lambda d: d[2].shape[d[1]] <= d[0].shape[d[1]])),
    Operation("index_select", T.index_select, lambda x, d, i: np.take(x, i, d),
              with_axis(st.lists(st.integers(0, 1)).map(lambda i: np.array(i, np.int64)),
                        min_side=2)),
    Operation("take_along_dim", lambda x: x.take_along_dim(np.array([[[0], [2]]]), 1),
              lambda x: np.take_along_axis(x, np.array([[[0], [2]]]), 1), fixed(X)),
    Operation("take_along_dim None", lambda x: x.take_along_dim(np.array([5, 5, 0])),
              lambda x: x.ravel()[[5, 5, 0]], fixed(X)),
    Operation("matmul", T.matmul, np.matmul, matrices()),
    Operation("mm", T.mm, np.matmul, fixed(arrays((2, 3)), arrays((3, 4)))),
    Operation("bmm", T.bmm, np.matmul, fixed(arrays((2, 2, 3)), arrays((2, 3, 1)))),
    Operation("mv", T.mv, np.matmul, fixed(arrays((2, 3)), arrays(3))),
    Operation("dot", T.dot, np.dot, fixed(arrays(3), arrays(3))),
    Operation("outer", T.outer, np.outer, fixed(arrays(2), arrays(3))),
    Operation("linear", F.linear, lambda x, w, b: x @ w.T + b,
              fixed(arrays((2, 2, 3)), arrays((4, 3)), arrays(4))),
    Operation("linear 1-D", F.linear, lambda x, w: x @ w.T, fixed(arrays(3), arrays((4, 3)))),
    *(Operation(f"einsum {e}", lambda *xs, e=e: mg.einsum(e, *xs),
                lambda *xs, e=e: np.einsum(e, *xs), fixed(*(arrays(s) for s in sizes)))
      for e, *sizes in [
          ("ij,jk->ik", (2, 3), (3, 2)), ("ij,jk", (2, 3), (3, 2)), ("ii->i", (3, 3)),
          ("ii", (3, 3)), ("...ij->...ji", (2, 2, 3)), ("i,j,k->kij", (2,), (3,), (2,)),
          ("bij,bkj->bik", (2, 2, 3), (2, 1, 3)), ("...i,...i->...", (2, 1, 3), (2, 3)),
          ("ij,kl->i", (2, 3), (2, 2)), ("ij,ij", (1, 3), (2, 3)),
      ]),
]  # fmt: skip

# -------------------------------------------------------------------------------- nn.functional


def mean_of(f):
    return lambda *args: np.mean(f(*args))


def by_class(x, target):
    return -np.log(softmax(x, 1))[np.arange(2), target]


CLASSES = np.array([[0, 2, 1, 1], [2, 2, 0, 1]])
WEIGHT = mg.tensor([0.5, 2.0, 1.0], mg.float64)


def weighted_entropy(x):
    p = np.take_along_axis(-np.log(softmax(x, 1)), CLASSES[:, None], 1)[:, 0]
    w = np.where(CLASSES == 1, 0, np.asarray(WEIGHT)[CLASSES])
    return (w * p).sum() / w.sum()


def smoothed_entropy(x):
    log_p = np.log(softmax(x, 1))
    target = np.eye(3)[CLASSES].transpose(0, 2, 1) * 0.75 + 0.25 / 3
    return -(target * log_p).sum(1)


def cosine(a, b):
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


PAIR, PROBABILITIES = same(ANY, ANY, min_side=1), same((0.1, 0.9), (0.1, 0.9), min_side=1)
AWAY = fixed(arrays((2, 3), 0.5, 2), arrays((2, 3), -2, -0.5))
TABLE += [
    Operation("mse_loss", F.mse_loss, mean_of(lambda x, t: (x - t) ** 2), PAIR),
    Operation("l1_loss", lambda x, t: F.l1_loss(x, t, reduction="sum"),
              lambda x, t: np.abs(x - t).sum(), PAIR),
    Operation("smooth_l1_loss", lambda x, t: F.smooth_l1_loss(x, t, "none", 0.7),
              lambda x, t: np.where(abs(x - t) < 0.7, (x - t) ** 2 / 1.4, abs(x - t) - 0.35), PAIR),
    Operation("huber_loss", lambda x, t: F.huber_loss(x, t, "none", 0.7),
              lambda x, t: np.where(abs(x - t) < 0.7, (x - t) ** 2 / 2, 0.7 * (abs(x - t) - 0.35)),
              PAIR),
    Operation("binary_cross_entropy", F.binary_cross_entropy,
              mean_of(lambda x, t: -t * np.log(x) - (1 - t) * np.log(1 - x)), PROBABILITIES),
    Operation("binary_cross_entropy_with_logits",
              lambda x, t: F.binary_cross_entropy_with_logits(x, t, pos_weight=2.5),
              mean_of(lambda x, t: -2.5 * t * np.log(sigmoid(x)) - (1 - t) * np.log(sigmoid(-x))),
              same(ANY, (0.1, 0.9), min_side=1)),
    Operation("kl_div", F.kl_div, mean_of(lambda x, t: t * (np.log(t) - x)),
              same(ANY, (0.1, 0.9), min_side=1)),
    Operation("kl_div log_target", lambda x, t: F.kl_div(x, t, "batchmean", True),
              lambda x, t: (np.exp(t) * (t - x)).sum() / 2, fixed(arrays((2, 3)), arrays((2, 3)))),
    Operation("nll_loss", lambda x: F.nll_loss(x, CLASSES),
              lambda x: -np.take_along_axis(x, CLASSES[:, None], 1).mean(), fixed(X)),
    Operation("cross_entropy", lambda x: F.cross_entropy(x, CLASSES, WEIGHT.astype(x.dtype), 1),
              weighted_entropy, fixed(X)),
    Operation("cross_entropy smoothed",
              lambda x: F.cross_entropy(x, CLASSES, reduction="none", label_smoothing=0.25),
              smoothed_entropy, fixed(X)),
    Operation("cross_entropy probabilities", F.cross_entropy,
              lambda x, t: -(t * np.log(softmax(x, 1))).sum() / 2,
              fixed(arrays((2, 3)), arrays((2, 3), 0.1, 1))),
    Operation("cosine_similarity", F.cosine_similarity, cosine, AWAY),
    Operation("layer_norm", lambda x, w, b: F.layer_norm(x * x + x, (3, 4), w, b),
              lambda x, w, b: standardized(x * x + x, (1, 2)) * w + b,
              fixed(X, arrays((3, 4)), arrays((3, 4)))),
    Operation("batch_norm", lambda x, w, b: F.batch_norm(x + x * x, None, None, w, b, True),
              lambda x, w, b: standardized(x + x * x, (0, 2)) * w[:, None] + b[:, None],
              fixed(X, arrays(3), arrays(3))),
    Operation("embedding", lambda w: F.embedding(np.array([[0, 2], [2, 2]]), w),
              lambda w: w[np.array([[0, 2], [2, 2]])], fixed(arrays((3, 2)))),
]  # fmt: skip

# ----------------------------------------------------------------------------------- sequences

ROWS = np.array([2, 0])


def layer(kind, dtype):
    """A layer with the same weights at every call."""
    made = getattr(mg.nn, kind)(2, 3, dtype=mg.float64)
    for i, p in enumerate(made.parameters()):
        with mg.no_grad():
            p.copy_(np.cos(np.arange(p.numel()) * (i + 1.0)).reshape(p.shape))
    return made.to(dtype)


def steps(kind):
    """The layer's output by the numpy kernels."""

    def value(x):
        weights = [p.data for p in layer(kind, np.float64).parameters()]
        states = [np.zeros((2, 3))] * (2 if kind == "LSTM" else 1)
        options = {"RNN": (None, "tanh"), "LSTM": (None, None), "GRU": (None, True)}[kind]
        forward = getattr(reference, f"{kind.lower()}_forward")
        return forward(x, *states, *weights, *options, False)[0]

    return value


TABLE += [
    *(Operation(kind, lambda x, kind=kind: layer(kind, x.dtype)(x)[0], steps(kind),
                fixed(arrays((3, 2, 2)))) for kind in ("RNN", "LSTM", "GRU")),
    Operation("take_rows", lambda x: recurrent.take_rows(x, ROWS), lambda x: x[ROWS],
              fixed(arrays((3, 2)))),
    Operation("put_rows", lambda x: recurrent.put_rows(x, ROWS, 4),
              lambda x: np.stack([x[1], 0 * x[0], x[0], 0 * x[0]]), fixed(arrays((2, 2)))),
    Operation("alias", shape.alias, np.copy, one()),
    Operation("repeated", lambda x: shape.repeated(x, (5, 2, 3, 4)),
              lambda x: np.broadcast_to(x, (5, 2, 3, 4)), fixed(arrays((2, 1, 4)))),
]  # fmt: skip
assert len({operation.name for operation in TABLE}) == len(TABLE)
