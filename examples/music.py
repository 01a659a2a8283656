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
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from lecture import fail, figure, package, picture, progress, run, write

import minigrad as mg
from minigrad import nn, optim

T, B, E, LR = 80, 16, 32, 0.008
END = "$"  # ends a tune, and so begins the next
HIDDEN, EPOCHS = 160, 10
HELD_OUT, LONGEST, TRIES = 0.08, 600, 20
FOLDERS = ("oneills1850", "ryansMammoth")
# What is left of a tune's text: notes, rests, lengths, accidentals, ties, broken rhythm, triplets.
BODY = re.compile(r"(?:[A-Ga-gz,'/0-9^_=|:<> -]|\(3)+")


ORNAMENTS = r'"[^"]*"|\{[^}]*\}|![^!]*!|\((?!3)|[)~.uvTHMSP\\`]'


def jigs() -> list[str]:
    """Distinct tunes "G\\nABc d2e|...": the key, and the notes without ornaments, in one line."""
    corpus, found = Path(package("music21").__file__).parent / "corpus", {}
    files = [file for folder in FOLDERS for file in sorted((corpus / folder).glob("*.abc"))]
    if not files:
        fail("this music21 has been packed without its corpus")
    for file in files:
        for tune in re.split(r"(?m)^(?=X:)", file.read_text("utf-8", "replace")):
            head = dict(re.findall(r"(?m)^([A-Z]):[ \t]*([^%\s]*)", tune))
            lines = [x for x in tune.splitlines() if x and not re.match(r"[A-Za-z]:|%", x)]
            notes = re.sub(ORNAMENTS, "", " ".join(lines))
            notes = re.sub(r"\s*(:\|\]?|\|:|::|\|+\]?)\s*", r"\1", re.sub(r"\s+", " ", notes))
            notes = re.sub(r"\|\|+|\|\]", "||", notes).strip()
            known = re.fullmatch("[A-G](b|#)?(m|mix|dor)?", head.get("K", ""))
            if (head.get("M"), head.get("L")) == ("6/8", "1/8") and known and BODY.fullmatch(notes):
                found[notes] = head["K"]
    return [f"{key}\n{notes}" for notes, key in found.items()]


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


class Neighbours:
    """p(next | the last four): counts, and the last three for what is open (Witten and Bell)"""

    def __init__(self, ids: np.ndarray, symbols: int) -> None:
        self.symbols = symbols
        self.follow: list[dict[tuple[int, ...], Counter[int]]] = [{} for _ in range(5)]
        for i in range(len(ids)):
            for k in range(min(i, 4) + 1):
                self.follow[k].setdefault(tuple(ids[i - k : i]), Counter())[ids[i]] += 1

    def p(self, before: tuple[int, ...]) -> np.ndarray:
        """(V)"""
        p = np.full(self.symbols, 1 / self.symbols)
        for k in range(min(4, len(before)) + 1):
            seen = self.follow[k].get(before[len(before) - k :])
            if seen:
                counts = np.bincount(list(seen), list(seen.values()), self.symbols)
                p = (counts + len(seen) * p) / (counts.sum() + len(seen))
        return p

    def bits(self, ids: np.ndarray) -> float:
        """Mean of -log2 p(next symbol) over one stream (N)"""
        p = [self.p(tuple(ids[max(0, i - 4) : i]))[ids[i]] for i in range(1, len(ids))]
        return float(-np.log2(p).mean())

    def write(self, rng: np.random.Generator, end: int, temperature: float) -> list[int]:
        """One tune."""
        made = [end]
        while len(made) <= LONGEST and (len(made) == 1 or made[-1] != end):
            p = self.p(tuple(made[-4:])) ** (1 / temperature)
            made.append(int(rng.choice(self.symbols, p=p / p.sum())))
        return made[1:]


def abc(tune: str, title: str) -> str:
    """A whole ABC file of "G\\nABc ..."."""
    key, _, notes = tune.partition("\n")
    return f"X:1\nT:{title}\nM:6/8\nL:1/8\nK:{key}\n{notes}\n"


NOTE = re.compile(r"(\(3)?([_=^]{0,2}[A-Ga-gz][,']*)(\d*)(/*)(\d*)([<>-]*)\s*")


def eighths(bar: str) -> float:
    """The length of a bar, NaN where it cannot be read. A triplet "(3" is three in two's time."""
    total, at, triplet = 0.0, 0, 0
    while at < len(bar):
        found = NOTE.match(bar, at)
        if found is None:
            return math.nan
        three, _, times, slashes, over, _ = found.groups()
        triplet = 3 if three else triplet
        length = int(times or 1) / (int(over) if over else 2 ** len(slashes))
        total += length * (2 / 3 if triplet else 1)
        triplet, at = max(0, triplet - 1), found.end()
    return total


def inner_bars(tune: str) -> list[float]:
    """The lengths of the bars between two single bar lines: upbeats stand beside the others."""
    parts = re.split(r"(:?\|+:?|::)", tune.partition("\n")[2])  # bar, line, bar, line, ..., bar
    return [
        eighths(parts[i].strip())
        for i in range(2, len(parts) - 1, 2)
        if parts[i - 1] == parts[i + 1] == "|"
    ]


def full(tunes: list[str]) -> float:
    """The share of inner bars of six eighths."""
    lengths = [length for tune in tunes for length in inner_bars(tune)]
    return sum(abs(length - 6) < 1e-6 for length in lengths) / max(1, len(lengths))


def score_of(tune: str, title: str) -> Any:
    """music21's score; None where it is no whole tune, or music21 counts otherwise than we do."""
    lengths = [eighths(bar) for bar in re.split("[:|]+", tune.partition("\n")[2])]
    odd = "(3" in tune or not max(lengths) <= 6  # music21 can take minutes over such a bar
    if len(lengths) < 12 or odd or full([tune]) < 1:
        return None
    music21 = package("music21")
    try:
        score = music21.converter.parseData(abc(tune, title), format="abc")
    except (music21.exceptions21.Music21Exception, ValueError, LookupError):
        return None
    notes = score.recurse().notesAndRests
    length = sum(note.duration.quarterLength for note in notes if not note.duration.isGrace)
    return score if abs(float(length) - sum(lengths) / 2) < 0.01 else None


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


def roll(axes: Any, score: Any, title: str, bars: int = 16) -> None:
    """Notes as bars, time to the right, pitch upwards."""
    for note in score.flatten().notes:
        start, length = float(note.offset), float(note.duration.quarterLength)
        for pitch in note.pitches:
            axes.barh(pitch.midi, 2 * length - 0.1, 0.9, 2 * start, color="tab:blue")
    axes.set(xlim=(0, 6 * bars), ylim=(57, 84), yticks=(60, 67, 72, 79), title=title)
    axes.set_yticklabels(("C4", "G4", "C5", "G5"))
    axes.set_xticks(range(0, 6 * bars + 1, 6), range(bars + 1), fontsize=8)
    axes.grid(axis="x", alpha=0.4)


def draw(args: argparse.Namespace, own: Any, real: Any, shares: dict, losses: list, checks: list,
         rival: float) -> None:  # fmt: skip
    """Above: its tune and a real one. Below: what it learned."""
    sheet, axes = figure(11, 7, nrows=3, ncols=1, height_ratios=[1, 1, 1.1])
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
    rival = Neighbours(training, len(code))
    made = write_tunes(model, code, 4 if args.quick else TRIES, args.seed)
    symbols = list(code)
    theirs = ["".join(symbols[i] for i in rival.write(rng, code[END], 0.7)) for _ in made]
    shares = {"corpus": full(tunes), "net": full(made), "last four symbols": full(theirs)}
    print(f"\n{'':22s}{'bits per symbol, held out':>27s}{'inner bars that are full':>26s}")
    for name, b, share in (
        ("untrained net", bits(untrained, held_out), full(write_tunes(untrained, code, 4, 0))),
        ("last four symbols", rival.bits(held_out), shares["last four symbols"]),
        ("net", checks[-1], shares["net"]),
        ("the corpus itself", math.nan, shares["corpus"]),
    ):
        print(f"{name:22s}{b:27.3f}{100 * share:24.1f} %")
    scores = ((i, score_of(tune, "Jig of a recurrent net")) for i, tune in enumerate(made))
    tries, own = next(((i, score) for i, score in scores if score is not None), (-1, None))
    if own is None:
        print(f"\nnone of {len(made)} tunes holds together: it has learned too little")
        return
    tune = made[tries]
    text = abc(tune, "Jig of a recurrent net")
    copied = longest_copy(tune, "\n".join(tunes[split:]))
    print(f"\nat try {tries + 1}, a tune that holds together:\n\n{text}")
    print(f"its longest piece that stands in a training tune, too: {copied!r}")
    write(args.out / "music.abc", text.encode())
    midi = package("music21.midi.translate").streamToMidiFile(own)
    write(args.out / "music.mid", midi.writestr())
    print(f"score: {args.out / 'music.abc'}, to be heard: {args.out / 'music.mid'}")
    real = next(filter(None, (score_of(tune, "real") for tune in tunes)))
    draw(args, own, real, shares, losses, checks, rival.bits(held_out))


if __name__ == "__main__":
    run(main, __doc__)
