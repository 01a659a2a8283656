"""One clock for calls that are recorded and for writes in place.

It moves on with each. A recorded call keeps its time, and memory that was written has one, so that
backward can refuse a value that was written after the call that saved it. And since a call was
recorded after those that made its inputs, their times are the order of the walk back.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from threading import Lock
from typing import Any

import numpy as np

tick = count(1).__next__  # moves the clock on, and says its time
latest = 0  # when the latest write was: nothing to look up for a call that is later

# When the memory of an owner was last written, by id(owner). The ids of arrays that are gone stay:
# an array that gets such an id again was recorded, if at all, after that write. As ids are
# addresses, there are never more than arrays that lived at the same time.
_last: dict[int, int] = {}
_lock = Lock()


def written(array: Any) -> None:
    """Notes that the array, and with it all views of its memory, was written in place."""
    global latest
    with _lock:
        _last[id(_owner(array))] = latest = tick()


def written_since(time: int, values: Iterable) -> bool:
    """Whether the memory of an array among the values, or in tuples of them, was written later."""
    return time < latest and any(
        written_since(time, value)
        if isinstance(value, tuple)
        else _last.get(id(_owner(value)), 0) > time
        for value in values
        if isinstance(value, tuple | np.ndarray)
    )


def _owner(array: Any) -> Any:
    """Whose memory the array shows: itself, or what it is a view of."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array
