"""Picking by index, and products of matrices: see `ops.indexing` and `ops.linalg`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.autograd import Value
from minigrad.broadcasting import common_shape
from minigrad.ops import elementwise, indexing, linalg, shape
from minigrad.ops.arguments import one_axis

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class Products(Value):
    """What Tensor can do with indices and with other matrices."""

    __slots__ = ()

    # -- indices: arrays of integers; repeated ones add up in the gradient

    def gather(self, dim: int, index: Any) -> Tensor:
        """y[i][j][k] = x[i][index[i][j][k]][k] for dim = 1, and alike"""
        dim, index = one_axis("gather", self, dim), np.asarray(index)
        indexing.check_places("gather", self, dim, index)
        return indexing.gather(self, dim, index)

    def scatter_add(self, dim: int, index: Any, src: Any) -> Tensor:
        """y = x with src[i][j][k] added at [i][index[i][j][k]][k] for dim = 1, and alike"""
        dim, index = one_axis("scatter_add", self, dim), np.asarray(index)
        indexing.check_places("scatter_add", self, dim, index)
        if len(src.shape) != index.ndim or any(
            n < m for n, m in zip(src.shape, index.shape, strict=True)
        ):
            raise ValueError(f"scatter_add: src {src.shape} is smaller than index {index.shape}")
        if src.shape != index.shape:
            src = indexing.getitem(src, tuple(slice(n) for n in index.shape))
        return indexing.scatter_add(self, dim, index, src)

    def index_select(self, dim: int, index: Any) -> Tensor:
        """y = x[:, index] for dim = 1, and alike: whole slices, index (n)"""
        dim, index = one_axis("index_select", self, dim), np.asarray(index)
        return indexing.index_select(self, dim, index)

    def take_along_dim(self, indices: Any, dim: int | None = None) -> Tensor:
        """y = gather, x and indices broadcast on the other axes; dim None: x flattened"""
        x, index = self, np.asarray(indices)
        if dim is None:
            x, index, dim = shape.reshape(self, (-1,)), index.reshape(-1), 0
        dim = one_axis("take_along_dim", x, dim)
        if index.ndim != len(x.shape):
            raise ValueError(
                f"take_along_dim: expected {len(x.shape)} axes of indices, got shape {index.shape}"
            )
        others = list(x.shape), list(index.shape)
        others[0][dim] = others[1][dim] = 1
        common = list(common_shape("take_along_dim", *map(tuple, others)))
        common[dim] = x.shape[dim]
        x = shape.broadcast_to(x, tuple(common))
        common[dim] = index.shape[dim]
        return Products.gather(x, dim, np.broadcast_to(index, common))

    # -- products

    def matmul(self, other: Any) -> Tensor:
        """y = x other; a vector on the left counts as a row, one on the right as a column"""
        return linalg.matmul(self, other if hasattr(other, "ndim") else np.asarray(other))

    def mm(self, mat2: Tensor) -> Tensor:
        """y = x mat2: (M, K), (K, N) -> (M, N)"""
        return linalg.matmul(*_with_axes("mm", (self, 2), (mat2, 2)))

    def bmm(self, mat2: Tensor) -> Tensor:
        """y = x mat2: (B, M, K), (B, K, N) -> (B, M, N)"""
        a, b = _with_axes("bmm", (self, 3), (mat2, 3))
        if a.shape[0] != b.shape[0]:
            raise ValueError(f"bmm: batches of {a.shape[0]} and {b.shape[0]} matrices on axis 0")
        return linalg.matmul(a, b)

    def mv(self, vec: Tensor) -> Tensor:
        """y = x vec: (M, K), (K) -> (M)"""
        return linalg.matmul(*_with_axes("mv", (self, 2), (vec, 1)))

    def dot(self, tensor: Tensor) -> Tensor:
        """y = sum of the products of elements: (K), (K) -> ()"""
        return linalg.matmul(*_with_axes("dot", (self, 1), (tensor, 1)))

    def outer(self, vec2: Tensor) -> Tensor:
        """y_ij = x_i vec2_j: (M), (N) -> (M, N)"""
        a, b = _with_axes("outer", (self, 1), (vec2, 1))
        return elementwise.mul(shape.unsqueeze(a, 1), b)


def _with_axes(name: str, *wanted: tuple[Any, int]) -> list[Any]:
    for x, ndim in wanted:
        if len(x.shape) != ndim:
            expected = " and ".join(str(n) for _, n in wanted)
            raise ValueError(f"{name}: expected {expected} axes, got shape {x.shape}")
    return [x for x, _ in wanted]
