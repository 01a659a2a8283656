"""examples/char_lm.py against the same program in PyTorch: training steps, and writing.

    python benchmarks/charlm.py                   # needs the extras `bench` and `examples`

Embedding 64, LSTM 256, linear layer; 32 streams of the Python language reference, windows of 64
characters, state carried on, gradients clipped at 1, Adam. Both start from the same weights and
their first losses are compared. Then: thousands of characters per second in training, and the
milliseconds for a character drawn from the model, one at a time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from timing import agree, in_turns, machine, measured, parse, parser

import minigrad as mg

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import char_lm

Tensor = torch.Tensor
LR = 0.01
WRITTEN = 50  # characters, in each timed call


class CharLM(torch.nn.Module):
    """`char_lm.CharLM` in PyTorch."""

    def __init__(self, cell: str, symbols: int, hidden: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(symbols, char_lm.E)
        self.recurrent = getattr(torch.nn, cell.upper())(char_lm.E, hidden)
        self.linear = torch.nn.Linear(hidden, symbols)

    def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        output, state = self.recurrent(self.embedding(ids), state)
        return self.linear(output), state


class Theirs:
    """`char_lm.Run` in PyTorch, with the weights of ours."""

    def __init__(self, ours: char_lm.Run, cell: str, symbols: int, hidden: int) -> None:
        self.model = CharLM(cell, symbols, hidden)
        weights = {n: torch.from_numpy(w.numpy()) for n, w in ours.model.state_dict().items()}
        self.model.load_state_dict(weights)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=LR)
        self.state: Any = None
        self.losses: list[float] = []

    def step(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        logits, state = self.model(torch.from_numpy(inputs), self.state)
        self.state = char_lm.detached(state)
        flat, wanted = logits.reshape(-1, logits.shape[-1]), torch.from_numpy(targets)
        loss = torch.nn.functional.cross_entropy(flat, wanted.reshape(-1))
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), char_lm.CLIP)
        self.optimiser.step()
        self.losses.append(loss.item() / np.log(2))

    def generate(self, symbols: list[str], n: int, temperature: float, seed: list[int]) -> str:
        """`char_lm.generate`, line by line."""
        rng = np.random.default_rng(seed)
        drawn, state = [symbols.index("\n")], None
        with torch.inference_mode():
            for _ in range(n):
                logits, state = self.model(torch.tensor([drawn[-1:]]), state)
                noise = rng.gumbel(size=len(symbols))
                drawn.append(int(np.argmax(logits.numpy()[0, 0] + temperature * noise)))
        return "".join(symbols[i] for i in drawn[1:])


def stepper(run: Any, corpus: char_lm.Corpus, *more: Any) -> Callable[[], None]:
    """A function of nothing that trains on the next window."""
    starts = cycle(range(0, (corpus.windows - 1) * char_lm.T, char_lm.T))

    def step() -> None:
        start = next(starts)
        rows = slice(start, start + char_lm.T)
        run.step(corpus.inputs[rows], corpus.targets[rows], *more)

    return step


def cells(args: argparse.Namespace, threads: int) -> Iterator[dict]:
    torch.set_num_threads(threads)
    mg.set_num_threads(threads)
    yield {"machine": machine(f"PyTorch {torch.__version__}")}
    corpus = char_lm.Corpus(char_lm.read_text(None))
    symbols = corpus.vocabulary
    for cell in args.cells:
        options = SimpleNamespace(seed=0, cell=cell, hidden=args.hidden, layers=1, lr=LR)
        ours = char_lm.Run(options, corpus)
        theirs = Theirs(ours, cell, len(symbols), args.hidden)
        writers = [
            partial(char_lm.generate, ours.model, symbols, WRITTEN, 0.7, [1]),
            partial(theirs.generate, symbols, WRITTEN, 0.7, [1]),
        ]
        texts = [writer() for writer in writers]
        assert texts[0] == texts[1], texts
        steppers = [stepper(ours, corpus, LR), stepper(theirs, corpus)]
        for step in steppers * 4:
            step()
        agree([ours.losses], [theirs.losses], 2e-4, f"losses of {cell}")
        yield {"cell": [cell, "train", threads], "times": in_turns(steppers, args, threads)}
        times = [t / WRITTEN for t in in_turns(writers, args, threads)]
        yield {"cell": [cell, "write", threads], "times": times}


def main() -> None:
    made = parser(__doc__, turns=25)
    made.add_argument("--cells", nargs="+", choices=list(char_lm.CELLS), default=["lstm"])
    made.add_argument("--hidden", type=int, default=256, help="default: 256")
    args = parse(made, hidden=16)
    head = False
    for found in measured(args, cells):
        if "machine" in found:
            if not head:
                print(found["machine"])
                print(f"{'':24} {'minigrad':>9} {'PyTorch':>9}  times as fast")
            head = True
            continue
        cell, mode, threads = found["cell"]
        ours, theirs = found["times"]
        unit = "ms a step" if mode == "train" else "ms a character"
        label = f"{cell} {mode} {threads} thr"
        print(f"{label:24} {ours:9.3f} {theirs:9.3f} {theirs / ours:8.2f}   {unit}")
        if mode == "train":
            rates = [char_lm.T * char_lm.B / t for t in (ours, theirs)]
            print(f"{'':24} {rates[0]:9.1f} {rates[1]:9.1f} {'':8}   thousand characters a second")


if __name__ == "__main__":
    main()
