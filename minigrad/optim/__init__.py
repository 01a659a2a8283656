"""Optimisers, in order of complexity: PyTorch's names, arguments and trajectories."""

from .adam import Adam
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "Optimizer"]
