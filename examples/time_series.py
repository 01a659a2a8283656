"""What comes next in a series: sunspots and carbon dioxide, forecast by a recurrent net.

    python examples/time_series.py

The slide's "values of the last N steps, shifted by one": reads x_1 .. x_N and says x_2 .. x_N+1.
The same net is trained in two ways:

    sequence to sequence   a next value at every step; goes on from what it said itself
    sequence to vector     only after the last step, but all K values to come at once

Both are judged on the end of the series, held out from the training, and have to beat what needs no
net: the last value again, and last season's value with the change since then.

Letters: T steps, N in a window, K to forecast, B windows.
"""

from __future__ import annotations

import argparse
import copy
from typing import Any, NamedTuple

import numpy as np
from lecture import bars, figure, packaged, picture, progress, run

import minigrad as mg
from minigrad import nn, optim

HIDDEN = 32
NETS = ("sequence to sequence", "sequence to vector")


class Series(NamedTuple):
    """A series x (T), and how it is asked about."""

    name: str
    unit: str
    step: str
    time: np.ndarray  # (T), years
    x: np.ndarray  # (T)
    grows: bool
    window: int  # N
    ahead: int  # K
    season: int  # steps
    held_out: int  # steps at the end

    def inward(self) -> tuple[np.ndarray, float, float]:
        """z (T), without trend and about 0 +- 1, with the known part's mean and spread."""
        z = np.diff(self.x, prepend=self.x[0]) if self.grows else np.sqrt(self.x)
        known = z[: -self.held_out]
        mean, spread = known.mean(), known.std()
        return ((z - mean) / spread).astype(np.float32), mean, spread

    def outward(self, forecast: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The way back: forecasts (K, B) of the steps from at (B) on."""
        _, mean, spread = self.inward()
        z = forecast * spread + mean
        return self.x[at - 1] + z.cumsum(0) if self.grows else z.clip(0) ** 2

    def naive(self, at: np.ndarray) -> dict[str, np.ndarray]:
        """Forecasts (K, B) of those who have no net."""
        k = np.arange(self.ahead)[:, None]
        season = self.x[at - self.season + k % self.season]
        return {
            "last value": self.x[at - 1] + 0 * k,
            "last season": season,
            "last season + change": season + self.x[at - 1] - self.x[at - 1 - self.season],
        }


def sunspots() -> Series:
    """Sunspots by the year, 1700 to 2008: cycles of 9 to 14 years, no two of the same height."""
    path = packaged("statsmodels", "datasets/sunspots/sunspots.csv")
    year, x = np.loadtxt(path, delimiter=",", skiprows=1).T
    return Series("sunspots", "sunspots", "year", year, x, False, 33, 5, 11, 60)


def co2() -> Series:
    """CO2 over Mauna Loa by the month, 1958 to 2001, from weeks; empty months are interpolated."""
    path = packaged("statsmodels", "datasets/co2/co2.csv")
    date, x = np.genfromtxt(path, delimiter=",", skip_header=1).T
    date, x = date[~np.isnan(x)], x[~np.isnan(x)]
    month, at = np.unique(date // 10000 * 12 + date // 100 % 100 - 1, return_inverse=True)
    t = np.arange(month[0], month[-1] + 1)
    x = np.interp(t, month, np.bincount(at, x) / np.bincount(at))
    return Series("CO2", "CO2, ppm", "month", t / 12, x, True, 36, 12, 12, 120)


def windows(z: np.ndarray, first: int, last: int, at: np.ndarray) -> np.ndarray:
    """z from step at + first to before at + last: (last - first, B)"""
    return z[np.arange(first, last)[:, None] + at]


def least_squares(s: Series, z: np.ndarray, known: np.ndarray, at: np.ndarray) -> np.ndarray:
    """What follows at (B), each of the K values a weighted sum of the window's N: (K, B)"""
    x, y = windows(z, -s.window, 0, known), windows(z, 0, s.ahead, known)
    weights = np.linalg.lstsq(np.pad(x.T, ((0, 0), (0, 1)), constant_values=1), y.T)[0]
    return weights[:-1].T @ windows(z, -s.window, 0, at) + weights[-1][:, None]


def forecast(model: Any, x: np.ndarray, ahead: int) -> np.ndarray:
    """What follows the windows x (N, B): (K, B)"""
    with mg.no_grad():
        if isinstance(model, nn.ManyToOne):
            return model(mg.tensor(x[..., None])).numpy().T
        y, state = model(mg.tensor(x[..., None]))
        made = [y[-1:]]
        while len(made) < ahead:
            y, state = model(made[-1], state)  # its own output is its next input
            made.append(y)
        return np.concatenate([m.numpy()[..., 0] for m in made])


def train(s: Series, kind: str, z: np.ndarray, known: np.ndarray, steps: int) -> Any:
    """The net of the best step, judged on windows that lie between training and held-out end."""
    N, K = s.window, s.ahead
    both = windows(z, -N, K, known)  # (N + K, B)
    both, check = both[:, : -s.held_out // 2], both[:, K - s.held_out // 2 :]
    gru = nn.GRU(1, HIDDEN)
    if kind == "sequence to sequence":
        model, target = nn.ManyToMany(gru, nn.Linear(HIDDEN, 1)), both[1 : N + 1, :, None]
    else:
        model, target = nn.ManyToOne(gru, nn.Linear(HIDDEN, K)), both[N:].T
    x, y = mg.tensor(both[:N, :, None]), mg.tensor(target)
    optimiser = optim.Adam(model.parameters(), lr=0.01)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    least, best = np.inf, model.state_dict()
    for step in progress(range(steps), f"{s.name}, {kind}"):
        output = model(x)[0] if kind == "sequence to sequence" else model(x)
        loss = nn.functional.mse_loss(output, y)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        scheduler.step()
        if step % 5 == 4:
            error = np.abs(forecast(model, check[:N], K) - check[N:]).mean()
            if error < least:
                least, best = error, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return model


def draw(axes: Any, s: Series, at: np.ndarray, forecasts: np.ndarray, label: str) -> None:
    """The truth, and forecasts (K, B) from every K-th step of the held-out end."""
    axes.plot(s.time[-130:], s.x[-130:], "k", lw=1, label="truth")
    axes.axvspan(s.time[at[0]], s.time[-1], color="tab:blue", alpha=0.07, lw=0)
    axes.annotate(" held out", (s.time[at[0]], 0.02), None, ("data", "axes fraction"), c="tab:blue")
    for b in range(0, len(at), s.ahead):
        steps = slice(at[b] - 1, at[b] + s.ahead)
        line = np.append(s.x[at[b] - 1], forecasts[:, b])
        axes.plot(s.time[steps], line, "tab:red", lw=1.8, marker="o", markevery=[0], ms=4,
                  label=label if b == 0 else None)  # fmt: skip
    axes.set(xlabel="year", ylabel=s.unit)
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def main(args: argparse.Namespace) -> None:
    made_figure, grid = figure(11, 6.5, nrows=2, ncols=2, width_ratios=[3, 1])
    for (left, right), s in zip(grid, (sunspots(), co2())):
        z, end, K = s.inward()[0], len(s.x) - s.held_out, s.ahead
        known = np.arange(s.window + 1, end - K + 1)  # steps at which a forecast begins
        at = np.arange(end, len(z) - K + 1)  # the same, held out
        made = s.naive(at)
        naive = list(made)
        made["least squares"] = s.outward(least_squares(s, z, known, at), at)
        for kind in NETS:
            model = train(s, kind, z, known, 100 if args.quick else 400)
            made[kind] = s.outward(forecast(model, windows(z, -s.window, 0, at), K), at)

        errors = {name: np.abs(y - windows(s.x, 0, K, at)) for name, y in made.items()}
        print(f"{s.name}: mean error in the {s.held_out} {s.step}s held out")
        print(f"{'':24}{f'next {s.step}':>12}{f'next {K} {s.step}s':>16}")
        for name, error in errors.items():
            print(f"  {name:22}{error[0].mean():12.2f}{error.mean():16.2f}")
        least, guess = (min(errors[name].mean() for name in some) for some in (NETS, naive))
        draw(left, s, at, made[NETS[0]], f"{NETS[0]}, {K} {s.step}s from each dot")
        left.set_title(f"{s.name}: a net errs by {least:.2f}, the best naive guess by {guess:.2f}")
        bars(right, {name: error.mean() for name, error in errors.items()}, NETS)
        right.set_title(f"mean error, next {K} {s.step}s")
    print("see: how far each net is below what learns nothing; and that least squares, which learn")
    print("but have no steps, are no worse: a series so short and regular can do without a net.")
    picture(args, made_figure, "time_series")


if __name__ == "__main__":
    run(main, __doc__)
