"""Chooses the backend, once: C where it is built, numpy elsewhere.

`MINIGRAD_BACKEND=c|numpy` decides instead; asking for C without a built extension fails, with the
reason, and never falls back in silence.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from . import reference

_wanted = os.environ.get("MINIGRAD_BACKEND") or ""
if _wanted not in ("", "c", "numpy"):
    raise ImportError(f"MINIGRAD_BACKEND={_wanted}: expected c or numpy")
backend: Any = reference
if _wanted != "numpy":  # which does not load C at all: what MINIGRAD_ISA says is no matter there
    try:
        from . import native as backend
    except ModuleNotFoundError as error:  # not built; whatever else stops it is reported
        if _wanted == "c":
            raise ImportError(
                f"MINIGRAD_BACKEND=c, but the C extension cannot be loaded ({error}). "
                "Build it with: pip install -e . (it needs a C compiler and Python's headers)"
            ) from error
    except AttributeError as error:  # a function that the source calls and the extension has not
        raise ImportError(
            f"the C extension was built from another version of the source ({error}). "
            "Build it again with: pip install -e ."
        ) from error

# A graph's arrays are freed together, and the next one's asked for soon. glibc gives what is free
# at the end of its heap back to the system beyond a threshold, at first 128 KiB: fresh pages then
# took a tenth of the time of a tape of 20 x tanh(x @ w) + a, (512, 512), and a fifth for
# (128, 128). It raises the threshold to twice the largest block that was ever freed, if that has
# less than 32 MiB: this is one, whose pages nobody touches. Elsewhere it does nothing.
np.empty(32_000_000, np.uint8)

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
panels = backend.panels
