"""Derivatives of whole functions: products with Jacobians and Hessians, and these themselves.

func takes tensors and returns one; inputs, and so the results, are a tensor or a tuple of them.
With `create_graph` the results can be differentiated in turn. PyTorch keeps these under
`torch.autograd.functional`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .autograd import enable_grad, grad
from .ops.shape import reshape, stack
from .tensor import Tensor


def vjp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """(y, v J) with y = func(*inputs), J = dy/dx: what backward computes

    v has y's shape; it may be left out where y has one element.
    """
    xs, y = _run(func, inputs, create_graph)
    return _result(y, create_graph), _like(inputs, _pulled(y, xs, v, create_graph))


def jvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """(y, J v) with y = func(*inputs), J = dy/dx: forward mode, made of two reverse ones

    The function u -> u J is linear, so pulling v back through it gives J v. v has the inputs'
    shapes; it may be left out for one input of one element.
    Source: Townsend, A new trick for calculating Jacobian vector products, 2017.
    """
    xs, y = _run(func, inputs, create_graph)
    u = Tensor.box(np.zeros_like(y.data)).requires_grad_()
    [jv] = _weighted(_pulled(y, xs, u, True), [u], v, create_graph)
    return _result(y, create_graph), jv


def hvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """(y, H v) with y = func(*inputs) of one element and H its matrix of second derivatives

    v has the inputs' shapes. The gradient's product with v is differentiated: H is never built.
    Source: Pearlmutter, Fast exact multiplication by the Hessian, 1994.
    """
    xs, y = _run(func, inputs, create_graph)
    hv = _weighted(_pulled(y, xs, None, True), xs, v, create_graph)
    return _result(y, create_graph), _like(inputs, hv)


def jacobian(func: Callable, inputs: Any, create_graph: bool = False) -> Any:
    """J[i..., j...] = dy[i...] / dx[j...] with y = func(*inputs): (*y.shape, *x.shape)

    One walk backward per element of y. For a tuple of inputs, a tuple of such blocks.
    """
    xs, y = _run(func, inputs, create_graph)
    rows = []
    for k in range(y.numel()):
        one = np.zeros(y.numel(), y.dtype)
        one[k] = 1
        rows.append(_pulled(y, xs, one.reshape(y.shape), create_graph, retain_graph=True))
    blocks = [
        reshape(stack([row[i] for row in rows]), (*y.shape, *x.shape))
        if rows
        else Tensor.box(np.zeros((*y.shape, *x.shape), x.dtype))
        for i, x in enumerate(xs)
    ]
    return _like(inputs, blocks)


def hessian(func: Callable, inputs: Any, create_graph: bool = False) -> Any:
    """H[i..., j...] = d2 y / dx[i...] dx[j...] with y = func(*inputs) of one element

    (*x.shape, *x.shape); for a tuple of inputs, a tuple of tuples: H[a][b] for inputs a and b.
    """
    several = not isinstance(inputs, Tensor)

    def gradient(i: int) -> Callable:
        def of(*xs: Tensor) -> Tensor:
            y = func(*xs)
            return _pulled(y, xs, None, True)[i]

        return of

    count = len(inputs) if several else 1
    blocks = tuple(jacobian(gradient(i), inputs, create_graph) for i in range(count))
    return blocks if several else blocks[0]


def _run(func: Callable, inputs: Any, create_graph: bool) -> tuple[list[Tensor], Tensor]:
    """Leaves with the inputs' values, or the inputs if the result is to lead there, and func(*)."""
    several = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    xs = [
        x if create_graph and x.requires_grad else Tensor.box(x.data).requires_grad_()
        for x in several
    ]
    with enable_grad():
        y = func(*xs)
    if not isinstance(y, Tensor):
        raise TypeError(f"func must return one tensor, not {type(y).__name__}")
    return xs, y


def _pulled(
    y: Tensor, xs: Sequence, v: Any, create_graph: bool, retain_graph: bool | None = None
) -> Sequence:
    """v J for each x: zeros where y does not depend on it."""
    if not y.requires_grad:
        return [Tensor.box(np.zeros_like(x.data)) for x in xs]
    weights = None if v is None else [v]
    return grad(y, xs, weights, retain_graph, create_graph, materialize_grads=True)


def _weighted(gradients: Sequence, xs: Sequence, v: Any, create_graph: bool) -> Sequence:
    """The derivative by xs of the sum of gradients times v."""
    vs = [v] if v is None or isinstance(v, (Tensor, np.ndarray)) else list(v)
    if len(vs) != len(gradients):
        raise ValueError(f"{len(gradients)} inputs, but {len(vs)} vectors for them")
    pairs = [(g, w) for g, w in zip(gradients, vs, strict=True) if g.requires_grad]
    if not pairs:
        return [Tensor.box(np.zeros_like(x.data)) for x in xs]
    outputs, weights = zip(*pairs, strict=True)
    return grad(outputs, xs, weights, None, create_graph, materialize_grads=True)


def _result(y: Tensor, create_graph: bool) -> Tensor:
    return y if create_graph else y.detach()


def _like(inputs: Any, results: Sequence) -> Any:
    return results[0] if isinstance(inputs, Tensor) else tuple(results)
