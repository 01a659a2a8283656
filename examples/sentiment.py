"""How did they like it? A recurrent net reads a review and says a score: sequence to vector.

    python examples/sentiment.py

14,300 sentences of film and product reviews, each with a score from -4 to 4: the mean of what 20
people said. A bag of words knows which words and pairs of words there are; the net, their order.

Reviews differ in length. Packed, what is there of each step stands side by side; padded, short ones
are filled up, and whatever reads on into the padding says something else.

Data: C.J. Hutto and E. Gilbert, VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
Social Media Text, ICWSM-14; in the source archive of their package (MIT licence), fetched by pip.

Letters: T words, B reviews, E embedding, H hidden.
"""

from __future__ import annotations

import argparse
import io
import re
import tarfile
import time
from typing import Any

import numpy as np
from bag_of_words import BagOfWords
from lecture import bars, figure, picture, progress, run, source_distribution

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn.utils.rnn import PackedSequence, pack_sequence, pad_sequence

SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
E = H = 64
BATCH, RATE = 64, 0.01
PENALTY = 10.0  # of the bag of words: the best of 5, 10, 20 on the held-out reviews, in its favour


def reviews() -> tuple[list[list[str]], np.ndarray]:
    """The words of each sentence, and its score."""
    with source_distribution("vaderSentiment", "3.3.2", SHA256) as outer:
        name = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
        inner = io.BytesIO(outer.extractfile(name).read())
    found = {}
    with tarfile.open(fileobj=inner) as files:
        for kind in ("movie", "amazon"):
            file = files.extractfile(f"hutto_ICWSM_2014/{kind}ReviewSnippets_GroundTruth.txt")
            for row in file.read().decode().splitlines():
                _, score, text = row.split("\t")
                found[tuple(re.findall(r"[a-z0-9']+|[!?.,:;()]", text.lower()))] = float(score)
    found.pop((), None)
    return [list(words) for words in found], np.array(list(found.values()), np.float32)


class Reader(nn.Module):
    """words -> score (B): packed, or padded (T, B), with a mask or without"""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, E)
        nn.init.normal_(self.embedding.weight, 0, 0.1)
        self.dropout = nn.Dropout(0.5)
        self.gru = nn.GRU(E, H, bidirectional=True)
        self.head = nn.Linear(2 * H, 1)

    def forward(self, words: Any, mask: np.ndarray | None = None) -> Any:
        if isinstance(words, PackedSequence):
            x = words.like(self.dropout(self.embedding(words.data)))
        else:
            x = self.dropout(self.embedding(words))
        _, h_n = self.gru(x, mask=mask)  # (2, B, H): where the two directions end
        return self.head(self.dropout(mg.cat([h_n[0], h_n[1]], dim=-1)))[:, 0]


def packed(ids: list[np.ndarray]) -> PackedSequence:
    return pack_sequence([mg.tensor(i) for i in ids], enforce_sorted=False)


def predict(model: Reader, ids: list[np.ndarray]) -> np.ndarray:
    model.eval()
    with mg.no_grad():
        parts = [model(packed(ids[i : i + 256])).numpy() for i in range(0, len(ids), 256)]
    return np.concatenate(parts)


def train(ids: list[np.ndarray], scores: np.ndarray, symbols: int, epochs: int) -> Reader:
    model = Reader(symbols)
    optimiser = optim.Adam(model.parameters(), lr=RATE)
    steps = epochs * -(-len(ids) // BATCH)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    data = mg.data.DataLoader(range(len(ids)), BATCH, shuffle=True, collate_fn=list)
    bar = progress((rows for _ in range(epochs) for rows in data), "reading", steps)
    for rows in bar:
        loss = nn.functional.mse_loss(
            model(packed([ids[i] for i in rows])), mg.tensor(scores[rows])
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        scheduler.step()
        bar.set_postfix_str(f"loss {loss.item():.2f}", refresh=False)
    return model


def padding(model: Reader, ids: list[np.ndarray]) -> None:
    """Packed, masked and merely padded: the same scores? In what time, forward and backward?"""
    lengths = np.array([len(i) for i in ids])
    padded = pad_sequence([mg.tensor(i) for i in ids])  # (T, B)
    mask = np.arange(len(padded))[:, None] < lengths
    print(f"a batch of {len(ids)} reviews: {lengths.sum():,} words, {mask.size:,} when padded")
    ways = {"packed": (packed(ids),), "padded, masked": (padded, mask), "padded": (padded,)}
    truth = predict(model, ids)
    for name, way in ways.items():
        model.eval()
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            score = model(*way)
            score.sum().backward()
            seconds.append(time.perf_counter() - began)
        apart = np.abs(score.detach().numpy() - truth).max()
        print(f"  {name:16}{min(seconds) * 1000:6.1f} ms   scores differ by up to {apart:.0e}")


def running(model: Reader, ids: np.ndarray) -> np.ndarray:
    """The score of the first word, of the first two, ... of all"""
    return predict(model, [ids[: t + 1] for t in range(len(ids))])


def turning(model: Reader, texts: list, ids: list, scores: np.ndarray) -> list[int]:
    """Of short reviews, said about right, with "but" if there are: the steepest rise and fall."""
    short = [i for i, text in enumerate(texts) if 4 < len(text) < 17]
    short = [i for i in short if "but" in texts[i][2:-2]] or short
    paths = {i: running(model, ids[i]) for i in short[:200]}
    right = [i for i, y in paths.items() if abs(y[-1] - scores[i]) < 0.8] or list(paths)
    rise = max(right, key=lambda i: paths[i][-1] - paths[i][1:-3].min())
    return [rise, max(right, key=lambda i: paths[i][1:-3].max() - paths[i][-1])]


def draw(axes: Any, words: list[str], y: np.ndarray, human: float) -> None:
    """The score while the net reads."""
    axes.axhline(0, c="0.8", lw=1)
    axes.axhline(human, c="k", ls="--", lw=1, label=f"people: {human:.1f}")
    axes.plot(y, "o-", c="tab:red", label="the net, after each word")
    axes.set_xticks(range(len(words)), words, rotation=35, ha="right")
    axes.set(ylim=(-4, 4), ylabel="score")
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper left")


def main(args: argparse.Namespace) -> None:
    texts, scores = reviews()
    order = np.random.default_rng(0).permutation(len(texts))[: 1600 if args.quick else None]
    texts, scores = [texts[i] for i in order], scores[order]
    n = len(texts) // 10  # held out
    words, count = np.unique(np.concatenate(texts[n:]), return_counts=True)
    code = {str(word): i for i, word in enumerate(words[count > 1], 1)}  # 0: a rare word
    ids = [np.array([code.get(word, 0) for word in text]) for text in texts]

    model = train(ids[n:], scores[n:], len(code) + 1, 3)
    said = {
        "always the mean": np.full(n, scores[n:].mean()),
        "bag of words": BagOfWords(texts[n:], scores[n:], PENALTY).scores(texts[:n]),
        "GRU": predict(model, ids[:n]),
    }
    print(f"{n:,} reviews held out of {len(texts):,}; scores from -4 to 4")
    errors = {name: float(np.abs(s - scores[:n]).mean()) for name, s in said.items()}
    for name, s in said.items():
        same = np.mean((s > 0) == (scores[:n] > 0))
        print(f"  {name:16} mean error {errors[name]:.3f}, the right sign in {same:.1%}")
    padding(model, ids[: 2 * BATCH])

    made, grid = figure(11, 6.5, nrows=2, ncols=2, width_ratios=[2, 1])
    for axes, i in zip(grid[:, 0], turning(model, texts[:n], ids, scores)):
        draw(axes, texts[i], running(model, ids[i]), scores[i])
    grid[0, 0].set_title("The net changes its mind as it reads: two held-out reviews")
    bars(grid[0, 1], errors, ["GRU"], "%.3f")
    grid[0, 1].set_title(f"mean error on {n:,} held-out reviews")
    grid[1, 1].plot(scores[:n], said["GRU"], ".", c="tab:red", ms=3, alpha=0.4)
    grid[1, 1].plot([-4, 4], [-4, 4], c="0.7", lw=1)
    correlation = np.corrcoef(scores[:n], said["GRU"])[0, 1]
    grid[1, 1].set(xlabel="score by people", ylabel="by the net", title=f"r = {correlation:.2f}")
    print("see: the score as it is read, in the picture; and that padding unmasked is part of what")
    print("the backward direction reads, and so of the score.")
    picture(args, made, "sentiment")


if __name__ == "__main__":
    run(main, __doc__)
