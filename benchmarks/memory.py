"""Memory of a training step of RNN, GRU and LSTM for each time step, row and hidden unit.

    python benchmarks/memory.py                 # needs the extra `bench`
    python benchmarks/memory.py --nets LSTM --hidden 512

Each figure comes from two processes of its own, which do the same for T and for 2T steps: build the
layer, its input and the output's gradient, run one short step, give free memory back to the system
(malloc_trim), set its record of the process's peak memory back (Linux: /proc/self/clear_refs) and
run two whole steps, forward and backward with all gradients. The peak's rise over what lay there
before is what the step cost; the difference of the two processes, divided by T B H, is what it
costs per (t, b, h), without what does not grow with T: code, buffers, packed weights, gradients of
weights. I is H. Output, gx and, where backward makes one, a copy of the gates count; input and gy
do not.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
from itertools import product

import numpy as np
from timing import machine

LIBRARIES = {
    "minigrad": {},
    "minigrad, checkpoint=sqrt": {"checkpoint": "sqrt"},
    "PyTorch": {},
}


def arguments() -> argparse.Namespace:
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = made.add_argument
    add("--nets", nargs="+", choices=["RNN", "GRU", "LSTM"], default=["RNN", "GRU", "LSTM"])
    add("--dtypes", nargs="+", choices=["float32", "float64"], default=["float32", "float64"])
    add("--steps", type=int, default=256, help="T; default: 256")
    add("--batch", type=int, default=32, help="default: 32")
    add("--hidden", type=int, default=256, help="default: 256")
    add("--brief", action="store_true", help="float32 only")
    add("--quick", action="store_true", help="the smallest slice, in seconds: does it run?")
    add("--one", help=argparse.SUPPRESS)  # what a process of its own measures
    args = made.parse_args()
    if args.brief:
        args.dtypes = ["float32"]
    if args.quick:
        vars(args).update(nets=["LSTM"], dtypes=["float32"], hidden=64, batch=16)
    return args


def status(field: str) -> int:
    """A field of /proc/self/status, in bytes."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(field + ":"))


def rise(library: str, net: str, dtype: str, T: int, B: int, H: int) -> int:
    """Bytes by which two training steps lift the peak of this process's memory."""
    options = LIBRARIES[library]
    if library == "PyTorch":
        import torch as lib  # only the library measured is loaded

        tensor = lib.from_numpy
    else:
        import minigrad as lib

        tensor = lib.tensor
    layer = getattr(lib.nn, net)(H, H, **options, dtype=getattr(lib, dtype))
    rng = np.random.default_rng(0)
    x, gy = (tensor(rng.standard_normal((T, B, H)).astype(dtype)) for _ in range(2))

    def step(x, gy) -> None:
        x = x.detach().requires_grad_()
        layer.zero_grad()
        layer(x)[0].backward(gy)

    step(x[:2], gy[:2])
    ctypes.CDLL(None).malloc_trim(0)  # what is free already must not serve the steps unseen
    before = status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # VmHWM, the peak, is now VmRSS
    step(x, gy)
    step(x, gy)
    return status("VmHWM") - before


def measure(library: str, net: str, dtype: str, args: argparse.Namespace) -> float:
    """Bytes per (t, b, h)."""
    rises = []
    for T in (args.steps, 2 * args.steps):
        one = json.dumps([library, net, dtype, T, args.batch, args.hidden])
        command = [sys.executable, __file__, "--one", one]
        environment = {**os.environ, "MINIGRAD_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        rises.append(int(done.stdout))
    return (rises[1] - rises[0]) / (args.steps * args.batch * args.hidden)


def main() -> None:
    args = arguments()
    if args.one:
        print(rise(*json.loads(args.one)))
        return
    print(machine())
    print(f"T = {args.steps}, B = {args.batch}, I = H = {args.hidden}; per (t, b, h):")
    print(f"{'':44} {'bytes':>7} {'numbers':>8}  of PyTorch's")
    for net, dtype in product(args.nets, args.dtypes):
        found = {library: measure(library, net, dtype, args) for library in LIBRARIES}
        for library, size in found.items():
            numbers, share = size / np.dtype(dtype).itemsize, size / found["PyTorch"]
            label = f"{net} {dtype} {library}"
            print(f"{label:44} {size:7.1f} {numbers:8.1f} {share:8.2f}", flush=True)


if __name__ == "__main__":
    main()
