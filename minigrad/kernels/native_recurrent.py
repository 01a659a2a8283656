"""The recurrent half of `native.py`: whole layers of RNN, LSTM and GRU over a sequence.

See `reference.py` for what is computed, `native_arguments.py` for how C is entered.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from . import reference
from .native_arguments import KERNELS, Kernel

Array = np.ndarray
SPARE_BYTES = 256 * 2**20
LINE = 64  # bytes of a cache line


class Kept(list):
    """New arrays that forward keeps for backward, in memory that earlier ones let go.

    Touching fresh pages took a sixth of a language model's training step (T=64, B=32, H=256: 2600
    page faults, 100 ms of CPU time against 88). At most SPARE_BYTES wait for their next use. Packed
    batches have a size of their own each: room for up to an eighth more fits many of them. Each
    array begins with a cache line: the gates are written by whole lines (1.02 to 1.1).
    """

    spare: ClassVar[dict[Any, list[Array]]] = {}  # by number of elements and dtype

    def __init__(self, dtype: np.dtype, *shapes: tuple[int, ...]) -> None:
        for shape in shapes:
            size = math.prod(shape)
            step = 1 << max(size.bit_length() - 4, 0)
            room = -(-size // step) * step + LINE // dtype.itemsize
            try:
                memory = self.spare[room, dtype].pop()
            except (KeyError, IndexError):
                memory = np.empty(room, dtype)
            start = -memory.__array_interface__["data"][0] % LINE // dtype.itemsize
            self.append(memory[start : start + size].reshape(shape))

    def __del__(self, getrefcount: Callable[[Any], int] = sys.getrefcount) -> None:
        while self:
            array = self.pop()
            memory = array.base
            if getrefcount(array) == 2 and getrefcount(memory) == 3:  # nobody else holds it
                waiting = sum(a.nbytes for arrays in [*self.spare.values()] for a in arrays)
                if waiting + memory.nbytes > SPARE_BYTES:
                    self.spare.clear()
                self.spare.setdefault((memory.size, memory.dtype), []).append(memory)


def _empty(dtype: np.dtype, *shapes: tuple[int, ...]) -> list[Array]:
    return [np.empty(shape, dtype) for shape in shapes]


def _lstm(name: str, **axes: str) -> tuple[Kernel, Kernel]:
    """Without and with a projection w_hr (P, H), which gives h its P units."""
    plain = {argument: a.replace("P", "H") for argument, a in axes.items()} | {"w_hr": "HH?"}
    return Kernel(name, **plain), Kernel(name, **axes)


LSTM_FORWARD = _lstm(
    "lstm_forward",
    x="TBI",
    h0="BP",
    c0="BH",
    w_ih="4HI",
    w_hh="4HP",
    b_ih="4H?",
    b_hh="4H?",
    w_hr="PH",
)


def lstm_forward(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    w_hr: Array | None,
    batch_sizes: Array | None,
    keep: bool,
) -> tuple[Array, Array, Any]:
    """One LSTM layer over a whole sequence: see `reference.lstm_forward`.

    Kept for backward are, as there, the gates (N, 4H) and the cell states (B+N, H): with the
    output itself 6 numbers for each step, row and unit, or 5 and P for each step and row.
    """
    if x.dtype not in KERNELS:
        return reference.lstm_forward(x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, batch_sizes, keep)
    kernel = LSTM_FORWARD[w_hr is not None]
    first, N, T, B, I, H, inputs = kernel.checked(
        batch_sizes, x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr
    )
    P = h0.shape[1]
    output, c_n = np.empty((*x.shape[:-1], P), x.dtype), np.empty((B, H), x.dtype)
    saved = Kept(x.dtype, (N, 4 * H), (B + N, H)) if keep else (None, None)
    kernel(x.dtype, (output, c_n, *saved, *inputs), id(first), T, B, I, H, P)
    return output, c_n, saved if keep else None


LSTM_BACKWARD = _lstm(
    "lstm_backward",
    gy="TBP?",
    gh_n="BP?",
    gc_n="BH?",
    x="TBI",
    h0="BP",
    w_ih="4HI",
    w_hh="4HP",
    w_hr="PH",
    output="TBP",
    gates="N4H",
    cells="MH",
)


def lstm_backward(
    gy: Array | None,
    gh_n: Array | None,
    gc_n: Array | None,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    w_hr: Array | None,
    output: Array,
    saved: Any,
    batch_sizes: Array | None,
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array, Array, Array | None]:
    """Gradients of `lstm_forward`: see `reference.lstm_backward`.

    `reuse` False: `saved` stays as it was. True: where I is H, gx takes the place of the cell
    states, a sixth of what a step holds at its peak.
    """
    if x.dtype not in KERNELS:
        return reference.lstm_backward(
            gy, gh_n, gc_n, x, h0, w_ih, w_hh, w_hr, output, saved, batch_sizes, need_x, reuse
        )
    kernel = LSTM_BACKWARD[w_hr is not None]
    first, _, T, B, I, H, inputs = kernel.checked(
        batch_sizes, gy, gh_n, gc_n, x, h0, w_ih, w_hh, w_hr, output, *saved
    )
    P = h0.shape[1]
    gx = None
    if need_x:
        over = reuse and I == H  # a chunk's gx comes after all that its cell states are read for
        gx = inputs[-1][B:].reshape(x.shape) if over else np.empty(x.shape, x.dtype)
    gw_hr = None if w_hr is None else np.empty((P, H), x.dtype)
    made = _empty(x.dtype, (B, P), (B, H), (4 * H, I), (4 * H, P), (4 * H,))
    kernel(x.dtype, (gx, *made, gw_hr, *inputs), id(first), T, B, I, H, P)
    gh0, gc0, gw_ih, gw_hh, gb = made
    return gx, gh0, gc0, gw_ih, gw_hh, gb, gw_hr


GRU_FORWARD = Kernel(
    "gru_forward", x="TBI", h0="BH", w_ih="3HI", w_hh="3HH", b_ih="3H?", b_hh="3H?"
)


def gru_forward(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    batch_sizes: Array | None,
    reset_after: bool,
    keep: bool,
) -> tuple[Array, Any]:
    """One GRU layer over a whole sequence: see `reference.gru_forward`.

    Kept for backward is gates (N, 4H), the blocks W_hn h + b_hn, r, z, n: with the output itself
    5 numbers for each step, row and unit. Without reset_after it is (N, 3H), r, z, n.
    """
    if x.dtype not in KERNELS:
        return reference.gru_forward(x, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, reset_after, keep)
    first, N, T, B, I, H, inputs = GRU_FORWARD.checked(batch_sizes, x, h0, w_ih, w_hh, b_ih, b_hh)
    output = np.empty((*x.shape[:-1], H), x.dtype)
    after = int(reset_after)
    saved = Kept(x.dtype, (N, (3 + after) * H)) if keep else (None,)
    GRU_FORWARD(x.dtype, (output, *saved, *inputs), after, id(first), T, B, I, H)
    return output, saved if keep else None


GRU_BACKWARD = {  # by reset_after
    after: Kernel(
        "gru_backward",
        gy="TBH?",
        gh_n="BH?",
        x="TBI",
        h0="BH",
        w_ih="3HI",
        w_hh="3HH",
        output="TBH",
        gates="N4H" if after else "N3H",
    )
    for after in (True, False)
}


def gru_backward(
    gy: Array | None,
    gh_n: Array | None,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    output: Array,
    saved: Any,
    batch_sizes: Array | None,
    reset_after: bool,
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array, Array]:
    """Gradients of `gru_forward`: see `reference.gru_backward`. `saved` stays as it was."""
    if x.dtype not in KERNELS:
        return reference.gru_backward(
            gy, gh_n, x, h0, w_ih, w_hh, output, saved, batch_sizes, reset_after, need_x, reuse
        )
    kernel = GRU_BACKWARD[reset_after]
    first, _, T, B, I, H, inputs = kernel.checked(
        batch_sizes, gy, gh_n, x, h0, w_ih, w_hh, output, *saved
    )
    gx = np.empty(x.shape, x.dtype) if need_x else None
    gh0, gw_ih, gw_hh, gb_ih, gb_hh = made = _empty(
        x.dtype, (B, H), (3 * H, I), (3 * H, H), (3 * H,), (3 * H,)
    )
    kernel(x.dtype, (gx, *made, *inputs), int(reset_after), id(first), T, B, I, H)
    return gx, gh0, gw_ih, gw_hh, gb_ih, gb_hh


RNN_FORWARD = Kernel("rnn_forward", x="TBI", h0="BH", w_ih="HI", w_hh="HH", b_ih="H?", b_hh="H?")


def rnn_forward(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    batch_sizes: Array | None,
    nonlinearity: str,
    keep: bool,
) -> tuple[Array, Any]:
    """One RNN layer over a whole sequence: see `reference.rnn_forward`. Nothing is kept."""
    if x.dtype not in KERNELS:
        return reference.rnn_forward(x, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, nonlinearity, keep)
    relu = reference.is_relu("rnn_forward", nonlinearity)
    first, _, T, B, I, H, inputs = RNN_FORWARD.checked(batch_sizes, x, h0, w_ih, w_hh, b_ih, b_hh)
    output = np.empty((*x.shape[:-1], H), x.dtype)
    RNN_FORWARD(x.dtype, (output, *inputs), int(relu), id(first), T, B, I, H)
    return output, None


RNN_BACKWARD = Kernel(
    "rnn_backward", gy="TBH?", gh_n="BH?", x="TBI", h0="BH", w_ih="HI", w_hh="HH", output="TBH"
)


def rnn_backward(
    gy: Array | None,
    gh_n: Array | None,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    output: Array,
    saved: Any,
    batch_sizes: Array | None,
    nonlinearity: str,
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array]:
    """Gradients of `rnn_forward`: see `reference.rnn_backward`."""
    if x.dtype not in KERNELS:
        return reference.rnn_backward(
            gy, gh_n, x, h0, w_ih, w_hh, output, saved, batch_sizes, nonlinearity, need_x, reuse
        )
    relu = reference.is_relu("rnn_backward", nonlinearity)
    first, _, T, B, I, H, inputs = RNN_BACKWARD.checked(
        batch_sizes, gy, gh_n, x, h0, w_ih, w_hh, output
    )
    gx = np.empty(x.shape, x.dtype) if need_x else None
    gh0, gw_ih, gw_hh, gb = _empty(x.dtype, (B, H), (H, I), (H, H), (H,))
    RNN_BACKWARD(x.dtype, (gx, gh0, gw_ih, gw_hh, gb, *inputs), int(relu), id(first), T, B, I, H)
    return gx, gh0, gw_ih, gw_hh, gb
