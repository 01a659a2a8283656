"""Matrix products against numpy's and PyTorch's, in turns in one process, results compared first.

    python benchmarks/gemm.py                       # needs the extra `bench`
    python benchmarks/gemm.py --shapes 64x64x64 --dtypes float32 --layouts NN

A shape is MxKxN: (M, K) @ (K, N). Layout T of an operand: it is a transposed view. A row: medians
in microseconds, GF/s, and how many times as fast minigrad is as the fastest peer.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from timing import agree, in_turns, machine, measured, parse, parser, summary

import minigrad as mg
from minigrad import kernels

SQUARES = [f"{n}x{n}x{n}" for n in (16, 32, 64, 128, 256, 512, 1024)]
SKINNY = [
    "1x1024x1024",
    "16x1024x1024",
    "1024x16x1024",
    "1024x1024x16",
    "32x256x1024",
    "64x512x64",
    "512x64x512",
]


def arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--shapes", nargs="+", default=SQUARES + SKINNY, help="each MxKxN")
    made.add_argument("--dtypes", nargs="+", choices=["float32", "float64"],
                      default=["float32", "float64"])  # fmt: skip
    made.add_argument("--layouts", nargs="+", choices=["NN", "NT", "TN"],
                      default=["NN", "NT", "TN"])  # fmt: skip
    return parse(made, shapes=["16x16x16", "1x32x32"], dtypes=["float32"])


def operand(rng: np.random.Generator, rows: int, columns: int, kind: str, dtype: str) -> np.ndarray:
    """(rows, columns), contiguous (N) or a transposed view (T)."""
    shape = (columns, rows) if kind == "T" else (rows, columns)
    x = rng.standard_normal(shape).astype(dtype)
    return x.T if kind == "T" else x


def cells(args: argparse.Namespace, threads: int) -> Iterator[dict]:
    torch.set_num_threads(threads)
    mg.set_num_threads(threads)
    yield {"machine": machine(f"PyTorch {torch.__version__}")}
    for dtype, layout, shape in product(args.dtypes, args.layouts, args.shapes):
        M, K, N = map(int, shape.split("x"))
        rng = np.random.default_rng(0)
        a, b = operand(rng, M, K, layout[0], dtype), operand(rng, K, N, layout[1], dtype)
        a_torch, b_torch = torch.from_numpy(a), torch.from_numpy(b)
        functions = [
            lambda a=a, b=b: kernels.matmul(a, b),
            lambda a=a, b=b: a @ b,
            lambda a=a_torch, b=b_torch: a @ b,
        ]
        ours, numpy, pytorch = (function() for function in functions)
        tolerance = 1e-4 if dtype == "float32" else 1e-12
        agree([ours, ours], [numpy, pytorch], tolerance, f"{dtype} {layout} {shape}")
        yield {
            "cell": [dtype, layout, shape, threads],
            "flop": 2 * M * K * N,
            "times": in_turns(functions, args, threads),
        }


def main() -> None:
    args = arguments()
    groups: dict[str, list[tuple[float, str]]] = {}
    for found in measured(args, cells):
        if "machine" in found:
            if not groups:
                print(found["machine"])
                print(f"{'':40} {'minigrad':>9} {'numpy':>9} {'PyTorch':>9} {'GF/s':>6}  times")
            continue
        dtype, layout, shape, threads = found["cell"]
        ours, *peers = found["times"]
        ratio = min(peers) / ours
        label = f"{dtype} {layout} {shape:>14} {threads} thr"
        numbers = "".join(f" {1000 * t:9.1f}" for t in found["times"])
        print(f"{label:40}{numbers} {found['flop'] / ours / 1e6:6.1f} {ratio:6.2f}", flush=True)
        kind = "squares" if shape in SQUARES else "skinny"
        group = groups.setdefault(f"{dtype} {threads} thr {kind}", [])
        group.append((ratio, f"{layout} {shape}"))
    summary(groups, "times as fast as the fastest peer")


if __name__ == "__main__":
    main()
