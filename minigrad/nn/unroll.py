"""What all recurrent layers share, whatever their cell: input, states, directions, layers, masks.

A layer's input becomes (T, B, I), or the rows (N, I) of packed sequences with their batch sizes
(T); its states, tuples of (num_layers*D, B, S). Each layer and direction then runs over all of it,
second directions over what has been turned around.

Letters: T steps, B batch, I inputs, S a state's size, D directions (1 or 2), L layers, N rows.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Generic, TypeVar

import numpy as np

from minigrad.ops.pieces import pieces_of
from minigrad.ops.recurrent import put_rows, take_rows, turned_rows
from minigrad.ops.shape import cat, flip, reshape, split, stack, transpose, unbind
from minigrad.tensor import Tensor

from . import functional as F
from .bptt import checkpoint as recomputed
from .cells import Cell, Next, State, check_input, check_state, states_of
from .layers import parameter, positive
from .module import Module
from .sequence import PackedSequence, packed_rows

Sequences = TypeVar("Sequences", Tensor, PackedSequence)  # the output has the form of the input


def unroll(
    cell: Any, x: Any, state: State, drop: Any = None, batch_sizes: Any = None
) -> tuple[Any, State]:
    """state_t = cell(x_t, state_{t-1}): x (T, B, I) -> the first state of each step (T, B, S), last

    The cells of `nn.cells` do the part of the input for all steps at once. Packed rows (N, I), with
    batch sizes (T), go by stretches of steps that have the same sequences; the states of those that
    have ended are put aside.
    """
    if batch_sizes is None:
        return _unrolled(cell, x, state, drop)
    stretches = stretches_of(batch_sizes)
    blocks = split(x, tuple(n * b for n, b in stretches), 0)
    outputs: list[Any] = []
    aside: list[State] = []  # the states of sequences that have ended, last ones first
    for (n, b), block in zip(stretches, blocks, strict=True):
        state, ended = _cut(state, b)
        aside.insert(0, ended)
        steps = reshape(block, (n, b, x.shape[1]))
        y, state = _unrolled(cell, steps, state, None if drop is None else drop[:b])
        outputs.append(reshape(y, (n * b, y.shape[2])))
    return cat(0, *outputs) if len(outputs) > 1 else outputs[0], _joined([state, *aside])


def _unrolled(cell: Any, x: Any, state: State, drop: Any) -> tuple[Any, State]:
    """unroll over x (T, B, I)."""
    outputs = []
    if isinstance(cell, Cell) and type(cell).forward is Cell.forward:
        for wx in unbind(cell.drive(x)):
            state = cell.advance(wx, state, drop)
            outputs.append(state[0])
    else:
        single = len(state) == 1
        for x_t in unbind(x):
            state = (cell(x_t, state[0]),) if single else tuple(cell(x_t, state))
            outputs.append(state[0])
    return stack(outputs), state


class Layered(Module, Generic[Next]):
    """Layers of recurrent cells, in one direction or both; subclasses say what runs over a block.

    input (T, B, I), or (B, T, I) with batch_first, or (T, I) without a batch, or a PackedSequence.
    Returns the output (T, B, D*S), forward half first, in the form of the input, and the last state
    (or states): (D*L, B, S), never batch-first, row layer*D + direction; for a packed input in the
    caller's order. hx: the first states, of the same shape; None: zeros, or what was learned.
    mask (T, B), as the input, True where there is a step: elsewhere nothing happens, the state
    stays and the output is 0.
    """

    letters: Sequence[str] = "hc"  # names of the states

    def __init__(
        self,
        input_size: int,
        state_size: int | tuple[int, ...],
        num_layers: int,
        bidirectional: bool,
        batch_first: bool,
        dropout: float,
        learn_h0: bool,
        checkpoint: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        positive(name, num_layers=num_layers)
        if F.probability(f"{name}: dropout", dropout) and num_layers == 1:
            warnings.warn(
                f"{name}: dropout={dropout} acts between layers, and num_layers is 1", stacklevel=4
            )
        if checkpoint is not None and checkpoint != "sqrt":
            positive(name, checkpoint=checkpoint)
        self.input_size, self.num_layers, self.bidirectional = input_size, num_layers, bidirectional
        self.batch_first, self.dropout, self.learn_h0 = batch_first, dropout, learn_h0
        self.checkpoint = checkpoint
        self.directions = ("", "_reverse") if bidirectional else ("",)
        self.single = isinstance(state_size, int)
        self.state_sizes = (state_size,) if isinstance(state_size, int) else tuple(state_size)
        self.rows = num_layers * len(self.directions)
        if learn_h0:
            for letter, size in zip(self.letters, self.state_sizes, strict=False):
                setattr(self, f"{letter}_0", parameter(self.rows, 1, size, dtype=dtype))

    def block(
        self, x: Any, state: State, row: int, drop: Any, batch_sizes: Any
    ) -> tuple[Any, State]:
        """(output, state) of row layer*D + direction, forward in time, over x (T, B, I), or over
        packed rows (N, I) where there are batch sizes (T)."""
        raise TypeError(f"{type(self).__name__} defines no block")

    def trained(self, row: int) -> list[Tensor]:
        """The parameters of row layer*D + direction."""
        raise TypeError(f"{type(self).__name__} defines no trained")

    def drop_mask(self, row: int, batch: int) -> Any:
        """What h is multiplied by in the recurrent product, for all steps of a sequence, if any."""
        return None

    def fuses(self, drop: Any) -> bool:
        """Whether `block` is a kernel, which sees to checkpoints itself."""
        return False

    def piece(self, x: Any, batch_sizes: Any) -> int | None:
        """Steps of a piece between checkpoints; None without."""
        if self.checkpoint != "sqrt":
            return self.checkpoint
        T = x.shape[0] if batch_sizes is None else len(batch_sizes)
        return math.isqrt(T - 1) + 1

    # -- the whole

    def forward(
        self, input: Sequences, hx: Any = None, *, mask: Any = None
    ) -> tuple[Sequences, Next]:
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, mask)
        last: Any
        x, batched = self._checked(input)  # (T, B, I)
        T, B = x.shape[0], x.shape[1]
        state = self._states(hx, x, B, batched)
        if mask is None:
            x, last = self._layers(x, state, None)
        else:
            x, last = self._masked(x, state, self._valid(mask, input, T, B, batched))
        if not batched:
            x, last = reshape(x, (T, x.shape[2])), tuple(reshape(s, s.shape[::2]) for s in last)
        elif self.batch_first:
            x = transpose(x, 0, 1)
        return x, last[0] if self.single else last

    def _forward_packed(self, input: PackedSequence, hx: Any, mask: Any) -> tuple[Any, Next]:
        if mask is not None:
            raise ValueError(f"{type(self).__name__}: a packed input has no steps to mask")
        check_input(type(self).__name__, input.data, self.input_size, self.dtype, (2, 2))
        sizes, order = input.batch_sizes.data, input.sorted_indices
        state = self._states(hx, input.data, int(sizes[0]), True)
        if order is not None:
            state = tuple(s[:, order.data] for s in state)
        last: Any
        x, last = self._layers(input.data, state, sizes)
        if input.unsorted_indices is not None:
            last = tuple(s[:, input.unsorted_indices.data] for s in last)
        return input.like(x), last[0] if self.single else last

    def _masked(self, x: Any, state: State, valid: np.ndarray) -> tuple[Any, State]:
        """Packs the steps that are there, and puts the outputs back where they belong."""
        (T, B), lengths = valid.shape, valid.sum(0)
        order = np.argsort(-lengths, kind="stable")
        rows, sizes = packed_rows(lengths[order], order)
        there = np.argsort(~valid, axis=0, kind="stable")  # (T, B): a sequence's n-th valid step
        rows = there[rows // B, rows % B] * B + rows % B
        packed = take_rows(reshape(x, (T * B, x.shape[2])), rows)
        y, last = self._layers(packed, tuple(s[:, order] for s in state), sizes)
        y = reshape(put_rows(y, rows, T * B), (T, B, y.shape[1]))
        return y, tuple(s[:, np.argsort(order)] for s in last)

    def _layers(self, x: Any, state: State, batch_sizes: Any) -> tuple[Any, State]:
        """All layers over x: (T, B, I), or packed rows (N, I), where there are batch sizes (T)."""
        rows = list(zip(*[_rows(s) for s in state], strict=True))  # each its states (B, S)
        turned = None
        if self.bidirectional and batch_sizes is not None:
            turned = turned_rows(batch_sizes)
        ends: list[State] = []
        for layer in range(self.num_layers):
            outputs = []
            for reverse, _ in enumerate(self.directions):
                row = len(ends)
                drop = self.drop_mask(row, rows[row][0].shape[0])
                x_row = _turned(x, turned) if reverse else x
                y, end = self._pieces(x_row, rows[row], row, drop, batch_sizes)
                outputs.append(_turned(y, turned) if reverse else y)
                ends.append(end)
            x = outputs[0] if len(outputs) == 1 else cat(-1, *outputs)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, tuple(_stacked(parts) for parts in zip(*ends, strict=True))

    # -- one layer, one direction

    def _pieces(
        self, x: Any, state: State, row: int, drop: Any, batch_sizes: Any
    ) -> tuple[Any, State]:
        """Over all steps at once or, with checkpoints, in pieces that backward computes again.

        Here each piece is a call in the graph; a kernel goes over its pieces by itself.
        """
        k = self.piece(x, batch_sizes)
        if k is None or self.fuses(drop):
            return self.block(x, state, row, drop, batch_sizes)
        outputs, pieces = [], pieces_of(x, k, batch_sizes)
        rows = tuple(int(at.stop - at.start) for at, _ in pieces)
        for part, (_, size) in zip(split(x, rows, 0), pieces, strict=True):

            def piece(x: Any, *state: Any, size: Any = size) -> tuple:
                y, state = self.block(x, state, row, drop, size)
                return y, *state

            y, *ends = recomputed(piece, part, *state, parameters=self.trained(row))
            state = tuple(ends)
            outputs.append(y)
        return cat(0, *outputs), state

    # -- checks

    @property
    def dtype(self) -> np.dtype:
        """The parameters' dtype"""
        raise TypeError(f"{type(self).__name__} defines no dtype")

    def _checked(self, input: Any) -> tuple[Any, bool]:
        """The input as (T, B, I), and whether it came with a batch."""
        name = type(self).__name__
        check_input(name, input, self.input_size, self.dtype, (2, 3))
        batched = input.ndim == 3
        if not batched:
            input = reshape(input, (input.shape[0], 1, input.shape[1]))
        elif self.batch_first:
            input = transpose(input, 0, 1)
        if input.shape[0] == 0:
            raise ValueError(f"{name}: expected at least one step, got a sequence of length 0")
        return input, batched

    def _states(self, hx: Any, x: Any, B: int, batched: bool) -> State:
        """The first states, each (D*L, B, S)."""
        name = type(self).__name__
        shapes = [(self.rows, B, size) for size in self.state_sizes]
        if hx is None and self.learn_h0:
            learned = [getattr(self, f"{n}_0") for n in self.letters[: len(shapes)]]
            return tuple(p.broadcast_to(s) for p, s in zip(learned, shapes, strict=True))
        if hx is None:
            return tuple(Tensor.box(np.zeros(shape, x.dtype)) for shape in shapes)
        states = states_of(name, hx, len(shapes))
        for letter, s, (rows, _, size) in zip(self.letters, states, shapes, strict=False):
            shape, axes = ((rows, B, size), "(D*num_layers, N, H)") if batched else (
                (rows, size), "(D*num_layers, H)")  # fmt: skip
            check_state(name, f"{letter}_0", s, shape, axes, x)
        return states if batched else tuple(reshape(s, (len(s), 1, s.shape[1])) for s in states)

    def _valid(self, mask: Any, input: Any, T: int, B: int, batched: bool) -> np.ndarray:
        """The mask as (T, B)."""
        name, valid = type(self).__name__, np.asarray(mask)
        if valid.dtype != bool:
            raise TypeError(f"{name}: expected a mask of booleans, got {valid.dtype}")
        if valid.shape != input.shape[:-1]:
            raise ValueError(f"{name}: mask has shape {valid.shape}, input {input.shape}")
        if not valid.any():
            raise ValueError(f"{name}: the mask leaves not one step")
        if not batched:
            return valid[:, None]
        return valid.T if self.batch_first else valid


# ---------------------------------------------------------------------------------- states


def stretches_of(batch_sizes: np.ndarray) -> list[tuple[int, int]]:
    """Steps with the same sequences, how many of either: 3 3 2 1 1 as [(2, 3), (1, 2), (2, 1)]"""
    edges = [0, *(np.flatnonzero(np.diff(batch_sizes)) + 1).tolist(), len(batch_sizes)]
    return [(b - a, int(batch_sizes[a])) for a, b in pairwise(edges)]


def _turned(x: Any, rows: np.ndarray | None) -> Any:
    """Each sequence turned around: of packed rows, those that are to be taken."""
    return flip(x, (0,)) if rows is None else take_rows(x, rows)


def _rows(s: Any) -> Any:
    return (reshape(s, s.shape[1:]),) if s.shape[0] == 1 else unbind(s)


def _stacked(ends: Sequence) -> Any:
    return reshape(ends[0], (1, *ends[0].shape)) if len(ends) == 1 else stack(ends)


def _cut(state: State, b: int) -> tuple[State, State]:
    """The first b sequences' states, and the others'."""
    if b == state[0].shape[0]:
        return state, ()
    pairs = [split(s, (b, s.shape[0] - b), 0) for s in state]
    return tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)


def _joined(states: Sequence[State]) -> State:
    """The states of several groups of sequences, one group after the other."""
    groups = [s for s in states if s]
    return groups[0] if len(groups) == 1 else tuple(cat(0, *s) for s in zip(*groups, strict=True))
