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

import inspect
import itertools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from typing import Any, NamedTuple

import numpy as np

# ------------------------------------------------------------------------------ what is recorded


class Value:
    """An array with a history. `tensor.Tensor` is this with operators.

    data           the array
    requires_grad  whether gradients are wanted for it, or for something it was made of
    grad           a leaf's gradient, after backward
    node           the call that made it; None for a leaf
    version        [n]: n in-place writes so far, in one list shared by all views of the same memory
    """

    __slots__ = ("__weakref__", "data", "grad", "node", "requires_grad", "version")
    kind: type[Value]  # the class of the results of primitives
    inputs: tuple[Vertex, ...] = ()  # a leaf ends the graph
    data: np.ndarray
    grad: Any
    node: Node | None
    requires_grad: bool
    version: list[int]

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """numpy's dtype of the elements."""
        return self.data.dtype

    @classmethod
    def box(cls, data: np.ndarray, node: Node | None = None, version: list | None = None) -> Any:
        """A value of this kind around `data`, made by `node`."""
        value = _new(cls)
        value.data = data
        value.grad = None
        value.node = node
        value.requires_grad = node is not None
        value.version = [0] if version is None else version
        return value


_new = object.__new__


class Node:
    """One recorded call of a primitive: where gradients go next, and what its rules need."""

    __slots__ = ("__weakref__", "dtype", "inputs", "plan", "saved", "shape", "versions")

    def __init__(
        self, plan: Plan, inputs: Any, saved: list | None, versions: list, shape: Any, dtype: Any
    ) -> None:
        self.plan = plan  # which rules will run
        self.inputs = inputs  # the vertices that their gradients go to
        self.saved = saved  # what the rules take; None once it was let go
        self.versions = versions  # (version, n): something saved had been written to n times
        self.shape, self.dtype = shape, dtype  # of the output


Vertex = Node | Value  # of the graph: a recorded call, or a leaf


class _Mode(threading.local):
    recording = True
    tracing = False  # remember where in the source each call was made


mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether calls are being recorded in this thread."""
    return mode.recording


class set_grad_enabled(ContextDecorator):
    """Records calls, or does not, in this thread: as a `with` block or as a decorator."""

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)

    def _recreate_cm(self) -> Any:  # a decorated function may recurse, and run in many threads
        return set_grad_enabled(self.mode)

    def __enter__(self) -> None:
        self.before, mode.recording = mode.recording, self.mode

    def __exit__(self, *exc: object) -> None:
        mode.recording = self.before


def no_grad() -> set_grad_enabled:
    """Within it nothing is recorded: no graph, no memory for one."""
    return set_grad_enabled(False)


def inference_mode(mode: bool = True) -> set_grad_enabled:
    """no_grad under PyTorch's other name: tensors made here are ordinary ones, usable anywhere."""
    return set_grad_enabled(not mode)


def enable_grad() -> set_grad_enabled:
    """Within it calls are recorded again, inside a `no_grad`."""
    return set_grad_enabled(True)


def recording(*args: Any) -> bool:
    """Whether a primitive called on these arguments would be recorded."""
    return mode.recording and any(isinstance(a, Value) and a.requires_grad for a in args)


# ----------------------------------------------------------------------------------- primitives


class Plan(NamedTuple):
    """What one choice of arguments that need gradients keeps, and what backward will run for it.

    A call has a pool: its arguments as arrays, the shapes that rules name, and, if a rule names
    them, its output and its extra result. Of this pool it saves what each rule names, rule after
    rule; a rule then finds its arguments side by side.
    """

    name: str
    inputs: list[int]  # positions of the arguments that need a gradient
    rules: list[tuple[Callable, slice]]  # theirs, and where in what was saved their arguments stand
    needs: tuple[bool, ...] | None  # one joint rule: which of its gradients are needed
    saved: list[int]  # places in the pool
    kept: list[int]  # positions of the arguments among them
    shapes: list[Any]  # positions of the arguments whose shapes are
    output: int | None  # place of the output in the pool
    extra: bool
    filled: dict[str, int]  # a joint rule's arguments that are known at backward only


_AT_BACKWARD = ("needs", "reuse")


class Primitive:
    """A function on arrays and its derivative rules; called on tensors, it records the call.

    With `extra=True` the function returns (result, extra), and the rules may name `extra`.
    A function that returns a tuple makes several tensors; its `gy` is a list, with None for those
    that no gradient reached.
    """

    def __init__(self, forward: Callable, extra: bool = False) -> None:
        self.forward, self.extra = forward, extra
        self.name = self.__name__ = forward.__name__
        self.__doc__, self.__module__ = forward.__doc__, forward.__module__
        self._rules: dict[str, Callable] = {}  # by argument
        self._joint = False  # whether they are one and the same
        self._plans: dict[int, Plan] = {}
        parameters = inspect.signature(forward).parameters.values()
        self._where: dict[str, Any] = {
            p.name: slice(i, None) if p.kind is p.VAR_POSITIONAL else i
            for i, p in enumerate(parameters)
        }

    def __repr__(self) -> str:
        return f"<primitive {self.name}{inspect.signature(self.forward)}>"

    def __reduce__(self) -> str:  # pickled as what it is: a name in its module
        return self.name

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

    def _plan(self, wanted: int, count: int) -> Plan:
        """The plan for `count` arguments; those with a bit set in `wanted` need gradients."""
        at = [(i, name) for name in self._rules for i in _positions(self._where[name], count)]
        needs = tuple(bool(wanted >> i & 1) for i, _ in at)
        chosen = [entry for entry, needed in zip(at, needs, strict=True) if needed]
        rules = [self._rules[name] for _, name in chosen]
        if self._joint:
            rules = rules[:1]
        named = [n for rule in rules for n in _named(rule)]
        kept = {n: self._where[n] for n in named if n in self._where}
        shapes = [n for n in dict.fromkeys(named) if n.endswith("_shape") and n not in kept]
        tail = [*shapes, *(n for n in ("y", "extra") if n in named)]
        place = {**kept, **{n: count + i for i, n in enumerate(tail)}}
        ends = list(itertools.accumulate((len(_named(rule)) for rule in rules), initial=0))
        return Plan(
            name=self.name,
            inputs=[i for i, _ in chosen],
            rules=[(r, slice(*ab)) for r, ab in zip(rules, itertools.pairwise(ends), strict=True)],
            needs=needs if self._joint else None,
            saved=[place.get(n, -1) for n in named],  # -1: filled at backward
            kept=list(kept.values()),
            shapes=[self._where[n.removesuffix("_shape")] for n in shapes],
            output=place.get("y"),
            extra="extra" in named,
            filled={n: named.index(n) for n in _AT_BACKWARD if n in named},
        )

    def __call__(self, *args: Any) -> Any:
        pool, wanted, bit, boxed = [], 0, 1, False
        for a in args:
            if isinstance(a, Value):
                boxed = True
                if a.requires_grad:
                    wanted |= bit
                a = a.data
            pool.append(a)
            bit += bit
        y = self.forward(*pool)
        extra = None
        if self.extra:
            y, extra = y
        if not boxed:
            return y  # arrays in, arrays out
        plan = None
        if wanted and mode.recording:
            plan = self._plans.get(wanted + bit)
            if plan is None:
                plan = self._plans[wanted + bit] = self._plan(wanted, len(args))
            if not plan.inputs:
                plan = None
        if type(y) is tuple:
            node = None if plan is None else _record(plan, args, pool, y, extra, [], None, None)
            return tuple([_part(node, y, i, args) for i in range(len(y))])
        if type(y) is not np.ndarray:
            y = np.asarray(y)
        version = [0] if y.base is None else _shared_version(y, args)
        if plan is None:
            return Value.kind.box(y, None, version)
        versions = [] if plan.output is None else [(version, version[0])]
        node = _record(plan, args, pool, y, extra, versions, y.shape, y.dtype)
        return Value.kind.box(y, node, version)


def primitive(forward: Callable | None = None, *, extra: bool = False) -> Any:
    """Decorates the forward function of a `Primitive`."""
    if forward is None:
        return lambda function: Primitive(function, extra)
    return Primitive(forward, extra)


def _named(rule: Callable) -> list[str]:
    """What a rule names besides gy, which comes first."""
    first, *others = inspect.signature(rule).parameters
    if first != "gy":
        raise TypeError(f"the first argument of a rule is gy, not {first}")
    return others


def _positions(where: int | slice, count: int) -> Sequence[int]:
    return range(count)[where] if isinstance(where, slice) else (where,)


def _record(
    plan: Plan, args: Any, pool: list, y: Any, extra: Any, versions: list, shape: Any, dtype: Any
) -> Node:
    """Keeps what the plan's rules name; `pool` are the arguments as arrays."""
    if plan.shapes:
        pool += [
            [np.shape(v) for v in pool[i]] if isinstance(i, slice) else np.shape(pool[i])
            for i in plan.shapes
        ]
    if plan.output is not None:
        pool.append(y)
    if plan.extra:
        pool.append(extra)
    inputs, saved = [], []
    for i in plan.inputs:
        a = args[i]
        inputs.append(a.node or a)
    for i in plan.saved:
        saved.append(pool[i])
    for i in plan.kept:
        a = args[i]
        if isinstance(a, Value):
            versions.append((a.version, a.version[0]))
    for i in plan.filled.values():
        saved[i] = None
    node = Node(plan, inputs, saved, versions, shape, dtype)
    if mode.tracing:
        origins[node] = _caller()
    return node


# Where in the user's source a call stands: only what was recorded within detect_anomaly().
origins: weakref.WeakKeyDictionary[Node, str] = weakref.WeakKeyDictionary()


def _caller() -> str:
    """The line outside this package that led here: file:line."""
    package, frame = os.path.dirname(__file__) + os.sep, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _shared_version(y: np.ndarray, args: Sequence) -> list[int]:
    """The version of the argument that y is a view of, if it is one."""
    for a in args:
        if isinstance(a, Value) and (y.base is a.data or y.base is a.data.base):
            return a.version
    return [0]


class Parts(list):
    """The gradients of the outputs of one call, None where there is none (yet)."""

    shape = dtype = None

    def __add__(self, other: Any) -> Parts:
        return Parts(
            b if a is None else a if b is None else a + b for a, b in zip(self, other, strict=True)
        )


def _part(node: Node | None, y: tuple, i: int, args: Sequence) -> Any:
    """Output i of a call that has several: a vertex of its own, whose gradient is one of Parts."""
    part = np.asarray(y[i])
    version = [0] if part.base is None else _shared_version(part, args)
    if node is None:
        return Value.kind.box(part, None, version)
    if node.plan.output is not None:
        node.versions.append((version, version[0]))
    vertex = Node(_PART, [node], [i, len(y)], [], part.shape, part.dtype)
    return Value.kind.box(part, vertex, version)


def _part_rule(gy: Any, i: int, count: int) -> Parts:
    return Parts(gy if k == i else None for k in range(count))


_PART = Plan(
    "part", [0], [(_part_rule, slice(0, 2))], None, [], [], [], None, False, {}
)  # fmt: skip
