"""Weights that stay packed from call to call: whatever changes them, however, is followed at once.

The ways to change them stand in `weight_changes` and `weight_holders`.
"""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest
from kept_layers import assert_same, called, computed, x_of
from recurrent_modules import as_tuple
from test_inference import KINDS, made
from weight_changes import AFTER
from weight_holders import BEFORE

import minigrad as mg
from minigrad import kernels, nn
from minigrad.nn.parameter import Parameter

pytestmark = pytest.mark.skipif(
    kernels.config()["backend"] != "c", reason="numpy multiplies with the weights as they are"
)


def name(way):
    return way.__name__


def follow(layer, way, kept):
    """Goes through `way`, and sees that each call knows of it; kept: whether there is a choice."""
    steps = way(layer)
    next(steps)
    before = called(layer)
    was = layer.kept
    assert (was is not None) == kept
    assert_same(called(layer), before)
    assert layer.kept is was
    assert next(steps, "over") == "over"
    got = called(layer), called(layer)
    for found in got:
        assert_same(found, computed(layer))
        assert not np.array_equal(found[0], before[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", AFTER, ids=name)
def test_a_change_is_followed(kind, way):
    follow(made(kind, 3, 5), way, kept=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", BEFORE, ids=name)
def test_what_someone_else_can_write_is_not_kept(kind, way):
    follow(made(kind, 3, 5), way, kept=False)


@pytest.mark.parametrize("of", ["weight_hh_l1", "bias_ih_l1_reverse", "weight_ih_l0_reverse"])
@pytest.mark.parametrize("kind", KINDS)
def test_of_every_layer_and_direction(kind, of):
    layer = made(kind, 3, 6, 2, bidirectional=True)
    before = called(layer)
    assert layer.kept is not None
    getattr(layer, of).data[...] = 0.25
    got = called(layer)
    assert_same(got, computed(layer))
    assert not np.array_equal(got[0], before[0])


# ------------------------------------------------------------------ what a call may look like


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["batch", "batch_first", "unbatched"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_panels_serve_every_size(kind, form, bidirectional, dtype, threads, restored):
    mg.set_num_threads(threads)
    options = {"batch_first": form == "batch_first", "bidirectional": bidirectional}
    layer = made(kind, 9, 40, 2, dtype=dtype, **options)
    rng, kept = np.random.default_rng(0), None
    calls = []
    for T, B in [(1, 1), (1, 3), (7, 1), (5, 20), (2, 4)]:
        shape = {"batch": (T, B, 9), "batch_first": (B, T, 9), "unbatched": (T, 9)}[form]
        x, hx = mg.tensor(rng.standard_normal(shape).astype(dtype)), None
        for _ in range(2):
            calls.append((x, hx, called(layer, x, hx)))
            assert kept in (None, layer.kept)
            kept = layer.kept
            assert kept is not None
            states = [mg.tensor(s) for s in calls[-1][2][1:]]
            hx = tuple(states) if len(states) == 2 else states[0]
    for x, hx, got in calls:
        assert_same(got, computed(layer, x, hx))


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_in_any_order(kind):
    layer = made(kind, 6, 8)
    x = mg.from_numpy(np.random.default_rng(0).standard_normal((6, 5, 4)).astype("f4").T)
    with mg.no_grad():
        states = as_tuple(layer(x)[1])
    hx = tuple(mg.from_numpy(np.asfortranarray(s.data[:, ::-1])) for s in states)
    hx = hx if len(hx) == 2 else hx[0]
    kept = layer.kept
    got = called(layer, x, hx)
    assert layer.kept is kept
    assert_same(got, computed(layer, x, hx))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(20, 40), (1, 16), (3, 181)])
def test_each_instruction_set_has_panels_of_its_own(kind, dtype, sizes, restored):
    layer = made(kind, *sizes, dtype=dtype)
    restored.set_num_threads(3)
    for isa in 2 * restored.available_isas():
        restored.select_isa(isa)
        got = called(layer), called(layer)
        for found in got:
            assert_same(found, computed(layer))
    assert layer.kept is not None


@pytest.fixture
def restored():
    """native.py, whose settings are put back afterwards."""
    from minigrad.kernels import native

    isa, threads = native.config()["isa"], native.get_num_threads()
    yield native
    native.fail_allocation(0)
    native.select_isa(isa)
    native.set_num_threads(threads)


@pytest.mark.parametrize("kind", KINDS)
def test_without_memory(kind, restored):
    layer = made(kind, 9, 21, 2)
    wanted = called(layer)
    for k in 1, 2:
        restored.fail_allocation(k)
        with pytest.raises(MemoryError):
            called(layer)
        assert restored.live_allocations() == 0
        assert_same(called(layer), wanted)


def test_without_memory_for_the_panels(monkeypatch):
    layer = nn.LSTM(3, 5)
    monkeypatch.setattr("minigrad.kernels.native_panels.empty", no_room)
    with pytest.raises(MemoryError):
        called(layer)
    monkeypatch.undo()
    assert_same(called(layer), computed(layer))


def no_room(shape, dtype):
    raise MemoryError(shape)


def test_after_an_error_all_is_as_before():
    layer = nn.LSTM(3, 4)
    wanted = called(layer)
    for x in mg.zeros(1, 1, 5), mg.zeros(1, 1, 3, dtype="float64"), mg.zeros(0, 1, 3), mg.zeros(3):
        with pytest.raises((TypeError, ValueError)):
            called(layer, x)
        assert_same(called(layer), wanted)


def test_c_takes_nothing_that_does_not_fit():
    I, H = 3, 4
    weights = [mg.randn(*s).numpy() for s in ((4 * H, I), (4 * H, H), (4 * H,), (4 * H,))]
    run = kernels.panels("lstm", weights)
    x, good = np.ones((2, 5, I), "f4"), [np.ones((2, 5, H), "f4") for _ in range(4)]
    assert run(0, x, *good).shape == (2, 5, H)
    assert run(1, x, *good) is not None
    for row in 2, 2**40:
        assert run(row, x, *good) is None
    for wrong in (x[..., :2], x.astype("f8"), x.astype(">f4"), x[:0], x[:, :0], x[:, :4]):
        assert run(0, wrong, *good) is None
    for i in range(4):
        for wrong in (
            None,
            good[i][:1],
            good[i][:, :4],
            good[i][..., :3],
            good[i].astype("f8"),
            "h",
        ):
            arrays = [*good[:i], wrong, *good[i + 1 :]]
            assert run(0, x, *arrays) is None
    assert run(0, x, *good[:2]) is None
    gru = kernels.panels("gru", [w[: 3 * H] for w in weights])
    assert gru(0, x, *good[:2]) is not None
    assert gru(0, x, *good) is None
    for wrong in (
        [weights[0][1:], *weights[1:]], [weights[0].astype("f8"), *weights[1:]],
        [weights[0].T, *weights[1:]], [*weights[:2], weights[2][1:], None],
        [w.astype("f2") for w in weights], [weights[0], None, *weights[2:]],
    ):  # fmt: skip
        assert kernels.panels("lstm", wrong) is None


# ----------------------------------------------------------------------- how long they are held


def test_memory_is_given_back():
    layer = nn.LSTM(3, 40)
    called(layer)
    panels = weakref.ref(layer.kept.rows[0].array)
    layer(x_of(layer))  # training goes on
    assert layer.kept is None
    assert panels() is None
    called(layer)
    panels = weakref.ref(layer.kept.rows[0].array)
    layer.weight_ih_l0.data += 1
    called(layer)
    assert panels() is None
    panels = weakref.ref(layer.kept.rows[0].array)
    del layer
    gc.collect()
    assert panels() is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))]
)
def test_copies(kind, copied):
    layer = made(kind, 3, 5)
    wanted = called(layer)
    kept = layer.kept
    other = copied(layer)
    assert other.kept in ([kept] if copied is copy.copy else [None])
    assert_same(called(other), wanted)
    other.weight_hh_l0 = Parameter(mg.zeros(*layer.weight_hh_l0.shape))
    other.weight_ih_l0.data[...] = 1
    assert_same(called(other), computed(other))
    assert_same(called(layer), computed(layer))
    small, large = (pickle.dumps(made(kind, 3, 5)), pickle.dumps(layer))
    assert len(large) <= len(small) + 100


def test_threads_share_a_layer_that_changes():
    """Readers and a writer take turns, whose results are told apart by what was written."""
    layer, lock, wrong = nn.RNN(2, 3, nonlinearity="relu"), threading.Lock(), []
    for p in layer.parameters():
        p.data[...] = 0
    end = threading.Event()
    number = 0

    def write():
        nonlocal number
        while not end.is_set():
            with lock:
                number += 1
                layer.bias_ih_l0.data[...] = number

    def read():
        for _ in range(2000):
            with lock:
                got = called(layer)[0]
                if not (got == number).all():
                    wrong.append((got, number))

    def use():  # beside them, whatever it gets
        while not end.is_set():
            called(layer)

    readers = [threading.Thread(target=read) for _ in range(2)]
    others = [threading.Thread(target=f) for f in (write, use)]
    for thread in (*readers, *others):
        thread.start()
    for thread in readers:
        thread.join()
    end.set()
    for thread in others:
        thread.join()
    assert not wrong
