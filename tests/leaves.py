"""Leaves for the tests of the tape."""

import numpy as np

import minigrad as mg


def leaf(*values, dtype=np.float64):
    """A leaf with these elements, or with those of the one array."""
    return mg.tensor(values[0] if len(values) == 1 else list(values), dtype, requires_grad=True)
