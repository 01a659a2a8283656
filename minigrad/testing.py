"""check_cell: a recurrent cell of your own, put through what every cell must satisfy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .autograd import grad
from .creation import tensor
from .nn.module import Module
from .nn.recurrent import Recurrent
from .nn.sequence import pack_padded_sequence, pad_packed_sequence
from .tensor import Tensor

T, B = 6, 4
LENGTHS = (3, 6, 1, 4)


class CellError(AssertionError):
    """A cell lacks a property; the message says which, where, and by how much."""


def check_cell(
    cell: Any, input_size: int = 3, hidden_size: int = 4, tolerance: float = 1e-9, seed: int = 0
) -> list[str]:
    """Raises CellError unless a cell has these properties, and returns their names

    gradients    backward agrees with central differences, for input, first states and parameters
    determinism  the same call twice gives the same (in evaluation mode)
    padding      steps that a mask leaves out have no effect, even NaN
    chunks       two halves, the state handed on, are the whole
    packing      a packed batch is each of its sequences alone
    permutation  sequences in another order give the same, in that order
    reversal     the backward direction is the forward one on the reversed input

    cell: a class, called with (input_size, hidden_size), or a cell; see `nn.Recurrent` for what one
    is. A copy of it is tried, in float64 and evaluation mode.
    """
    made = cell(input_size, hidden_size) if isinstance(cell, type) else copy.deepcopy(cell)
    if not isinstance(made, Module):
        raise TypeError(f"check_cell: expected a Module, got {type(made).__name__}")
    trial = _Trial(made.to(np.float64).eval(), seed)
    checks: list[Callable] = [
        trial.gradients, trial.determinism, trial.padding, trial.chunks, trial.packing,
        trial.permutation, trial.reversal,
    ]  # fmt: skip
    for check in checks:
        for what, found, wanted in check():
            limit = 1e-6 if check == trial.gradients else tolerance
            _compare(f"{type(made).__name__}: {check.__name__}: {what}", found, wanted, limit)
    return [check.__name__ for check in checks]


def _compare(what: str, found: Any, wanted: Any, limit: float) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape:
        raise CellError(f"{what} has shape {found.shape}, expected {wanted.shape}")
    wrong = ~(np.abs(found - wanted) <= limit * (1 + np.abs(wanted)))
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise CellError(f"{what} is {found[at]} at {at}, expected {wanted[at]}")


class _Trial:
    """A layer of the cell, an input, first states; each check yields (what, found, wanted)."""

    def __init__(self, cell: Module, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.cell, self.layer = cell, Recurrent(cell).eval()
        self.x = self.rng.standard_normal((T, B, self.layer.input_size))
        self.states = [self.rng.standard_normal((1, B, n)) for n in self.layer.state_sizes]

    def run(self, x: Any, states: Any, layer: Any = None, **more: Any) -> list[np.ndarray]:
        """The output and the last states."""
        hx = [tensor(s) for s in states]
        input = tensor(x) if isinstance(x, np.ndarray) else x
        output, last = (layer or self.layer)(input, hx[0] if len(hx) == 1 else tuple(hx), **more)
        last = (last,) if isinstance(last, Tensor) else last
        if not isinstance(output, Tensor):
            output = pad_packed_sequence(output)[0]
        return [output.detach().data, *(s.detach().data for s in last)]

    def alone(self, b: int, n: int) -> list[np.ndarray]:
        """The first n steps of sequence b by themselves."""
        return self.run(self.x[:n, b : b + 1], [s[:, b : b + 1] for s in self.states])

    def gradients(self) -> Iterator[tuple]:
        leaves = {"input": tensor(self.x)}
        leaves |= {f"state {i}": tensor(s) for i, s in enumerate(self.states)}
        leaves = {n: t.requires_grad_() for n, t in leaves.items()} | dict(
            self.layer.named_parameters()
        )
        weights = [self.rng.standard_normal(y.shape) for y in self.run(self.x, self.states)]

        def loss() -> Tensor:
            x, *hx = [leaves[n] for n in leaves if n == "input" or n.startswith("state ")]
            output, last = self.layer(x, hx[0] if len(hx) == 1 else tuple(hx))
            made = [output, *((last,) if isinstance(last, Tensor) else last)]
            return sum((y * w).sum() for y, w in zip(made, weights, strict=True))

        total = loss()
        if not total.requires_grad:
            raise CellError(f"{type(self.cell).__name__}: gradients: the output has no history")
        found = grad(total, list(leaves.values()), materialize_grads=True, allow_unused=True)
        for (name, leaf), g in zip(leaves.items(), found, strict=True):
            v, start, ends = self.rng.standard_normal(leaf.shape), leaf.data.copy(), []
            for k in (1, -1, 2, -2):
                leaf.data[...] = start + k * 1e-5 * v
                ends.append(loss().item())
            leaf.data[...] = start
            a, b, c, d = ends  # five points: exact up to the fourth derivative
            yield f"slope along {name}", (g.data * v).sum(), (8 * (a - b) - (c - d)) / 12e-5

    def determinism(self) -> Iterator[tuple]:
        yield from self._same(self.run(self.x, self.states), self.run(self.x, self.states))

    def padding(self) -> Iterator[tuple]:
        valid = np.arange(T)[:, None] < LENGTHS
        x = np.where(valid[..., None], self.x, np.nan)
        yield from self._each(self.run(x, self.states, mask=valid))

    def packing(self) -> Iterator[tuple]:
        x = pack_padded_sequence(tensor(self.x), LENGTHS, enforce_sorted=False)
        yield from self._each(self.run(x, self.states))

    def chunks(self) -> Iterator[tuple]:
        first, *states = self.run(self.x[:2], self.states)
        second, *states = self.run(self.x[2:], states)
        found = [np.concatenate([first, second]), *states]
        yield from self._same(found, self.run(self.x, self.states))

    def permutation(self) -> Iterator[tuple]:
        order = [2, 0, 3, 1]
        found = self.run(self.x[:, order], [s[:, order] for s in self.states])
        yield from self._same(found, [y[:, order] for y in self.run(self.x, self.states)])

    def reversal(self) -> Iterator[tuple]:
        both = Recurrent(lambda _: copy.deepcopy(self.cell), bidirectional=True,
                         input_size=self.layer.input_size).eval()  # fmt: skip
        found = self.run(self.x, [np.concatenate([s, s]) for s in self.states], both)
        output, *states = self.run(self.x[::-1], self.states)
        size = output.shape[2]
        yield "output", found[0][..., size:], output[::-1]
        for i, (a, b) in enumerate(zip(found[1:], states, strict=True)):
            yield f"last state {i}", a[1:], b

    def _same(self, found: list, wanted: list) -> Iterator[tuple]:
        for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
            yield f"last state {i - 1}" if i else "output", a, b

    def _each(self, found: list) -> Iterator[tuple]:
        """A padded batch against each of its sequences alone."""
        for b, n in enumerate(LENGTHS):
            output, *states = self.alone(b, n)
            yield f"output of sequence {b}", found[0][:n, b : b + 1], output
            for i, s in enumerate(states):
                yield f"last state {i} of sequence {b}", found[1 + i][:, b : b + 1], s
