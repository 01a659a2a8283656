"""RNN, GRU and LSTM against PyTorch and, where installed, JAX and ONNX Runtime.

    python benchmarks/rnn.py                      # needs the extra `bench`; the others: `peers`
    python benchmarks/rnn.py --nets LSTM --modes train --threads 1 --sizes 32x64x64x256
    python benchmarks/rnn.py --picture docs/img/speed.png

In turns in one process for each number of threads, results compared first. A row: medians in
milliseconds, and how many times as fast minigrad is as the fastest peer. A size is BxTxIxH.
train    forward, and backward with all gradients
infer    forward alone
packed   training on packed sequences of random lengths up to T, packing included
deep     training of two layers in two directions
proj     training of an LSTM whose output is projected to H/2 units, against PyTorch alone
step     one step of inference from the state that the last one left
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from itertools import product
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's own threads would spin beside ours

import torch
from peers import GATES, Case, Data, peers, versions
from picture import draw
from timing import agree, in_turns, machine, measured, parse, parser, summary

import minigrad as mg

SIZES = [
    "1x64x32x32",
    "16x32x32x64",
    "32x64x64x128",
    "64x100x128x256",
    "32x64x512x512",
    "16x64x1024x1024",
]
MODES = {  # the sizes of each, and its dtypes
    "train": (SIZES, ["float32", "float64"]),
    "infer": (SIZES, ["float32", "float64"]),
    "packed": (["32x64x64x128"], ["float32"]),
    "deep": (["32x64x64x128"], ["float32"]),
    "proj": (["32x64x64x128"], ["float32"]),
    "step": (["1x1x128x128"], ["float32"]),
}
NAMES = ["minigrad", "PyTorch", "JAX", "ONNX Runtime"]


def arguments() -> argparse.Namespace:
    made = parser(__doc__, turns=5)
    add = made.add_argument
    add("--nets", nargs="+", choices=list(GATES), default=list(GATES))
    add("--dtypes", nargs="+", choices=["float32", "float64"], default=["float32", "float64"])
    add("--modes", nargs="+", choices=list(MODES), default=list(MODES))
    add("--sizes", nargs="+", help="each BxTxIxH; default: those of the mode")
    add("--picture", metavar="PNG", help="draw the table there")
    args = parse(made, nets=["LSTM"], dtypes=["float32"], sizes=["3x5x4x6"])
    if args.brief:
        args.dtypes = ["float32"]
    return args


def cases(args: argparse.Namespace, threads: int) -> Iterator[Case]:
    for mode in args.modes:
        sizes, dtypes = MODES[mode]
        dtypes = [dtype for dtype in dtypes if dtype in args.dtypes]
        sizes = args.sizes or [s for s in sizes if not args.brief or s != SIZES[-1]]
        nets = [net for net in args.nets if mode != "proj" or net == "LSTM"]
        for dtype, net, size in product(dtypes, nets, sizes):
            if mode == "step":
                size = "x".join(["1", "1", *size.split("x")[2:]])
            yield Case(net, dtype, mode, size, threads)


def cells(args: argparse.Namespace, threads: int) -> Iterator[dict]:
    mg.set_num_threads(threads)
    torch.set_num_threads(threads)
    yield {"machine": machine(*versions())}
    for case in cases(args, threads):
        found = peers(case, Data.of(case))
        functions = [getattr(peer, case.function) for peer in found]
        ours, *others = (function() for function in functions)
        tolerance = 1e-3 if case.dtype == "float32" else 1e-10
        for peer, theirs in zip(found[1:], others, strict=True):
            agree(ours, theirs, tolerance, f"{case}, {peer.name}")
        del ours, others
        times = in_turns(functions, args, threads)
        yield {"case": case, "times": dict(zip([p.name for p in found], times, strict=True))}


def show(case: Case, times: dict[str, float]) -> tuple[float, str]:
    """Prints a row; returns how many times as fast as the fastest peer, and which that is."""
    ours, fastest = times["minigrad"], min(list(times)[1:], key=times.__getitem__)
    label = f"{case.net:4} {case.dtype} {case.mode:6} {case.size:>15} {case.threads} thr"
    numbers = "".join(f" {times[n]:9.3f}" if n in times else " " * 10 for n in NAMES)
    print(f"{label:43}{numbers}    {times[fastest] / ours:6.2f}  {fastest}", flush=True)
    return times[fastest] / ours, fastest


def main() -> None:
    args = arguments()
    groups: dict[str, list[tuple[float, str]]] = {}
    drawn: list[tuple[Case, float, str]] = []
    head: Any = None
    for found in measured(args, cells):
        if "machine" in found:
            if head is None:
                head = found["machine"]
                print(head)
                print(f"{'':43}{''.join(f' {n[:9]:>9}' for n in NAMES)}  times as fast as")
            continue
        case = Case(*found["case"])
        ratio, fastest = show(case, found["times"])
        drawn.append((case, ratio, fastest))
        for group in (f"{case.net} ", ""):
            name = f"{group}{case.dtype} {case.mode} {case.threads} thr"
            groups.setdefault(name, []).append((ratio, f"{case.net} {case.size}"))
    order = sorted(groups, key=lambda name: name.split()[0] in GATES)
    summary({name: groups[name] for name in order}, "times as fast as the fastest peer")
    if args.picture:
        draw(drawn, head, args.picture)


if __name__ == "__main__":
    main()
