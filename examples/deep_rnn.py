"""Deep and bidirectional: what does a second layer buy, what a second direction?

    python examples/deep_rnn.py

The task is real and easy to judge: a text has lost its spaces, and after every letter the net says
whether one stood there. thelastlineofatext: "line" ends before "of", and who reads forwards only
cannot know yet. Six nets, one to three layers deep, forwards or in both directions, all with the
same number of parameters, the same data in the same order, the same number of steps. The rival
knows all the words of the training text and takes the longest that fits.

What to conclude: where the future matters, a second direction is the first thing to add. Depth pays
where one layer has too little to say: here it is worth a hundredth at most, and takes its time.

Letters: T letters of a window, B windows, H hidden units, L layers, D directions.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from typing import Any, NamedTuple

import numpy as np
from lecture import figure, picture, progress, run

import minigrad as mg
from minigrad import nn, optim

T, B, E, LR = 80, 32, 24, 0.006
BUDGET = 60_000
HELD_OUT = 0.05
STEPS, EVERY = 300, 50  # of training, and between two looks at the held-out text


class Text(NamedTuple):
    """Symbols without spaces, and whether one followed: both (N)."""

    ids: np.ndarray
    spaces: np.ndarray
    letters: str


def read(quick: bool) -> tuple[Text, Text, int]:
    """The language reference that comes with Python: training, held out, number of symbols."""
    from pydoc_data.topics import topics  # a second of import

    words = " ".join(topics[key] for key in sorted(topics)).lower().split()
    words = [word for word in words if word.isalpha() and word.isascii()]
    words = words[:20_000] if quick else words
    split = round(len(words) * (1 - HELD_OUT))

    def text(words: list[str]) -> Text:
        letters = "".join(words)
        spaces = np.zeros(len(letters), int)
        spaces[np.cumsum([len(word) for word in words]) - 1] = 1
        return Text(
            np.frombuffer(letters.encode(), np.uint8).astype(int) - ord("a"), spaces, letters
        )

    return text(words[:split]), text(words[split:]), 26


class Net(nn.Module):
    """Letters (T, B) -> is there a space after each? Scores (T, B)"""

    def __init__(self, symbols: int, hidden: int, layers: int, bidirectional: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, E)
        self.rnn = nn.GRU(E, hidden, layers, bidirectional=bidirectional)
        self.head = nn.Linear(hidden * (2 if bidirectional else 1), 1)

    def forward(self, ids: np.ndarray) -> Any:
        return self.head(self.rnn(self.embedding(ids))[0]).squeeze(-1)


def size(model: nn.Module) -> int:
    """The number of parameters."""
    return sum(math.prod(p.shape) for p in model.parameters())


def of_budget(symbols: int, layers: int, bidirectional: bool, budget: int) -> Net:
    """The widest net that has no more parameters than the budget."""
    hidden = 1
    while size(Net(symbols, hidden + 1, layers, bidirectional)) <= budget:
        hidden += 1
    return Net(symbols, hidden, layers, bidirectional)


def windows(text: Text, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """B places of the text, T letters from each: (T, B) twice"""
    at = np.arange(T)[:, None] + rng.integers(0, len(text.ids) - T, B)
    return text.ids[at], text.spaces[at]


def f1(made: np.ndarray, truth: np.ndarray) -> float:
    """2 hits / (2 hits + false alarms + misses), of the spaces"""
    return float(2 * (made & (truth == 1)).sum() / (made.sum() + (truth == 1).sum()))


def predict(model: Net, text: Text) -> np.ndarray:
    """Whether a space follows (N): windows that overlap by half, of each its middle."""
    half, n = T // 2, len(text.ids)
    ids = np.pad(text.ids, (half // 2, 2 * T))
    starts = np.arange(0, n, half)
    with mg.no_grad():
        scores = model(ids[np.arange(T)[:, None] + starts]).numpy()  # (T, number of windows)
    return scores[half // 2 : half // 2 + half].T.ravel()[:n] > 0


def longest_words(training: Text, letters: str) -> np.ndarray:
    """The longest known word that fits, then on from its end: whether a space follows (N)."""
    ends = np.flatnonzero(training.spaces) + 1
    known = {training.letters[a:b] for a, b in zip([0, *ends], ends)}
    longest, at, spaces = max(map(len, known)), 0, np.zeros(len(letters), bool)
    while at < len(letters):
        fits = (n for n in range(longest, 1, -1) if letters[at : at + n] in known)
        at += min(next(fits, 1), len(letters) - at)
        spaces[at - 1] = True
    return spaces


class Result(NamedTuple):
    """What became of a net."""

    model: Net
    curve: list[tuple[int, float]]  # (step, held-out F1)
    seconds: float


def train(model: Net, training: Text, held_out: Text, steps: int, label: str) -> Result:
    """Binary cross entropy, Adam, a rate that falls along a cosine."""
    optimiser, rng = optim.Adam(model.parameters(), lr=LR), np.random.default_rng(1)
    decay = optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    curve, seconds = [], 0.0
    for step in progress(range(1, steps + 1), label):
        began = time.perf_counter()
        ids, spaces = windows(training, rng)
        loss = nn.functional.binary_cross_entropy_with_logits(
            model(ids), mg.tensor(spaces.astype(np.float32))
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        decay.step()
        seconds += time.perf_counter() - began
        if step % EVERY == 0 or step == steps:
            curve.append((step, f1(predict(model, held_out), held_out.spaces)))
    return Result(model, curve, seconds)


def spaced(letters: str, spaces: Any) -> str:
    """The text with its spaces."""
    return "".join(c + " " * bool(s) for c, s in zip(letters, spaces))


def conclusion(results: dict[tuple[int, int], Result]) -> str:
    """What a direction bought, and what layers did."""
    score = {key: result.curve[-1][1] for key, result in results.items()}
    depths = [layers for directions, layers in score if directions == 1 and layers > 1]
    direction = score[2, 1] - score[1, 1]
    depth = [score[d, layers] - score[d, 1] for d in (1, 2) for layers in depths]
    return (
        f"A second direction: {direction:+.3f} F1. More layers out of the same parameters: "
        f"{min(depth):+.3f} to {max(depth):+.3f}"
    )


def draw(args: argparse.Namespace, results: dict[tuple[int, int], Result], rival: float) -> None:
    """Left: held-out F1 as training goes on. Right: where it ends, by depth."""
    sheet, (left, right) = figure(11, 4.6, ncols=2, width_ratios=[1.5, 1])
    colours = {1: "tab:orange", 2: "tab:blue"}
    for (directions, layers), result in results.items():
        style = {1: ":", 2: "--", 3: "-"}[layers]
        way = "both directions" if directions == 2 else "forwards"
        left.plot(*zip(*result.curve), style, color=colours[directions], label=f"{way}, {layers}")
    left.set(xlabel="training step", ylabel="F1 of the spaces, held out")
    left.legend(title="direction, layers", frameon=False, fontsize=8)
    depths = sorted({layers for _, layers in results})
    for directions, colour in colours.items():
        final = [results[directions, layers].curve[-1][1] for layers in depths]
        right.plot(depths, final, "o-", color=colour)
        for layers, score in zip(depths, final):
            right.annotate(f"{score:.3f}", (layers, score), (0, 7), textcoords="offset points",
                           ha="center", fontsize=9, color=colour)  # fmt: skip
    right.axhline(rival, color="0.6", linestyle="--", label=f"longest known word: {rival:.3f}")
    right.legend(frameon=False, loc="center")
    right.set(xlabel="layers, all with the same number of parameters", xticks=depths,
              ylabel="F1 at the end", xlim=(0.7, 3.3))  # fmt: skip
    sheet.suptitle(conclusion(results))
    picture(args, sheet, "deep_rnn")


def main(args: argparse.Namespace) -> None:
    training, held_out, symbols = read(args.quick)
    steps, budget = (80, 8_000) if args.quick else (STEPS, BUDGET)
    rival = f1(longest_words(training, held_out.letters), held_out.spaces)
    print(f"{len(training.ids):,} letters to learn from, {len(held_out.ids):,} held out")
    print(f"\n{'':28s}{'hidden':>7s}{'parameters':>12s}{'F1':>8s}{'ms a step':>11s}")
    print(f"{'longest known word':28s}{'':19s}{rival:8.3f}")
    mg.manual_seed(args.seed)
    untrained = f1(predict(of_budget(symbols, 1, True, budget), held_out), held_out.spaces)
    print(f"{'untrained net':28s}{'':19s}{untrained:8.3f}")
    results: dict[tuple[int, int], Result] = {}
    for directions, layers in itertools.product((1, 2), (1, 2) if args.quick else (1, 2, 3)):
        mg.manual_seed(args.seed)
        model = of_budget(symbols, layers, directions == 2, budget)
        label = f"{'both directions' if directions == 2 else 'forwards'}, {layers} layer"
        label += "s" * (layers > 1)
        result = train(model, training, held_out, steps, label)
        results[directions, layers] = result
        hidden, cost = model.rnn.hidden_size, 1000 * result.seconds / steps
        score = result.curve[-1][1]
        print(f"{label:28s}{hidden:7d}{size(model):12,d}{score:8.3f}{cost:11.1f}")
    print(f"\n{conclusion(results)}")
    sample = slice(1000, 1070)
    print("\nthe same held-out letters, read by")
    for name, key in (("one layer, forwards", (1, 1)), ("one layer, both directions", (2, 1))):
        spaces = predict(results[key].model, held_out)[sample]
        print(f"{name:28s}{spaced(held_out.letters[sample], spaces)}")
    print(f"{'the book':28s}{spaced(held_out.letters[sample], held_out.spaces[sample])}")
    draw(args, results, rival)


if __name__ == "__main__":
    run(main, __doc__)
