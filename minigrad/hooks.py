"""What looks on while backward runs: hooks on tensors, and `detect_anomaly`."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .modes import tracing
from .tape import Node, Value, Vertex, box, origins, vertex_of

# By the id of a vertex: a weak dictionary would ask whether two tensors are equal, elementwise.
registered: dict[int, dict[int, Callable]] = {}


class Hook:
    """A hook that was registered; `remove()` takes it back."""

    def __init__(self, vertex: Vertex, function: Callable) -> None:
        self.vertex = weakref.ref(vertex)
        if id(vertex) not in registered:
            weakref.finalize(vertex, registered.pop, id(vertex), None).atexit = False
        registered.setdefault(id(vertex), {})[id(self)] = function

    def remove(self) -> None:
        """Takes the hook back."""
        vertex = self.vertex()
        if vertex is not None:
            registered.get(id(vertex), {}).pop(id(self), None)


def register_hook(tensor: Value, function: Callable) -> Hook:
    """Calls function(gradient of `tensor`) in each backward; what it returns, if so, goes on."""
    return Hook(vertex_of(tensor), function)


def call_hooks(v: Vertex, gy: Any) -> Any:
    """The gradient of v as its hooks leave it."""
    for function in list(registered[id(v)].values()):
        boxed = gy if isinstance(gy, Value) else box(gy)
        changed = function(boxed)
        if changed is not None:
            gy = changed if isinstance(gy, Value) else changed.data
    return gy


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Within it, a backward that makes an inf or a NaN raises FloatingPointError

    It names the operation, the line of source that called it (when that ran within it, too), the
    place and value of the first such element. Slow.
    """
    tracing.append(None)
    try:
        yield
    finally:
        tracing.pop()


def check_finite(v: Node, k: int, g: Any) -> None:
    """FloatingPointError unless the gradient g of input k of v is finite all over."""
    array = g.data if isinstance(g, Value) else g
    if isinstance(array, np.ndarray | np.generic) and not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise FloatingPointError(
            f"backward of {v.plan.name}, called at {origins.get(v, 'an unknown line')}: the "
            f"gradient of its differentiable input {k} has {np.asarray(array)[at]} at {at}"
        )
