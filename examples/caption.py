"""From a picture to its name, letter by letter: vector to sequence.

    python examples/caption.py

1,797 handwritten digits of 8 x 8 pixels (scikit-learn's); the net spells what it sees, "zero" to
"nine". The picture makes the first state; from there on each letter is the input of the next step,
and "." ends the word. Nobody tells the net that there are only ten words: what it cannot read it
may spell as one that does not exist.

While training, the right letter goes in at each step (teacher forcing); afterwards, its own.

Letters: B pictures, T letters with the ".", V symbols, E embedding, H hidden.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from lecture import figure, packaged, picture, progress, run

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn.decoding import generate

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SYMBOLS = [".", *sorted(set("".join(NAMES)))]  # "." begins a word and ends it
T = 1 + max(map(len, NAMES))
E, H, BATCH = 16, 256, 32
HELD_OUT = 500  # the last ones: by other hands than the first


class Speller(nn.Module):
    """pictures (B, 64), letters (T, B) -> scores (T, B, V) of the letters that follow"""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Linear(64, H), nn.ReLU(), nn.Dropout(0.3), nn.Linear(H, H), nn.Tanh()
        )
        self.embedding = nn.Embedding(len(SYMBOLS), E)
        self.gru = nn.GRU(E, H)
        self.head = nn.Linear(H, len(SYMBOLS))

    def forward(self, pictures: Any, letters: np.ndarray) -> Any:
        return self._go_on(letters, self.start(pictures))[0]

    def start(self, pictures: Any) -> Any:
        """The first state (1, B, H)"""
        return self.look(pictures)[None]

    def step(self, letters: np.ndarray, state: Any) -> tuple[Any, Any]:
        """Scores (B, V) of what follows these letters (B), and the next state: for nn.decoding"""
        scores, state = self._go_on(letters[None], state)
        return scores[0], state

    def _go_on(self, letters: np.ndarray, state: Any) -> tuple[Any, Any]:
        output, state = self.gru(self.embedding(letters), state)
        return self.head(output), state


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, 64) between 0 and 1, and the digit that each shows."""
    path = packaged("sklearn", "datasets/data/digits.csv.gz")
    rows = np.loadtxt(path, delimiter=",", dtype=np.float32)
    return rows[:, :-1] / 16, rows[:, -1].astype(int)


def spelled(digit: np.ndarray) -> np.ndarray:
    """The letters of the names, "." to the end: (T, B)"""
    words = np.array([[SYMBOLS.index(c) for c in name.ljust(T, ".")] for name in NAMES])
    return words[digit].T


def moved(x: np.ndarray) -> np.ndarray:
    """Every other picture of (B, 64), by up to a pixel: new pictures for nothing."""
    square, out = np.pad(x.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1))), x.copy()
    for i, (dy, dx) in enumerate(mg.randint(0, 3, (len(x), 2)).numpy()[::2]):
        out[2 * i] = square[2 * i, dy : dy + 8, dx : dx + 8].ravel()
    return out


def train(x: np.ndarray, digit: np.ndarray, epochs: int) -> Speller:
    model = Speller()
    optimiser = optim.AdamW(model.parameters(), lr=0.003)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    data = mg.data.DataLoader(mg.data.TensorDataset(x, digit), BATCH, shuffle=True)
    bar = progress(range(epochs), "learning to spell")
    for _ in bar:
        for pictures, which in data:
            target = spelled(which.numpy())
            before = np.pad(target[:-1], ((1, 0), (0, 0)))  # what the net hears: one letter late
            scores = model(mg.tensor(moved(pictures.numpy())), before)
            loss = nn.functional.cross_entropy(
                scores.reshape(-1, len(SYMBOLS)), mg.tensor(target.reshape(-1))
            )
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
        scheduler.step()
        bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
    return model.eval()


def spell(model: Speller, x: np.ndarray) -> list[str]:
    """The likeliest letter, again and again, up to the "." """
    with mg.no_grad():
        state = model.start(mg.tensor(x))
        letters = generate(model.step, state, np.zeros(len(x), int), T, stop=0)
    return ["".join(SYMBOLS[i] for i in row).split(".")[0] for row in letters]


def probabilities(model: Speller, x: np.ndarray, word: str) -> np.ndarray:
    """Of each letter at each step, while the net writes `word` (t, V): for one picture (64)"""
    letters = np.array([0, *map(SYMBOLS.index, word)])[:, None]
    with mg.no_grad():
        return model(mg.tensor(x[None]), letters).softmax(-1).numpy()[:, 0]


def collage(axes: Any, x: np.ndarray, words: np.ndarray, truth: np.ndarray) -> None:
    """The pictures, six in a row, and the words below: red, where wrong, with the truth."""
    axes.set_axis_off()
    for i, (digit, word, name) in enumerate(zip(x, words, truth)):
        top, left = i // 6 * 12, i % 6 * 12
        axes.imshow(1 - digit.reshape(8, 8), "gray", extent=(left, left + 8, top + 8, top), vmin=0)
        text, colour = (word, "k") if word == name else (f"{word} ({name})", "tab:red")
        axes.text(left + 4, top + 10, text, color=colour, ha="center", va="center", fontsize=8.5)
    axes.set(xlim=(-1, 71), ylim=(-(-len(x) // 6) * 12, -1))


def steps(axes: Any, p: np.ndarray, word: str, digit: np.ndarray) -> None:
    """What the net thinks of each letter (V, down) at each step (t, to the right)."""
    axes.imshow(p.T, "Reds", vmin=0, vmax=1, aspect="auto")
    axes.set_yticks(range(len(SYMBOLS)), SYMBOLS, fontsize=8)
    axes.set_xticks(range(len(word) + 1), [*word, "."])
    axes.set_xlabel("letter written, from left to right")
    inset = axes.inset_axes((0.02, 1.02, 0.2, 0.12))
    inset.imshow(1 - digit.reshape(8, 8), "gray")
    inset.set_axis_off()


def draw(model: Speller, x: np.ndarray, words: np.ndarray, truth: np.ndarray) -> Any:
    made, (left, *right) = figure(12, 5.6, ncols=3, width_ratios=[2, 1, 1])
    wrong = np.flatnonzero(words != truth)
    shown = np.r_[np.flatnonzero(words == truth)[: 24 - len(wrong[:6])], wrong[:6]]
    collage(left, x[shown], words[shown], truth[shown])
    left.set_title(f"{np.mean(words == truth):.1%} of {len(x)} held-out digits are spelled right")
    p = [probabilities(model, x[i], str(words[i])) for i in range(len(x))]
    sure = [one.max(-1).prod() for one in p]
    for axes, i, how in zip(right, (np.argmax(sure), np.argmin(sure)), ("Surest", "Least sure")):
        steps(axes, p[i], str(words[i]), x[i])
        axes.set_title(f"{how}: p = {sure[i]:.2f}, it is a {truth[i]}")
    return made


def main(args: argparse.Namespace) -> None:
    x, digit = digits()
    known, new = slice(None, -HELD_OUT), slice(-HELD_OUT, None)
    model = train(x[known], digit[known], 5 if args.quick else 60)
    words = np.array(spell(model, x[new]))
    truth = np.array(NAMES)[digit[new]]
    nearest = ((x[new][:, None] - x[known]) ** 2).sum(-1).argmin(1)
    accuracy = {
        "commonest word": np.mean(truth == NAMES[np.bincount(digit[known]).argmax()]),
        "nearest neighbour": np.mean(digit[known][nearest] == digit[new]),
        "GRU, letter by letter": np.mean(words == truth),
    }
    print(f"whole words right, of {HELD_OUT} pictures held out:")
    for name, share in accuracy.items():
        print(f"  {name:22} {share:6.1%}")
    strange = sorted({str(word) for word in words} - set(NAMES))
    print("words that it made up:", ", ".join(strange) or "none")
    print(
        "see: where it is unsure, it wavers between letters of two names; mostly at the first, as"
    )
    print("that one settles the rest.")
    picture(args, draw(model, x[new], words, truth), "caption")


if __name__ == "__main__":
    run(main, __doc__)
