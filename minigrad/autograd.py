"""Reverse-mode differentiation: walks what the tape holds, outputs before inputs.

    L = f(g(x)):    dL/dx = dL/dy dy/dx,  one recorded call after the other, from the end

Each vertex of the graph is visited once, when the gradients from all its uses have arrived and been
added up: no recursion, no sorting, time linear in the number of uses. `tape.py` says what is on the
tape and how rules are written; read it first.

Sources: Linnainmaa 1970 (the method); Griewank and Walther, Evaluating Derivatives, 2nd ed. 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from typing import Any

import numpy as np
from numpy import ndarray

from . import writes
from .hooks import Hook, call_hooks, check_finite, detect_anomaly, register_hook, registered
from .modes import enable_grad, inference_mode, is_grad_enabled, mode, no_grad, set_grad_enabled
from .tape import Node, Primitive, Value, Vertex, box, part, primitive, recording, vertex_of

__all__ = [
    "Hook",
    "Primitive",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "primitive",
    "recording",
    "register_hook",
    "set_grad_enabled",
]  # fmt: skip


def _run(roots: dict[Vertex, Any], targets: Any, retain: bool, graph: bool) -> dict[Vertex, Any]:
    """Walks from outputs to inputs, each vertex once, after all that use it.

    roots    the gradient at each output
    targets  the vertices whose gradients are asked for; None: all leaves
    retain   keep what was saved, for another walk
    graph    gradients are tensors with a history, not arrays
    """
    uses = _uses(roots, targets)  # how many gradients each vertex still waits for
    gradients = {v: g for v, g in roots.items() if v in uses}
    ready = [v for v in gradients if uses[v] == 0]
    found: dict[Vertex, Any] = {}
    sums: set[Vertex] = set()
    some, hooked, tracing = targets is not None, bool(registered), mode.tracing
    while ready:
        v = ready.pop()
        gy = gradients.pop(v, None)
        if hooked and gy is not None and id(v) in registered:
            gy = call_hooks(v, gy)
        if type(v) is not Node:
            if not some or v in targets:
                found[v] = gy
            continue
        if some and v in targets:
            found[v] = gy
        plan = v.plan
        pool: Sequence = ()
        if plan.saves and gy is not None:
            pool = _pool(v, gy, uses if some else None, retain, graph)
        for u, rule in zip(v.inputs, plan.rules):
            if some and u not in uses:
                continue
            uses[u] = n = uses[u] - 1
            if not n:
                ready.append(u)
            if gy is None or (g := rule(gy, pool)) is None:
                continue
            if tracing:
                check_finite(v, plan.rules.index(rule), g)
            like: Any = u if type(u) is Node else u.data  # type: ignore[union-attr]
            if g.shape != like.shape or g.dtype is not like.dtype:
                g = _fit(g, u, v)
            so_far = gradients.get(u)
            if so_far is None:
                gradients[u] = g
            elif u in sums:  # an array made here, so that adding in place harms nobody
                so_far += g
            else:
                gradients[u] = so_far = so_far + g
                if type(so_far) is ndarray and not graph:
                    sums.add(u)
    return found


def _uses(roots: dict[Vertex, Any], targets: Any) -> dict[Vertex, int]:
    """How often each vertex is used on the ways from `roots` to `targets` (None: to all leaves)."""
    if targets is None:
        uses = dict.fromkeys(roots, 0)
        stack = list(roots)
        while stack:
            for u in stack.pop().inputs:
                if u in uses:
                    uses[u] += 1
                else:
                    uses[u] = 1
                    stack.append(u)
        return uses
    users: dict[Vertex, list[Vertex]] = {v: [] for v in roots}
    stack = list(roots)
    while stack:
        v = stack.pop()
        for u in v.inputs:
            if u not in users:
                users[u] = []
                stack.append(u)
            users[u].append(v)
    leading: set[Vertex] = set()  # to a target: its gradient passes through them
    stack = [v for v in targets if v in users]
    while stack:
        v = stack.pop()
        if v not in leading:
            leading.add(v)
            stack.extend(users[v])
    return {v: len(users[v]) for v in leading}


def _pool(v: Node, gy: Any, uses: dict | None, retain: bool, graph: bool) -> Sequence:
    """What the rules of a call take, which is let go; joint gradients only for `uses`, if given."""
    plan, pool = v.plan, v.saved
    if pool is None:
        raise RuntimeError(
            f"backward through {plan.name} a second time, but the first let go what it had saved: "
            "say retain_graph=True there"
        )
    if v.time != writes.now:
        _check_unwritten(v)
    if not retain and (plan.output is not None or plan.extra or ndarray in map(type, pool)):
        v.saved = None  # numbers and shapes may stay
    if graph:
        pool = _with_history(v, pool)
    if plan.joint is None:
        return pool
    used = iter([uses is None or u in uses for u in v.inputs])
    known = {"needs": [n and next(used) for n in plan.needs], "reuse": not retain}
    gradients = plan.joint(gy, [*pool, *(known[name] for name in plan.later)])
    return [[g for g, needed in zip(gradients, plan.needs, strict=True) if needed]]


def _check_unwritten(v: Node) -> None:
    """RuntimeError where something that v saved was written in place since."""
    for saved in v.saved or ():
        for array in saved if isinstance(saved, tuple) else (saved,):
            if isinstance(array, ndarray) and writes.written_since(v.time, array):
                raise RuntimeError(
                    f"{v.plan.name}: a value that its backward needs was written in place since"
                )


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


def _fit(g: Any, u: Vertex, v: Node) -> Any:
    """Undoes the broadcasting of an input of shape u.shape, and brings g to its dtype."""
    if g.shape != u.shape:
        more = len(g.shape) - len(u.shape)
        sizes = (-1,) * more + u.shape  # -1: an axis that broadcasting added
        axes = (
            tuple(i for i, n in enumerate(sizes) if n in (-1, 1) and n != g.shape[i])
            if more >= 0
            else ()
        )
        if more < 0 or any(n != g.shape[i] for i, n in enumerate(sizes) if i not in axes):
            raise RuntimeError(
                f"{v.plan.name}: a rule made a gradient of shape {g.shape} for an argument of "
                f"shape {u.shape}"
            )
        g = g.sum(axis=axes, keepdims=True).reshape(u.shape)
    return g if g.dtype == u.dtype else g.astype(u.dtype)


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
        leaf: Any = v if targets is None else targets[v]
        if found[v] is None:
            continue
        if leaf.grad is None:
            leaf.grad = found[v] if create_graph else box(_owned(found, v))
        elif create_graph or leaf.grad.requires_grad:
            leaf.grad = leaf.grad + found[v]
        else:
            leaf.grad.data += found[v]
            writes.written(leaf.grad.data)


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
    gradients = []
    for k, (v, t) in enumerate(zip(vertices, inputs, strict=True)):
        if found.get(v) is None and materialize_grads:
            found[v] = np.zeros_like(t.data)
        if found.get(v) is None and not allow_unused:
            raise RuntimeError(f"grad: the outputs do not depend on input {k}; see allow_unused")
        kept = found.get(v) is None or isinstance(found[v], Value)
        gradients.append(found.get(v) if kept else box(_owned(found, v)))
    return tuple(gradients)


def _owned(found: dict[Vertex, Any], v: Vertex) -> ndarray:
    """found[v] as an array that is nobody else's: itself, if nobody else holds it, or a copy

    A rule may hand on the gradient it was given, a value that was saved, or one array twice. What
    counts below are the references: that of `found` (or of the array to its memory), and the one in
    the question. An array much smaller than the memory it is a view of would keep all of that.
    """
    if type(found[v]) is not ndarray or getrefcount(found[v]) > 2:
        return np.array(found[v])
    g = found[v]
    alone = g.base is None or (type(g.base) is ndarray and getrefcount(g.base) == 2)
    memory = g if g.base is None else g.base
    whole = g.flags.forc and memory.flags.owndata and 4 * memory.nbytes <= 5 * g.nbytes
    return g if alone and whole and g.flags.writeable else np.array(g)


def _several(tensors: Any) -> Sequence:
    return (tensors,) if isinstance(tensors, (Value, np.ndarray)) else tuple(tensors)


def _differentiate(
    tensors: Any, gradients: Any, targets: Any, retain: bool | None, graph: bool
) -> dict[Vertex, Any]:
    """Checks the outputs and their gradients, then runs."""
    tensors = _several(tensors)
    gradients = [None] * len(tensors) if gradients is None else _several(gradients)
    if len(tensors) != len(gradients):
        raise ValueError(f"{len(tensors)} outputs, but {len(gradients)} gradients for them")
    roots: dict[Vertex, Any] = {}
    for t, g in zip(tensors, gradients, strict=True):
        v = vertex_of(t)
        if g is None:
            if t.data.size != 1:
                raise RuntimeError(
                    f"backward from an output of shape {t.shape} needs its gradient: only for a "
                    "single element is it 1 without saying"
                )
            g = np.ones_like(t.data)
        data: Any = np.asarray(g.data if isinstance(g, Value) else g, t.dtype)
        if data.shape != t.shape:
            raise ValueError(f"an output of shape {t.shape} has a gradient of shape {data.shape}")
        if graph:
            data = g if isinstance(g, Value) else box(data)
        roots[v] = roots[v] + data if v in roots else data
    with set_grad_enabled(graph), np.errstate(all="ignore"):  # inf and NaN are answers, as in C
        return _run(roots, targets, graph if retain is None else retain, graph)
