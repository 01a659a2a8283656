"""Modules, layers, losses: PyTorch's names and shapes."""

from . import decoding, functional, init, sequence, utils
from .attention import Attention
from .bptt import TBPTT, checkpoint, detach_states
from .cells import GRUCell, LSTMCell, RNNCell
from .container import ModuleDict, ModuleList, Sequential
from .layers import Dropout, Embedding, Linear
from .losses import CrossEntropyLoss
from .module import Module, Parameter
from .patterns import EncoderDecoder, ManyToMany, ManyToOne, OneToMany
from .recurrent import GRU, LSTM, RNN, Recurrent

__all__ = [
    "GRU", "LSTM", "RNN", "TBPTT", "Attention", "CrossEntropyLoss", "Dropout", "Embedding",
    "EncoderDecoder", "GRUCell", "LSTMCell", "Linear", "ManyToMany", "ManyToOne", "Module",
    "ModuleDict", "ModuleList", "OneToMany", "Parameter", "RNNCell", "Recurrent", "Sequential",
    "checkpoint", "decoding", "detach_states", "functional", "init", "sequence", "utils",
]  # fmt: skip
