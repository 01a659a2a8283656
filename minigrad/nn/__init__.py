"""Modules, layers, losses: PyTorch's names and shapes."""

from . import functional, init, utils
from .layers import Dropout, Embedding, Linear
from .losses import CrossEntropyLoss
from .module import Module, ModuleList, Parameter, Sequential
from .recurrent import GRU, LSTM, RNN

__all__ = [
    "GRU", "LSTM", "RNN", "CrossEntropyLoss", "Dropout", "Embedding", "Linear", "Module",
    "ModuleList", "Parameter", "Sequential", "functional", "init", "utils",
]  # fmt: skip
