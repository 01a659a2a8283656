"""Reverse-mode differentiation: the idea of this library, in one file.

A program is a chain of primitives, y = f(a, b, ...). Each primitive knows how to pull a gradient
back through itself: given gy = dL/dy, its rules give dL/da, dL/db, ... While a program runs, every
call that some leaf's gradient depends on leaves a `Node` behind; `backward` then visits the nodes,
outputs before inputs, applies the rules and adds up what arrives.

    @primitive
    def mul(a, b):
        return a * b

    mul.rules(a=lambda gy, b: gy * b, b=lambda gy, a: gy * a)

A rule *names what it needs* and gets only that: `gy`, the gradient of the output; `y`, the output;
any argument of the primitive; `a_shape`, the shape of the argument `a`. What no rule that will run
names is not kept, so the names are also what backward costs in memory.

A rule is ordinary arithmetic on whatever it is given. Given arrays it makes a gradient at numpy's
speed. Given tensors (`create_graph=True`) its own steps are recorded, and the gradient it makes can
be differentiated again. That is why a primitive called on plain arrays returns a plain array.

Sources: Linnainmaa 1970 (the method); Griewank and Walther, Evaluating Derivatives, 2nd ed. 2008.
"""

from __future__ import annotations

import inspect
import threading
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
    def box(
        cls, data: np.ndarray, node: Node | None = None, version: list[int] | None = None
    ) -> Any:
        """A value of this kind around `data`, made by `node`."""
        value = object.__new__(cls)
        value.data = data
        value.grad = None
        value.node = node
        value.requires_grad = node is not None
        value.version = [0] if version is None else version
        return value


class Node:
    """One recorded call of a primitive: where gradients go next, and what its rules need."""

    __slots__ = ("dtype", "inputs", "plan", "saved", "shape", "versions")

    def __init__(
        self, plan: Any, inputs: tuple, saved: list | None, versions: list, shape: Any, dtype: Any
    ) -> None:
        self.plan = plan  # which rules will run
        self.inputs = inputs  # the vertices that their gradients go to
        self.saved = saved  # what the rules take; None once it was let go
        self.versions = versions  # (version, n): what was saved had been written to n times
        self.shape, self.dtype = shape, dtype  # of the output


Vertex = Node | Value  # of the graph: a recorded call, or a leaf


class _Mode(threading.local):
    recording = True


_mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether calls are being recorded in this thread."""
    return _mode.recording


class set_grad_enabled(ContextDecorator):
    """Records calls, or does not, in this thread: as a `with` block or as a decorator."""

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)

    def _recreate_cm(self) -> Any:  # a decorated function may recurse, and run in many threads
        return set_grad_enabled(self.mode)

    def __enter__(self) -> None:
        self.before, _mode.recording = _mode.recording, self.mode

    def __exit__(self, *exc: object) -> None:
        _mode.recording = self.before


def no_grad() -> set_grad_enabled:
    """Within it nothing is recorded: no graph, no memory for one."""
    return set_grad_enabled(False)


def enable_grad() -> set_grad_enabled:
    """Within it calls are recorded again, inside a `no_grad`."""
    return set_grad_enabled(True)


def recording(*args: Any) -> bool:
    """Whether a primitive called on these arguments would be recorded."""
    return _mode.recording and any(isinstance(a, Value) and a.requires_grad for a in args)


# ----------------------------------------------------------------------------------- primitives


class Plan(NamedTuple):
    """What to keep, and what backward will run, for one choice of arguments that need gradients."""

    name: str
    inputs: list[int]  # positions of the arguments that need a gradient
    rules: list[tuple[Callable, list[int]]]  # each with what it takes from the pool
    needs: tuple[bool, ...] | None  # one joint rule: which of its gradients are needed
    values: list[Any]  # positions (or a slice of them) of the arguments to keep
    shapes: list[Any]  # and of those whose shape is enough
    output: bool  # whether to keep the output


# A rule picks its arguments from a pool: these, then what was saved (values, shapes, output, extra)
_POOL = ("gy", "needs", "reuse")


class Primitive:
    """A function on arrays and its derivative rules; called on tensors, it records the call.

    With `extra=True` the function returns (result, extra), and the rules may name `extra`.
    A function that returns a tuple makes several tensors; its `gy` is a list, with None for those
    that no gradient reached.
    """

    def __init__(self, forward: Callable, extra: bool = False) -> None:
        self.forward, self.extra = forward, extra
        self.name = self.__name__ = forward.__name__
        self.__doc__ = forward.__doc__
        self.__module__ = forward.__module__
        self._rules: dict[str, Callable] = {}  # by argument
        self._joint: Callable | None = None  # or one for all of them
        self._plans: dict[int, Plan] = {}
        parameters = inspect.signature(forward).parameters.values()
        self._where: dict[str, Any] = {
            p.name: slice(i, None) if p.kind is p.VAR_POSITIONAL else i
            for i, p in enumerate(parameters)
        }

    def __repr__(self) -> str:
        return f"<primitive {self.name}{inspect.signature(self.forward)}>"

    def rules(self, **rules: Callable) -> None:
        """Defines the derivative: a rule per differentiable argument, by its name."""
        for argument, rule in rules.items():
            known = {*_POOL, "y", "extra", *self._where, *(f"{n}_shape" for n in self._where)}
            unknown = [n for n in (argument, *_names(rule)) if n not in known]
            if unknown:
                raise TypeError(f"{self.name}: rule for {argument!r} names {', '.join(unknown)}")
        self._rules = rules
        self._plans.clear()

    def joint_rule(self, *arguments: str) -> Callable[[Callable], Callable]:
        """Decorates one rule for several arguments: it returns all their gradients, in order.

        It may also name `needs` (a bool per gradient: where False, None will do) and `reuse` (True
        when what was saved will not be looked at again, and may be overwritten).
        """

        def define(rule: Callable) -> Callable:
            self.rules(**dict.fromkeys(arguments, rule))
            self._joint = rule
            return rule

        return define

    def _plan(self, wanted: int, count: int) -> Plan:
        """The plan for `count` arguments; those with a bit set in `wanted` need gradients."""
        at = [(i, name) for name in self._rules for i in _positions(self._where[name], count)]
        needs = tuple(bool(wanted >> i & 1) for i, _ in at)
        inputs = [i for (i, _), needed in zip(at, needs, strict=True) if needed]
        rules = [self._rules[name] for (_, name), needed in zip(at, needs, strict=True) if needed]
        if self._joint is not None:
            rules = rules[:1]
        named = list(dict.fromkeys(n for rule in rules for n in _names(rule)))
        values = [n for n in named if n in self._where]
        shapes = [n for n in named if n.endswith("_shape") and n not in values]
        pool = [*_POOL, *values, *shapes, *(n for n in ("y", "extra") if n in named)]
        return Plan(
            self.name,
            inputs,
            [(rule, [pool.index(n) for n in _names(rule)]) for rule in rules],
            None if self._joint is None else needs,
            [self._where[n] for n in values],
            [self._where[n.removesuffix("_shape")] for n in shapes],
            "y" in named,
        )

    def __call__(self, *args: Any) -> Any:
        values, wanted, bit, boxed = [], 0, 1, False
        for a in args:
            if isinstance(a, Value):
                boxed = True
                if a.requires_grad:
                    wanted |= bit
                a = a.data
            values.append(a)
            bit += bit
        y = self.forward(*values)
        if self.extra:
            y, extra = y
            values.append(extra)
        if not boxed:
            return y  # arrays in, arrays out
        if type(y) is not np.ndarray and type(y) is not tuple:
            y = np.asarray(y)
        node = None
        if wanted and _mode.recording:
            plan = self._plans.get(wanted + bit)
            if plan is None:
                plan = self._plans[wanted + bit] = self._plan(wanted, len(args))
            if plan.inputs:
                node = _record(plan, args, values, y)
        if type(y) is tuple:
            return tuple(_part(node, y, i) for i in range(len(y)))
        value = Value.kind.box(y, node, None if y.base is None else _shared_version(y, args))
        if node is not None and node.plan.output:
            node.versions.append((value.version, value.version[0]))
        return value


def primitive(forward: Callable | None = None, *, extra: bool = False) -> Any:
    """Decorates the forward function of a `Primitive`."""
    if forward is None:
        return lambda function: Primitive(function, extra)
    return Primitive(forward, extra)


def _names(rule: Callable) -> list[str]:
    return list(inspect.signature(rule).parameters)


def _positions(where: int | slice, count: int) -> Sequence[int]:
    return range(count)[where] if isinstance(where, slice) else (where,)


def _record(plan: Plan, args: Sequence, values: list, y: Any) -> Node:
    """Keeps what the plan's rules name."""
    saved = [values[i] for i in plan.values]
    versions = [
        (args[i].version, args[i].version[0]) for i in plan.values if isinstance(args[i], Value)
    ]
    for i in plan.shapes:
        saved.append([np.shape(v) for v in values[i]] if isinstance(i, slice) else values[i].shape)
    if plan.output:
        saved.append(y)
    if len(values) > len(args):
        saved.append(values[-1])  # extra
    inputs = tuple([args[i].node or args[i] for i in plan.inputs])
    if type(y) is tuple:
        return Node(plan, inputs, saved, versions, None, None)
    return Node(plan, inputs, saved, versions, y.shape, y.dtype)


def _shared_version(y: np.ndarray, args: Sequence) -> list[int] | None:
    """The version of the argument that y is a view of, if it is one."""
    for a in args:
        if isinstance(a, Value) and (y.base is a.data or y.base is a.data.base):
            return a.version
    return None


class _Parts(list):
    """The gradients of the outputs of one call, None where there is none (yet)."""

    shape = dtype = None

    def __add__(self, other: Any) -> _Parts:
        return _Parts(b if a is None else a for a, b in zip(self, other, strict=True))


def _part(node: Node | None, y: tuple, i: int) -> Any:
    """Output i of a call that has several: a vertex of its own, whose gradient is one of _Parts."""
    part = np.asarray(y[i])
    if node is not None:
        node = Node(_PART, (node,), [i, len(y)], [], part.shape, part.dtype)
    return Value.kind.box(part, node)


def _part_rule(gy: Any, i: int, count: int) -> _Parts:
    return _Parts(gy if k == i else None for k in range(count))


_PART = Plan("part", [0], [(_part_rule, [0, 3, 4])], None, [], [], False)


# --------------------------------------------------------------------------------- backward


def _run(roots: dict[Vertex, Any], targets: set | None, retain: bool, graph: bool) -> dict:
    """Walks from outputs to inputs, each vertex once, after all that use it.

    roots    the gradient at each output
    targets  the vertices whose gradients are asked for; None: all leaves
    retain   keep what was saved, for another walk
    graph    gradients are tensors with a history, not arrays
    """
    uses = _uses(roots, targets)  # how many gradients each vertex still waits for
    gradients = {v: g for v, g in roots.items() if v in uses}
    ready = [v for v in gradients if uses[v] == 0]
    found, sums = {}, set()
    while ready:
        v = ready.pop()
        gy = gradients.pop(v, None)
        if v in targets if targets is not None else isinstance(v, Value):
            found[v] = gy
        if isinstance(v, Value):
            continue
        pulled = [None] * len(v.inputs) if gy is None else _pull(v, gy, uses, retain, graph)
        for u, g in zip(v.inputs, pulled, strict=True):
            if u not in uses:
                continue
            if g is not None:
                if g.shape != u.shape or g.dtype != u.dtype:
                    g = _fit(g, u, v.plan.name)
                if u not in gradients:
                    gradients[u] = g
                elif u in sums:  # an array made here, so that adding in place harms nobody
                    gradients[u] += g
                else:
                    gradients[u] = gradients[u] + g
                    if not graph and isinstance(g, np.ndarray):
                        sums.add(u)
            uses[u] -= 1
            if uses[u] == 0:
                ready.append(u)
    return found


def _uses(roots: dict[Vertex, Any], targets: set | None) -> dict[Vertex, int]:
    """For each vertex on the way from `roots` to `targets`, how often that way uses it."""
    users: dict[Vertex, list[Vertex]] = {v: [] for v in roots}
    stack = list(roots)
    while stack:
        v = stack.pop()
        for u in v.inputs:
            if u not in users:
                users[u] = []
                stack.append(u)
            users[u].append(v)
    if targets is None:
        return {v: len(by) for v, by in users.items()}
    leading: set[Vertex] = set()  # those that a target's gradient passes through
    stack = [v for v in targets if v in users]
    while stack:
        v = stack.pop()
        if v not in leading:
            leading.add(v)
            stack.extend(users[v])
    return {v: len(users[v]) for v in leading}


def _pull(v: Node, gy: Any, uses: dict, retain: bool, graph: bool) -> list:
    """The gradients of the inputs of one call, by its rules."""
    plan, saved = v.plan, v.saved
    if saved is None:
        raise RuntimeError(
            f"backward through {plan.name} a second time: what it had saved was let go by the "
            "first. Say retain_graph=True there."
        )
    for version, n in v.versions:
        if version[0] != n:
            raise RuntimeError(
                f"{plan.name}: a value that its backward needs was written in place "
                f"{version[0] - n} time(s) after it was used"
            )
    if graph:
        saved = _with_history(v)
    if not retain and (v.versions or plan.output):
        v.saved = None
    if plan.needs is None:
        pool = (gy, None, not retain, *saved)
        return [
            rule(*[pool[i] for i in take]) if u in uses else None
            for u, (rule, take) in zip(v.inputs, plan.rules, strict=True)
        ]
    wanted = iter([u in uses for u in v.inputs])
    needs = [needed and next(wanted) for needed in plan.needs]
    pool = (gy, needs, not retain, *saved)
    [(rule, take)] = plan.rules
    gradients = rule(*[pool[i] for i in take])
    return [g for g, needed in zip(gradients, plan.needs, strict=True) if needed]


def _with_history(v: Node) -> list:
    """What was saved, as tensors where gradients flow on into it."""
    assert v.saved is not None
    saved, origin = list(v.saved), dict(zip(v.plan.inputs, v.inputs, strict=True))
    for n, i in enumerate(v.plan.values):
        u = origin.get(i)
        if isinstance(u, Node):
            saved[n] = Value.kind.box(saved[n], u)
        elif u is not None:
            if u.data is not saved[n]:
                raise RuntimeError(f"{v.plan.name}: a leaf's data was replaced after its use")
            saved[n] = u
    if v.plan.output and v.shape is not None:
        n = len(v.plan.values) + len(v.plan.shapes)
        saved[n] = Value.kind.box(saved[n], v)
    return saved


def _fit(g: Any, u: Vertex, name: str) -> Any:
    """Undoes the broadcasting of an input of shape u.shape, and brings g to its dtype."""
    if g.shape != u.shape:
        more = len(g.shape) - len(u.shape)
        axes = tuple(range(more)) + tuple(
            more + i for i, n in enumerate(u.shape) if n == 1 != g.shape[more + i]
        )
        kept = tuple(n for i, n in enumerate(g.shape) if i not in axes)
        if more < 0 or kept != tuple(n for i, n in enumerate(u.shape) if more + i not in axes):
            raise RuntimeError(
                f"{name}: a rule made a gradient of shape {g.shape} for an argument of {u.shape}"
            )
        g = g.sum(axis=axes, keepdims=True).reshape(u.shape)
    return g if g.dtype == u.dtype else g.astype(u.dtype)


# ------------------------------------------------------------------------------- for everyone


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """x.grad += sum over `tensors` of gy . dy/dx, for every leaf x that a gradient is wanted for.

    grad_tensors  the gradients gy, one per tensor, of its shape; None: 1, for a single element
    retain_graph  keep what was saved, so that backward can run again (default: create_graph)
    create_graph  give the gradients a history, so that they can be differentiated in turn
    inputs        accumulate into these alone
    """
    targets = None if inputs is None else {_vertex(t): t for t in _several(inputs)}
    found = _differentiate(tensors, grad_tensors, targets, retain_graph, create_graph)
    for v, g in found.items():
        leaf = v if targets is None else targets[v]
        if g is None:
            continue
        if leaf.grad is None:
            leaf.grad = g if create_graph else Value.kind.box(np.array(g))
        elif create_graph or leaf.grad.requires_grad:
            leaf.grad = leaf.grad + g
        else:
            leaf.grad.data += g
            leaf.grad.version[0] += 1


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple:
    """The sum over `outputs` of gy . dy/dx, for each x of `inputs`; no `.grad` is touched.

    allow_unused       an input that the outputs do not depend on gets None instead of an error
    materialize_grads  ... or zeros
    The rest as in `backward`. Only what lies between outputs and inputs is computed.
    """
    inputs = _several(inputs)
    targets = {_vertex(t): t for t in inputs}
    found = _differentiate(outputs, grad_outputs, targets, retain_graph, create_graph)
    gradients = []
    for k, t in enumerate(inputs):
        g = found.get(_vertex(t))
        if g is None and materialize_grads:
            g = np.zeros_like(t.data)
        if g is None and not allow_unused:
            raise RuntimeError(f"grad: the outputs do not depend on input {k}; see allow_unused")
        gradients.append(g if g is None or isinstance(g, Value) else Value.kind.box(np.array(g)))
    return tuple(gradients)


def jvp(func: Callable, inputs: Any, v: Any, create_graph: bool = False) -> tuple[Any, Any]:
    """(y, J v) with y = func(*inputs) and J = dy/dx: forward mode, out of two reverse ones.

    The pullback u -> u J is linear in u, so pulling v back through *it* gives J v.
    inputs and v: a tensor or a tuple of them, of the same shapes; func returns one tensor.
    """
    with enable_grad():
        xs = [x if create_graph and x.requires_grad else _leaf(x.data) for x in _several(inputs)]
        y = func(*xs)
        u = _leaf(np.zeros_like(y.data))
        if not y.requires_grad:
            return y, Value.kind.box(np.zeros_like(y.data))
        pulled = grad(y, xs, u, create_graph=True, materialize_grads=True)
        used = [(g, w) for g, w in zip(pulled, _several(v), strict=True) if g.requires_grad]
        outputs, weights = [g for g, _ in used], [w for _, w in used]
        [jv] = grad(outputs, u, weights, create_graph=create_graph, materialize_grads=True)
    return (y, jv) if create_graph else (Value.kind.box(y.data), jv)


def _leaf(data: np.ndarray) -> Any:
    leaf = Value.kind.box(data)
    leaf.requires_grad = True
    return leaf


def _several(tensors: Any) -> Sequence:
    return (tensors,) if isinstance(tensors, Value) else tuple(tensors)


def _vertex(t: Any) -> Vertex:
    if not isinstance(t, Value) or not t.requires_grad:
        raise RuntimeError("a tensor that gradients are asked for does not require them")
    return t.node or t


def _differentiate(
    tensors: Any, gradients: Any, targets: dict | None, retain: bool | None, graph: bool
) -> dict:
    """Checks the outputs and their gradients, then runs."""
    tensors = _several(tensors)
    gradients = [None] * len(tensors) if gradients is None else _several(gradients)
    if len(tensors) != len(gradients):
        raise ValueError(f"{len(tensors)} outputs, but {len(gradients)} gradients for them")
    roots: dict[Vertex, Any] = {}
    for t, g in zip(tensors, gradients, strict=True):
        v = _vertex(t)
        if g is None:
            if t.data.size != 1:
                raise RuntimeError(
                    f"backward from shape {t.shape} needs the gradient of that output: only for "
                    "one element is it 1 without saying"
                )
            g = np.ones_like(t.data)
        elif np.shape(g.data if isinstance(g, Value) else g) != t.shape:
            raise RuntimeError(f"an output of shape {t.shape} has a gradient of {np.shape(g)}")
        if graph:
            g = g if isinstance(g, Value) else Value.kind.box(np.asarray(g, t.dtype))
        else:
            g = np.asarray(g.data if isinstance(g, Value) else g, t.dtype)
        roots[v] = roots[v] + g if v in roots else g
    with set_grad_enabled(graph):
        return _run(
            roots,
            None if targets is None else set(targets),
            graph if retain is None else retain,
            graph,
        )
