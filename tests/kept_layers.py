"""Calls of a layer whose weights stay packed, and the same computed anew."""

from __future__ import annotations

import copy

import numpy as np
from recurrent_modules import as_tuple

import minigrad as mg


def x_of(layer, T=2, B=1):
    x = np.random.default_rng(0).standard_normal((T, B, layer.input_size))
    return mg.tensor(x.astype(layer.dtype))


def called(layer, x=None, hx=None):
    """Output and states as arrays, without a graph."""
    with mg.no_grad():
        y, states = layer(x_of(layer) if x is None else x, hx)
    return [t.data for t in (y, *as_tuple(states))]


def computed(layer, x=None, hx=None):
    """The same from a recorded call of a copy, which packs for itself."""
    other = copy.deepcopy(layer).requires_grad_()
    y, states = other(x_of(layer) if x is None else x, hx)
    assert y.requires_grad
    return [t.data for t in (y, *as_tuple(states))]


def assert_same(got, wanted):
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
