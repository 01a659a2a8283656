"""Weights that stay packed from call to call: whatever changes them, however, is followed at once.

Each way to change a weight is a function of a layer. What it does before its `yield` comes before
the weights are packed, what it does behind it, the change, after they were packed and used.
"""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import tempfile
import threading
import weakref

import numpy as np
import pytest
from recurrent_modules import as_tuple
from test_inference import KINDS, made

import minigrad as mg
from minigrad import kernels, nn, optim
from minigrad.autograd import Value
from minigrad.nn.parameter import Parameter, array_of, sealed

pytestmark = pytest.mark.skipif(
    kernels.config()["backend"] != "c", reason="numpy multiplies with the weights as they are"
)


def x_of(layer, T=2, B=1):
    x = np.random.default_rng(0).standard_normal((T, B, layer.input_size))
    return mg.tensor(x.astype(layer.dtype))


def called(layer, x=None, hx=None):
    """Output and states as arrays, without a graph."""
    with mg.no_grad():
        y, states = layer(x_of(layer) if x is None else x, hx)
    return [t.data for t in (y, *as_tuple(states))]


def computed(layer, x=None, hx=None):
    """The same from a recorded call of a copy, which packs for itself."""
    other = copy.deepcopy(layer).requires_grad_()
    y, states = other(x_of(layer) if x is None else x, hx)
    assert y.requires_grad
    return [t.data for t in (y, *as_tuple(states))]


def assert_same(got, wanted):
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


# ------------------------------------------------- after the weights were packed


def element(layer):
    yield
    layer.weight_hh_l0.data[0, 0] += 1


def all_at_once(layer):
    yield
    layer.weight_ih_l0.data -= 0.5


def another_array(layer):
    yield
    layer.weight_ih_l0.data = layer.weight_ih_l0.data * 2


def another_array_unseen(layer):
    yield
    layer.weight_ih_l0.data = np.full(layer.weight_ih_l0.shape, 0.5, layer.dtype)


def tensors(layer):
    yield
    with mg.no_grad():
        layer.weight_ih_l0[...] = mg.randn(*layer.weight_ih_l0.shape)


def item_of_a_bias(layer):
    yield
    with mg.no_grad():
        layer.bias_hh_l0[-1] = 3


def filled(layer):
    yield
    with mg.no_grad():
        layer.bias_ih_l0.fill_(0.25)


def zeroed(layer):
    yield
    with mg.no_grad():
        layer.weight_ih_l0.zero_()


def added_to(layer):
    yield
    with mg.no_grad():
        w = layer.weight_ih_l0
        w += 1


def detached(layer):
    yield
    layer.weight_ih_l0.detach()[...] = 0.125


def numpys_view_of_it(layer):
    yield
    layer.weight_ih_l0.detach().numpy()[...] = 0.125


def as_numpy(layer):
    layer.requires_grad_(False)
    yield
    np.asarray(layer.weight_ih_l0)[...] += 1


def a_view(layer):
    yield
    with mg.no_grad():
        layer.weight_ih_l0[0].data[...] = 1


def a_transposed_view(layer):
    yield
    with mg.no_grad():
        layer.weight_ih_l0.T.data[0] = 1


def initialised(layer):
    yield
    nn.init.orthogonal_(layer.weight_hh_l0)


def drawn_anew(layer):
    yield
    layer.reset_parameters()


def loaded(layer):
    yield
    layer.load_state_dict({n: v * 2 for n, v in layer.state_dict().items()})


def state_dict(layer):
    yield
    layer.state_dict()["weight_ih_l0"][...] = 1


def applied(layer):
    yield
    layer.apply(lambda m: [p.data.fill(0.5) for p in m.parameters()])


def replaced(layer):
    yield
    layer.weight_ih_l0 = Parameter(mg.randn(*layer.weight_ih_l0.shape))


def replaced_in_vars(layer):
    yield
    vars(layer)["weight_ih_l0"] = Parameter(mg.randn(*layer.weight_ih_l0.shape))


def by_another_layers(layer):
    other = copy.deepcopy(layer)
    other.reset_parameters()
    called(other)
    yield
    layer.weight_ih_l0 = other.weight_ih_l0


def a_bias_less(layer):
    yield
    layer.bias_ih_l0 = None


def a_bias_more(layer):
    layer.bias_ih_l0 = None
    yield
    layer.bias_ih_l0 = Parameter(mg.randn(*layer.bias_hh_l0.shape))


def a_tensor_instead(layer):
    yield
    del layer.weight_ih_l0
    layer.weight_ih_l0 = mg.randn(*layer.weight_hh_l0.shape[:1], layer.input_size)


def a_tensor_that_changes(layer):
    del layer.weight_ih_l0
    layer.weight_ih_l0 = mg.randn(*layer.weight_hh_l0.shape[:1], layer.input_size)
    yield
    layer.weight_ih_l0.data[...] = 1


def computed_from_others(layer):
    """The way of weight norm and its like: a subclass says what is trained."""
    scale = [1.0]

    class Scaled(type(layer)):
        def trained(self, row):
            return [w * scale[0] for w in super().trained(row)]

    layer.__class__ = Scaled
    yield
    scale[0] = 2.0


def lent_by_another(layer):
    other, lent = copy.deepcopy(layer), []

    class Lent(type(layer)):
        def trained(self, row):
            return other.trained(row) if lent else super().trained(row)

    layer.__class__ = Lent
    yield
    lent.append(True)
    other.weight_ih_l0.data[...] = 1


def tied(layer):
    other = copy.deepcopy(layer)
    other.weight_ih_l0 = layer.weight_ih_l0
    called(other)
    yield
    called(other)
    other.weight_ih_l0.data[...] = 1
    called(other)


def in_float64(layer):
    yield
    layer.double()
    layer.weight_ih_l0.data += 1


def to_and_fro(layer):
    layer.float()
    layer.weight_ih_l0.data[...] = 1 / 3
    layer.double()
    yield
    layer.float()


def of_a_copy(layer):
    yield
    copy.copy(layer.weight_ih_l0).data[...] = 1


def through_a_capsule(layer):
    layer.requires_grad_(False)
    yield
    try:
        np.from_dlpack(layer.weight_ih_l0)[...] = 1
    except (ValueError, BufferError, RuntimeError):  # numpy hands on what is not to be written
        memoryview(layer.weight_ih_l0.data)[0, 0] = 1.0


def optimised(kind, **options):
    def way(layer):
        optimiser = kind(layer.parameters(), lr=0.1, **options)
        layer(x_of(layer))[0].sum().backward()
        yield
        optimiser.step()

    way.__name__ = kind.__name__
    return way


AFTER = [
    element, all_at_once, another_array, another_array_unseen, tensors, item_of_a_bias, filled,
    zeroed, added_to, detached, numpys_view_of_it, as_numpy, a_view, a_transposed_view,
    initialised, drawn_anew, loaded, state_dict, applied, replaced, replaced_in_vars,
    by_another_layers, a_bias_less, tied, in_float64, to_and_fro, of_a_copy, through_a_capsule,
    a_tensor_instead, optimised(optim.SGD), optimised(optim.SGD, momentum=0.9),
    optimised(optim.Adam), optimised(optim.AdamW), optimised(optim.RMSprop),
    optimised(optim.Adagrad),
]  # fmt: skip

# -------------------------------------- by what was there before they were packed


def held(take):
    """Writes 1 into the array that `take` made of the weight's before it was packed."""

    def way(layer):
        array = take(layer.weight_ih_l0)
        yield
        if callable(array):
            array = array()
        np.asarray(array)[...] = 1

    way.__name__ = take.__name__
    return way


@held
def the_array(w):
    return w.data


@held
def a_row(w):
    return w.data[0]


@held
def a_row_of_the_transpose(w):
    return w.data.T[0]


@held
def strided(w):
    return np.lib.stride_tricks.as_strided(w.data)


class Subclass(np.ndarray):
    pass


@held
def of_a_subclass(w):
    return w.data.view(Subclass)


@held
def a_memoryview(w):
    return memoryview(w.data)


@held
def a_memoryview_of_a_row(w):
    return memoryview(w.data[0])


@held
def a_weak_reference(w):
    return weakref.ref(w.data)


@held
def a_weak_reference_to_its_memory(w):
    return weakref.ref(w.data.base)


@held
def ctypes(w):
    held = w.data.ctypes
    return lambda: held._arr


@held
def an_iterator(w):
    flat = w.data.flat
    return lambda: flat.base


@held
def a_detached_tensor(w):
    w = w.detach()
    return lambda: w.data


@held
def a_parameter_of_the_same_memory(w):
    p = Parameter(w)
    return lambda: p.data


def memory_of(make):
    """A parameter in memory that the caller made and writes into."""

    def way(layer):
        shape = layer.weight_ih_l0.shape
        memory, array = make(np.zeros(shape, layer.dtype))
        array[...] = 0.5
        layer.weight_ih_l0 = Parameter(mg.from_numpy(array))
        del array
        yield
        np.frombuffer(memory, layer.dtype)[...] = 1

    way.__name__ = make.__name__
    return way


@memory_of
def an_array(zeros):
    return zeros, zeros


@memory_of
def bytes_(zeros):
    memory = bytearray(zeros.nbytes)
    return memory, np.frombuffer(memory, zeros.dtype).reshape(zeros.shape)


def bytes_of_a_bias(layer):
    memory = bytearray(layer.bias_hh_l0.data.tobytes())
    layer.bias_hh_l0 = Parameter(mg.from_numpy(np.frombuffer(memory, layer.dtype)))
    yield
    np.frombuffer(memory, layer.dtype)[...] = 1


def a_map(layer):
    with tempfile.TemporaryFile() as file:
        memory = np.memmap(file, layer.dtype, shape=layer.weight_ih_l0.shape)
        layer.weight_ih_l0 = Parameter(mg.from_numpy(np.asarray(memory)))
        yield
        memory[...] = 1


def its_state(layer):
    state = layer.state_dict()
    yield
    state["weight_ih_l0"].numpy()[...] = 1


def a_graph(layer):
    y = layer(x_of(layer))[0]
    yield
    saved = y.node.inputs[0].saved
    next(a for a in saved if a is array_of(layer.weight_ih_l0))[...] = 1


BEFORE = [
    the_array, a_row, a_row_of_the_transpose, strided, of_a_subclass, a_memoryview,
    a_memoryview_of_a_row, a_weak_reference, a_weak_reference_to_its_memory, ctypes, an_iterator,
    a_detached_tensor, a_parameter_of_the_same_memory, an_array, bytes_, bytes_of_a_bias, a_map,
    its_state, a_graph, a_tensor_that_changes, computed_from_others, lent_by_another,
    a_bias_more,
]  # fmt: skip


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


# ---------------------------------------------------------------------------------------- seals


def test_a_seal_breaks_with_whoever_asks_for_the_array():
    p, q = Parameter(mg.zeros(3)), Parameter(mg.zeros(3)[1:].clone())
    seals = sealed([p, q])
    assert seals == (p.seal, q.seal) == sealed([p, q])
    assert None not in seals
    p.grad, p.requires_grad = mg.zeros(3), False
    assert (p.seal, q.seal) == seals
    p.detach()
    assert (p.seal, q.seal) == (None, seals[1])
    assert sealed([p])[0] is not seals[0]


def test_whoever_has_the_array_when_it_is_sealed():
    p = Parameter(mg.zeros(3))
    assert sealed([p]) is not None
    array = p.data
    assert sealed([p]) is None
    del array
    assert sealed([p]) is not None
    view = p.data[1:]
    assert sealed([p]) is None
    p.data = view
    assert sealed([p]) is None
    del view
    assert sealed([p]) is not None
    assert sealed([p, mg.zeros(3)]) is None
    assert sealed([p, None]) is None


def test_a_parameter_whose_data_is_another_has_no_seal():
    class Silent(Parameter):
        __slots__ = ()
        data = Value.data

    p = Silent(mg.zeros(3))
    assert sealed([p]) is None


def test_one_who_has_just_asked_is_seen_while_another_seals():
    """Between its two lines `data` has the array, and the seal is still whole."""
    p = Parameter(mg.zeros(3))
    assert sealed([p]) is not None
    taken = []

    def between(frame, event, _):
        if frame.f_code is Parameter.data.fget.__code__ and event == "line":
            taken.append(sealed_now(p))
        return between

    def sealed_now(p):
        sys.settrace(None)
        try:
            return sealed([p])
        finally:
            sys.settrace(between)

    sys.settrace(between)
    try:
        array = p.data
    finally:
        sys.settrace(None)
    array[...] = 1
    assert len(taken) >= 2
    # whoever sealed before the array was fetched finds the seal broken, and who came later saw us
    for seals in taken:
        assert seals is None or (p.seal,) != seals
