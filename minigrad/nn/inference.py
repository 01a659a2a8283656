"""The short way through RNN, GRU and LSTM where nothing is recorded: arrays, kernel after kernel.

`Layered.forward` is made of operations on tensors, any of which may be recorded, looks at all it is
given, to say what is wrong with it, and its kernels pack the weights anew. Around one step of one
sequence, as when a text is written, that takes many times as long as the step itself. Without a
graph to record, nothing but the kernels is needed, and while the weights stay what they were, they
stay packed. What is computed is the same, bit by bit, and whatever is out of the ordinary (dropout,
packed sequences, errors) is left to the long way.

Letters: T steps, B batch, I inputs, S a state's size, D directions, L layers.
"""

from __future__ import annotations

from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.autograd import recording
from minigrad.modes import mode
from minigrad.tape import box
from minigrad.tensor import Tensor

from .parameter import array_of, sealed

Array = np.ndarray


class LayerPanels:
    """A layer's weights, packed for its kernels, and the seals of the parameters they were made of.

    rows: one for each layer and direction, or None where there is nothing to pack.
    """

    def __init__(self, layer: Any, seals: tuple[object, ...]) -> None:
        self.seals = seals
        self.sought = attrgetter(*[f"{name}.seal" for name in chain(*layer._weights)])
        net, option = layer.kernel
        weights = [[*map(array_of, layer.trained(row))] for row in range(layer.rows)]
        self.rows = [kernels.panels(net, layer.given(row), option) for row in weights]

    def good_for(self, layer: Any) -> bool:
        """Whether its weights are still those that were packed."""
        try:
            return self.sought(layer) == self.seals
        except AttributeError:  # one is None now, or no parameter
            return False

    def __reduce__(self) -> Any:
        return type(None), ()  # a copy of the layer has parameters of its own, and packs them


def panels_of(layer: Any) -> list[Any]:
    """The packed weights of each row, kept, or new ones if the weights are no longer those.

    None for each where they cannot be kept. A single step is then faster without packing.
    """
    kept = layer.kept
    if kept is not None and kept.good_for(layer):
        return kept.rows
    seals = sealed([*chain(*[layer.trained(row) for row in range(layer.rows)])])
    layer.kept = kept = seals and LayerPanels(layer, seals)  # sealed first: no write is missed
    return kept.rows if kept else [None] * layer.rows


def unrecorded(layer: Any, input: Any, hx: Any) -> tuple[Any, Any] | None:
    """What `layer.forward(input, hx)` returns, layer an RNNBase; None: go the long way."""
    if mode.recording and any(recording(input, *layer.trained(row)) for row in range(layer.rows)):
        if layer.kept is not None:
            layer.kept = None  # the weights are about to change: their memory is wanted elsewhere
        return None
    if not isinstance(input, Tensor) or not layer.plain():
        return None
    x = input.data
    axes = x.ndim
    if axes == 2:
        x = x[:, None]
    elif axes != 3:
        return None
    elif layer.batch_first:
        x = x.transpose(1, 0, 2)
    states = _states(layer, x, hx, axes)
    if states is None or (y := _layers(layer, x, states)) is None:
        return None
    ends = states[1::2]
    if axes == 2:
        y, ends = y[:, 0], [end[:, 0] for end in ends]
    elif layer.batch_first:
        y = y.transpose(1, 0, 2)
    return box(y), box(ends[0]) if layer.single else (box(ends[0]), box(ends[1]))


def _states(layer: Any, x: Array, hx: Any, axes: int) -> list[Array] | None:
    """h_0, h_n and, of an LSTM, c_0, c_n: the first states and room for the last, (L, B, S).

    None where they are not given as they should be; their sizes are for the kernel to check.
    """
    states: list[Array] = []
    given: Any = hx if isinstance(hx, (tuple, list)) else (hx,)
    if hx is None:
        given *= len(layer.state_sizes)
    if len(given) != len(layer.state_sizes) or x.shape[2] != layer.input_size:
        return None
    for state, size in zip(given, layer.state_sizes):
        shape = layer.rows, x.shape[1], size
        if hx is None and not layer.learn_h0:
            first = np.zeros(shape, x.dtype)
        elif isinstance(state, Tensor) and state.data.ndim == axes and not recording(state):
            first = state.data if axes == 3 else state.data[:, None]
        else:
            return None
        states += first, np.empty(shape, x.dtype)
    return states


def _layers(layer: Any, x: Array, states: list[Array]) -> Array | None:
    """y (T, B, D*S) of x (T, B, I), all layers and directions; None: something does not fit."""
    panels, D = panels_of(layer), len(layer.directions)
    for row in range(0, layer.rows, D):
        y = panels[row] and panels[row](row, x, *states)
        if y is None:
            layer.kept = None
            return None
        if D == 2:
            back = panels[row + 1](row + 1, x[::-1], *states)
            y = np.concatenate([y, back[::-1]], 2)
        x = y
    return x
