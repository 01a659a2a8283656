"""Other shapes of the same elements: see `ops.shape`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.autograd import Value
from minigrad.ops import shape
from minigrad.ops.arguments import Dims, axes, new_axis, one_axis, sizes

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class Shape(Value):
    """What Tensor can do to its shape. Sizes and axes come as several arguments or one tuple."""

    __slots__ = ()

    @property
    def T(self) -> Tensor:
        """y = x with its two axes exchanged"""
        if len(self.shape) > 2:
            raise ValueError(f"T: expected at most 2 axes, got shape {self.shape}; see mT")
        return shape.transpose(self, 0, -1)

    @property
    def mT(self) -> Tensor:
        """y = x with its last two axes exchanged"""
        _matrix("mT", self)
        return shape.transpose(self, -1, -2)

    def reshape(self, *shape_: Any) -> Tensor:
        """y = the same elements, in order, in another shape; one size may be -1"""
        return shape.reshape(self, sizes(shape_))

    def view(self, *shape_: Any) -> Tensor:
        """y = reshape, refused where that would have to copy"""
        y = shape.reshape(self, sizes(shape_))
        if y.data.size and not np.may_share_memory(y.data, self.data):
            raise ValueError(f"view: {self.shape} is not contiguous enough for {y.shape}; reshape")
        return y

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """y = x with the axes from start_dim to end_dim, both included, made one"""
        start, end = one_axis("flatten", self, start_dim), one_axis("flatten", self, end_dim)
        if start > end:
            raise ValueError(f"flatten: start_dim {start} comes after end_dim {end}")
        return shape.flatten(self, start, end)

    def permute(self, *dims: Any) -> Tensor:
        """y.shape[i] = x.shape[dims[i]]"""
        order = tuple(one_axis("permute", self, d) for d in sizes(dims))
        if sorted(order) != list(range(len(self.shape))):
            raise ValueError(f"permute: {dims} does not name each axis of {self.shape} once")
        return shape.permute(self, order)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """y = x with two axes exchanged"""
        at = one_axis("transpose", self, dim0), one_axis("transpose", self, dim1)
        return shape.transpose(self, *at)

    swapaxes = transpose

    def squeeze(self, dim: Dims = None, *, axis: Dims = None) -> Tensor:
        """y = x without its axes of size 1, or without those of `dim` that have size 1"""
        return shape.squeeze(self, axes("squeeze", self, dim, axis))

    def unsqueeze(self, dim: int) -> Tensor:
        """y = x with a new axis of size 1 at `dim`"""
        return shape.unsqueeze(self, new_axis("unsqueeze", len(self.shape), dim))

    def broadcast_to(self, *shape_: Any) -> Tensor:
        """y = x repeated along new axes and those of size 1"""
        return shape.broadcast_to(self, sizes(shape_))

    def expand(self, *shape_: Any) -> Tensor:
        """y = broadcast_to, where a size of -1 leaves an axis as it is"""
        wanted = sizes(shape_)
        more = len(wanted) - len(self.shape)
        if more < 0 or any(n == -1 for n in wanted[:more]):
            raise ValueError(f"expand: {wanted} does not fit shape {self.shape}")
        old = (0,) * more + self.shape
        full = tuple(m if n == -1 else n for n, m in zip(wanted, old, strict=True))
        return shape.broadcast_to(self, full)

    def expand_as(self, other: Tensor) -> Tensor:
        """y = x broadcast to the shape of another tensor"""
        return shape.broadcast_to(self, other.shape)

    def repeat(self, *times: Any) -> Tensor:
        """y = x laid so many times along each axis; further numbers stand for new axes in front"""
        counts = sizes(times)
        if len(counts) < len(self.shape) or min(counts, default=0) < 0:
            raise ValueError(f"repeat: {counts} does not say how often for each axis {self.shape}")
        return shape.repeat(self, counts)

    def tile(self, *times: Any) -> Tensor:
        """y = repeat, once along the axes in front that `times` leaves out"""
        counts = sizes(times)
        if min(counts, default=0) < 0:
            raise ValueError(f"tile: expected no negative numbers, got {counts}")
        return shape.repeat(self, (1,) * (len(self.shape) - len(counts)) + counts)

    def flip(self, *dims: Any) -> Tensor:
        """y = x with the order along `dims` reversed"""
        return shape.flip(self, axes("flip", self, sizes(dims)) or ())

    def roll(self, shifts: Dims, dims: Dims = None) -> Tensor:
        """y = x moved along `dims`, out at one end and in at the other; None: as if flattened"""
        by = tuple(shifts) if isinstance(shifts, Sequence) else (operator.index(shifts),)  # type: ignore[arg-type]
        if dims is None:
            flat = shape.roll(shape.reshape(self, (-1,)), by, (0,) * len(by))
            return shape.reshape(flat, self.shape)
        along = tuple(dims) if isinstance(dims, Sequence) else (dims,)
        if len(by) != len(along):
            raise ValueError(f"roll: {len(by)} shifts for {len(along)} axes")
        return shape.roll(self, by, tuple(one_axis("roll", self, d) for d in along))

    def tril(self, diagonal: int = 0) -> Tensor:
        """y = x where column - row <= diagonal, else 0"""
        _matrix("tril", self)
        return shape.tril(self, operator.index(diagonal))

    def triu(self, diagonal: int = 0) -> Tensor:
        """y = x where column - row >= diagonal, else 0"""
        _matrix("triu", self)
        return shape.triu(self, operator.index(diagonal))

    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
        """y[..., i] = x at (i, i + offset) on the axes dim1 and dim2, which go"""
        _matrix("diagonal", self)
        at = one_axis("diagonal", self, dim1), one_axis("diagonal", self, dim2)
        if at[0] == at[1]:
            raise ValueError(f"diagonal: dim1 and dim2 are both axis {at[0]} of {self.shape}")
        return shape.diagonal(self, operator.index(offset), *at)

    def unfold(self, dimension: int, size: int, step: int) -> Tensor:
        """y = windows of `size` elements, every `step` along an axis; their elements come last"""
        dim = one_axis("unfold", self, dimension)
        n = self.shape[dim] if self.shape else 1
        if not 0 <= size <= n or step < 1:
            raise ValueError(
                f"unfold: no windows of size={size}, step={step} on axis {dim} of size {n}"
            )
        return shape.unfold(self if self.shape else shape.reshape(self, (1,)), dim, size, step)

    def split(self, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
        """x cut along `dim` into pieces of one size (the last may be smaller), or of these"""
        dim, how = _cut_axis("split", self, dim), split_size_or_sections
        if isinstance(how, (int, np.integer)):
            if how < 1:
                raise ValueError(f"split: expected a size of at least 1, got {how}")
            return shape.pieces(self, int(how), dim)
        parts = sizes((tuple(how),))
        if sum(parts) != self.shape[dim] or min(parts, default=0) < 0:
            raise ValueError(f"split: {parts} does not add up to {self.shape[dim]} on axis {dim}")
        return shape.split(self, parts, dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """x cut along `dim` into that many pieces, the last ones smaller or missing"""
        if chunks < 1:
            raise ValueError(f"chunk: expected at least 1 piece, got {chunks}")
        return shape.chunk(self, chunks, _cut_axis("chunk", self, dim))

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        """(x[0], x[1], ...) along `dim`, which disappears"""
        return shape.unbind(self, _cut_axis("unbind", self, dim))


def _matrix(name: str, x: Any) -> None:
    if len(x.shape) < 2:
        raise ValueError(f"{name}: expected at least 2 axes, got shape {x.shape}")


def _cut_axis(name: str, x: Any, dim: int) -> int:
    if not x.shape:
        raise ValueError(f"{name}: a tensor without axes cannot be cut")
    return one_axis(name, x, dim)
