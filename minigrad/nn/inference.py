"""The short way through RNN, GRU and LSTM where nothing is recorded: arrays, kernel after kernel.

`Layered.forward` is made of operations on tensors, any of which may be recorded, and looks at all
it is given, to say what is wrong with it. Around one step of one sequence, as when a text is
written, that takes several times as long as the step itself. Without a graph to record, nothing
but the kernels is needed. What they compute is the same, bit by bit, and whatever is out of the
ordinary (dropout, two directions, packed sequences, errors) is left to the long way.

Letters: T steps, B batch, I inputs, S a state's size, L layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.autograd import recording
from minigrad.modes import mode
from minigrad.tape import box
from minigrad.tensor import Tensor

Array = np.ndarray


def unrecorded(layer: Any, input: Any, hx: Any) -> tuple[Any, Any] | None:
    """What `layer.forward(input, hx)` returns, layer an RNNBase; None: go the long way."""
    if mode.recording and any(recording(input, *layer.trained(row)) for row in range(layer.rows)):
        return None
    if not layer.plain():
        return None
    given = _arrays(layer, input, hx)
    if given is None:
        return None
    x, states = given
    ends = []
    for row, state in enumerate(zip(*states)):
        weights = layer.given([w if w is None else w.data for w in layer.trained(row)])
        x, *last = layer.fused(x, state, weights, None)
        ends.append(last)
    batched = input.data.ndim == 3
    lasts = tuple([_stacked(kind, batched) for kind in zip(*ends)])
    if not batched:
        x = x[:, 0]
    elif layer.batch_first:
        x = x.transpose(1, 0, 2)
    return box(x), lasts[0] if layer.single else lasts


def _stacked(ends: tuple[Array, ...], batched: bool) -> Tensor:
    """A state of all layers: L arrays (B, S) as (L, B, S), or (L, S) without a batch"""
    last = ends[0][None] if len(ends) == 1 else np.array(ends)  # np.stack takes 5 us
    return box(last if batched else last[:, 0])


def _arrays(layer: Any, input: Any, hx: Any) -> tuple[Array, list[Array]] | None:
    """The input (T, B, I) and first states (L, B, S); None unless all are as they have to be."""
    if not isinstance(input, Tensor) or (hx is None and layer.learn_h0):
        return None
    x, sizes, rows = input.data, layer.state_sizes, layer.rows
    axes, dtype = x.ndim, x.dtype
    if not 2 <= axes <= 3 or x.shape[-1] != layer.input_size or dtype != layer.dtype:
        return None
    if axes == 2:
        x = x[:, None]
    elif layer.batch_first:
        x = x.transpose(1, 0, 2)
    T, B, _ = x.shape
    if T == 0:
        return None
    if hx is None:
        return x, [np.zeros((rows, B, size), dtype) for size in sizes]
    given = hx if isinstance(hx, (tuple, list)) else (hx,)
    if len(given) != len(sizes) or recording(*given):
        return None
    states = []
    for state, size in zip(given, sizes):
        s = state.data if isinstance(state, Tensor) else None
        if s is None or s.dtype != dtype or s.shape != ((rows, B, size)[:: 1 if axes == 3 else 2]):
            return None
        states.append(s if axes == 3 else s[:, None])
    return x, states
