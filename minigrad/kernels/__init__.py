"""Chooses the backend, once: C where it is built, numpy elsewhere.

`MINIGRAD_BACKEND=c|numpy` decides instead; asking for C without a built extension fails, with the
reason, and never falls back in silence.
"""

from __future__ import annotations

import os

from . import reference

try:
    from . import native

    _reason = None
except ModuleNotFoundError as error:  # not built; whatever else stops it is reported
    native = None  # type: ignore[assignment]
    _reason = error

_wanted = os.environ.get("MINIGRAD_BACKEND") or ("numpy" if native is None else "c")
if _wanted not in ("c", "numpy"):
    raise ImportError(f"MINIGRAD_BACKEND={_wanted}: expected c or numpy")
if _wanted == "c" and native is None:
    raise ImportError(
        f"MINIGRAD_BACKEND=c, but the C extension cannot be loaded ({_reason}). "
        "Build it with: pip install -e . (it needs a C compiler and Python's headers)"
    )

backend = native if _wanted == "c" else reference

config = backend.config
get_num_threads = backend.get_num_threads
set_num_threads = backend.set_num_threads
matmul = backend.matmul
tanh = backend.tanh
tanh_grad = backend.tanh_grad
sigmoid = backend.sigmoid
sigmoid_grad = backend.sigmoid_grad
relu = backend.relu
relu_grad = backend.relu_grad
log_softmax = backend.log_softmax
log_softmax_grad = backend.log_softmax_grad
lstm_forward = backend.lstm_forward
lstm_backward = backend.lstm_backward
gru_forward = backend.gru_forward
gru_backward = backend.gru_backward
rnn_forward = backend.rnn_forward
rnn_backward = backend.rnn_backward
