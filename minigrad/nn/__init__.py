"""Modules, layers, losses: PyTorch's names and shapes."""

from . import decoding, functional, init, sequence, utils
from .activation import (
    ELU,
    GELU,
    Hardsigmoid,
    Hardtanh,
    Identity,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from .attention import Attention
from .bptt import TBPTT, checkpoint, detach_states
from .cells import GRUCell, LSTMCell, RNNCell
from .container import ModuleDict, ModuleList, Sequential
from .layers import Dropout, Embedding, Linear
from .losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CosineSimilarity,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from .module import Module
from .normalization import BatchNorm1d, LayerNorm
from .parameter import Parameter
from .patterns import EncoderDecoder, ManyToMany, ManyToOne, OneToMany
from .recurrent import GRU, LSTM, RNN, Recurrent

__all__ = [
    "ELU", "GELU", "GRU", "LSTM", "RNN", "TBPTT", "Attention", "BCELoss", "BCEWithLogitsLoss",
    "BatchNorm1d", "CosineSimilarity", "CrossEntropyLoss", "Dropout", "Embedding", "EncoderDecoder",
    "GRUCell", "Hardsigmoid", "Hardtanh", "HuberLoss", "Identity", "KLDivLoss", "L1Loss",
    "LSTMCell", "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "MSELoss",
    "ManyToMany", "ManyToOne", "Module", "ModuleDict", "ModuleList", "NLLLoss", "OneToMany",
    "Parameter", "RNNCell", "ReLU", "Recurrent", "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss",
    "Softmax", "Softplus", "Softsign", "Tanh", "checkpoint", "decoding", "detach_states",
    "functional", "init", "sequence", "utils",
]  # fmt: skip
