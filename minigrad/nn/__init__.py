"""Modules, layers, losses: PyTorch's names and shapes."""

from . import functional, init, utils
from .container import ModuleDict, ModuleList, Sequential
from .layers import Dropout, Embedding, Linear
from .losses import CrossEntropyLoss
from .module import Module, Parameter
from .recurrent import GRU, LSTM, RNN

__all__ = [
    "GRU", "LSTM", "RNN", "CrossEntropyLoss", "Dropout", "Embedding", "Linear", "Module",
    "ModuleDict", "ModuleList", "Parameter", "Sequential", "functional", "init", "utils",
]  # fmt: skip
