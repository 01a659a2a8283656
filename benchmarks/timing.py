"""What the benchmarks share: a process per number of threads, functions timed in turns, tables.

A benchmark's `cells` yields one dictionary for each line of its table. `measured` runs it once for
each number of threads, in a process that may use as many processors and no more: every library's
pool, the peers' hidden ones too, then has the same room.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import exp, inf, log
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import kernels

CHILD = "MINIGRAD_BENCHMARK_THREADS"  # set in the process that measures
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MINIGRAD_NUM_THREADS")
SETTLE = 0.03  # seconds after which the spinning threads of OpenMP and OpenBLAS sleep


def parser(doc: str | None, turns: int = 7) -> argparse.ArgumentParser:
    """A command line with what every benchmark takes."""
    made = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    add = made.add_argument
    add("--threads", nargs="+", type=int, default=[1, 2], help="default: 1 2")
    add("--turns", type=int, default=turns, help=f"how often each is timed; default: {turns}")
    add("--brief", action="store_true", help="two turns of short slices")
    add("--quick", action="store_true", help="the smallest slice, in seconds: does it run?")
    return made


def parse(made: argparse.ArgumentParser, **quick: Any) -> argparse.Namespace:
    """The arguments; with --quick one thread, one turn and these values."""
    args = made.parse_args()
    args.slice_seconds, args.budget = (0.01, 1.0) if args.brief else (0.03, 2.5)
    if args.brief:
        args.turns = min(args.turns, 2)
    if args.quick:
        vars(args).update(threads=[1], turns=1, slice_seconds=0.001, **quick)
    if min(*args.threads, args.turns) < 1:
        made.error("--threads and --turns: expected numbers from 1 up")
    return args


def measured(
    args: argparse.Namespace, cells: Callable[[argparse.Namespace, int], Iterable[dict]]
) -> Iterator[dict]:
    """What `cells(args, threads)` yields in one process after another, for each of args.threads."""
    if CHILD in os.environ:
        for cell in cells(args, int(os.environ[CHILD])):
            print(json.dumps(cell), flush=True)
        raise SystemExit
    processors = sorted(os.sched_getaffinity(0))
    for n in args.threads:
        if n > len(processors):
            raise SystemExit(f"--threads {n}: this process may use {len(processors)} processors")
        with subprocess.Popen(
            [sys.executable, *sys.argv],
            env={**os.environ, **dict.fromkeys(POOLS, str(n)), CHILD: str(n)},
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda n=n: os.sched_setaffinity(0, processors[-n:]),
        ) as process:
            assert process.stdout is not None
            yield from map(json.loads, process.stdout)
        if process.returncode:
            raise SystemExit(process.returncode)


def median_times(
    functions: Sequence[Callable[[], Any]],
    turns: int,
    slice_seconds: float = 0.03,
    settle: float = 0.0,
    budget: float = inf,
) -> list[float]:
    """The median time of a call of each, in seconds; they take turns, a call or a slice at a time.

    Taking turns, a machine that slows down slows all of them, and their ratios stay. Each has been
    called before. settle: rest, in seconds, before each turn, so that the threads of the one before
    have gone to sleep. budget: after three turns, none begins once so many seconds are over.
    """

    def one_turn(function: Callable[[], Any], count: int) -> float:
        if settle:
            time.sleep(settle)
        if count > 1:
            function()  # wakes its threads, fills the caches
        start = time.perf_counter()
        for _ in range(count):
            function()
        return (time.perf_counter() - start) / count

    began = time.perf_counter()
    times = [[one_turn(function, 1)] for function in functions]
    calls = [max(1, int(slice_seconds / kept[0])) for kept in times]
    if max(calls) > 1:  # not a turn: too short, and cold
        times = [[] for _ in functions]
    while len(times[0]) < turns:
        if len(times[0]) >= 3 and time.perf_counter() - began > budget:
            break
        for function, count, kept in zip(functions, calls, times, strict=True):
            kept.append(one_turn(function, count))
    return [statistics.median(kept) for kept in times]


def in_turns(
    functions: Sequence[Callable[[], Any]], args: argparse.Namespace, threads: int
) -> list[float]:
    """`median_times` as the command line asks for it, in milliseconds."""
    settle = SETTLE if threads > 1 and not args.quick else 0
    return [
        1000 * t
        for t in median_times(functions, args.turns, args.slice_seconds, settle, args.budget)
    ]


def agree(ours: Iterable[Any], theirs: Iterable[Any], tolerance: float, what: str) -> None:
    """AssertionError where arrays differ by more than `tolerance` of their largest element."""
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        a, b = np.asarray(a), np.asarray(b)
        bound = tolerance * max(1.0, np.abs(b).max(initial=0))
        np.testing.assert_allclose(a, b, rtol=0, atol=bound, err_msg=f"{what}, array {i}")


def geometric_mean(values: Sequence[float]) -> float:
    return exp(sum(map(log, values)) / len(values))


def summary(groups: dict[str, list[tuple[float, str]]], what: str) -> None:
    """Prints, for each group of (ratio, cell), the geometric mean and the smallest ratio."""
    print(f"\n{what:44} {'mean':>6} {'worst':>6}  where")
    for group, cells in groups.items():
        worst, where = min(cells)
        mean = geometric_mean([ratio for ratio, _ in cells])
        print(f"{group:44} {mean:6.2f} {worst:6.2f}  {where}")


def machine(*versions: str) -> str:
    """A line for the head of a table: processor, backend, versions."""
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    config = kernels.config()
    parts = [
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores",
        f"minigrad {config['backend']} {config['isa']}",
        f"Python {platform.python_version()}",
        f"numpy {np.__version__}",
    ]
    return "; ".join([*parts, *versions])
