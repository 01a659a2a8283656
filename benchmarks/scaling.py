"""How the time of a recurrent layer grows with its steps T, its batch B and its units H.

    python benchmarks/scaling.py                 # needs the extra `bench`
    python benchmarks/scaling.py --nets LSTM --along T

Training (forward, and backward with all gradients), float32, I = H; PyTorch beside, in turns in one
process, results compared first. A row: medians in milliseconds, nanoseconds for each step and row
(and, along H, GF/s: 6 T B G H (I + H) operations), how many times as fast minigrad is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from timing import agree, in_turns, machine, measured, parse, parser

import minigrad as mg

ALONG = {  # T, B, H
    "T": [(T, 4, 64) for T in (16, 64, 256, 1024, 4096, 16384)],
    "B": [(64, B, 128) for B in (1, 2, 4, 8, 16, 32, 64, 128, 256)],
    "H": [(64, 16, H) for H in (8, 16, 32, 64, 128, 256, 512, 1024)],
}
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


class Step:
    """A training step of a layer in minigrad or PyTorch: the same lines."""

    def __init__(self, lib: object, layer: object, x: object, gy: object) -> None:
        self.layer, self.x, self.gy = layer, x.requires_grad_(), gy  # type: ignore[attr-defined]

    def __call__(self) -> list[np.ndarray]:
        self.layer.zero_grad()  # type: ignore[attr-defined]
        self.x.grad = None
        output = self.layer(self.x)[0]  # type: ignore[operator]
        output.backward(self.gy)
        return [output.detach().numpy(), self.x.grad.numpy()]


def cells(args: argparse.Namespace, threads: int) -> Iterator[dict]:
    torch.set_num_threads(threads)
    mg.set_num_threads(threads)
    yield {"machine": machine(f"PyTorch {torch.__version__}")}
    for net, along in product(args.nets, args.along):
        for T, B, H in ALONG[along][: args.points]:
            rng = np.random.default_rng(0)
            x, gy = (rng.standard_normal((T, B, H)).astype(np.float32) for _ in range(2))
            theirs = getattr(torch.nn, net)(H, H)
            ours = getattr(mg.nn, net)(H, H)
            ours.load_state_dict({n: w.numpy() for n, w in theirs.state_dict().items()})
            functions = [
                Step(mg, ours, mg.tensor(x), mg.tensor(gy)),
                Step(torch, theirs, torch.from_numpy(x), torch.from_numpy(gy)),
            ]
            agree(*(f() for f in functions), 1e-3, f"{net} T={T} B={B} H={H}")
            yield {
                "cell": [net, along, T, B, H, threads],
                "times": in_turns(functions, args, threads),
            }


def main() -> None:
    made = parser(__doc__, turns=5)
    made.add_argument("--nets", nargs="+", choices=list(GATES), default=["LSTM", "GRU"])
    made.add_argument("--along", nargs="+", choices=list(ALONG), default=list(ALONG))
    made.add_argument("--points", type=int, default=99, help="of each axis, the first so many")
    args = parse(made, nets=["LSTM"], points=2)
    if args.brief:
        args.nets, args.points = args.nets[:1], min(args.points, 7)
    head = None
    for found in measured(args, cells):
        if "machine" in found:
            if head is None:
                print(found["machine"])
            continue
        net, along, T, B, H, threads = found["cell"]
        if head != (net, along, threads):
            head = net, along, threads
            print(f"\n{net} along {along}, {threads} thr")
            print(f"{'T':>6} {'B':>4} {'H':>5} {'minigrad':>9} {'PyTorch':>9}   "
                  f"{'ns a step and row':>19} {'GF/s':>13}   times")  # fmt: skip
        ours, theirs = found["times"]
        steps = [1e6 * t / (T * B) for t in (ours, theirs)]
        flop = 12 * T * B * GATES[net] * H * H
        rates = [flop / t / 1e6 for t in (ours, theirs)]
        print(f"{T:6} {B:4} {H:5} {ours:9.3f} {theirs:9.3f}   {steps[0]:9.0f} {steps[1]:9.0f} "
              f"{rates[0]:6.1f} {rates[1]:6.1f} {theirs / ours:7.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
