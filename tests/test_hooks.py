"""Hooks on tensors, and what detect_anomaly says."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from leaves import leaf

import minigrad as mg
from minigrad import autograd

# ------------------------------------------------------------------------- hooks


def test_hooks_see_and_change_gradients():
    x, seen = leaf(2.0), []
    y = x * x
    handle = y.register_hook(lambda g: seen.append(g.item()))
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: seen.append(g.item()))
    (y * 3).backward()
    assert seen == [3, 120]
    assert x.grad.item() == 120
    handle.remove()
    x.grad = None
    (x * x).backward()
    assert x.grad.item() == 4


def test_hooks_on_leaves_of_several_elements():
    x, other, seen = mg.ones(2, requires_grad=True), mg.ones(2, requires_grad=True), []
    for name, t in (("x", x), ("other", other)):
        t.register_hook(lambda g, name=name: seen.append((name, g.tolist())))
    (x * 3 + other).sum().backward()
    assert sorted(seen) == [("other", [1, 1]), ("x", [3, 3])]


def test_retain_grad():
    x = leaf(2.0)
    y = x * x
    y.retain_grad()
    (y * 3).backward()
    assert y.grad.item() == 3


# ------------------------------------------------------------------------- anomalies


def test_detect_anomaly_names_operation_line_and_value():
    x = leaf(1.0, 0.0)
    with autograd.detect_anomaly():
        y = x.sqrt()
        line = sys._getframe().f_lineno - 1
        with pytest.raises(FloatingPointError) as caught:
            y.sum().backward()
    message = str(caught.value)
    assert "sqrt" in message
    assert f"test_hooks.py:{line}" in message
    assert "inf at (1,)" in message
    x.sqrt().sum().backward()  # outside it, inf is an answer
    assert x.grad.data[1] == np.inf
