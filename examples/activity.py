"""What are they doing, and what will the next picture be? Motion and video.

    python examples/activity.py

Motion: a wrist's accelerometer and gyroscope, six numbers every tenth of a second for ten seconds;
the net says whether its owner stands, walks, runs or plays badminton. Sequence to vector.

Video: a handwritten digit flies through a frame and bounces off its edges; the net sees a frame and
draws the next one. Sequence to sequence. Where it flies to is in no single frame: that has to come
from the state. Fed with what it drew, it goes on dreaming.

Data: BasicMotions (UEA archive), packaged with aeon; digits of scikit-learn (UCI, CC BY 4.0).
Letters: T steps, B sequences, C channels, S the frame's side, H hidden.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from lecture import figure, packaged, picture, progress, run, ts_file

import minigrad as mg
from minigrad import nn, optim

S, H, T = 16, 256, 20
WATCH = 8  # frames, before it dreams


def fit(model: nn.Module, loss_of: Any, steps: int, lr: float, label: str) -> None:
    """Adam on loss_of(), drawn anew at each step"""
    optimiser = optim.Adam(model.parameters(), lr=lr)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    bar = progress(range(steps), label)
    for _ in bar:
        loss = loss_of()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        scheduler.step()
        bar.set_postfix_str(f"loss {loss.item():.4f}", refresh=False)
    model.eval()


# --------------------------------------------------------------------------------------- motion


def motions() -> list[Any]:
    """x (T, B, C) and the activities (B), to learn from and held out."""
    out: list[Any] = []
    for part in ("TRAIN", "TEST"):
        path = packaged("aeon", f"datasets/data/BasicMotions/BasicMotions_{part}.ts")
        x, names = ts_file(path)
        out += [np.stack(x, 1), np.array(names)]
    return out


def recognise(quick: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str], str]:
    """Held-out motions (T, B, C), what they are, probabilities (B, names), names, finding."""
    x, y, new_x, new_y = motions()
    names, code = np.unique(y, return_inverse=True)
    mean, spread = x.mean((0, 1)), x.std((0, 1))
    known, new = ((a - mean) / spread for a in (x, new_x))
    head = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, len(names)))
    model = nn.ManyToOne(nn.GRU(x.shape[2], 64), head)

    def loss() -> Any:
        start = int(mg.randint(0, 20, (1,)).item())  # any eight seconds of the ten
        part = mg.tensor(known[start : start + 80])
        return nn.functional.cross_entropy(model(part), mg.tensor(code))

    fit(model, loss, 40 if quick else 150, 0.01, "motion")
    with mg.no_grad():
        p = model(mg.tensor(new)).softmax(-1).numpy()
    nearest = ((new[:, :, None] - known[:, None]) ** 2).sum((0, 3)).argmin(1)
    print(f"motion, {len(new_y)} recordings held out:")
    print(f"  always the same activity {np.mean(new_y == new_y[0]):6.1%}")
    print(f"  nearest neighbour        {np.mean(y[nearest] == new_y):6.1%}")
    print(f"  GRU                      {np.mean(names[p.argmax(1)] == new_y):6.1%}")
    finding = (
        f"What are they doing? {np.mean(names[p.argmax(1)] == new_y):.1%} of {len(new_y)} right"
    )
    return new_x, new_y, p, list(names), finding


# ---------------------------------------------------------------------------------------- video


def flights(digits: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Films (T, count, S * S): a digit (8, 8) starts anywhere and bounces off the edges."""
    room = S - 8
    place = rng.integers(0, room + 1, (count, 2))
    speed = rng.choice([-2, -1, 1, 2], (count, 2))
    shape = digits[rng.integers(0, len(digits), count)]
    film = np.zeros((T, count, S, S), np.float32)
    for t in range(T):
        for b, (row, column) in enumerate(place):
            film[t, b, row : row + 8, column : column + 8] = shape[b]
        ahead = place + speed
        speed = np.where((ahead < 0) | (ahead > room), -speed, speed)
        place = place + speed
    return film.reshape(T, count, S * S)


def foresee(quick: bool, seed: int) -> tuple[dict[str, np.ndarray], float]:
    """Films (T, S * S) of one held-out flight; the net's error next to that of copying."""
    path = packaged("sklearn", "datasets/data/digits.csv.gz")
    shapes = np.loadtxt(path, delimiter=",", dtype=np.float32)[:, :-1].reshape(-1, 8, 8) / 16
    rng = np.random.default_rng(seed)
    model = nn.ManyToMany(nn.GRU(S * S, H), nn.Linear(H, S * S))

    def loss() -> Any:
        film = mg.tensor(flights(shapes[:-500], 32, rng))
        scores, _ = model(film[:-1])
        return nn.functional.binary_cross_entropy_with_logits(scores, film[1:])

    fit(model, loss, 60 if quick else 1200, 0.003, "video")
    film = flights(shapes[-500:], 200, np.random.default_rng(0))
    with mg.no_grad():
        drawn = model(mg.tensor(film[:-1]))[0].sigmoid().numpy()
        scores, state = model(mg.tensor(film[:WATCH]))
        dream = [scores[-1:].sigmoid()]
        while len(dream) < T - WATCH:
            scores, state = model(dream[-1], state)
            dream.append(scores.sigmoid())
    dreamed = np.concatenate([film[:WATCH], *(d.numpy() for d in dream)])
    errors = {
        "copy the last frame": film[WATCH - 1 : -1],
        "always the mean frame": film.mean((0, 1)),
        "GRU": drawn[WATCH - 1 :],
        f"GRU, dreaming from frame {WATCH}": dreamed[WATCH:],
    }
    print(f"video, squared error per pixel, frames {WATCH} to {T - 1}, of held-out digits:")
    mean = {name: ((frames - film[WATCH:]) ** 2).mean() for name, frames in errors.items()}
    for name, error in mean.items():
        print(f"  {name:30}{error:7.4f}")
    one_ahead = np.concatenate([0 * film[:1], drawn])
    films = {"truth": film[:, 0], "one ahead": one_ahead[:, 0], "dreamed": dreamed[:, 0]}
    return films, float(mean["GRU"] / mean["copy the last frame"])


def strips(axes: Any, films: dict[str, np.ndarray]) -> None:
    """Films (T, S * S) below each other, all frames from left to right, with a gap between."""
    gap = [(0, 0), (0, 3), (0, 2)]
    rows = [
        np.pad(film.reshape(T, S, S), gap, constant_values=0.5)
        .transpose(1, 0, 2)
        .reshape(S + 3, -1)
        for film in films.values()
    ]
    axes.imshow(np.concatenate(rows), "gray", vmin=0, vmax=1)
    axes.set_yticks([S / 2 + i * (S + 3) for i in range(len(films))], list(films))
    axes.set_xticks([S / 2 + t * (S + 2) for t in range(T)], range(T))
    axes.axvline(WATCH * (S + 2) - 1.5, c="tab:red", lw=2)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel(f"frame; from {WATCH} on (red line), the dreaming net sees only what it drew")


def main(args: argparse.Namespace) -> None:
    x, y, p, names, finding = recognise(args.quick)
    films, better = foresee(args.quick, args.seed)
    made, axes = figure(12, 6, "abcd;eeee", height_ratios=[1, 1.05])
    made.suptitle(f"{finding}; the first held-out recording of each:")
    time = np.arange(len(x)) / 10
    for key, name in zip("abcd", names):
        i = int(np.flatnonzero(y == name)[0])
        axes[key].plot(time, x[:, i, :3], lw=0.9)
        said = names[p[i].argmax()]
        axes[key].set(title=f"{name}: said {said}, p = {p[i].max():.2f}", xlabel="seconds")
        axes[key].title.set_size(10)
    axes["a"].set_ylabel("acceleration, x y z")
    strips(axes["e"], films)
    axes["e"].set_title(
        f"The next frame: the net's error is {better:.0%} of that of copying the last"
    )
    print(
        "see: the net draws where the digit will be, bounces included; dreaming, it soon loses it."
    )
    picture(args, made, "activity")


if __name__ == "__main__":
    run(main, __doc__)
