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


class set_grad_enabled(ContextDecorator):
    """Records calls, or does not, in this thread: as a `with` block or as a decorator."""

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)

    def _recreate_cm(self) -> Any:  # a decorated function may recurse, and run in many threads
        return set_grad_enabled(self.mode)

    def __enter__(self) -> None:
        self.before, mode.recording = mode.recording, self.mode

    def __exit__(self, *exc: object) -> None:
        mode.recording = self.before


def no_grad() -> set_grad_enabled:
    """Within it nothing is recorded: no graph, no memory for one."""
    return set_grad_enabled(False)


def inference_mode(mode: bool = True) -> set_grad_enabled:
    """no_grad under PyTorch's other name: tensors made here are ordinary ones, usable anywhere."""
    return set_grad_enabled(not mode)


def enable_grad() -> set_grad_enabled:
    """Within it calls are recorded again, inside a `no_grad`."""
    return set_grad_enabled(True)
