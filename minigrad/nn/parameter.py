"""Parameter: a leaf that Modules find, and how a module knows that nobody has changed its numbers.

A layer may keep what it has made of its parameters for calls to come: packed weights. Nobody tells
it of a write, for numpy arrays can be written by whoever has them. But only by these, and to get at
a parameter's array one has to ask for its `data`. So a module seals its parameters, and whoever
asks for `data` afterwards, reader or writer, the library itself among them, breaks the seal. Who
had the array before, or shares its memory, is counted: then there is no seal.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from sys import getrefcount
from typing import Any

import numpy as np

from minigrad.tape import Value
from minigrad.tensor import Tensor

Array = np.ndarray
_slot: Any = Value.__dict__["data"]
array_of = _slot.__get__  # a parameter's array, behind its back: to be read at once, never kept


class Parameter(Tensor):
    """A leaf that requires grad and that a Module finds among its attributes.

    Shares the memory of `data`, a floating-point tensor.
    """

    __slots__ = ("seal",)
    seal: object | None  # nobody has had the array since it was put there

    def __new__(cls, data: Tensor, requires_grad: bool = True) -> Parameter:
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data must be a tensor, got {type(data).__name__}")
        parameter = cls.box(data.data)
        return parameter.requires_grad_(requires_grad)

    @property
    def data(self) -> Array:
        """The array. From now on whoever asked for it may write into it."""
        array = array_of(self)  # first: of another thread that seals now, one sees the other
        self.seal = None
        return array

    @data.setter
    def data(self, array: Array) -> None:
        _slot.__set__(self, array)
        self.seal = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return array_of(self).shape

    @property
    def dtype(self) -> np.dtype:
        """numpy's dtype of the elements."""
        return array_of(self).dtype

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def sealed(tensors: Sequence[Any]) -> tuple[object, ...] | None:
    """Seals them all, and returns their seals: while these are whole, they hold what they held.

    None where that could not be known: of what is no parameter, and of memory that is within reach
    of someone already. (A bare address of it, kept as a number, is no concern of ours.)
    """
    for p in tensors:
        if type(p) is Parameter and p.seal is None:  # a subclass might have another `data`
            p.seal = object()
    seals = tuple([getattr(t, "seal", None) for t in tensors])  # first of all: see `data`
    return None if None in seals or not all(_alone(p) for p in tensors) else seals


def _alone(p: Parameter) -> bool:
    """Whether p alone holds the array, and the array the memory it shows."""
    owner = array_of(p) if array_of(p).base is None else array_of(p).base
    if type(owner) is not Array or not owner.flags.owndata or type(array_of(p)) is not Array:
        return False
    del owner
    fresh = Tensor.box(np.empty(1) if array_of(p).base is None else np.empty(2)[1:])
    return _holders(p) == _holders(fresh)


def _holders(t: Tensor) -> tuple[int, ...]:
    """How many refer to the array, and to what it is a view of."""
    array = array_of(t)
    counts = getrefcount(array), weakref.getweakrefcount(array)
    if array.base is None:
        return counts
    return *counts, getrefcount(array.base), weakref.getweakrefcount(array.base)
