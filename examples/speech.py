"""Who speaks? What was said? A recurrent net listens to utterances of many lengths, packed.

    python examples/speech.py            nine men say "ae": who is it?
    python examples/speech.py --audio    spoken digits, from real sound (two Debian packages)

An utterance is a sequence of frames, read from both ends; sequence to vector. The picture shows
what the net would say if the utterance broke off after each frame.

Against the nearest neighbour, by the mean frame, and by dynamic time warping (DTW): two utterances
are as far apart as the best way to walk through both, each at its own pace.

Data: Japanese Vowels (M. Kudo, J. Toyama and M. Shimbo 1999; UCI, CC BY 4.0), packaged with aeon:
12 coefficients of each frame, 7 to 29 frames. Letters: T frames, C coefficients, B utterances.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np
from lecture import bars, figure, packaged, picture, progress, run, ts_file
from speech_audio import NEW_VOICES, VOICES, recorded, synthesised

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn.utils.rnn import PackedSequence, pack_sequence

H, BATCH = 64, 32
NOISE = 0.3  # added in training, in units of a coefficient's spread: no utterance comes twice


class Utterances(NamedTuple):
    """Sequences (T, C) of many lengths, and the number of the class of each."""

    x: list[np.ndarray]
    y: np.ndarray


def packed(x: list[np.ndarray]) -> PackedSequence:
    return pack_sequence([mg.tensor(one) for one in x], enforce_sorted=False)


def classes_of(model: nn.ManyToOne, x: list[np.ndarray]) -> np.ndarray:
    with mg.no_grad():
        return model(packed(x)).numpy().argmax(-1)


def train(data: Utterances, classes: int, epochs: int) -> nn.ManyToOne:
    head = nn.Sequential(nn.Dropout(0.3), nn.Linear(2 * H, classes))
    model = nn.ManyToOne(nn.GRU(data.x[0].shape[1], H, bidirectional=True), head)
    optimiser = optim.AdamW(model.parameters(), lr=0.005)
    steps = epochs * -(-len(data.x) // BATCH)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    batches = mg.data.DataLoader(range(len(data.x)), BATCH, shuffle=True, collate_fn=list)
    bar = progress((rows for _ in range(epochs) for rows in batches), "listening", steps)
    for rows in bar:
        x = packed([data.x[i] for i in rows])
        scores = model(x.like(x.data + NOISE * mg.randn(x.data.shape)))
        loss = nn.functional.cross_entropy(scores, mg.tensor(data.y[rows]))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        scheduler.step()
        bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
    return model.eval()


def belief(model: nn.ManyToOne, x: np.ndarray) -> np.ndarray:
    """The probability of each class when only the first t frames were heard: (T, classes)"""
    with mg.no_grad():
        return model(packed([x[: t + 1] for t in range(len(x))])).softmax(-1).numpy()


def dtw(a: list[np.ndarray], b: list[np.ndarray]) -> np.ndarray:
    """D_ij = |a_i - b_j| + min(D_i-1,j  D_i,j-1  D_i-1,j-1), at both ends: (A, B), all at once."""
    ends = [np.array([len(one) for one in some]) for some in (a, b)]
    a, b = (
        np.stack([np.pad(x, ((0, max(n) - len(x)), (0, 0))) for x in s])
        for s, n in zip((a, b), ends)
    )
    out = np.zeros((len(a), len(b)), np.float32)
    before = np.full((b.shape[1] + 1, *out.shape), np.inf, np.float32)  # D_i-1, j = -1 ...
    before[0] = 0
    for i in range(a.shape[1]):
        row = np.full_like(before, np.inf)
        for j in range(b.shape[1]):
            square = (
                (a[:, i] ** 2).sum(-1)[:, None] + (b[:, j] ** 2).sum(-1) - 2 * a[:, i] @ b[:, j].T
            )
            least = np.minimum(np.minimum(before[j + 1], row[j]), before[j])
            row[j + 1] = np.sqrt(square.clip(0)) + least
            here = (ends[0] == i + 1)[:, None] & (ends[1] == j + 1)
            out[here] = row[j + 1][here]
        before = row
    return out


def vowels() -> tuple[Utterances, dict[str, Utterances], list[str]]:
    made = {}
    for part in ("TRAIN", "TEST"):
        path = packaged("aeon", f"datasets/data/JapaneseVowels/JapaneseVowels_{part}.ts")
        x, speaker = ts_file(path)
        made[part] = Utterances(x, np.array(speaker, int) - 1)
    return made["TRAIN"], {"held out": made["TEST"]}, [f"speaker {i}" for i in range(1, 10)]


def digits(quick: bool) -> tuple[Utterances, dict[str, Utterances], list[str]]:
    names = sorted(set(recorded()[1]))  # first, as it may be missing: what follows takes a while
    voices = (VOICES[:4], NEW_VOICES[:1]) if quick else (VOICES, NEW_VOICES)
    parts = [*map(synthesised, voices), recorded()]
    known, new, human = (Utterances(x, np.array([names.index(n) for n in y])) for x, y in parts)
    return known, {"new voices": new, "a person": human}, names


def late(model: nn.ManyToOne, test: Utterances) -> int:
    """Of the utterances that it gets right, the one in which it errs for the longest."""
    wrong = []
    for x, y in zip(test.x, test.y):
        right = belief(model, x).argmax(-1) == y
        wrong.append(len(x) - 1 - right[::-1].argmin() if right[-1] and not right.all() else -1)
    return int(np.argmax(wrong))


def draw(model: nn.ManyToOne, x: np.ndarray, y: int, names: list[str], right: dict) -> Any:
    """One utterance (T, C), what the net thinks after each of its frames, and how often all err."""
    made, axes = figure(12, 5, "ac;bc", width_ratios=[2.2, 1])
    axes["a"].imshow(x.T, "RdBu", vmin=-3, vmax=3, aspect="auto", origin="lower")
    axes["a"].set(ylabel="coefficient", title=f"What is heard: {names[y]}, held out")
    p = belief(model, x)
    for i in p.max(0).argsort()[-4:]:
        wide, colour = (2.5, "tab:red") if i == y else (1.2, None)
        axes["b"].plot(p[:, i], "o-", ms=3, lw=wide, c=colour, label=names[i])
    for axis in (axes["a"].xaxis, axes["a"].yaxis, axes["b"].xaxis):
        axis.get_major_locator().set_params(integer=True)
    axes["b"].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes["b"].set(xlim=axes["a"].get_xlim(), ylim=(-0.03, 1.03), xlabel="frame")
    axes["b"].set(ylabel="probability", title="What the net would say if it broke off here")
    wrong = {name: 1 - share for name, share in right.items()}
    bars(axes["c"], wrong, [name for name in right if "GRU" in name], "{:.1%}")
    axes["c"].set_title("wrong, of what was held out")
    return made


def main(args: argparse.Namespace) -> None:
    known, tests, names = digits(args.quick) if args.audio else vowels()
    mean, spread = np.concatenate(known.x).mean(0), np.concatenate(known.x).std(0)
    known, *others = (
        Utterances([(x - mean) / spread for x in u.x], u.y) for u in (known, *tests.values())
    )
    frames = [len(x) for x in known.x]
    print(f"{len(frames)} utterances of {min(frames)} to {max(frames)} frames to learn from")
    model = train(known, len(names), 10 if args.quick else 40)
    right = {}
    for kind, test in zip(tests, others):
        means = [np.stack([x.mean(0) for x in some]) for some in (test.x, known.x)]
        guesses = {
            "nearest by mean frame": ((means[0][:, None] - means[1]) ** 2).sum(-1).argmin(1),
            "nearest by DTW": dtw(test.x, known.x).argmin(1),
        }
        said = {name: known.y[nearest] for name, nearest in guesses.items()}
        if args.audio:
            del said["nearest by mean frame"]  # every utterance's mean has been taken out
        said["GRU"] = classes_of(model, test.x)
        for name, classes in said.items():
            right[f"{name}, {kind}"] = share = np.mean(classes == test.y)
            print(f"  {f'{name}, {kind}':34} {share:6.1%} of {len(test.y)}")
    if args.audio:
        print("see: how little of what a synthesiser's voices teach holds for a person;")
    print("see: how late it may change its mind; the picture shows where it did so last.")
    last = others[-1]
    i = late(model, last)
    made = draw(model, last.x[i], int(last.y[i]), names, right)
    picture(args, made, "speech_audio" if args.audio else "speech")


if __name__ == "__main__":
    run(main, __doc__, audio={"action": "store_true", "help": "spoken digits, from sound"})
