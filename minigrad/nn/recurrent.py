"""RNN, LSTM, GRU, and a layer of any cell of your own.

Their equations are those of `nn.cells`, their shapes those of `nn.unroll.Layered`. A plain
configuration runs in one kernel per layer and direction, every other one step by step out of the
cell's equations; `explain()` says which. docs/recurrent.md lists the options.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.autograd import no_grad
from minigrad.creation import generator
from minigrad.dtypes import get_default_dtype
from minigrad.functions import stack
from minigrad.ops import recurrent
from minigrad.tensor import Tensor

from . import functional as F
from . import init
from .cells import Cell, GRUCell, LSTMCell, Next, RNNCell, State
from .container import ModuleList
from .inference import unrecorded
from .layers import positive
from .module import Module
from .sequence import PackedSequence
from .unroll import Layered, Sequences, unroll

DEFAULTS = {  # what `repr` leaves out
    "num_layers": 1, "nonlinearity": "tanh", "bias": True, "batch_first": False, "dropout": 0.0,
    "bidirectional": False, "proj_size": 0, "peephole": False, "coupled": False,
    "reset_after": True, "layer_norm": False, "zoneout": 0.0, "clip": None, "activations": None,
    "recurrent_dropout": 0.0, "learn_h0": False, "checkpoint": None,
}  # fmt: skip


class RNNBase(Layered[Next]):
    """What RNN, LSTM and GRU share; shapes, hx and mask are those of `Layered`.

    Parameters of layer k: weight_ih_lk (gH, I or D*H), weight_hh_lk (gH, H), bias_ih_lk and
    bias_hh_lk (gH), then those of the cell's options, with the suffix _reverse for the second
    direction; all U(-s, s), s = 1/sqrt(H).
    Keyword-only, besides the cell's options:
    recurrent_dropout  h is multiplied by the same mask at every step, where it enters U h; the
                       state itself is not (Gal and Ghahramani, A theoretically grounded
                       application of dropout, 2016)
    learn_h0           the first states are parameters h_0 (and c_0), (D*L, 1, H), at first 0
    checkpoint         k or "sqrt": backward recomputes pieces of k, or sqrt(T), steps and keeps
                       only what enters them: in kernels `ops.pieces`, else `nn.checkpoint`
    """

    _noted: list[dict[str, list[Any]]] | None = None  # of each row, while `inspect` runs
    # (x, states, weights, composed, batch_sizes) -> output and states; None: composed
    fused: Callable | None
    kernel: tuple[str, bool]  # its name and option, for `kernels.panels`
    kept: Any = None  # its weights, packed: see inference.py

    def __init__(
        self,
        cell: type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        *,
        recurrent_dropout: float = 0.0,
        learn_h0: bool = False,
        checkpoint: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        name = type(self).__name__
        positive(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        first = cell(input_size, hidden_size, bias, dtype=dtype, **options)
        super().__init__(input_size, first.state_size, num_layers, bidirectional, batch_first,
                         dropout, learn_h0, checkpoint, dtype)  # fmt: skip
        self.hidden_size, self.bias, self.options = hidden_size, bias, options
        self.recurrent_dropout = F.probability(f"{name}: recurrent_dropout", recurrent_dropout)
        self.beyond = first.beyond  # options that no kernel covers
        self._template = (first,)  # in a tuple, so that its parameters are not taken for ours
        self._names = [n for n, _ in first.named_parameters()]
        self._weights: list[list[str]] = []  # of each row, as we call them
        above = self.state_sizes[0] * len(self.directions)
        for layer in range(num_layers):
            for suffix in self.directions:
                inputs = above if layer else input_size
                made = cell(inputs, hidden_size, bias, dtype=dtype, **options)
                self._weights.append([f"{n}_l{layer}{suffix}" for n in self._names])
                for n, ours in zip(self._names, self._weights[-1], strict=True):
                    setattr(self, ours, getattr(made, n))

    def reset_parameters(self) -> None:
        """Draws all parameters anew; the first states are 0."""
        for row in range(self.rows):
            self._cell(self.trained(row)).reset_parameters()
        if self.learn_h0:
            for letter in self.letters[: len(self.state_sizes)]:
                init.zeros_(getattr(self, f"{letter}_0"))

    @property
    def dtype(self) -> np.dtype:
        return self.weight_ih_l0.dtype

    def trained(self, row: int) -> list[Tensor]:
        return [getattr(self, name) for name in self._weights[row]]

    def _cell(self, weights: Sequence[Any]) -> Cell:
        """A cell with our options and these weights."""
        cell = copy.copy(self._template[0])
        cell.__dict__.update(zip(self._names, weights, strict=False), training=self.training)
        return cell

    def given(self, weights: Any) -> Any:
        """A row's weights as a kernel takes them: None for each bias that it lacks"""
        return weights if self.bias else [*weights[:2], None, None, *weights[2:]]

    def _composed(self, batch_sizes: Any, x: Any, *tensors: Any) -> tuple:
        """What the kernel computes, step by step: (x, states, weights) -> output and states"""
        count = len(self.state_sizes)
        state, weights = tensors[:count], tensors[count:]
        cell = self._cell(weights if self.bias else (*weights[:2], *weights[4:]))
        output, last = unroll(cell, x, state, None, batch_sizes)
        return output, *last

    def forward(
        self, input: Sequences, hx: Any = None, *, mask: Any = None
    ) -> tuple[Sequences, Next]:
        found = unrecorded(self, input, hx) if mask is None else None
        return super().forward(input, hx, mask=mask) if found is None else found

    def plain(self) -> bool:
        """Whether a call is one kernel after the other, as far as the layer can tell."""
        if self.training and (self.dropout or self.recurrent_dropout):
            return False
        kind = type(self)
        ours = kind.block is RNNBase.block and kind.trained is RNNBase.trained
        return ours and self.fuses(None)

    def block(
        self, x: Any, state: State, row: int, drop: Any, batch_sizes: Any
    ) -> tuple[Any, State]:
        weights = self.trained(row)
        if self.fused is None or not self.fuses(drop):
            cell = self._cell(weights)
            cell.noted = None if self._noted is None else self._noted[row]
            return unroll(cell, x, state, drop, batch_sizes)
        given = (x, state, self.given(weights), partial(self._composed, batch_sizes))
        output, *last = self.fused(*given, batch_sizes, self.piece(x, batch_sizes))
        return output, tuple(last)

    def fuses(self, drop: Any) -> bool:
        fits = self.fused is not None and not self.beyond
        return fits and drop is None and self._noted is None

    def drop_mask(self, row: int, batch: int) -> Any:
        p = self.recurrent_dropout
        if not p or not self.training:
            return None
        keep = generator().random((batch, self.state_sizes[0])) >= p
        return (keep / max(1 - p, np.finfo(float).tiny)).astype(self.dtype)

    def inspect(self, input: Any, hx: Any = None) -> list[dict[str, Tensor]]:
        """The letters of the cell's equations at each step: i f g o c h, or r z n h, or h

        A dict for each layer and direction, layer*D + direction; its tensors have the output's
        form, (T, B, H), and no history. Runs composed, without gradients; input: not packed.
        """
        if isinstance(input, PackedSequence):
            raise TypeError(
                f"{type(self).__name__}: inspect takes a padded input, not a packed one"
            )
        self._noted = [{} for _ in range(self.rows)]
        try:
            with no_grad():
                self(input, hx)
            noted = self._noted
        finally:
            self._noted = None
        return [{k: self._in_time(v, row, input.ndim) for k, v in letters.items()}
                for row, letters in enumerate(noted)]  # fmt: skip

    def _in_time(self, values: Sequence[Tensor], row: int, axes: int) -> Tensor:
        """A row's values (B, H), in the order in which it ran, in the form of its output."""
        values = values[:: -1 if row % len(self.directions) else 1]
        if axes == 2:
            return stack([value[0] for value in values])
        return stack(values, dim=int(self.batch_first))

    def explain(self) -> str:
        """Which path a call takes, as things stand, and why."""
        reasons = list(self.beyond)
        if self.recurrent_dropout and self.training:
            reasons.append("recurrent_dropout (while training)")
        name, backend = type(self).__name__, kernels.config()["backend"]
        if not reasons:
            return f"{name}: fused, one kernel per layer and direction (backend {backend})"
        return f"{name}: composed step by step, as no kernel covers {', '.join(reasons)}"

    def extra_repr(self) -> str:
        values = {**vars(self), **self.options}
        given = [f"{n}={values[n]}" for n, v in DEFAULTS.items() if values.get(n, v) != v]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *given])


class RNN(RNNBase[Tensor]):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or relu: see RNNCell and RNNBase

    Source: Elman, Finding structure in time, 1990.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(RNNCell, input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, nonlinearity=nonlinearity, **options)  # fmt: skip
        self.nonlinearity = nonlinearity
        self.fused = partial(recurrent.rnn, nonlinearity=nonlinearity)
        self.kernel = "rnn", nonlinearity == "relu"


class LSTM(RNNBase[tuple[Tensor, Tensor]]):
    """i, f, o = sigma(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), g = tanh(same); rows: i f g o
    c_t = f c_{t-1} + i g,  h_t = o tanh(c_t);  hx = (h_0, c_0): see LSTMCell and RNNBase

    proj_size=P: h_t = W_hr (o tanh(c_t)), weight_hr_lk (P, H); output and h_n have P, c_n has H.
    Keyword-only: peephole, coupled. Sources: see LSTMCell.
    """

    fused = staticmethod(recurrent.lstm)
    kernel = "lstm", False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(LSTMCell, input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, proj_size=proj_size, **options)  # fmt: skip
        self.proj_size = proj_size


class GRU(RNNBase[Tensor]):
    """r, z = sigma(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), rows in order r z n
    n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn)),  h_t = (1 - z) n + z h_{t-1}

    reset_after=False, keyword-only: n = tanh(W_in x_t + b_in + W_hn (r h_{t-1}) + b_hn).
    See GRUCell and RNNBase. Source: Cho et al. 2014.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(GRUCell, input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, reset_after=reset_after, **options)  # fmt: skip
        self.fused = partial(recurrent.gru, reset_after=reset_after)
        self.kernel = "gru", reset_after


class Recurrent(Layered[Any]):
    """state_t = cell(x_t, state_{t-1}): a layer of any cell, shapes and options as in `Layered`

    cell: a module that takes (x (B, I), state) to the next state, a tensor (B, S) or a tuple of
    them, whose first is the output. It says its `input_size`, and its `state_size`: S or a tuple
    (its `hidden_size` will do). For several layers or directions, a function that makes a cell from
    its number of inputs, called once for each: `lambda n: MyCell(n, 64)`, with `input_size`.
    """

    def __init__(
        self,
        cell: Module | Callable[[int], Module],
        num_layers: int = 1,
        bidirectional: bool = False,
        batch_first: bool = False,
        dropout: float = 0.0,
        *,
        input_size: int | None = None,
        learn_h0: bool = False,
        checkpoint: Any = None,
    ) -> None:
        rows = num_layers * (1 + bidirectional)
        if isinstance(cell, Module):
            if rows > 1:
                raise ValueError(
                    f"Recurrent: {num_layers} layers, bidirectional={bidirectional}, need {rows} "
                    "cells: give a function that makes one from its number of inputs"
                )
            input_size = getattr(cell, "input_size", input_size)
        if input_size is None:
            raise ValueError("Recurrent: say input_size, the number of features")
        positive("Recurrent", input_size=input_size, num_layers=num_layers)
        first = cell if isinstance(cell, Module) else cell(input_size)
        state_size = getattr(first, "state_size", getattr(first, "hidden_size", None))
        if state_size is None:
            raise TypeError(f"Recurrent: {type(first).__name__} has no attribute state_size")
        if not isinstance(state_size, int) and len(state_size) > 2:
            self.letters = [f"state{i}" for i in range(len(state_size))]
        dtype = next((p.dtype for p in first.parameters()), None)
        super().__init__(input_size, state_size, num_layers, bidirectional, batch_first, dropout,
                         learn_h0, checkpoint, dtype)  # fmt: skip
        above = self.state_sizes[0] * len(self.directions)
        sizes = [input_size] * len(self.directions) + [above] * rows
        more = [cell(n) for n in sizes[1:rows]] if not isinstance(cell, Module) else []
        self.cells = ModuleList([first, *more])

    @property
    def dtype(self) -> np.dtype:
        return next((p.dtype for p in self.parameters()), get_default_dtype())

    def trained(self, row: int) -> list[Tensor]:
        return list(self.cells[row].parameters())

    def block(
        self, x: Any, state: State, row: int, drop: Any, batch_sizes: Any
    ) -> tuple[Any, State]:
        return unroll(self.cells[row], x, state, None, batch_sizes)

    def explain(self) -> str:
        """Which path a call takes, and why."""
        kind = type(self.cells[0]).__name__
        return f"Recurrent: composed step by step, as {kind} is a cell without a kernel"
