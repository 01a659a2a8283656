"""Whether calls are recorded: the mode of a thread, and the blocks that change it."""

from __future__ import annotations

import threading
from contextlib import ContextDecorator
from typing import Any


class _Mode(threading.local):
    recording = True


mode = _Mode()
tracing: list[None] = []  # one for each block of detect_anomaly that is open, in whatever thread


def is_grad_enabled() -> bool:
    """Whether calls are being recorded in this thread."""
    return mode.recording


class Recording(ContextDecorator):
    """Records calls, or does not, in this thread: as a `with` block or as a decorator."""

    def __init__(self, recording: bool) -> None:
        self.recording = bool(recording)

    def _recreate_cm(self) -> Any:  # a decorated function may recurse, and run in many threads
        return Recording(self.recording)

    def __enter__(self) -> None:
        self.before, mode.recording = mode.recording, self.recording

    def __exit__(self, *exc: object) -> None:
        mode.recording = self.before


def no_grad() -> Recording:
    """Within it nothing is recorded: no graph, no memory for one."""
    return Recording(False)


def inference_mode(mode: bool = True) -> Recording:
    """no_grad under PyTorch's other name: tensors made here are ordinary ones, usable anywhere."""
    return Recording(not mode)


def enable_grad() -> Recording:
    """Within it calls are recorded again, inside a `no_grad`."""
    return Recording(True)


class set_grad_enabled(Recording):
    """From here on calls are recorded, or not, in this thread; of a `with` block, until its end."""

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        super().__enter__()

    def __enter__(self) -> None:
        mode.recording = self.recording  # what was before is known

    def __call__(self, function: Any) -> Any:
        self.__exit__()  # as a decorator, only while the function runs
        return super().__call__(function)
