"""Layers, activations and losses as modules: PyTorch's values, gradients, repr and state."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn

RNG = np.random.default_rng(5)
X = RNG.standard_normal((6, 4))
P, T = RNG.random((6, 4)), RNG.random((6, 4))
C = np.array([0, 3, 1, -100, 2, 2])
W = np.array([0.5, 1.0, 2.0, 0.1])

# how to make it, on which arrays to call it; both libraries read the same text
MODULES = [
    *((f"nn.{name}()", (X,)) for name in (
        "ReLU", "Sigmoid", "Tanh", "SiLU", "Softplus", "Softsign", "LogSigmoid", "Hardsigmoid",
        "LeakyReLU", "ELU", "GELU", "Hardtanh", "Identity",
    )),
    ("nn.LeakyReLU(0.3)", (X,)),
    ("nn.ELU(0.5)", (X,)),
    ("nn.GELU(approximate='tanh')", (X,)),
    ("nn.Hardtanh(-0.5, 0.2)", (X,)),
    ("nn.Identity(3, x=4)", (X,)),
    ("nn.Softmax(dim=0)", (X,)),
    ("nn.LogSoftmax(dim=-1)", (X,)),
    ("nn.LayerNorm(4)", (X,)),
    ("nn.LayerNorm((6, 4), eps=1e-3)", (X,)),
    ("nn.LayerNorm([4], bias=False)", (X,)),
    ("nn.LayerNorm(4, elementwise_affine=False)", (X,)),
    ("nn.BatchNorm1d(4)", (X,)),
    ("nn.BatchNorm1d(4, momentum=None)", (X,)),
    ("nn.BatchNorm1d(2, eps=1e-2, momentum=0.3)", (X.reshape(3, 2, 4),)),
    ("nn.BatchNorm1d(4, affine=False, track_running_stats=False)", (X,)),
    ("nn.BatchNorm1d(4).eval()", (X,)),
    *((f"nn.{name}(reduction={how!r})", (P, T)) for how in ("mean", "sum", "none") for name in (
        "MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCELoss", "BCEWithLogitsLoss",
    )),
    ("nn.SmoothL1Loss(beta=0.2)", (P, T)),
    ("nn.HuberLoss(delta=0.2)", (P, T)),
    ("nn.BCELoss(weight=w)", (P, T)),
    ("nn.BCEWithLogitsLoss(weight=w, pos_weight=w)", (X, T)),
    *((f"nn.KLDivLoss(reduction={how!r}, log_target={log})", (np.log(P), np.log(T) if log else T))
      for how in ("batchmean", "sum") for log in (False, True)),
    ("nn.NLLLoss()", (X, C)),
    ("nn.NLLLoss(weight=w, ignore_index=2, reduction='sum')", (X, np.abs(C) % 4)),
    ("nn.CrossEntropyLoss()", (X, C)),
    ("nn.CrossEntropyLoss(w, label_smoothing=0.1)", (X, C)),
    ("nn.CrossEntropyLoss(ignore_index=1, reduction='none')", (X, np.abs(C) % 4)),
    ("nn.CosineSimilarity()", (X, P)),
    ("nn.CosineSimilarity(dim=0, eps=1e-3)", (X, P)),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*batchmean:UserWarning")
@pytest.mark.parametrize(("text", "arrays"), MODULES, ids=[text for text, _ in MODULES])
def test_modules_are_pytorchs(text, arrays):
    torch = pytest.importorskip("torch")
    ours = eval(text, {"nn": nn, "w": mg.tensor(W)}).double()
    theirs = eval(text, {"nn": torch.nn, "w": torch.tensor(W)}).double()
    assert repr(ours).startswith(type(theirs).__name__ + "(")
    for name, buffer in theirs.state_dict().items():
        assert ours.state_dict()[name].shape == tuple(buffer.shape)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for _ in range(2):  # a second time, as statistics run
        x, *rest = (mg.tensor(a) for a in arrays)
        u, *others = (torch.tensor(a) for a in arrays)
        y, v = ours(x.requires_grad_(), *rest), theirs(u.requires_grad_(), *others)
        assert y.shape == tuple(v.shape)
        np.testing.assert_allclose(y.data, v.detach().numpy(), rtol=1e-11, atol=1e-12)
        (y * y).sum().backward()
        (v * v).sum().backward()
        single = "Hardsigmoid" in text  # PyTorch's backward takes 1/6 in single precision
        np.testing.assert_allclose(x.grad.data, u.grad.numpy(), 1e-7 if single else 1e-9, 1e-11)
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-9, atol=1e-11, err_msg=name)
    for name, buffer in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name].data, buffer.numpy(), rtol=1e-12)
    for parameter in ours.parameters():
        assert parameter.dtype == np.float64


@pytest.mark.parametrize(
    "text",
    [
        "nn.ReLU()", "nn.LeakyReLU(0.3)", "nn.ELU()", "nn.GELU()", "nn.Hardtanh(-2.0, 0.5)",
        "nn.Softmax(dim=1)", "nn.LayerNorm(4)", "nn.LayerNorm((3, 4), elementwise_affine=False)",
        "nn.BatchNorm1d(4, momentum=None)", "nn.MSELoss()", "nn.Dropout(0.2)",
        "nn.CrossEntropyLoss()", "nn.Linear(2, 3, bias=False)",
        "nn.Embedding(5, 3, padding_idx=2)", "nn.Identity()", "nn.BatchNorm1d(2, bias=False)",
    ],
)  # fmt: skip
def test_repr_is_pytorchs(text):
    torch = pytest.importorskip("torch")
    expected = repr(eval(text, {"nn": torch.nn})).replace(", inplace=False", "")
    assert repr(eval(text, {"nn": nn})) == expected


def test_batch_norm_that_fails_has_not_counted():
    layer = nn.BatchNorm1d(3)
    for bad in (mg.ones(1, 3), mg.ones(3), mg.ones(2, 4), mg.ones(2, 3, 4, 5)):
        with pytest.raises(ValueError, match=r"batch_norm|BatchNorm1d"):
            layer(bad)
    assert layer.num_batches_tracked.item() == 0
    assert (layer.running_mean.data == 0).all()
    layer(mg.randn(4, 3))
    layer.reset_parameters()
    assert layer.num_batches_tracked.item() == 0
    assert (layer.running_var.data == 1).all()


def test_dropout():
    mg.manual_seed(0)
    layer, x = nn.Dropout(0.25), mg.ones(200, 50, requires_grad=True)
    y = layer(x)
    assert set(np.unique(y.data)) == {0.0, np.float32(1 / 0.75)}
    assert np.mean(y.data == 0) == pytest.approx(0.25, abs=0.02)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, y.data)
    assert layer.eval()(x) is x
    assert (nn.Dropout(1.0)(x).data == 0).all()
    assert nn.Dropout(0.0)(x) is x


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: nn.MSELoss("average"), "MSELoss: reduction must be one of mean, sum, none, got"),
        (lambda: nn.MSELoss("batchmean"), "MSELoss: reduction"),
        (lambda: nn.SmoothL1Loss(beta=-1), "beta must be at least 0, got -1"),
        (lambda: nn.HuberLoss(delta=0), "delta must be above 0, got 0"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=2), "label_smoothing"),
        (lambda: nn.CrossEntropyLoss(weight=[1.0]), "weight must be a Tensor, got list"),
        (lambda: nn.GELU("erf"), "approximate must be none or tanh"),
        (lambda: nn.Hardtanh(1.0, -1.0), "must be below"),
        (lambda: nn.Softmax(None), "Softmax: dim must be an int, got None"),
        (lambda: nn.LayerNorm(()), "normalized_shape is empty"),
        (lambda: nn.LayerNorm(0), "normalized_shape must be at least 1"),
        (lambda: nn.LayerNorm(3, eps=-1.0), "eps must be a number of at least 0"),
        (lambda: nn.BatchNorm1d(2.0), "num_features must be an int"),
        (lambda: nn.BatchNorm1d(2, momentum=2.0), "momentum"),
        (lambda: nn.Dropout(1.5), "Dropout"),
        (lambda: nn.Linear(0, 1), "in_features must be at least 1"),
        (lambda: nn.Linear(2, 1)(mg.ones(3)), "in_features=2"),
    ],
)
def test_arguments_are_checked(make, match):
    with pytest.raises((ValueError, TypeError), match=match):
        make()


def test_parameters_begin_with_a_cache_line():
    for module in (nn.Linear(3, 5), nn.LSTM(7, 9, 2, dtype="float64"), nn.Embedding(3, 1)):
        module.load_state_dict({n: p * 2 for n, p in module.state_dict().items()})
        for p in module.parameters():
            assert p.data.ctypes.data % 64 == 0
            assert p.data.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", ">i4"])
def test_embedding_looks_at_every_index(dtype):
    weight = mg.randn(3, 2)
    y = nn.functional.embedding(np.array([[0, 2], [1, 2]], dtype)[:, ::-1], weight)
    np.testing.assert_array_equal(y.data, weight.data[[[2, 0], [2, 1]]])
    wrong = [3, 100] if dtype == "uint8" else [3, -1, -3]
    for index in wrong:
        with pytest.raises(IndexError, match=f"index {index} is outside a table of 3 rows"):
            nn.functional.embedding(np.array([0, index, 2], dtype), weight)
