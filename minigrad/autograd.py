"""Reverse-mode differentiation: the tape, read from its end.

    y = f(x), z = g(y), L = h(z):    dL/dx = dL/dz dz/dy dy/dx, one factor after the other

Recorded calls are visited from the latest to the earliest, each once. Whatever used its result was
recorded after it, so the gradients from there have arrived and are added up, to gy. Its rules make
of gy a gradient for each of its inputs, to be added up there. Those that no call is left to take
are the gradients of the leaves. `tape.py` says what is on the tape and how rules are written;
read it first.

Sources: Linnainmaa 1970 (the method); Griewank and Walther, Evaluating Derivatives, 2nd ed. 2008.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from numpy import ndarray

from . import writes
from .gradients import fitted, owned
from .hooks import Hook, call_hooks, check_finite, detect_anomaly, register_hook, registered
from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled, tracing
from .quiet import quiet
from .tape import Node, Primitive, Value, Vertex, box, part, primitive, recording, vertex_of

__all__ = [
    "Hook", "Primitive", "backward", "detect_anomaly", "enable_grad", "grad", "inference_mode",
    "is_grad_enabled", "no_grad", "primitive", "recording", "register_hook", "set_grad_enabled",
]  # fmt: skip

Gradients = dict[Vertex, Any]  # each an array, or a tensor where it gets a history


@quiet  # inf and NaN are answers
def _walk(
    roots: Gradients, targets: Collection[Vertex] | None, retain: bool, graph: bool
) -> Gradients:
    """The gradients of the targets, from those of the roots; what no gradient reached is not there.

    targets  None: all leaves
    retain   keep what was saved, for another walk
    graph    give the gradients a history
    """
    calls, needed = _calls(roots, targets)
    gradients = {v: gy for v, gy in roots.items() if v in needed}  # what has arrived so far
    sums: set[Vertex] = set()  # whose gradient is an array made here: to add to it harms nobody
    found: Gradients = {}
    asked = targets or ()
    for v in calls:
        gy = gradients.pop(v, None)
        if gy is None:
            continue
        if registered and id(v) in registered:
            gy = call_hooks(v, gy)
        if v in asked:
            found[v] = gy
        plan = v.plan
        pool = _pool(v, gy, needed, retain, graph) if plan.saves else ()
        for u, rule in zip(v.inputs, plan.rules):
            if u not in needed or (g := rule(gy, pool)) is None:
                continue
            if tracing:
                check_finite(v, plan.rules.index(rule), g)
            like: Any = u if type(u) is Node else u.data  # type: ignore[union-attr]
            if g.shape != like.shape or g.dtype is not like.dtype:
                g = fitted(g, like.shape, like.dtype, plan.name)
            so_far = gradients.get(u)
            if so_far is None:
                gradients[u] = g
            elif u in sums:
                so_far += g
            else:
                gradients[u] = so_far = so_far + g
                if type(so_far) is ndarray and not graph:
                    sums.add(u)
    for u, g in gradients.items():  # leaves, and targets that no other lies before
        found[u] = call_hooks(u, g) if id(u) in registered else g
    return found


def _calls(
    roots: Collection[Vertex], targets: Collection[Vertex] | None
) -> tuple[list[Node], set[Vertex]]:
    """The recorded calls between targets and roots, the latest first; and, with the targets, all
    vertices that need a gradient for it."""
    reached, order = set(roots), list(roots)
    for v in order:  # which grows meanwhile
        for u in v.inputs:
            if u not in reached:
                reached.add(u)
                order.append(u)
    calls = [v for v in order if type(v) is Node]
    calls.sort(key=attrgetter("time"))
    needed = reached
    if targets is not None:
        needed, every, calls = set(targets), calls, []
        for call in every:
            if not needed.isdisjoint(call.inputs):
                needed.add(call)
                calls.append(call)
    calls.reverse()
    return calls, needed


def _pool(v: Node, gy: Any, needed: set[Vertex], retain: bool, graph: bool) -> Sequence:
    """What the rules of a call take, which is let go; of a joint rule, the gradients it makes."""
    plan, pool = v.plan, v.saved
    if pool is None:
        raise RuntimeError(
            f"backward through {plan.name} a second time, but the first let go what it had saved: "
            "say retain_graph=True there"
        )
    if v.time < writes.latest and writes.written_since(v.time, pool):
        raise RuntimeError(
            f"{plan.name}: a value that its backward needs was written in place since"
        )
    if not retain and (plan.output is not None or plan.extra or ndarray in map(type, pool)):
        v.saved = None  # numbers and shapes may stay
    if graph:
        pool = _with_history(v, pool)
    if plan.joint is None:
        return pool
    used = iter([u in needed for u in v.inputs])
    known = {"needs": [n and next(used) for n in plan.needs], "reuse": not retain}
    gradients = plan.joint(gy, [*pool, *(known[name] for name in plan.later)])
    return [[g for g, n in zip(gradients, plan.needs, strict=True) if n]]


def _with_history(v: Node, pool: Sequence) -> Sequence:
    """What was saved, as tensors where it is part of the graph."""
    plan, pool = v.plan, list(pool)
    for i, u in zip(plan.inputs, v.inputs, strict=True):
        if i in plan.kept:
            if isinstance(u, Value) and u.data is not pool[i]:
                raise RuntimeError(f"{plan.name}: a leaf's data was replaced since it was used")
            pool[i] = u if isinstance(u, Value) else box(pool[i], u)
    if plan.output is not None:
        y = pool[plan.output]
        several = isinstance(y, tuple)
        pool[plan.output] = tuple(part(v, y, i) for i in range(len(y))) if several else box(y, v)
    return pool


# -------------------------------------------------------------------------------- for everyone


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """x.grad += sum over `tensors` of gy dy/dx, for every leaf x that a gradient is wanted for.

    grad_tensors  the gradients gy, one per tensor, of its shape; None: 1, for a single element
    retain_graph  keep what was saved, so that backward can run again (default: create_graph)
    create_graph  give the gradients a history, so that they can be differentiated in turn
    inputs        accumulate into these alone
    """
    targets = None if inputs is None else {vertex_of(t): t for t in _several(inputs)}
    found = _differentiate(tensors, grad_tensors, targets, retain_graph, create_graph)
    for v in found:
        x: Any = v if targets is None else targets[v]
        if x.grad is None:
            x.grad = owned(found, v)
        elif create_graph or x.grad.requires_grad:
            x.grad = x.grad + found[v]
        else:
            x.grad.data += found[v]
            writes.written(x.grad.data)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple:
    """The sum over `outputs` of gy dy/dx, for each x of `inputs`; no `.grad` is touched.

    allow_unused       an input that the outputs do not depend on gets None instead of an error
    materialize_grads  ... or zeros
    The rest as in `backward`. Only what lies between outputs and inputs is computed.
    """
    inputs = _several(inputs)
    vertices = [vertex_of(t) for t in inputs]
    found = _differentiate(outputs, grad_outputs, set(vertices), retain_graph, create_graph)
    gradients: list[Any] = []
    for k, v in enumerate(vertices):
        if v in found:
            gradients.append(owned(found, v))
        elif materialize_grads:
            gradients.append(box(np.zeros_like(inputs[k].data)))
        elif allow_unused:
            gradients.append(None)
        else:
            raise RuntimeError(f"grad: the outputs do not depend on input {k}; see allow_unused")
    return tuple(gradients)


def _several(tensors: Any) -> Sequence:
    return (tensors,) if isinstance(tensors, (Value, np.ndarray)) else tuple(tensors)


def _differentiate(
    tensors: Any, gradients: Any, targets: Any, retain: bool | None, graph: bool
) -> Gradients:
    """Checks the outputs and their gradients, then walks."""
    tensors = _several(tensors)
    gradients = [None] * len(tensors) if gradients is None else _several(gradients)
    if len(tensors) != len(gradients):
        raise ValueError(f"{len(tensors)} outputs, but {len(gradients)} gradients for them")
    roots: Gradients = {}
    for t, g in zip(tensors, gradients, strict=True):
        v = vertex_of(t)
        if g is None:
            if t.data.size != 1:
                raise RuntimeError(
                    f"backward from an output of shape {t.shape} needs its gradient: only for a "
                    "single element is it 1 without saying"
                )
            g = np.array(1, t.dtype).reshape(t.shape)
        data: Any = np.asarray(g.data if isinstance(g, Value) else g, t.dtype)
        if data.shape != t.shape:
            raise ValueError(f"an output of shape {t.shape} has a gradient of shape {data.shape}")
        if graph:
            data = g if isinstance(g, Value) else box(data)
        roots[v] = roots[v] + data if v in roots else data
    with enable_grad() if graph else no_grad():
        return _walk(roots, targets, graph if retain is None else retain, graph)
