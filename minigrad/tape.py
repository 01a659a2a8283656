"""The tape: what a calculation leaves behind, so that it can be differentiated.

A program is a chain of primitives, y = f(a, b, ...). Each primitive knows how to pull a gradient
back through itself: given gy = dL/dy, its rules give dL/da, dL/db, ... While a program runs, every
call that some leaf's gradient depends on leaves a `Node` behind; `autograd.backward` then visits
the nodes, outputs before inputs, applies the rules and adds up what arrives.

    @primitive
    def mul(a, b):
        return a * b

    mul.rules(a=lambda gy, b: gy * b, b=lambda gy, a: gy * a)

A rule gets `gy`, the gradient of the output, and what else it *names*: any argument of the
primitive, its shape (`a_shape`), the output (`y`). What no rule that will run names is not kept,
so the names are also what backward costs in memory.

A rule is ordinary arithmetic on whatever it is given. Given arrays it makes a gradient at numpy's
speed. Given tensors (`create_graph=True`) its own steps are recorded, and the gradient it makes can
be differentiated again. That is why a primitive called on plain arrays returns a plain array.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from . import writes
from .broadcasting import explained
from .modes import mode, tracing

# ------------------------------------------------------------------------------ what is recorded


class Value:
    """An array with a history. `tensor.Tensor` is this with operators.

    data           the array
    requires_grad  whether gradients are wanted for it, or for something it was made of
    grad           a leaf's gradient, after backward
    node           the call that made it; None for a leaf
    """

    __slots__ = ("__weakref__", "data", "grad", "node", "requires_grad")
    inputs: tuple[Vertex, ...] = ()  # a leaf ends the graph
    data: np.ndarray
    grad: Any
    node: Node | None
    requires_grad: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """numpy's dtype of the elements."""
        return self.data.dtype

    @classmethod
    def box(cls, data: np.ndarray, node: Node | None = None) -> Any:
        """A value of this kind around `data`, made by `node`."""
        return box(data, node, cls)


_new: Any = object.__new__
_result: type[Value] = Value  # the class of what primitives return


def results_are(kind: type[Value]) -> None:
    """From now on primitives return values of this kind."""
    global _result
    _result = kind


def box(data: ndarray, node: Any = None, kind: Any = None) -> Any:
    """A value around `data`, made by `node`; of that kind unless another is said."""
    value = _new(kind or _result)
    value.data = data
    value.grad = None
    value.node = node
    value.requires_grad = node is not None
    return value


class Node:
    """One recorded call of a primitive: where gradients go next, and what its rules need."""

    __slots__ = ("__weakref__", "dtype", "inputs", "plan", "saved", "shape", "time")
    plan: Plan  # which rules will run
    inputs: list[Vertex]  # where their gradients go
    saved: Sequence | None  # the pool that the rules take from; None once it was let go
    time: int  # when the call was recorded: see writes.py
    shape: Any  # of the output; None if it has several
    dtype: Any


Vertex = Node | Value  # of the graph: a recorded call, or a leaf


def recording(*args: Any) -> bool:
    """Whether a primitive called on these arguments would be recorded."""
    return mode.recording and any(isinstance(a, Value) and a.requires_grad for a in args)


def vertex_of(t: Any) -> Vertex:
    """Where a tensor stands in the graph: the call that made it, or itself, a leaf."""
    if not isinstance(t, Value):
        raise TypeError(f"expected a tensor, got {type(t).__name__}")
    if not t.requires_grad:
        raise RuntimeError("a tensor that gradients are asked of, or for, does not require grad")
    return t.node or t


# ----------------------------------------------------------------------------------- primitives


@dataclass(slots=True)
class Plan:
    """What one choice of arguments that need gradients keeps, and what backward will run for it.

    A call has a pool: its arguments as arrays; behind them the shapes, the output and the extra
    result that rules name, and what is known at backward only. This pool, without the arguments
    that no rule names, is what a node saves and its rules take from.
    """

    name: str
    inputs: list[int]  # positions of the arguments that need a gradient
    rules: list[Callable]  # theirs, as functions of gy and the pool
    joint: Callable | None  # one rule for all, likewise: `rules` then pick from what it returned
    needs: list[bool]  # which of its gradients are needed
    saves: bool  # whether the rules name anything
    kept: list[int]  # positions of the arguments that they name,
    dropped: list[int]  # and of the others
    shapes: list[Any]  # positions of the arguments whose shapes they name
    output: int | None  # place of the output in the pool
    extra: bool
    later: list[str]  # what stands last in the pool, and is known at backward only


_AT_BACKWARD = ("needs", "reuse")


class Primitive:
    """A function on arrays, its derivative rules, and what a call of it on tensors records.

    With `extra=True` the function returns (result, extra), and the rules may name `extra`.
    A function that returns a tuple makes several tensors; its `gy` is a list, with None for those
    that no gradient reached.
    """

    def __init__(self, forward: Callable, extra: bool = False) -> None:
        self.forward, self.extra, self.name = forward, extra, forward.__name__
        self._rules: dict[str, Callable] = {}  # by argument
        self._joint = False  # whether they are one and the same
        self._plans: dict[int, Plan] = {}  # by the arguments that need gradients
        parameters = inspect.signature(forward).parameters.values()
        self._where: dict[str, Any] = {
            p.name: slice(i, None) if p.kind is p.VAR_POSITIONAL else i
            for i, p in enumerate(parameters)
        }

    def rules(self, **rules: Callable) -> None:
        """Defines the derivative: a rule per differentiable argument, by its name."""
        values = {n for n, at in self._where.items() if isinstance(at, int)}
        known = values.union((f"{n}_shape" for n in self._where), ("y", "extra"), _AT_BACKWARD)
        for argument, rule in rules.items():
            if argument not in self._where:
                raise TypeError(f"{self.name} has no argument {argument!r} to have a rule for")
            if not known.issuperset(_named(rule)):
                unknown = ", ".join(n for n in _named(rule) if n not in known)
                raise TypeError(f"{self.name}: the rule for {argument!r} names unknown {unknown}")
        self._rules, self._joint = rules, False
        self._plans.clear()

    def joint_rule(self, *arguments: str) -> Callable[[Callable], Callable]:
        """Decorates one rule for several arguments: it returns all their gradients, in order.

        It may also name `needs` (a bool per gradient: where False, None will do) and `reuse` (True
        when what was saved will not be looked at again, and may be overwritten).
        """

        def define(rule: Callable) -> Callable:
            self.rules(**dict.fromkeys(arguments, rule))
            self._joint = True
            return rule

        return define

    def _plan(self, wanted: int) -> Plan:
        """The plan for a call: the highest bit of `wanted` tells how many arguments it has, the
        others which of them need gradients."""
        count = wanted.bit_length() - 1
        at = [(i, name) for name in self._rules for i in _positions(self._where[name], count)]
        needs = [bool(wanted >> i & 1) for i, _ in at]
        chosen = [entry for entry, needed in zip(at, needs, strict=True) if needed]
        rules = [self._rules[name] for _, name in chosen]
        named = dict.fromkeys(n for rule in rules for n in _named(rule))
        kept = {n: self._where[n] for n in named if n in self._where}
        shapes = [n for n in named if n.endswith("_shape") and n not in kept]
        tail = [*shapes, *(n for n in ("y", "extra", *_AT_BACKWARD) if n in named)]
        place = {**kept, **{n: count + i for i, n in enumerate(tail)}}
        pulls = [_on_pool(rule, [place[n] for n in _named(rule)]) for rule in rules]
        joint = pulls[0] if pulls and self._joint else None
        self._plans[wanted] = plan = Plan(
            name=self.name,
            inputs=[i for i, _ in chosen],
            rules=[_pick(i) for i in range(len(chosen))] if joint else pulls,
            joint=joint,
            needs=needs,
            saves=bool(named) or joint is not None,
            kept=list(kept.values()),
            dropped=[i for i in range(count) if i not in kept.values()],
            shapes=[self._where[n.removesuffix("_shape")] for n in shapes],
            output=place.get("y"),
            extra="extra" in named,
            later=[n for n in _AT_BACKWARD if n in named],
        )
        return plan

    def function(self) -> Callable:
        """The primitive as a function: of arrays, and then of nothing more; or of tensors."""
        forward, finish = self.forward, self._finish

        def one(x: Any, /) -> Any:
            if not isinstance(x, Value):
                return forward(x)
            return finish(3 if x.requires_grad else 2, (x,), [x.data], forward(x.data))

        def two(a: Any, b: Any, /) -> Any:
            if type(a) is ndarray and type(b) is ndarray:
                return forward(a, b)
            wanted, x, y = 0, a, b
            if isinstance(a, Value):
                wanted, x = 5 if a.requires_grad else 4, a.data
            if isinstance(b, Value):
                wanted, y = (wanted or 4) + (2 if b.requires_grad else 0), b.data
            try:
                z = forward(x, y)
            except ValueError as error:
                raise explained(error, self.name, (x, y)) from None
            return finish(wanted, (a, b), [x, y], z) if wanted else z

        def several(*args: Any) -> Any:
            for a in args:
                if isinstance(a, Value):
                    break
            else:
                return forward(*args)[0] if self.extra else forward(*args)
            wanted, bit, pool = 0, 1, []
            for a in args:
                if isinstance(a, Value):
                    wanted |= bit if a.requires_grad else 0
                    a = a.data
                pool.append(a)
                bit += bit
            try:
                y, extra = forward(*pool) if self.extra else (forward(*pool), None)
            except ValueError as error:
                raise explained(error, self.name, pool) from None
            return finish(wanted + bit, args, pool, y, extra)

        fixed = not self.extra and all(isinstance(at, int) for at in self._where.values())
        function = {1: one, 2: two}.get(len(self._where), several) if fixed else several
        return functools.update_wrapper(function, forward)  # type: ignore[arg-type]

    def _finish(self, wanted: int, args: Sequence, pool: list, y: Any, extra: Any = None) -> Any:
        """The result y as a tensor, and the call recorded if it is to be."""
        plan = self._plans.get(wanted) or self._plan(wanted)
        if type(y) is not ndarray and type(y) is not tuple:
            y = np.asarray(y)
        node = None
        if plan.inputs and mode.recording:
            node = _new(Node)
            node.plan = plan
            node.time = writes.tick()
            node.inputs = inputs = []
            for i in plan.inputs:
                a = args[i]
                inputs.append(a.node or a)
            node.shape, node.dtype = (y.shape, y.dtype) if type(y) is ndarray else (None, None)
            node.saved = _kept(plan, pool, y, extra) if plan.saves else ()
            if tracing:
                origins[node] = _caller()
        if type(y) is tuple:
            return tuple([part(node, y, i) for i in range(len(y))])
        return box(y, node)


def primitive(forward: Callable | None = None, *, extra: bool = False) -> Any:
    """Decorates the forward function of a `Primitive`, and gives it `rules` and `joint_rule`."""
    if forward is None:
        return lambda function: primitive(function, extra=extra)
    made = Primitive(forward, extra)
    function: Any = made.function()
    function.primitive, function.rules, function.joint_rule = made, made.rules, made.joint_rule
    return function


def _named(rule: Callable) -> list[str]:
    """What a rule names besides gy, which comes first."""
    first, *others = inspect.signature(rule).parameters
    if first != "gy":
        raise TypeError(f"the first argument of a rule is gy, not {first}")
    return others


def _positions(where: int | slice, count: int) -> Sequence[int]:
    return range(count)[where] if isinstance(where, slice) else (where,)


def _on_pool(rule: Callable, places: list[int]) -> Callable:
    """The rule as a function of gy and the pool; without a detour where it names one or nothing."""
    if not places:
        return lambda gy, pool: rule(gy)
    if len(places) == 1:
        [i] = places
        return lambda gy, pool: rule(gy, pool[i])
    return lambda gy, pool: rule(gy, *[pool[i] for i in places])


def _pick(i: int) -> Callable:
    """A joint rule's gradient i, from the list that backward puts at the pool's end."""
    return lambda gy, pool: pool[-1][i]


def _kept(plan: Plan, pool: list, y: Any, extra: Any) -> list:
    """The pool of a call, its arguments so far, with what else the rules name and nothing more."""
    for at in plan.shapes:
        pool.append(
            [np.shape(v) for v in pool[at]] if isinstance(at, slice) else np.shape(pool[at])
        )
    if plan.output is not None:
        pool.append(y)
    if plan.extra:
        pool.append(extra)
    for i in plan.dropped:
        pool[i] = None
    return pool


# Where in the user's source a call stands: only what was recorded within detect_anomaly().
origins: weakref.WeakKeyDictionary[Node, str] = weakref.WeakKeyDictionary()


def _caller() -> str:
    """The line outside this package that led here: file:line."""
    package, frame = os.path.dirname(__file__) + os.sep, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


class Parts(list):
    """The gradients of the outputs of one call, None where there is none (yet)."""

    shape = dtype = None

    def __add__(self, other: Any) -> Parts:
        return Parts(
            b if a is None else a if b is None else a + b for a, b in zip(self, other, strict=True)
        )


def part(node: Node | None, y: tuple, i: int) -> Any:
    """Output i of a call that has several: a vertex of its own, whose gradient is one of Parts."""
    array = np.asarray(y[i])
    if node is None:
        return box(array)
    vertex = _new(Node)
    vertex.plan, vertex.inputs, vertex.saved = _PARTS, [node], (i, len(y))
    vertex.time, vertex.shape, vertex.dtype = writes.tick(), array.shape, array.dtype
    return box(array, vertex)


def _part_rule(gy: Any, place: Sequence[int]) -> Parts:
    i, count = place
    return Parts(gy if k == i else None for k in range(count))


_PARTS = Plan("part", [0], [_part_rule], None, [True], True, [], [], [], None, False, [])
