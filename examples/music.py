"""Music: a net reads jigs as text, letter by letter, and writes one of its own that can be played.

    python examples/music.py

ABC notation is music as text: A to G and a to g are notes, a number after them is a length, "|"
ends a bar. The corpus: the jigs (6/8) of O'Neill's collection and of Ryan's Mammoth Collection,
both long in the public domain, as the package music21 has them. Nobody tells the net about bars;
that six eighths fill one has to be learned. So this is what is counted: of the bars that it writes,
how many are full, against a rival that knows the last four symbols and what followed them.

Tunes are drawn until one holds together: all inner bars are full, and music21's parser finds the
same. Writes music.abc, to read, music.mid, to hear, and the picture.

Letters: T symbols of a window, B streams side by side, V symbols.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
from lecture import figure, package, picture, progress, run, write
from markov import Markov
from music_abc import abc, full, jigs, roll, score_of

import minigrad as mg
from minigrad import nn, optim

T, B, E, LR = 80, 16, 32, 0.008
END = "$"  # ends a tune, and so begins the next
HIDDEN, EPOCHS = 160, 10
HELD_OUT, LONGEST, TRIES = 0.08, 600, 20


class Net(nn.Module):
    """ids (T, B) -> logits (T, B, V), and the state to go on from."""

    def __init__(self, symbols: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, E)
        self.rnn = nn.LSTM(E, hidden)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(hidden, symbols)

    def forward(self, ids: np.ndarray, state: Any = None) -> tuple[Any, Any]:
        output, state = self.rnn(self.embedding(ids), state)
        return self.head(self.dropout(output)), state

    def step(self, symbols: np.ndarray, state: Any) -> tuple[Any, Any]:
        """Scores (B, V) of what follows these symbols (B): what nn.decoding asks for."""
        scores, state = self(symbols[None], state)
        return scores[0], state


def bits(model: Net, ids: np.ndarray) -> float:
    """Mean of -log2 p(next symbol) over one stream (N)"""
    model.eval()
    with mg.no_grad():
        logits, _ = model(ids[:-1, None])
        nats = nn.functional.cross_entropy(logits[:, 0], ids[1:]).item()
    model.train()
    return nats / math.log(2)


def train(
    ids: np.ndarray, held_out: np.ndarray, symbols: int, hidden: int, epochs: int
) -> tuple[Net, list[float], list[float]]:
    """The net, bits per symbol of each window and, after each epoch, of the held-out tunes."""
    model = Net(symbols, hidden)
    n = (len(ids) - 1) // B
    inputs, targets = (ids[i : i + n * B].reshape(B, n).T for i in (0, 1))  # (n, B)
    optimiser = optim.Adam(model.parameters(), lr=LR)
    decay = optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * math.ceil(n / T))
    losses: list[float] = []
    checks = []
    bar = progress(range(epochs), "jigs")
    for _ in bar:
        state = None
        for start in range(0, n, T):
            logits, state = model(inputs[start : start + T], state)
            state = nn.detach_states(state)  # truncated backpropagation through time
            wanted = targets[start : start + T].ravel()
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), wanted)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            decay.step()
            losses.append(loss.item() / math.log(2))
            bar.set_postfix_str(f"{losses[-1]:.2f} bits/symbol", refresh=False)
        checks.append(bits(model, held_out))
    return model.eval(), losses, checks


def write_tunes(
    model: Net, code: dict[str, int], count: int, seed: int, temperature: float = 0.7
) -> list[str]:
    """`count` tunes, side by side, each up to its end."""
    mg.manual_seed(seed)
    start = np.full(count, code[END])
    state = tuple(mg.zeros(1, count, model.rnn.hidden_size) for _ in range(2))
    choose = nn.decoding.sampler(temperature)
    rows = nn.decoding.generate(model.step, state, start, LONGEST, code[END], choose)
    symbols = list(code)
    return ["".join(symbols[i] for i in row).partition(END)[0] for row in rows]


def longest_copy(tune: str, corpus: str) -> str:
    """The longest piece of a tune that the corpus has, too."""
    best, start = "", 0
    for stop in range(1, len(tune) + 1):
        while tune[start:stop] not in corpus:
            start += 1
        best = max(best, tune[start:stop], key=len)
    return best


def publish(args: argparse.Namespace, made: list[str], corpus: str) -> Any:
    """Writes the first tune that holds together, to read and to hear; its score, or None."""
    scores = ((tune, score_of(tune, "Jig of a recurrent net")) for tune in made)
    tune, score = next((pair for pair in scores if pair[1] is not None), ("", None))
    if score is None:
        print(f"\nnone of {len(made)} tunes holds together: it has learned too little")
        return None
    text = abc(tune, "Jig of a recurrent net")
    print(f"\nat try {made.index(tune) + 1}, a tune that holds together:\n\n{text}")
    copied = longest_copy(tune, corpus)
    print(f"its longest piece that stands in a training tune, too: {copied!r}")
    write(args.out / "music.abc", text.encode())
    midi = package("music21.midi.translate").streamToMidiFile(score)
    write(args.out / "music.mid", midi.writestr())
    print(f"score: {args.out / 'music.abc'}, to be heard: {args.out / 'music.mid'}")
    return score


def draw(args: argparse.Namespace, own: Any, real: Any, shares: dict, losses: list, checks: list,
         rival: float) -> None:  # fmt: skip
    """Above: its tune and a real one. Below: what it learned."""
    sheet, axes = figure(11, 7, nrows=3, ncols=1, height_ratios=[1, 1, 1.1])
    if own is None:
        axes[0].set_axis_off()
        axes[0].set_title("none of the net's tunes holds together")
    else:
        roll(axes[0], own, "written by the net")
    roll(axes[1], real, "a jig of the collections")
    for one in axes[:2]:
        one.set_ylabel("pitch")
    axes[1].set_xlabel("bars of six eighths")
    smooth = np.convolve(losses, np.ones(20) / 20, "valid")
    each = len(losses) / len(checks)
    axes[2].plot(np.arange(len(smooth)) / each, smooth, color="0.7", label="net, training")
    axes[2].plot(range(1, len(checks) + 1), checks, "o-", ms=3, label="net, held-out jigs")
    axes[2].axhline(rival, color="tab:orange", ls="--", label="last four symbols, held-out jigs")
    axes[2].set(xlabel="epoch", ylabel="bits per symbol", ylim=(1.2, 3.5))
    axes[2].legend(frameon=False)
    axes[2].set_title(
        ", ".join(f"{name}: {100 * s:.0f} % of bars full" for name, s in shares.items())
    )
    picture(args, sheet, "music")


def main(args: argparse.Namespace) -> None:
    tunes = jigs()
    rng = np.random.default_rng(args.seed)
    tunes = [tunes[i] for i in rng.permutation(len(tunes))][: 200 if args.quick else None]
    split = round(HELD_OUT * len(tunes))
    code = {c: i for i, c in enumerate([END, *sorted(set("".join(tunes)))])}
    held_out, training = (
        np.array([code[c] for c in END + END.join(part) + END])
        for part in (tunes[:split], tunes[split:])
    )
    print(f"{len(tunes)} jigs, {split} of them held out; {len(training):,} symbols to learn from")
    hidden, epochs = (96, 8) if args.quick else (HIDDEN, EPOCHS)
    mg.manual_seed(args.seed)
    untrained = Net(len(code), hidden).eval()
    mg.manual_seed(args.seed)
    model, losses, checks = train(training, held_out, len(code), hidden, epochs)
    rival = Markov(training, len(code))
    rival_bits = rival.bits(held_out)
    made = write_tunes(model, code, TRIES, args.seed)
    symbols = list(code)
    theirs = ["".join(symbols[i] for i in rival.write(rng, code[END], LONGEST, 0.7)) for _ in made]
    shares = {"corpus": full(tunes), "net": full(made), "last four symbols": full(theirs)}
    print(f"\n{'':22s}{'bits per symbol, held out':>27s}{'inner bars that are full':>26s}")
    for name, b, share in (
        (
            "untrained net",
            f"{bits(untrained, held_out):.3f}",
            full(write_tunes(untrained, code, 4, 0)),
        ),
        ("last four symbols", f"{rival_bits:.3f}", shares["last four symbols"]),
        ("net", f"{checks[-1]:.3f}", shares["net"]),
        ("the corpus itself", "", shares["corpus"]),
    ):
        print(f"{name:22s}{b:>27}{100 * share:24.1f} %")
    own = publish(args, made, "\n".join(tunes[split:]))
    real = next(filter(None, (score_of(tune, "real") for tune in tunes)))
    draw(args, own, real, shares, losses, checks, rival_bits)


if __name__ == "__main__":
    run(main, __doc__)
