"""Backpropagation through time in less memory: truncated, or recomputed piece by piece.

Full: run the whole sequence, then `backward`. Stateful: hand the last state of one batch to the
next, through `detach_states`. Truncated: `TBPTT`. With all of the gradient in little memory:
`checkpoint`, which the layers' option of that name (k or "sqrt") calls for you where they are
composed; where they run in a kernel, `ops.pieces` does the same below the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minigrad.autograd import enable_grad, grad, is_grad_enabled, recording
from minigrad.creation import generator
from minigrad.function import Function
from minigrad.functions import cat
from minigrad.tensor import Tensor

from .sequence import PackedSequence


def detach_states(states: Any) -> Any:
    """The same states, a tensor or nested tuples of them, without their history"""
    return map_states(Tensor.detach, states)


def map_states(function: Callable, *states: Any) -> Any:
    """function of the tensors that stand at the same place of each of `states`"""
    first = states[0]
    if first is None or isinstance(first, Tensor):
        return None if first is None else function(*states)
    return tuple(map_states(function, *parts) for parts in zip(*states, strict=True))


# ------------------------------------------------------------------------------ checkpoints


class Replayed(Function):
    """A function's outputs; backward runs it again, on the same inputs and random numbers."""

    @staticmethod
    def forward(ctx: Any, function: Callable, count: int, *tensors: Tensor) -> tuple:
        ctx.function, ctx.count, ctx.random = function, count, generator().bit_generator.state
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        return tuple(function(*tensors[:count]))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple:
        if is_grad_enabled():
            raise RuntimeError("checkpoint: what is recomputed has no second derivative")
        needed = ctx.needs_input_grad[2:]
        inputs = [t.detach() for t in ctx.saved_tensors[: ctx.count]]
        for t, n in zip(inputs, needed, strict=False):
            t.requires_grad = n
        now, generator().bit_generator.state = generator().bit_generator.state, ctx.random
        with enable_grad():
            outputs = ctx.function(*inputs)
        generator().bit_generator.state = now
        pairs = [(y, g) for y, g in zip(outputs, gradients, strict=True) if g is not None]
        ys, gs = zip(*[(y, g) for y, g in pairs if y.requires_grad], strict=True)
        tensors = (*inputs, *ctx.saved_tensors[ctx.count :])
        wanted = [t for t, n in zip(tensors, needed, strict=True) if n]
        found = iter(grad(ys, wanted, gs, allow_unused=True))
        return None, None, *(next(found) if n else None for n in needed)


def checkpoint(function: Callable, *inputs: Tensor, parameters: Sequence[Tensor] = ()) -> tuple:
    """function(*inputs), a tuple of tensors, of which backward keeps `inputs` and no more

    Backward runs the function again, with the same random numbers, and differentiates that. What it
    uses besides the inputs and wants a gradient for must stand in `parameters`. Values are the
    same to the bit; gradients too, but for the order in which the pieces' are added up.
    Source: Chen et al., Training deep nets with sublinear memory cost, 2016.
    """
    if not recording(*inputs, *parameters):
        return tuple(function(*inputs))
    return Replayed.apply(function, len(inputs), *inputs, *parameters)


# ------------------------------------------------------------------------------- truncation


class Window(NamedTuple):
    """One step of truncated backpropagation: the loss of steps start .. stop - 1, the state after

    The loss's gradient reaches back to step `since`; the state has no history.
    """

    loss: Tensor
    state: Any
    since: int
    start: int
    stop: int


class Report(NamedTuple):
    """How far a truncated gradient is from the full one, all parameters taken as one vector."""

    cosine: float  # of the angle between them: 1 is the same direction
    norm_ratio: float  # |truncated| / |full|
    loss: float  # the same for both


class TBPTT:
    """Every k1 steps, backward through the last k2 >= k1: truncated backpropagation through time

    Window after window, stop = k1, 2 k1, ...: the loss of the last k1 steps, and its gradient
    through the last k2, not further. The windows overlap, and each starts from the state that the
    one before had there: a true sliding window, k2/k1 times the work of one sweep.
    Works for any `model(input, hx) -> (output, state)`: input (T, ...), (B, T, ...) with
    batch_first, or a PackedSequence; the state a tensor or a tuple, its batch on axis 1.
    Source: Williams and Peng 1990, BPTT(h; h').
    """

    def __init__(self, k1: int, k2: int, batch_first: bool = False) -> None:
        if not 1 <= k1 <= k2:
            raise ValueError(f"TBPTT: expected 1 <= k1 <= k2, got k1={k1}, k2={k2}")
        self.k1, self.k2, self.axis = k1, k2, int(batch_first)

    def __call__(
        self, model: Any, input: Any, loss: Callable, hx: Any = None, step: Any = None
    ) -> tuple[float, Any]:
        """Trains on one batch of sequences: (the sum of the losses, the last state)

        loss(output, start, stop) gives the loss of these steps' output, a single element; its
        gradient is added to `.grad`. step(), if given, is called after each window's backward:
        there the optimiser's step and zero_grad belong.
        """
        total, state = 0.0, hx
        for window in self.windows(model, input, loss, hx):
            window.loss.backward()
            total, state = total + window.loss.item(), window.state
            if step is not None:
                step()
        return total, state

    def windows(self, model: Any, input: Any, loss: Callable, hx: Any = None) -> Iterator[Window]:
        """The windows, each computed when it is asked for."""
        if getattr(model, "bidirectional", False):
            raise ValueError("TBPTT: the backward direction would need the steps to come")
        cut = _Cut(input, self.axis)
        state, since = cut.reordered(detach_states(hx), "sorted_indices"), 0
        for start in range(0, cut.steps, self.k1):
            stop = min(start + self.k1, cut.steps)
            since_next = max(0, min(stop + self.k1, cut.steps) - self.k2)
            outputs, current, state_next = [], state, state
            edges = sorted({since, start, since_next, stop})
            for a, b in pairwise(edges):
                output, current = cut.run(model, a, b, current)
                if b == since_next:
                    state_next = detach_states(current)
                if a >= start:
                    outputs.append(output)
            last = cut.reordered(detach_states(current), "unsorted_indices")
            yield Window(loss(cut.joined(outputs), start, stop), last, since, start, stop)
            state, since = state_next, since_next

    def report(
        self, model: Any, input: Any, loss: Callable, parameters: Any, hx: Any = None
    ) -> Report:
        """How far this truncation's gradient is from the full one; no `.grad` is touched."""
        parameters = [p for p in parameters if p.requires_grad]
        full = TBPTT(_Cut(input, self.axis).steps, _Cut(input, self.axis).steps, bool(self.axis))
        (g, total), (f, _) = (t._gradient(model, input, loss, parameters, hx) for t in (self, full))
        norms = float(np.linalg.norm(g)), float(np.linalg.norm(f))
        return Report(float(g @ f) / (norms[0] * norms[1]), norms[0] / norms[1], total)

    def _gradient(
        self, model: Any, input: Any, loss: Callable, parameters: list, hx: Any
    ) -> tuple[np.ndarray, float]:
        """The sum of the windows' gradients as one vector, and of their losses."""
        sums, total = [np.zeros(p.shape) for p in parameters], 0.0
        for window in self.windows(model, input, loss, hx):
            total += window.loss.item()
            found = grad(window.loss, parameters, allow_unused=True)
            sums = [s if g is None else s + g.data for s, g in zip(sums, found, strict=True)]
        return np.concatenate([s.ravel() for s in sums]), total


class _Cut:
    """A batch of sequences that can be run from any step to any other."""

    def __init__(self, input: Any, axis: int) -> None:
        self.input, self.axis = input, axis
        self.packed = isinstance(input, PackedSequence)
        self.steps = input.batch_sizes.shape[0] if self.packed else input.shape[axis]

    def run(self, model: Any, start: int, stop: int, state: Any) -> tuple[Any, Any]:
        """(output, state) of the model over steps start .. stop - 1; ended sequences keep theirs"""
        if not self.packed:
            index = (slice(None),) * self.axis + (slice(start, stop),)
            return model(self.input[index], state)
        piece = self.input.steps(start, stop)
        if state is None:
            return model(piece, None)
        b = piece.batch_sizes.data[0]
        output, new = model(piece, map_states(lambda s: s[:, :b], state))
        return output, map_states(lambda n, s: cat([n, s[:, b:]], dim=1), new, state)

    def reordered(self, state: Any, by: str) -> Any:
        """States of packed input, from the caller's order into the packed one, or back"""
        order = getattr(self.input, by) if self.packed else None
        return state if order is None else map_states(lambda s: s[:, order.data], state)

    def joined(self, outputs: list) -> Any:
        """The outputs of pieces that follow one another, as one."""
        if len(outputs) == 1:
            return outputs[0]
        if not self.packed:
            return cat(outputs, dim=self.axis)
        sizes = np.concatenate([y.batch_sizes.data for y in outputs])
        return PackedSequence(cat([y.data for y in outputs]), sizes)
