"""Batches: an iterator over the rows of tensors, or over any sequence of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.creation import generator
from minigrad.tensor import Tensor


class TensorDataset:
    """dataset[i] = (tensors[0][i], tensors[1][i], ...): tensors or arrays of as many rows each"""

    def __init__(self, *tensors: Tensor | np.ndarray) -> None:
        for i, t in enumerate(tensors):
            if not isinstance(t, (Tensor, np.ndarray)) or t.ndim == 0:
                raise TypeError(f"TensorDataset: tensors[{i}] must be a tensor or array with rows")
        rows = [len(t) for t in tensors]
        if not rows or len(set(rows)) > 1:
            raise ValueError(f"TensorDataset: expected tensors of as many rows each, got {rows}")
        self.tensors = tuple(Tensor.box(t) if isinstance(t, np.ndarray) else t for t in tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)


class DataLoader:
    """Batches of batch_size samples; each time it is iterated over, all of them once.

    dataset     a TensorDataset, or anything with len() and [i]
    shuffle     in a new order each time, from the generator of `minigrad.manual_seed`
    collate_fn  makes a batch of a list of samples. None: dataset[array of indices], for a
                TensorDataset and whatever else takes that
    drop_last   leave out a last batch that is too small
    Left out of PyTorch's: all that has to do with worker processes.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        collate_fn: Callable[[list], Any] | None = None,
        drop_last: bool = False,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(
                f"DataLoader: batch_size must be an int of at least 1, got {batch_size!r}"
            )
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(f"DataLoader: {type(dataset).__name__} has no len() or no [i]")
        if collate_fn is None and isinstance(dataset, (list, tuple)):
            raise TypeError(
                "DataLoader: a list needs collate_fn to make batches (nn.utils.rnn.pad_sequence "
                "for sequences); tensors belong in a TensorDataset"
            )
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        self.collate_fn, self.drop_last = collate_fn, drop_last

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        count = len(self.dataset)
        order = generator().permutation(count) if self.shuffle else np.arange(count)
        for i in range(len(self)):
            index = order[i * self.batch_size : (i + 1) * self.batch_size]
            if self.collate_fn is None:
                yield self.dataset[index]
            else:
                yield self.collate_fn([self.dataset[int(j)] for j in index])
