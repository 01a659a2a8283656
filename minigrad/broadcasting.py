"""What is wrong where shapes do not broadcast: numpy names neither the operation nor the axis."""

from __future__ import annotations

from typing import Any

import numpy as np

Shape = tuple[int, ...]


def common_shape(name: str, *shapes: Shape) -> Shape:
    """The shape that all broadcast to. ValueError names the operation and the axis where they do
    not, counted from the last, as broadcasting does."""
    for axis in range(1, max(map(len, shapes), default=0) + 1):
        sizes = {shape[-axis] for shape in shapes if len(shape) >= axis} - {1}
        if len(sizes) > 1:
            given, several = (" and ".join(map(str, x)) for x in (shapes, sorted(sizes)))
            raise ValueError(
                f"{name}: shapes {given} do not broadcast: axis {-axis} has sizes {several}"
            )
    return np.broadcast_shapes(*shapes)


def explained(error: ValueError, name: str, args: Any) -> ValueError:
    """The error of a call of `name`; if it was numpy's, on shapes, that of common_shape."""
    if str(error).startswith(("operands could not be broadcast", "shape mismatch")):
        try:
            common_shape(name, *[a.shape for a in args if isinstance(a, np.ndarray)])
        except ValueError as better:
            return better
    return error
