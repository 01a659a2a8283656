"""Around training: gradient clipping; and `rnn`, sequences of different lengths."""

from . import rnn
from .clip import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_", "rnn"]
