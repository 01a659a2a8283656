"""inf and NaN are answers: what numpy would say about them is not said while a primitive computes.

numpy keeps in a context variable whether it warns. `np.errstate` makes a new value for it each
time, which takes longer than a small sum does; `quiet` sets and resets one value, made here once.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import numpy as np

_before = copy_context()
with np.errstate(all="ignore"):
    _within = copy_context()
_changed = [(variable, x) for variable, x in _within.items() if _before.get(variable) is not x]


def quiet(function: Callable) -> Callable:
    """Decorates a function of arrays: its inf and NaN come without a warning."""
    if len(_changed) != 1:  # a numpy that keeps it elsewhere
        return np.errstate(all="ignore")(function)
    [(variable, silence)] = _changed
    set, reset = variable.set, variable.reset

    def two(a: Any, b: Any) -> Any:
        before = set(silence)
        try:
            return function(a, b)
        finally:
            reset(before)

    def several(*args: Any) -> Any:
        before = set(silence)
        try:
            return function(*args)
        finally:
            reset(before)

    pair = len(inspect.signature(function).parameters) == 2
    return functools.update_wrapper(two if pair else several, function)
