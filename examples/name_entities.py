"""Name entities: every token of an address gets a tag, street name, town, post code, 29 in all.

    python examples/name_entities.py                addresses of the United States (usaddress)
    python examples/name_entities.py --data names   names of people (probablepeople)

Two nets, one in the other: a GRU reads each token's letters, as half of the held-out words never
occur in training; a second reads the tokens, in both directions, as "n" is a direction after a
street and an initial before a name. Against it: each known word's most frequent tag, and the same
net reading forwards only.

Letters: T tokens of the longest address, B addresses, C characters, W words, K tags.
"""

from __future__ import annotations

import argparse
import random
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from typing import Any

import numpy as np
from lecture import archived, figure, package, picture, progress, run

import minigrad as mg
from minigrad import nn, optim

Tagged = list[tuple[str, str]]  # (token, tag), ...
# Both are under the MIT licence; only the source archives have the labelled texts.
SOURCES = {
    "addresses": ("usaddress", "0.5.16", "training/labeled.xml",
        "f7e614e2489c159cf85be1b6f86edbfaf329dbeedef4d002a025757afd1ec6c6"),
    "names": ("probablepeople", "0.5.6", "name_data/labeled/person_labeled.xml",
        "4ae95e77f9fa7dceb116538500ab48c81a91bf68eb652d45207b794b450f4392"),
}  # fmt: skip
HELD_OUT, B, LR, EPOCHS = 0.25, 16, 0.01, 12
UNKNOWN = 0.2  # so often a known word is hidden in training: there will be unknown ones
LETTERS = {c: i for i, c in enumerate("abcdefghijklmnopqrstuvwxyz0123456789.,-'&#()/\"", 3)}


def read(data: str) -> list[Tagged]:
    """The distinct labelled texts of two tokens or more."""
    name, version, path, sha256 = SOURCES[data]
    root = ElementTree.fromstring(archived(name, version, sha256, f"{name}-{version}/{path}"))
    texts = [tuple(((e.text or "").strip(), e.tag) for e in entry) for entry in root]
    return [list(t) for t in dict.fromkeys(texts) if len(t) > 1 and all(word for word, _ in t)]


def key(token: str) -> str:
    """What makes two tokens the same word: "St.," is "st"."""
    return token.lower().strip(".,") or token


def letters(token: str) -> list[int]:
    """A token's characters as numbers (C); 1 says "the next one is a capital", 2 "another"."""
    codes: list[int] = []
    for c in token[:20]:
        codes += [1] * c.isupper() + [LETTERS.get(c.lower(), 2)]
    return codes


class Tagger(nn.Module):
    """Tokens -> scores (N, K) of N tokens in all: letters and word, then the neighbours."""

    def __init__(self, words: list[str], tags: int, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.code = {w: i for i, w in enumerate(words, 1)}  # 0: unknown
        self.letter = nn.Embedding(len(LETTERS) + 3, 16)
        self.spelling = nn.GRU(16, hidden // 2, bidirectional=True)
        self.word = nn.Embedding(len(words) + 1, hidden // 2)
        directions = 2 if bidirectional else 1
        self.context = nn.GRU(hidden * 3 // 2, hidden // directions, bidirectional=bidirectional)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(hidden, tags)

    def forward(self, texts: list[Tagged]) -> Any:
        tokens = [token for text in texts for token, _ in text]
        spelled = [letters(token) for token in tokens]
        C = max(map(len, spelled))
        codes = np.array([s + [0] * (C - len(s)) for s in spelled]).T  # (C, N)
        _, last = self.spelling(self.letter(codes), mask=codes > 0)  # (2, N, H/2)
        known = np.array([self.code.get(key(t), 0) for t in tokens])
        if self.training:
            known[mg.rand(len(known)).numpy() < UNKNOWN] = 0
        x = mg.cat([last[0], last[1], self.word(known)], dim=-1)  # (N, 3H/2)
        sizes = [len(text) for text in texts]
        t = np.concatenate([np.arange(n) for n in sizes])  # (N): which step of which text
        b = np.repeat(np.arange(len(texts)), sizes)
        place = np.zeros((max(sizes), len(texts)), int)  # (T, B): which token stands there
        place[t, b] = np.arange(len(tokens))
        output, _ = self.context(self.dropout(x)[place], mask=nn.sequence.length_mask(sizes))
        return self.head(self.dropout(output[t, b]))


def train(model: Tagger, texts: list[Tagged], tags: list[str], epochs: int, label: str) -> None:
    """Cross entropy over the tokens, Adam, a rate that falls along a cosine."""
    code = {tag: i for i, tag in enumerate(tags)}
    optimiser = optim.Adam(model.parameters(), lr=LR)
    loader = mg.data.DataLoader(texts, B, shuffle=True, collate_fn=list)
    decay = optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * len(loader))
    bar = progress(range(epochs), label)
    for _ in bar:
        for batch in loader:
            target = np.array([code[tag] for text in batch for _, tag in text])
            loss = nn.functional.cross_entropy(model(batch), mg.tensor(target))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            decay.step()
            bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
    model.eval()


def predict(model: Tagger, texts: list[Tagged], tags: list[str]) -> list[str]:
    """The likeliest tag of every token."""
    with mg.no_grad():
        return [tags[i] for i in model(texts).numpy().argmax(-1)]


def majority(training: list[Tagged], texts: list[Tagged]) -> list[str]:
    """Each known word's most frequent tag; for a new word, the most frequent of all."""
    seen: dict[str, Counter[str]] = {}
    every: Counter[str] = Counter()
    for token, tag in (pair for text in training for pair in text):
        seen.setdefault(key(token), Counter())[tag] += 1
        every[tag] += 1
    return [seen.get(key(token), every).most_common(1)[0][0] for text in texts for token, _ in text]


def f1(truth: list[str], made: list[str]) -> dict[str, float]:
    """For each tag of the truth, 2 hits / (2 hits + false alarms + misses)."""
    hits = Counter(t for t, m in zip(truth, made) if t == m)
    there, said = Counter(truth), Counter(made)
    return {tag: 2 * hits[tag] / (there[tag] + said[tag]) for tag, _ in there.most_common()}


BASELINE, FORWARD, FULL = "most frequent tag", "net, forwards", "net, both directions"


def draw(args: argparse.Namespace, texts: list[Tagged], made: dict[str, list[str]]) -> None:
    """Left: three texts, token by token. Right: F1, tag by tag."""
    sheet, (left, right) = figure(13, 5.8, ncols=2, width_ratios=[1.8, 1])
    truth = [tag for text in texts for _, tag in text]
    tags = [tag for tag, n in Counter(truth).most_common(14) if n > 4]
    for name, shift, colour in ((BASELINE, -0.2, "0.75"), (FULL, 0.2, "tab:blue")):
        scores = f1(truth, made[name])
        at = np.arange(len(tags)) + shift
        right.barh(at, [scores[tag] for tag in tags], 0.4, color=colour, label=name)
    right.set_yticks(range(len(tags)), [f"{tag} ({truth.count(tag)})" for tag in tags], fontsize=8)
    right.set(xlabel="F1 on held-out tokens (their number in brackets)", xlim=(0, 1))
    right.invert_yaxis()
    micro = [sum(map(str.__eq__, truth, made[name])) / len(truth) for name in (BASELINE, FULL)]
    sheet.suptitle("Spelling and neighbours raise micro F1 from {:.2f} to {:.2f}".format(*micro))
    right.legend(loc="lower center", bbox_to_anchor=(0.3, 1), ncols=2, frameon=False)
    paint = dict(zip(tags, package("matplotlib").colormaps["tab20"].colors[1::2] * 2))
    draw_texts(left, texts, made, paint)
    picture(args, sheet, "name_entities")


def draw_texts(axes: Any, texts: list[Tagged], made: dict[str, list[str]], paint: dict) -> None:
    """The first texts of 4 to 8 tokens: each token, its tag, and a box for what was said of it."""
    ends = np.cumsum([len(text) for text in texts])
    several = [i for i, text in enumerate(texts) if 4 <= len(text) <= 8][:3]
    middle = {"ha": "center", "va": "center"}
    for top, i in enumerate(several):
        for x, (token, tag) in enumerate(texts[i]):
            axes.text(x + 0.5, 5 * top, token, weight="bold", **middle)
            axes.text(x + 0.5, 5 * top + 0.48, two_lines(tag), fontsize=5, **middle)
            for y, name in ((1.35, BASELINE), (2.65, FULL)):
                said = made[name][ends[i] - len(texts[i]) + x]
                edge, hatch = ("white", "") if said == tag else ("tab:red", "//")
                axes.barh(5 * top + y, 0.94, 1.2, x + 0.03, color=paint.get(said, "0.9"),
                          edgecolor=edge, hatch=hatch)  # fmt: skip
                axes.text(x + 0.5, 5 * top + y, two_lines(said), fontsize=5.5, **middle)
    rows = [5 * top + y for top in range(len(several)) for y in (0.48, 1.35, 2.65)]
    names = ["labelled", "most frequent\ntag", "net, both\ndirections"]
    axes.set_yticks(rows, names * len(several), fontsize=8)
    axes.set(xlim=(0, 8), ylim=(5 * len(several) - 1.3, -0.6), xticks=[])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title(
        "The first held-out texts of 4 to 8 tokens; what is wrong is hatched", fontsize=10
    )


def two_lines(tag: str) -> str:
    """StreetNamePreDirectional: StreetName above, PreDirectional below"""
    words = re.findall("[A-Z]+[a-z]*", tag)
    half = (len(words) + 1) // 2
    return "\n".join(filter(None, ("".join(words[:half]), "".join(words[half:]))))


def main(args: argparse.Namespace) -> None:
    texts = read(args.data)
    random.Random(args.seed).shuffle(texts)
    if args.quick:
        texts = texts[:500]
    split = round(HELD_OUT * len(texts))
    held_out, training = texts[:split], texts[split:]
    seen = Counter(key(token) for text in training for token, _ in text)
    words = sorted(word for word, count in seen.items() if count > 1)
    tags = sorted({tag for text in training for _, tag in text})
    truth = [tag for text in held_out for _, tag in text]
    new = sum(key(token) not in seen for text in held_out for token, _ in text) / len(truth)
    print(f"{args.data}: {len(training):,} texts to learn from, {len(held_out):,} held out with")
    print(
        f"{len(truth):,} tokens; {100 * new:.0f} % of these are words that training has never seen"
    )
    made = {BASELINE: majority(training, held_out)}
    for name, both in ((FORWARD, False), (FULL, True)):
        if args.quick and not both:
            continue
        mg.manual_seed(args.seed)
        model = Tagger(words, len(tags), 32 if args.quick else 64, both)
        train(model, training, tags, 7 if args.quick else EPOCHS, name)
        made[name] = predict(model, held_out, tags)
    print(f"\n{'':22s}{'micro F1':>10s}{'macro F1':>10s}")
    for name, said in made.items():
        micro = sum(t == m for t, m in zip(truth, said)) / len(truth)  # one tag each: accuracy
        scores = f1(truth, said)
        print(f"{name:22s}{micro:10.3f}{sum(scores.values()) / len(scores):10.3f}")
    print("\nmicro: all tokens alike; macro: the mean over the tags, rare ones as heavy as others")
    draw(args, held_out, made)


if __name__ == "__main__":
    run(
        main,
        __doc__,
        data={"choices": SOURCES, "default": "addresses", "help": "default: addresses"},
    )
