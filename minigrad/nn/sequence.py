"""Sequences of different lengths: padded, packed, masked, cut into windows, put into batches.

[1, 2, 3] and [4, 5] padded are the columns of [[1, 4], [2, 5], [3, 0]]; packed, what is there of
each step stands side by side: data 1 4 2 5 3, with batch_sizes 2 2 1. Sequences are packed longest
first, so that a step's batch is always the first rows of the one before. Padding never takes part
in anything: it may be NaN.

Letters: T steps of the longest, B sequences, N rows of packed data (the sum of the lengths).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.creation import full, generator
from minigrad.functions import cat, stack, where
from minigrad.ops.indexing import getitem
from minigrad.ops.recurrent import lengths_of, put_rows, take_rows
from minigrad.ops.shape import transpose
from minigrad.tensor import Tensor


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None


class PackedSequence(_Packed):
    """data (N, ...): step after step, each with its sequences, longest first

    batch_sizes (T): how many sequences have that step. sorted_indices (B): the caller's number of
    each sequence in this order; unsorted_indices: its inverse; None: the order is the caller's.
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Any,
        sorted_indices: Any = None,
        unsorted_indices: Any = None,
    ) -> PackedSequence:
        sizes = _integers("PackedSequence: batch_sizes", batch_sizes)
        if sizes.size == 0 or sizes[-1] < 1 or np.any(np.diff(sizes) > 0):
            raise ValueError(
                f"PackedSequence: batch_sizes must be at least 1 and never grow, got {sizes}"
            )
        if sizes.sum() != data.shape[0]:
            raise ValueError(
                f"PackedSequence: batch_sizes add up to {sizes.sum()}, data has {data.shape[0]} "
                "rows on axis 0"
            )
        if sorted_indices is not None:
            order = _integers("PackedSequence: sorted_indices", sorted_indices)
            sorted_indices = Tensor.box(order)
            unsorted_indices = Tensor.box(np.argsort(order))
        return super().__new__(cls, data, Tensor.box(sizes), sorted_indices, unsorted_indices)

    def like(self, data: Tensor) -> PackedSequence:
        """Other data (N, ...) of the same sequences."""
        return super().__new__(type(self), data, *self[1:])

    def to(self, dtype: Any) -> PackedSequence:
        """The data in another dtype."""
        return self.like(self.data.to(dtype))

    @property
    def lengths(self) -> np.ndarray:
        """(B): the lengths, in packed order, so never growing"""
        return lengths_of(self.batch_sizes.data)

    def steps(self, start: int, stop: int) -> PackedSequence:
        """Steps start .. stop - 1, in packed order, of the sequences that have step `start`."""
        sizes = self.batch_sizes.data
        first, last = sizes[:start].sum(), sizes[:stop].sum()
        return PackedSequence(self.data[first:last], sizes[start:stop])


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Packs (T, B, ...), or (B, T, ...) with batch_first, of sequences of these lengths (B)

    Raises ValueError for lengths of 0, beyond T, or not sorted (longest first) where
    `enforce_sorted` says they are; otherwise they are sorted here.
    """
    x = transpose(input, 0, 1) if batch_first else input
    sizes = _lengths("pack_padded_sequence", lengths, x.shape[0], x.shape[1])
    order = None
    if enforce_sorted:
        if np.any(np.diff(sizes) > 0):
            raise ValueError(
                f"pack_padded_sequence: lengths {sizes} are not sorted, longest first; see "
                "enforce_sorted=False"
            )
    else:
        order = np.argsort(-sizes, kind="stable")
        sizes = sizes[order]
    rows, batch_sizes = packed_rows(sizes, order)
    data = take_rows(x.reshape(-1, *x.shape[2:]), rows)
    return PackedSequence(data, batch_sizes, order)


def packed_rows(lengths: np.ndarray, order: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Where packed data stand among the T*B rows of the padded, and the batch sizes.

    lengths: sorted, longest first; order: the column of each sequence.
    """
    there = np.arange(lengths[0])[:, None] < lengths  # (T, B)
    step, column = np.nonzero(there)
    return step * len(lengths) + (column if order is None else order[column]), there.sum(1)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(padded (T, B, ...), lengths (B)) in the caller's order; the inverse of packing

    `total_length` asks for a greater T.
    """
    lengths, order = sequence.lengths, sequence.sorted_indices
    T, B = int(lengths[0]), len(lengths)
    if total_length is not None:
        if total_length < T:
            raise ValueError(
                f"pad_packed_sequence: total_length={total_length}, but a sequence has {T} steps"
            )
        T = total_length
    rows, _ = packed_rows(lengths, None if order is None else order.data)
    x = put_rows(sequence.data, rows, T * B)
    if padding_value:
        there = np.zeros((T * B,) + (1,) * (x.ndim - 1), bool)
        there[rows] = True
        x = where(there, x, np.asarray(padding_value, x.dtype))
    x = x.reshape(T, B, *x.shape[1:])
    if order is not None:
        lengths = lengths[sequence.unsorted_indices.data]  # type: ignore[union-attr]
    return transpose(x, 0, 1) if batch_first else x, Tensor.box(lengths)


def pad_sequence(
    sequences: Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (T_b, ...) -> (T, B, ...), or (B, T, ...) with batch_first"""
    if padding_side not in ("left", "right"):
        raise ValueError(f"pad_sequence: padding_side is left or right, not {padding_side!r}")
    _alike("pad_sequence", sequences)
    T, padded = max(s.shape[0] for s in sequences), []
    for s in sequences:
        pad = full((T - s.shape[0], *s.shape[1:]), padding_value, dtype=s.dtype)
        padded.append(cat([s, pad] if padding_side == "right" else [pad, s]))
    return stack(padded, dim=0 if batch_first else 1)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences (T_b, ...)"""
    _alike("pack_sequence", sequences)
    lengths = [s.shape[0] for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Any, batch_first: bool = False
) -> list[Tensor]:
    """(T, B, ...) -> the sequences (T_b, ...); the inverse of pad_sequence"""
    x = padded_sequences if batch_first else transpose(padded_sequences, 0, 1)
    sizes = _lengths("unpad_sequence", lengths, x.shape[1], x.shape[0])
    return [row[:n] for row, n in zip(x, sizes.tolist(), strict=True)]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences (T_b, ...), in the caller's order; the inverse of pack_sequence"""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), True)


# --------------------------------------------------------------------- lengths and masks


def length_mask(lengths: Any, T: int | None = None, batch_first: bool = False) -> Tensor:
    """y[t, b] = t < lengths[b]: (T, B), or (B, T) with batch_first; T is the longest by default"""
    sizes = _integers("length_mask: lengths", lengths)
    there = np.arange(sizes.max() if T is None else T)[:, None] < sizes
    return Tensor.box(np.ascontiguousarray(there.T) if batch_first else there)


def last_step(output: Tensor, lengths: Any = None, batch_first: bool = False) -> Tensor:
    """y[b] = output[lengths[b] - 1, b]: (T, B, H) -> (B, H); lengths None: all of them T"""
    x = transpose(output, 0, 1) if batch_first else output
    if lengths is None:
        return x[-1]
    sizes = _lengths("last_step", lengths, x.shape[0], x.shape[1])
    return getitem(x, (sizes - 1, np.arange(len(sizes))))


# ------------------------------------------------------------------- windows and batches


def windows(series: Any, size: int, stride: int = 1, horizon: int = 0) -> Any:
    """y[n] = series[n stride : n stride + size]: (T, ...) -> (N, size, ...), views where possible

    With a horizon, the pair of y and what follows each window: (N, horizon, ...).
    Raises ValueError where not one window fits.
    """
    if min(size, stride) < 1 or horizon < 0:
        raise ValueError(
            f"windows: expected size and stride of at least 1 and a horizon of at least 0, got "
            f"{size}, {stride}, {horizon}"
        )
    x = series.detach().numpy() if isinstance(series, Tensor) else np.asarray(series)
    if x.shape[0] < size + horizon:
        raise ValueError(
            f"windows: axis 0 has {x.shape[0]} steps, a window and its horizon {size + horizon}"
        )
    view = np.lib.stride_tricks.sliding_window_view(x, size + horizon, axis=0)[::stride]
    y = Tensor.box(np.moveaxis(view, -1, 1))
    return (y[:, :size], y[:, size:]) if horizon else y


def bucketed(
    lengths: Any, batch_size: int, shuffle: bool = True, drop_last: bool = False
) -> Iterator[np.ndarray]:
    """Batches of indices of sequences of like lengths, so that little is padded

    Sorted by length, longest first, cut into batches; `shuffle` draws the order of the batches, and
    of sequences of the same length.
    """
    sizes = _integers("bucketed: lengths", lengths)
    if batch_size < 1:
        raise ValueError(f"bucketed: batch_size must be at least 1, got {batch_size}")
    drawn = generator().permutation(len(sizes)) if shuffle else np.arange(len(sizes))
    order = drawn[np.argsort(-sizes[drawn], kind="stable")]
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if drop_last and batches and len(batches[-1]) < batch_size:
        batches.pop()
    for i in generator().permutation(len(batches)) if shuffle else range(len(batches)):
        yield batches[i]


# ------------------------------------------------------------------------------------ checks


def _integers(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise TypeError(f"{name}: expected integers on one axis, got {values!r}")
    return array.astype(np.int64)


def _lengths(name: str, lengths: Any, T: int, B: int) -> np.ndarray:
    """The lengths, checked against the padded (T, B)."""
    sizes = _integers(f"{name}: lengths", lengths)
    if len(sizes) != B:
        raise ValueError(f"{name}: got {len(sizes)} lengths for a batch of {B}")
    if B == 0:
        raise ValueError(f"{name}: expected at least one sequence")
    if sizes.min() < 1:
        raise ValueError(f"{name}: length {sizes.min()} of sequence {sizes.argmin()} is below 1")
    if sizes.max() > T:
        raise ValueError(
            f"{name}: length {sizes.max()} of sequence {sizes.argmax()} is beyond the {T} steps "
            "of the time axis"
        )
    return sizes


def _alike(name: str, sequences: Sequence[Tensor]) -> None:
    """Raises unless there are sequences, of one dtype, that differ in their first axis alone."""
    if not sequences:
        raise ValueError(f"{name}: expected at least one sequence")
    first = sequences[0]
    for i, s in enumerate(sequences):
        if s.shape[1:] != first.shape[1:] or s.dtype != first.dtype:
            raise ValueError(
                f"{name}: sequence {i} has shape {s.shape} of {s.dtype}, sequence 0 {first.shape} "
                f"of {first.dtype}; only axis 0 may differ"
            )
