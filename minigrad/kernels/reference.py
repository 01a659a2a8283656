"""The numpy backend: what every kernel computes, written to be read.

`native.py` has the same functions with the same arguments, computed in C; one test suite holds the
two together. Arrays in, arrays out: nothing here knows of tensors or derivatives. Every function
also takes complex arrays, so that the complex step can differentiate it. The small kernels stand in
`reference_elementwise.py`, whole recurrent layers in `reference_recurrent.py`.
"""

from __future__ import annotations

from typing import Any

from .reference_elementwise import (  # noqa: F401
    log_softmax,
    log_softmax_grad,
    matmul,
    relu,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    tanh,
    tanh_grad,
)
from .reference_recurrent import (  # noqa: F401
    gru_backward,
    gru_forward,
    is_relu,
    lstm_backward,
    lstm_forward,
    panels,
    rnn_backward,
    rnn_forward,
)


def config() -> dict[str, Any]:
    """What `minigrad.show_config()` prints of this backend."""
    return {"backend": "numpy", "isa": None, "threads": 1, "compiler": None}


def get_num_threads() -> int:
    """1: this backend starts no threads of its own (numpy's BLAS may)."""
    return 1


def set_num_threads(n: int) -> None:
    """Accepted, so that a program runs unchanged on both backends; without effect on this one."""
    if n < 1:
        raise ValueError(f"set_num_threads: expected at least 1, got {n}")
