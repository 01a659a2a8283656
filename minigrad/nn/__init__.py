"""Modules, layers, losses: PyTorch's names and shapes."""

from . import functional, init, utils
from .bptt import TBPTT, checkpoint, detach_states
from .cells import GRUCell, LSTMCell, RNNCell
from .container import ModuleDict, ModuleList, Sequential
from .layers import Dropout, Embedding, Linear
from .losses import CrossEntropyLoss
from .module import Module, Parameter
from .recurrent import GRU, LSTM, RNN, Recurrent

__all__ = [
    "GRU", "LSTM", "RNN", "TBPTT", "CrossEntropyLoss", "Dropout", "Embedding", "GRUCell",
    "LSTMCell", "Linear", "Module", "ModuleDict", "ModuleList", "Parameter", "RNNCell", "Recurrent",
    "Sequential", "checkpoint", "detach_states", "functional", "init", "utils",
]  # fmt: skip
