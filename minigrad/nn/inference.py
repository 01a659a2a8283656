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
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.autograd import recording
from minigrad.modes import mode
from minigrad.tape import box
from minigrad.tensor import Tensor

from .parameter import array_of, sealed, seals_of

Array = np.ndarray


class LayerPanels:
    """A layer's weights, packed for its kernels, and the seals of the parameters they were made of.

    rows: one for each layer and direction, or None where there is nothing to pack. seals None: good
    for the call that made them, but not to be kept.
    """

    def __init__(self, layer: Any) -> None:
        weights = [layer.trained(row) for row in range(layer.rows)]
        self.seals = sealed([*chain(*weights)])  # before they are read, so that no write is missed
        net, option = layer.kernel
        self.rows = [
            kernels.panels(net, layer.given([w if w is None else array_of(w) for w in row]), option)
            for row in weights
        ]

    def __reduce__(self) -> Any:
        return type(None), ()  # a copy of the layer has parameters of its own, and packs them


def panels_of(layer: Any) -> list[Any]:
    """The packed weights of each row, kept, or new ones if the weights are no longer those."""
    kept = layer.kept
    if kept is not None:
        weights = [w for row in range(layer.rows) for w in layer.trained(row)]
        if seals_of(weights) == kept.seals:
            return kept.rows
    made = LayerPanels(layer)
    layer.kept = None if made.seals is None else made
    return made.rows


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
    elif axes == 3 and layer.batch_first:
        x = x.transpose(1, 0, 2)
    states = _states(layer, hx, x, axes)
    if states is None:
        return None
    ends = [np.empty((layer.rows, x.shape[1], size), x.dtype) for size in layer.state_sizes]
    y = _layers(layer, x, states, ends)
    if y is None:
        layer.kept = None
        return None
    if axes == 2:
        y, ends = y[:, 0], [end[:, 0] for end in ends]
    elif layer.batch_first:
        y = y.transpose(1, 0, 2)
    return box(y), box(ends[0]) if layer.single else tuple([box(end) for end in ends])


def _layers(layer: Any, x: Array, states: list[Array], ends: list[Array]) -> Array | None:
    """y (T, B, D*S) of x (T, B, I), all layers and directions; None: something does not fit."""
    h0, c0, h_n, c_n = states[0], None, ends[0], None
    if len(states) == 2:
        c0, c_n = states[1], ends[1]
    panels, D = panels_of(layer), len(layer.directions)
    for row in range(0, layer.rows, D):
        y = panels[row] and panels[row](row, x, h0, c0, h_n, c_n)
        if y is None:
            return None
        if D == 2:
            back = panels[row + 1](row + 1, x[::-1], h0, c0, h_n, c_n)
            y = np.concatenate([y, back[::-1]], 2)
        x = y
    return x


def _states(layer: Any, hx: Any, x: Array, axes: int) -> list[Array] | None:
    """The first states (L, B, S); None where they are not given as they should be."""
    if not 2 <= axes <= 3 or x.shape[2] != layer.input_size:
        return None
    if hx is None:
        shape = layer.rows, x.shape[1]
        zeros = [np.zeros((*shape, size), x.dtype) for size in layer.state_sizes]
        return None if layer.learn_h0 else zeros
    given = hx if isinstance(hx, (tuple, list)) else (hx,)
    if len(given) != len(layer.state_sizes) or recording(*given):
        return None
    if not all(isinstance(s, Tensor) and s.data.ndim == axes for s in given):
        return None
    return [s.data if axes == 3 else s.data[:, None] for s in given]
