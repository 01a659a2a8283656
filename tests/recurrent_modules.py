"""Cells, layers and tensors that the tests of recurrent modules share."""

from __future__ import annotations

import numpy as np

import minigrad as mg
from minigrad import nn

F64 = np.float64
CELLS = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}


def random(rng: np.random.Generator, *shape: int) -> mg.Tensor:
    return mg.tensor(rng.standard_normal(shape), requires_grad=True)


def randomized(module: nn.Module, seed: int = 0) -> nn.Module:
    """All parameters drawn anew, gains and first states too."""
    rng = np.random.default_rng(seed)
    for p in module.parameters():
        with mg.no_grad():
            p.copy_(rng.standard_normal(p.shape) * 0.7)
    return module


def as_tuple(x) -> tuple:
    return x if isinstance(x, tuple) else (x,)


class Mine(nn.Module):
    """A cell with three states, of which one only counts."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.state_size = input_size, (hidden_size, 2, 1)
        self.inner = nn.RNNCell(input_size, hidden_size, dtype=F64)
        self.more = nn.Linear(hidden_size, 2, dtype=F64)

    def forward(self, x, state):
        h, a, n = state
        h = self.inner(x, h * (1 + n))
        return h, a + self.more(h).tanh(), n + 0.1
