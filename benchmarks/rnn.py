"""Times the recurrent layers against PyTorch's, in turns in one process, results compared first.

    python benchmarks/rnn.py                                # float32, all of it: some minutes
    python benchmarks/rnn.py --nets LSTM --modes train --threads 1 --sizes 32x64x64x256

A row: medians in milliseconds, and how many times as fast minigrad is. A size is BxTxIxH. Training
is a forward and a backward with all gradients, inference a forward without.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from itertools import product
from math import exp, log

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's own threads would spin beside ours

import numpy as np
import torch
from timing import machine, median_times

import minigrad as mg

SIZES = [
    "1x64x32x32",
    "16x32x32x64",
    "32x64x64x128",
    "32x64x64x256",
    "64x100x128x256",
    "32x64x512x512",
    "16x64x1024x1024",
]
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--nets", nargs="+", choices=GATES, default=list(GATES))
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "float64"], default=["float32"])
    parser.add_argument(
        "--modes", nargs="+", choices=["train", "infer"], default=["train", "infer"]
    )
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="each BxTxIxH")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=7, help="how often each is timed")
    return parser.parse_args()


class Ours:
    """minigrad's layer, with PyTorch's parameters."""

    def __init__(self, net: str, module: torch.nn.RNNBase, x: np.ndarray, gy: np.ndarray) -> None:
        self.module = getattr(mg.nn, net)(x.shape[2], gy.shape[2], dtype=x.dtype)
        self.module.load_state_dict({n: p.numpy() for n, p in module.state_dict().items()})
        self.x, self.gy = mg.tensor(x, requires_grad=True), mg.tensor(gy)

    def infer(self) -> list[np.ndarray]:
        with mg.inference_mode():
            return [self.module(self.x)[0].numpy()]

    def train(self) -> list[np.ndarray]:
        """output, gx, gw_ih, gw_hh, gb_ih"""
        self.module.zero_grad()
        self.x.grad = None
        output = self.module(self.x)[0]
        output.backward(self.gy)
        gradients = [self.x.grad, *(p.grad for p in self.module.parameters())][:4]
        return [output.detach().numpy(), *(g.numpy() for g in gradients)]


class Theirs:
    """PyTorch's layer."""

    def __init__(self, module: torch.nn.RNNBase, x: np.ndarray, gy: np.ndarray) -> None:
        self.module, self.x = module, torch.from_numpy(x).requires_grad_()
        self.gy = torch.from_numpy(gy)

    def infer(self) -> list[np.ndarray]:
        with torch.inference_mode():
            return [self.module(self.x)[0].numpy()]

    def train(self) -> list[np.ndarray]:
        self.module.zero_grad(set_to_none=True)
        self.x.grad = None
        output = self.module(self.x)[0]
        output.backward(self.gy)
        gradients = [self.x.grad, *(p.grad for p in self.module.parameters())][:4]
        return [output.detach().numpy(), *(g.numpy() for g in gradients)]


def rows(args: argparse.Namespace) -> Iterator[tuple[str, float, float]]:
    for net, dtype, size, threads in product(args.nets, args.dtypes, args.sizes, args.threads):
        B, T, I, H = map(int, size.split("x"))
        mg.set_num_threads(threads)
        torch.set_num_threads(threads)
        rng = np.random.default_rng(0)
        x, gy = (rng.standard_normal((T, B, n)).astype(dtype) for n in (I, H))
        module = getattr(torch.nn, net)(I, H, dtype=getattr(torch, dtype))
        ours, theirs = Ours(net, module, x, gy), Theirs(module, x, gy)
        tolerance = 1e-3 if dtype == "float32" else 1e-10
        for a, b in zip(ours.train() + ours.infer(), theirs.train() + theirs.infer(), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max()))
        for mode in args.modes:
            functions = [getattr(ours, mode), getattr(theirs, mode)]
            times = [1000 * t for t in median_times(functions, args.turns)]
            yield f"{net:4} {dtype} {mode:5} {size:>16} {threads} thr", *times


def main() -> None:
    args = arguments()
    print(machine(f"PyTorch {torch.__version__}"))
    print(f"{'':45}  minigrad   PyTorch  times as fast")
    ratios: dict[str, list[float]] = {}
    for label, ours, theirs in rows(args):
        print(f"{label:45} {ours:9.3f} {theirs:9.3f} {theirs / ours:8.2f}")
        sys.stdout.flush()
        net, dtype, mode, _, threads, _ = label.split()
        ratios.setdefault(f"{net} {dtype} {mode} {threads} thr", []).append(theirs / ours)
    print("geometric means")
    for group, values in ratios.items():
        print(f"{group:65} {exp(sum(map(log, values)) / len(values)):8.2f}")


if __name__ == "__main__":
    main()
