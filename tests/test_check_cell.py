"""check_cell accepts the library's cells, and names what is wrong with each planted one."""

from functools import partial

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.testing import CellError, check_cell

NAMES = ["gradients", "determinism", "padding", "chunks", "packing", "permutation", "reversal"]


@pytest.mark.parametrize(
    "cell",
    [
        nn.RNNCell,
        nn.LSTMCell,
        nn.GRUCell,
        nn.LSTMCell(2, 3, peephole=True, coupled=True, layer_norm=True, zoneout=0.2, proj_size=2),
        nn.GRUCell(2, 3, reset_after=False, activations=["HardSigmoid", "Softsign"]),
    ],
    ids=str,
)
def test_the_librarys_cells_pass(cell):
    assert check_cell(cell) == NAMES


class Sound(nn.GRUCell):
    """A GRU that a subclass spoils in one way."""

    def spoil(self, x, h, new):
        return new

    def forward(self, x, h=None):
        return self.spoil(x, h, super().forward(x, h))


class WrongGradient(Sound):
    def spoil(self, x, h, new):
        return new + 0.5 * h.detach()


class LostParameter(Sound):
    def spoil(self, x, h, new):
        return new * self.bias_hh.detach()[:1].exp()


class Random(Sound):
    def spoil(self, x, h, new):
        return new + mg.tensor(mg.generator().random(new.shape))


class MixesTheBatch(Sound):
    def spoil(self, x, h, new):
        return new - 0.1 * new.mean(0, keepdim=True)


class LooksAtItsPlace(Sound):
    def spoil(self, x, h, new):
        return new + mg.tensor(0.1 * np.arange(new.shape[0])[:, None])


class CountsSteps(Sound):
    steps = 0

    def spoil(self, x, h, new):
        self.steps += 1
        return new * (1.0 + 0.01 * (self.steps % 6))


class Bigger(Sound):
    def spoil(self, x, h, new):
        return mg.cat([new, new], dim=-1)


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        (WrongGradient, "gradients: slope along (input|state|cells)"),
        (LostParameter, "gradients: slope along cells.0.bias_hh"),
        (Random, "gradients|determinism"),
        (MixesTheBatch, "padding: output of sequence"),
        (LooksAtItsPlace, "padding: output of sequence"),
        (CountsSteps, "padding|chunks"),
    ],
)
def test_planted_faults_are_found(cell, named):
    with pytest.raises(CellError, match=f"{cell.__name__}: ({named})"):
        check_cell(cell)


def test_what_is_no_cell():
    with pytest.raises(TypeError, match="Module"):
        check_cell(partial(nn.GRUCell, 2))
    with pytest.raises((CellError, ValueError)):
        check_cell(Bigger)
