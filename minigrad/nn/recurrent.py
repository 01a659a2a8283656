"""RNN, LSTM and GRU layers: parameters, shapes and states around the sequences of ops.recurrent.

Letters: T steps, B batch, I inputs, H hidden units, D directions (1 or 2), g gates (1, 4 or 3).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from minigrad.ops import recurrent
from minigrad.tensor import Tensor, cat, stack, zeros

from . import functional as F
from . import init
from .layers import parameter, positive
from .module import Module


class Recurrent(Module):
    """What RNN, LSTM and GRU share.

    input (T, B, I), or (B, T, I) with batch_first, or (T, I) without a batch. Returns the output
    (T, B, D*H), forward half first, in the input's order of axes, and the last state (or states):
    (D*num_layers, B, H), never batch-first, row layer*D + direction.
    Parameters of layer k: weight_ih_lk (gH, I or D*H), weight_hh_lk (gH, H), bias_ih_lk and
    bias_hh_lk (gH), with the suffix _reverse for the second direction; all U(-s, s), s = 1/sqrt(H).
    """

    gates = 1
    states = 1  # how many the cell carries: h, or h and c

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        positive(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if F.probability(f"{name}: dropout", dropout) and num_layers == 1:
            warnings.warn(
                f"{name}: dropout={dropout} acts between layers, and num_layers is 1", stacklevel=3
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional = bidirectional
        self.directions = ("", "_reverse") if bidirectional else ("",)
        rows = self.gates * hidden_size
        for layer in range(num_layers):
            inputs = hidden_size * len(self.directions) if layer else input_size
            for suffix in self.directions:
                self._set("weight_ih", layer, suffix, rows, inputs, dtype=dtype)
                self._set("weight_hh", layer, suffix, rows, hidden_size, dtype=dtype)
                if bias:
                    self._set("bias_ih", layer, suffix, rows, dtype=dtype)
                    self._set("bias_hh", layer, suffix, rows, dtype=dtype)
        self.reset_parameters()

    def _set(self, name: str, layer: int, suffix: str, *shape: int, dtype: Any) -> None:
        setattr(self, f"{name}_l{layer}{suffix}", parameter(*shape, dtype=dtype))

    def reset_parameters(self) -> None:
        """Draws all parameters anew."""
        s = 1 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -s, s)

    def sequence(self, x: Tensor, states: tuple, weights: tuple) -> tuple:
        """One layer in one direction: (output, last state, ...)."""
        raise TypeError(f"{type(self).__name__} defines no sequence")

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
        x, batched = self._checked(input)  # (T, B, I)
        states = self._states(hx, x, batched)  # each (D*L, B, H)
        last: list[list[Tensor]] = [[] for _ in states]
        for layer in range(self.num_layers):
            outputs = []
            for d, suffix in enumerate(self.directions):
                row = layer * len(self.directions) + d
                names = ("weight_ih", "weight_hh") + ("bias_ih", "bias_hh") * self.bias
                weights = tuple(getattr(self, f"{n}_l{layer}{suffix}") for n in names)
                weights += (None,) * (4 - len(weights))
                output, *ends = self.sequence(
                    x.flip(0) if suffix else x, tuple(s[row] for s in states), weights
                )
                outputs.append(output.flip(0) if suffix else output)
                for collected, end in zip(last, ends, strict=True):
                    collected.append(end)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, dim=2)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        finals = tuple(stack(ends) for ends in last)
        if not batched:
            x, finals = x.squeeze(1), tuple(s.squeeze(1) for s in finals)
        elif self.batch_first:
            x = x.transpose(0, 1)
        return x, finals[0] if self.states == 1 else finals

    def _checked(self, input: Tensor) -> tuple[Tensor, bool]:
        """The input as (T, B, I), and whether it came with a batch."""
        name = type(self).__name__
        if input.ndim not in (2, 3):
            raise ValueError(f"{name}: expected input of 2 or 3 axes, got shape {input.shape}")
        if input.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: input has {input.shape[-1]} features on its last axis, this layer was "
                f"made for input_size={self.input_size}"
            )
        if input.dtype != self.weight_ih_l0.dtype:
            raise TypeError(
                f"{name}: input is {input.dtype}, the parameters are {self.weight_ih_l0.dtype}"
            )
        batched = input.ndim == 3
        if not batched:
            input = input.unsqueeze(1)
        elif self.batch_first:
            input = input.transpose(0, 1)
        if input.shape[0] == 0:
            raise ValueError(f"{name}: expected at least one step, got a sequence of length 0")
        return input, batched

    def _states(self, hx: Any, x: Tensor, batched: bool) -> tuple:
        """The initial states, each (D*num_layers, B, H)."""
        name = type(self).__name__
        shape = (len(self.directions) * self.num_layers, x.shape[1], self.hidden_size)
        if hx is None:
            return (zeros(shape, dtype=x.dtype),) * self.states
        states = (hx,) if self.states == 1 else tuple(hx)
        if len(states) != self.states or not all(isinstance(s, Tensor) for s in states):
            raise TypeError(
                f"{name}: expected hx to be {('a tensor', '(h_0, c_0)')[self.states - 1]}"
            )
        expected = shape if batched else (shape[0], shape[2])
        for letter, s in zip("hc", states, strict=False):
            if s.shape != expected:
                raise ValueError(
                    f"{name}: expected {letter}_0 of shape {expected}, (D*num_layers, N, H) "
                    f"without N if unbatched, got {s.shape}"
                )
            if s.dtype != x.dtype:
                raise TypeError(f"{name}: {letter}_0 is {s.dtype}, the input is {x.dtype}")
        return states if batched else tuple(s.unsqueeze(1) for s in states)

    def extra_repr(self) -> str:
        shown = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
            "bidirectional": False,
        }  # fmt: skip
        shown += [f"{n}={getattr(self, n)}" for n, v in defaults.items() if getattr(self, n) != v]
        return ", ".join(shown)


class RNN(Recurrent):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or relu; see Recurrent for the shapes

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
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: expected nonlinearity tanh or relu, got {nonlinearity!r}")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype
        )
        self.nonlinearity = nonlinearity

    def sequence(self, x: Tensor, states: tuple, weights: tuple) -> tuple:
        [h0], (w_ih, w_hh, b_ih, b_hh) = states, weights
        return recurrent.rnn_composed(x, h0, w_ih, w_hh, b_ih, b_hh, self.nonlinearity)


class LSTM(Recurrent):
    """i, f, o = sigmoid(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), g = tanh(same); rows: i f g o
    c_t = f c_{t-1} + i g,  h_t = o tanh(c_t); see Recurrent for the shapes, hx = (h_0, c_0)

    Source: Hochreiter and Schmidhuber 1997; the forget gate: Gers, Schmidhuber and Cummins 2000.
    """

    gates, states = 4, 2

    def sequence(self, x: Tensor, states: tuple, weights: tuple) -> tuple:
        return recurrent.lstm(x, *states, *weights)


class GRU(Recurrent):
    """r, z = sigmoid(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), rows in order r z n
    n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn)),  h_t = (1 - z) n + z h_{t-1}

    See Recurrent for the shapes. Source: Cho et al. 2014, with the reset gate after the product,
    as in cuDNN and PyTorch.
    """

    gates = 3

    def sequence(self, x: Tensor, states: tuple, weights: tuple) -> tuple:
        return recurrent.gru_composed(x, *states, *weights)
