"""Training by hand: a recurrence with two numbers to learn, and its derivatives three times over.

    python examples/training_by_hand.py

The smallest recurrent network has no squashing and two weights, u for the input, w for the state:

    h_t = u x_t + w h_{t-1},   h_0 = 0,      E = 1/N sum_t (y_t - h_t)^2

How does h_t change with u and w? Through this step, and through the step before, which depends on
them as well. So the derivatives obey recurrences of their own:

    dh_t/du = x_t + w dh_{t-1}/du            dE/du = 2/N sum_t (h_t - y_t) dh_t/du
    dh_t/dw = h_{t-1} + w dh_{t-1}/dw        dE/dw = 2/N sum_t (h_t - y_t) dh_t/dw

Finite differences, (E(u + e) - E(u - e)) / 2e, and autograd must give the same two numbers. Then
gradient descent, u <- u - a dE/du and the same for w, walks down the surface E(u, w). Beyond w = 1
the memory grows at every step, and the surface is a cliff: there one step throws u and w far away,
unless the gradient's length is clipped.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
from lecture import figure, picture, progress, run

import minigrad as mg
from minigrad.autograd import grad

N = 20  # steps of the sequence
TRUE = (0.6, 0.8)  # the u and w that made the data
RATE, CLIP = 0.05, 1.0
STARTS = {  # where gradient descent starts, and the bound on its gradient
    "from the valley": ((-0.8, -0.2), math.inf),
    "from the cliff": ((1.2, 1.3), math.inf),
    "from the cliff, clipped": ((1.2, 1.3), CLIP),
}


def states(u: Any, w: Any, x: np.ndarray) -> list[Any]:
    """h_1 .. h_N; u and w may be numbers, arrays of them, or tensors"""
    h, found = 0.0 * u, []
    for x_t in x:
        h = u * x_t + w * h
        found.append(h)
    return found


def error(u: Any, w: Any, x: np.ndarray, y: np.ndarray) -> Any:
    """E = 1/N sum (y - h)^2"""
    return sum((y_t - h) ** 2 for y_t, h in zip(y, states(u, w, x), strict=True)) / len(x)


def by_hand(u: float, w: float, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """dE/du and dE/dw, by the recurrences"""
    h = dh_du = dh_dw = dE_du = dE_dw = 0.0
    for x_t, y_t in zip(x, y, strict=True):
        dh_du = x_t + w * dh_du
        dh_dw = h + w * dh_dw  # h is still h_{t-1} here
        h = u * x_t + w * h
        dE_du += 2 / len(x) * (h - y_t) * dh_du
        dE_dw += 2 / len(x) * (h - y_t) * dh_dw
    return dE_du, dE_dw


def by_differences(u: float, w: float, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The same, from four values of E"""
    e = 1e-6
    along_u = (error(u + e, w, x, y) - error(u - e, w, x, y)) / (2 * e)
    along_w = (error(u, w + e, x, y) - error(u, w - e, x, y)) / (2 * e)
    return along_u, along_w


def by_autograd(u: float, w: float, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The same, from the recording of E's calculation"""
    tu, tw = (mg.tensor(v, dtype=mg.float64, requires_grad=True) for v in (u, w))
    g_u, g_w = grad(error(tu, tw, x, y), [tu, tw])
    return g_u.item(), g_w.item()


def descend(start: tuple[float, float], bound: float, steps: int, x: Any, y: Any) -> np.ndarray:
    """u, w and E of each step: (steps + 1, 3); it ends early where E leaves all bounds"""
    (u, w), path = start, []
    for _ in progress(range(steps + 1), "descent"):
        path.append((u, w, error(u, w, x, y)))
        if not path[-1][2] < 1e12:
            break
        g = np.array(by_hand(u, w, x, y))
        g *= min(1.0, bound / np.linalg.norm(g))
        u, w = u - RATE * g[0], w - RATE * g[1]
    return np.array(path)


def surface(axes: Any, x: np.ndarray, y: np.ndarray) -> None:
    """E(u, w) as contours of its logarithm."""
    u, w = np.meshgrid(np.linspace(-1.2, 1.8, 241), np.linspace(-0.8, 1.5, 241))
    levels = np.logspace(-3, 5, 17)
    E = np.clip(error(u, w, x, y), levels[0], levels[-1])
    drawn = axes.contourf(u, w, E, levels=levels, norm="log", cmap="Blues", alpha=0.8)
    axes.figure.colorbar(drawn, ax=axes, label="E", ticks=10.0 ** np.arange(-3, 6))
    axes.axhline(1, color="#555555", lw=0.8, ls=":")
    axes.plot(*TRUE, "*", color="k", ms=12)
    axes.set(xlabel="u", ylabel="w", xlim=(-1.2, 1.8), ylim=(-0.8, 1.5))


def main(args: argparse.Namespace) -> None:
    rng = np.random.default_rng(args.seed)
    x = rng.standard_normal(N)
    y = np.array(states(*TRUE, x))

    ways = {"by hand": by_hand, "finite differences": by_differences, "autograd": by_autograd}
    print("at u = 0.3, w = 0.5        dE/du               dE/dw")
    for name, way in ways.items():
        print(f"{name:<20}{way(0.3, 0.5, x, y)[0]:19.15f} {way(0.3, 0.5, x, y)[1]:19.15f}")

    steps = 120 if args.quick else 480
    made, (left, right) = figure(12, 5, ncols=2)
    surface(left, x, y)
    print(f"\ngradient descent, {steps} steps of rate {RATE}; the data were made with "
          f"u = {TRUE[0]}, w = {TRUE[1]}")  # fmt: skip
    for (name, (start, bound)), colour in zip(
        STARTS.items(), ("#238b45", "#d94801", "#7a0177"), strict=True
    ):
        path = descend(start, bound, steps, x, y)
        u, w, E = path[-1]
        print(f"{name:<24} u {u:9.3g}, w {w:9.3g}, E {E:9.2g} at step {len(path) - 1}")
        left.plot(path[:, 0], path[:, 1], ".-", color=colour, ms=4, lw=1)
        label = name if E < 1 else f"{name}: E = {E:.0e} after one step"
        right.semilogy(path[:, 2], color=colour, label=label)
    left.set_title("the error surface, and the way down to the star")
    right.set(title="the error on the way", xlabel="step", ylabel="E", ylim=(1e-20, 1e8))
    right.legend(frameon=False)
    made.suptitle("Beyond w = 1 the surface is a cliff: one step from there leaves the picture, "
                  "unless it is clipped")  # fmt: skip
    picture(args, made, "training_by_hand")


if __name__ == "__main__":
    run(main, __doc__)
