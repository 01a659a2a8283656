"""autograd.Function: an operation with its own backward, the way PyTorch writes one.

    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, gy):
            [y] = ctx.saved_tensors
            return gy * y

    y = Exp.apply(x)

It becomes a primitive with a joint rule (see tape.py, which has the shorter way to write one).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import writes
from .modes import no_grad
from .tape import Value, box, primitive


class Context:
    """What forward leaves for backward: saved tensors, and any other attribute."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._saved: tuple[Value | None, ...] = ()
        self._time = 0  # when they were saved
        self._materialize = True
        self._outputs: list[tuple] = []  # each as forward made it, and with its history

    def save_for_backward(self, *tensors: Value | None) -> None:
        """Keeps inputs or outputs; writing to one in place afterwards is caught."""
        self._saved = tensors
        self._time = writes.tick()

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved; raises RuntimeError if it was written in place since."""
        if writes.written_since(self._time, [t.data for t in self._saved if t is not None]):
            raise RuntimeError("a tensor saved for backward was written in place since")
        recorded = {id(made): y for made, y in self._outputs}
        return tuple(recorded.get(id(t), t) for t in self._saved)

    def set_materialize_grads(self, value: bool) -> None:
        """False: backward gets None, not zeros, for an output that no gradient reached."""
        self._materialize = value


class Function:
    """Subclass it with static `forward(ctx, *args)` and `backward(ctx, *gradients of the outputs)`.

    backward returns one gradient per argument of forward, None for those that have none.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """The outputs, from the arguments of apply."""
        raise TypeError("a Function defines forward")

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The gradients of forward's arguments, from those of its outputs."""
        raise TypeError("a Function defines backward")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Computes forward(ctx, *args), recorded."""
        ctx = Context(tuple(isinstance(a, Value) and a.requires_grad for a in args))
        with no_grad():
            made = cls.forward(ctx, *args)
        outputs = made if isinstance(made, tuple) else (made,)

        def forward(*arrays: Any) -> Any:
            return tuple(t.data for t in made) if isinstance(made, tuple) else made.data

        def rule(gy: Any, y: Any) -> list:
            gradients = gy if isinstance(made, tuple) else [gy]
            graph = any(isinstance(g, Value) for g in gradients)
            if graph:
                ctx._outputs = list(zip(outputs, y if isinstance(made, tuple) else [y]))
            found = cls.backward(
                ctx, *[_boxed(g, t, ctx) for g, t in zip(gradients, outputs, strict=True)]
            )
            found = found if isinstance(found, tuple | list) else (found,)
            if len(found) != len(args):
                raise RuntimeError(
                    f"{cls.__name__}.backward: {len(found)} gradients for {len(args)} arguments"
                )
            ctx._outputs = []
            return [g.data if isinstance(g, Value) and not graph else g for g in found]

        forward.__name__ = cls.__name__
        call = primitive(forward)
        call.joint_rule("arrays")(rule)
        return call(*args)


def _boxed(g: Any, output: Value, ctx: Context) -> Any:
    """The gradient of an output as the tensor (or None) that backward is given."""
    if g is None and ctx._materialize:
        g = np.zeros(output.shape, output.dtype)
    return g if g is None or isinstance(g, Value) else box(g)
