"""What the benchmarks share: functions timed in turns, and the machine they ran on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import kernels


def median_times(
    functions: Sequence[Callable[[], Any]], turns: int, slice_seconds: float = 0.03
) -> list[float]:
    """The median time of a call of each, in seconds; they take turns, a call or a slice at a time.

    Taking turns, a machine that slows down slows all of them, and their ratios stay.
    """
    times: list[list[float]] = [[] for _ in functions]
    calls = []
    for function in functions:
        function()
        start = time.perf_counter()
        function()
        calls.append(max(1, int(slice_seconds / (time.perf_counter() - start))))
    for _ in range(turns):
        for function, count, kept in zip(functions, calls, times, strict=True):
            start = time.perf_counter()
            for _ in range(count):
                function()
            kept.append((time.perf_counter() - start) / count)
    return [statistics.median(kept) for kept in times]


def machine(*versions: str) -> str:
    """A line for the head of a table: processor, backend, versions."""
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    config = kernels.config()
    parts = [
        f"{names[0] if names else platform.processor()}, {len(os.sched_getaffinity(0))} cores",
        f"minigrad {config['backend']} {config['isa']}",
        f"Python {platform.python_version()}",
        f"numpy {np.__version__}",
    ]
    return "; ".join([*parts, *versions])
