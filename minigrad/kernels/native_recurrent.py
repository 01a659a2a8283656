"""The recurrent half of `native.py`: whole layers of RNN, LSTM and GRU over a sequence.

Every array is checked here, by name, before C sees it; see `reference.py` for what is computed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import numpy as np

from . import reference
from ._c import lib

Array = np.ndarray
KERNELS = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}
SPARE_BYTES = 256 * 2**20
LINE = 64  # bytes of a cache line
C_ORDER_ALIGNED = 0x101  # bits of ndarray.flags.num


def _sizes(
    name: str, x: Array, h0: Array, batch_sizes: Array | None
) -> tuple[Array | None, int, int, int, int, int]:
    """first, N, T, B, I, H; first (T+1): the rows of x where steps begin, or None: B rows each.

    ValueError where the batch sizes are not those of packed rows, and where C could not count the
    bytes of a layer's arrays.
    """
    packed = batch_sizes is not None
    if x.ndim != 3 - packed or h0.ndim != 2:
        raise ValueError(
            f"{name}: expected x {'(N, I)' if packed else '(T, B, I)'} and h0 (B, H), got "
            f"{x.ndim} and {h0.ndim} axes"
        )
    I, H = x.shape[-1], h0.shape[1]
    T, B = x.shape[:2] if batch_sizes is None else (_steps(name, batch_sizes, h0), len(h0))
    if max((T + 1) * (B + 256) * (4 * H + I + 64), (4 * H + 256) * (I + H + 1024)) > 2**56:
        raise ValueError(f"{name}: T={T}, B={B}, I={I}, H={H} is too large")
    if batch_sizes is None:
        return None, T * B, T, B, I, H
    first = np.zeros(T + 1, np.uintp)
    first[1:] = np.cumsum(batch_sizes)
    if first[-1] != x.shape[0]:
        raise ValueError(f"{name}: batch_sizes add up to {first[-1]}, x has {x.shape[0]} rows")
    return first, x.shape[0], T, B, I, H


def _steps(name: str, batch_sizes: Array, h0: Array) -> int:
    """T; ValueError unless the sizes are integers from B down to 1 that never grow."""
    if batch_sizes.ndim != 1 or batch_sizes.dtype.kind not in "iu" or len(batch_sizes) == 0:
        raise ValueError(
            f"{name}: expected batch_sizes to be integers (T), got {batch_sizes.dtype} of shape "
            f"{batch_sizes.shape}"
        )
    most, least = batch_sizes[0], batch_sizes[-1]
    if most > len(h0) or least < 1 or (batch_sizes[1:] > batch_sizes[:-1]).any():
        raise ValueError(
            f"{name}: batch_sizes must be at most B={len(h0)}, at least 1 and never grow, got "
            f"{batch_sizes}"
        )
    return len(batch_sizes)


def _check(name: str, dtype: np.dtype, **wanted: tuple[Array | None, tuple[int, ...]]) -> list[Any]:
    """The arrays as C takes them, contiguous; None stays None. ValueError names what is wrong."""
    arrays = []
    for argument, (x, shape) in wanted.items():
        if x is not None:
            if x.dtype is not dtype and x.dtype != dtype:
                raise ValueError(f"{name}: {argument} is {x.dtype}, expected {dtype}, as x is")
            if x.shape != shape:
                raise ValueError(f"{name}: {argument} has shape {x.shape}, expected {shape}")
            if x.flags.num & C_ORDER_ALIGNED != C_ORDER_ALIGNED:
                x = np.require(x, dtype, ["C", "A"])
        arrays.append(x)
    return arrays


@cache
def _function(name: str, dtype: np.dtype) -> Callable[..., int]:
    return getattr(lib, f"np_{name}_{KERNELS[dtype]}")


def _run(name: str, dtype: np.dtype, *arguments: Any) -> None:
    """Calls np_{name}_f32 or _f64; arrays go by their id(), None as 0, which is NULL in C."""
    if _function(name, dtype)(
        *[0 if a is None else a if type(a) is int else id(a) for a in arguments]
    ):
        raise MemoryError(f"{name}: out of memory")


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


def lstm_forward(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    batch_sizes: Array | None,
    keep: bool,
) -> tuple[Array, Array, Any]:
    """One LSTM layer over a whole sequence: see `reference.lstm_forward`.

    Kept for backward are, as there, the gates (N, 4H) and the cell states (B+N, H): with the
    output itself 6 numbers for each step, row and unit.
    """
    if x.dtype not in KERNELS:
        return reference.lstm_forward(x, h0, c0, w_ih, w_hh, b_ih, b_hh, batch_sizes, keep)
    first, N, T, B, I, H = _sizes("lstm_forward", x, h0, batch_sizes)
    inputs = _check(
        "lstm_forward",
        x.dtype,
        x=(x, x.shape),
        h0=(h0, (B, H)),
        c0=(c0, (B, H)),
        w_ih=(w_ih, (4 * H, I)),
        w_hh=(w_hh, (4 * H, H)),
        b_ih=(b_ih, (4 * H,)),
        b_hh=(b_hh, (4 * H,)),
    )
    output, c_n = _empty(x.dtype, (*x.shape[:-1], H), (B, H))
    saved = Kept(x.dtype, (N, 4 * H), (B + N, H)) if keep else (None, None)
    _run("lstm_forward", x.dtype, output, c_n, *saved, *inputs, first, T, B, I, H)
    return output, c_n, saved if keep else None


def lstm_backward(
    gy: Array | None,
    gh_n: Array | None,
    gc_n: Array | None,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    output: Array,
    saved: Any,
    batch_sizes: Array | None,
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array, Array]:
    """Gradients of `lstm_forward`: see `reference.lstm_backward`.

    `reuse` False: `saved` stays as it was. True: where I is H, gx takes the place of the cell
    states, a sixth of what a step holds at its peak.
    """
    if x.dtype not in KERNELS:
        return reference.lstm_backward(
            gy, gh_n, gc_n, x, h0, w_ih, w_hh, output, saved, batch_sizes, need_x, reuse
        )
    first, N, T, B, I, H = _sizes("lstm_backward", x, h0, batch_sizes)
    gates, cells = saved
    inputs = _check(
        "lstm_backward",
        x.dtype,
        gy=(gy, (*x.shape[:-1], H)),
        gh_n=(gh_n, (B, H)),
        gc_n=(gc_n, (B, H)),
        x=(x, x.shape),
        h0=(h0, (B, H)),
        w_ih=(w_ih, (4 * H, I)),
        w_hh=(w_hh, (4 * H, H)),
        output=(output, (*x.shape[:-1], H)),
        gates=(gates, (N, 4 * H)),
        cells=(cells, (B + N, H)),
    )
    gx = None
    if need_x:
        over = reuse and I == H  # a chunk's gx comes after all that its cell states are read for
        gx = inputs[-1][B:].reshape(x.shape) if over else np.empty(x.shape, x.dtype)
    gh0, gc0, gw_ih, gw_hh, gb = _empty(x.dtype, (B, H), (B, H), (4 * H, I), (4 * H, H), (4 * H,))
    _run("lstm_backward", x.dtype, gx, gh0, gc0, gw_ih, gw_hh, gb, *inputs, first, T, B, I, H)
    return gx, gh0, gc0, gw_ih, gw_hh, gb


def gru_forward(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    batch_sizes: Array | None,
    keep: bool,
) -> tuple[Array, Any]:
    """One GRU layer over a whole sequence: see `reference.gru_forward`.

    Kept for backward is gates (N, 4H), the blocks W_hn h + b_hn, r, z, n: with the output itself
    5 numbers for each step, row and unit.
    """
    if x.dtype not in KERNELS:
        return reference.gru_forward(x, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, keep)
    first, N, T, B, I, H = _sizes("gru_forward", x, h0, batch_sizes)
    inputs = _check(
        "gru_forward",
        x.dtype,
        x=(x, x.shape),
        h0=(h0, (B, H)),
        w_ih=(w_ih, (3 * H, I)),
        w_hh=(w_hh, (3 * H, H)),
        b_ih=(b_ih, (3 * H,)),
        b_hh=(b_hh, (3 * H,)),
    )
    output = np.empty((*x.shape[:-1], H), x.dtype)
    saved = Kept(x.dtype, (N, 4 * H)) if keep else (None,)
    _run("gru_forward", x.dtype, output, *saved, *inputs, first, T, B, I, H)
    return output, saved if keep else None


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
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array, Array]:
    """Gradients of `gru_forward`: see `reference.gru_backward`. `saved` stays as it was."""
    if x.dtype not in KERNELS:
        return reference.gru_backward(
            gy, gh_n, x, h0, w_ih, w_hh, output, saved, batch_sizes, need_x, reuse
        )
    first, N, T, B, I, H = _sizes("gru_backward", x, h0, batch_sizes)
    inputs = _check(
        "gru_backward",
        x.dtype,
        gy=(gy, (*x.shape[:-1], H)),
        gh_n=(gh_n, (B, H)),
        x=(x, x.shape),
        h0=(h0, (B, H)),
        w_ih=(w_ih, (3 * H, I)),
        w_hh=(w_hh, (3 * H, H)),
        output=(output, (*x.shape[:-1], H)),
        gates=(saved[0], (N, 4 * H)),
    )
    gx = np.empty(x.shape, x.dtype) if need_x else None
    gh0, gw_ih, gw_hh, gb_ih, gb_hh = _empty(
        x.dtype, (B, H), (3 * H, I), (3 * H, H), (3 * H,), (3 * H,)
    )
    _run("gru_backward", x.dtype, gx, gh0, gw_ih, gw_hh, gb_ih, gb_hh, *inputs, first, T, B, I, H)
    return gx, gh0, gw_ih, gw_hh, gb_ih, gb_hh


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
    first, _, T, B, I, H = _sizes("rnn_forward", x, h0, batch_sizes)
    inputs = _check(
        "rnn_forward",
        x.dtype,
        x=(x, x.shape),
        h0=(h0, (B, H)),
        w_ih=(w_ih, (H, I)),
        w_hh=(w_hh, (H, H)),
        b_ih=(b_ih, (H,)),
        b_hh=(b_hh, (H,)),
    )
    output = np.empty((*x.shape[:-1], H), x.dtype)
    _run("rnn_forward", x.dtype, output, *inputs, int(relu), first, T, B, I, H)
    return output, None


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
    first, _, T, B, I, H = _sizes("rnn_backward", x, h0, batch_sizes)
    inputs = _check(
        "rnn_backward",
        x.dtype,
        gy=(gy, (*x.shape[:-1], H)),
        gh_n=(gh_n, (B, H)),
        x=(x, x.shape),
        h0=(h0, (B, H)),
        w_ih=(w_ih, (H, I)),
        w_hh=(w_hh, (H, H)),
        output=(output, (*x.shape[:-1], H)),
    )
    gx = np.empty(x.shape, x.dtype) if need_x else None
    gh0, gw_ih, gw_hh, gb = _empty(x.dtype, (B, H), (H, I), (H, H), (H,))
    _run("rnn_backward", x.dtype, gx, gh0, gw_ih, gw_hh, gb, *inputs, int(relu), first, T, B, I, H)
    return gx, gh0, gw_ih, gw_hh, gb
