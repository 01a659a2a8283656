"""Writes in place, stamped: backward refuses a value that changed after its call was recorded.

Every write moves a clock on; a recorded call notes what the clock said. As long as it says the same
there is nothing to look up, and that is the rule: nothing is noted per tensor or per call.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

now = 0  # how many writes there were

# When the memory of an owner was last written, by id(owner). The ids of arrays that are gone stay:
# an array that gets such an id again was recorded, if at all, after that write. As ids are
# addresses, there are never more than arrays that lived at the same time.
_last: dict[int, int] = {}
_lock = Lock()


def written(array: Any) -> None:
    """Notes that the array, and with it all views of its memory, was written in place."""
    global now
    with _lock:
        now += 1
        _last[id(_owner(array))] = now


def written_since(time: int, array: Any) -> bool:
    """Whether the memory of the array was written after the clock said `time`."""
    return time != now and _last.get(id(_owner(array)), 0) > time


def _owner(array: Any) -> Any:
    """Whose memory the array shows: itself, or what it is a view of."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array
