"""Gradients in the form of what they are the gradients of, and in nobody else's hands."""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np
from numpy import ndarray

from .tape import Value, box


def fitted(g: Any, shape: tuple[int, ...], dtype: Any, name: str) -> Any:
    """g, which a rule of primitive `name` made for an argument of this shape and dtype

    Broadcasting repeats an argument's elements: what arrives for the repetitions is summed.
    """
    if g.shape != shape:
        more = len(g.shape) - len(shape)
        sizes = (1,) * more + shape  # the argument's, as broadcasting saw it
        if more < 0 or any(n not in (1, m) for n, m in zip(sizes, g.shape, strict=True)):
            raise RuntimeError(
                f"{name}: a rule made a gradient of shape {g.shape} for an argument of "
                f"shape {shape}"
            )
        repeated = tuple(i for i, n in enumerate(sizes) if i < more or n != g.shape[i])
        g = g.sum(axis=repeated, keepdims=True).reshape(shape)
    return g if g.dtype == dtype else g.astype(dtype)


def owned(found: Any, v: Any) -> Any:
    """found[v] as a tensor whose memory nobody else has: as it is, if nobody holds it, or copied

    A rule may hand on the gradient it was given, a value that was saved, or one array twice. What
    counts below are the references: that of `found` (or of the array to its memory), and the one in
    the question. An array much smaller than the memory it is a view of would keep all of that.
    """
    if isinstance(found[v], Value):
        return found[v]
    if type(found[v]) is not ndarray or getrefcount(found[v]) > 2:
        return box(np.array(found[v]))
    g = found[v]
    alone = g.base is None or (type(g.base) is ndarray and getrefcount(g.base) == 2)
    memory = g if g.base is None else g.base
    whole = g.flags.forc and memory.flags.owndata and 4 * memory.nbytes <= 5 * g.nbytes
    return box(g if alone and whole and g.flags.writeable else np.array(g))
