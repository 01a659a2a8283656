"""Ways to reach a weight of a layer by what was there before it was packed.

Written as those of `weight_changes`: before the `yield` somebody takes hold of the memory, behind
it he writes.
"""

from __future__ import annotations

import tempfile
import weakref

import numpy as np
from kept_layers import x_of
from weight_changes import SHARED

import minigrad as mg
from minigrad.nn.parameter import Parameter, array_of


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
    its_state, a_graph, *SHARED,
]  # fmt: skip
