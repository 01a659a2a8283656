"""The tape itself, on small tensors: 20 x tanh(x @ w) + a, forward and backward, one thread.

    python benchmarks/eager.py                 # needs the extra `bench`: PyTorch and HIPS autograd

A row: medians in milliseconds, in turns in one process, the gradients compared first; then our time
as a share of the others'.
"""

from __future__ import annotations

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MINIGRAD_NUM_THREADS"] = "1"

import autograd
import autograd.numpy as anp
import numpy as np
import torch
from timing import machine, median_times

import minigrad as mg

STEPS = 20


class Tape:
    """minigrad or PyTorch: the same program."""

    def __init__(self, lib: object, x: np.ndarray, w: np.ndarray, a: np.ndarray) -> None:
        self.x = lib.tensor(x)  # type: ignore[attr-defined]
        self.w = lib.tensor(w, requires_grad=True)  # type: ignore[attr-defined]
        self.a = lib.tensor(a, requires_grad=True)  # type: ignore[attr-defined]

    def __call__(self) -> tuple[np.ndarray, np.ndarray]:
        self.w.grad = self.a.grad = None
        h = self.x
        for _ in range(STEPS):
            h = (h @ self.w).tanh() + self.a
        h.sum().backward()
        return self.w.grad.numpy(), self.a.grad.numpy()


class Hips:
    """HIPS autograd: the gradient of a function."""

    def __init__(self, x: np.ndarray, w: np.ndarray, a: np.ndarray) -> None:
        def total(w: np.ndarray, a: np.ndarray) -> np.ndarray:
            h = x
            for _ in range(STEPS):
                h = anp.tanh(h @ w) + a
            return anp.sum(h)

        self.w, self.a, self.gradient = w, a, autograd.grad(total, (0, 1))

    def __call__(self) -> tuple[np.ndarray, np.ndarray]:
        return self.gradient(self.w, self.a)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[4, 32, 128, 512])
    parser.add_argument("--turns", type=int, default=25, help="how often each is timed")
    parser.add_argument("--quick", action="store_true", help="the smallest slice: does it run?")
    args = parser.parse_args()
    if args.quick:
        args.sizes, args.turns = [4], 1
    torch.set_num_threads(1)
    print(machine(f"PyTorch {torch.__version__}", "HIPS autograd"))
    print(f"{'N':>5} {'minigrad':>9} {'PyTorch':>9} {'HIPS':>9}   of PyTorch  of HIPS")
    for n in args.sizes:
        rng = np.random.default_rng(0)
        x, w, a = (rng.standard_normal((n, n)).astype(np.float32) / n**0.5 for _ in range(3))
        programs = [Tape(mg, x, w, a), Tape(torch, x, w, a), Hips(x, w, a)]
        results = [program() for program in programs]
        for other in results[1:]:
            for ours, theirs in zip(results[0], other, strict=True):
                scale = np.abs(theirs).max()
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * scale)
        ours, pytorch, hips = (1000 * t for t in median_times(programs, args.turns))
        shares = f"{ours / pytorch:12.2f} {ours / hips:8.2f}"
        print(f"{n:5} {ours:9.3f} {pytorch:9.3f} {hips:9.3f} {shares}", flush=True)


if __name__ == "__main__":
    main()
