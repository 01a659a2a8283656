"""Why tanh: a vector that is transformed again and again explodes, unless it is squashed.

    python examples/why_tanh.py

A recurrent network applies the same transformation at every step. Take the vector (5, 0.1, -0.5)
and, as simple as it gets, multiply by 3:

    without   h_t = 3 h_{t-1}
    with      h_t = tanh(3 h_{t-1}),   tanh(x) between -1 and 1

The same with a matrix that mixes the three numbers, h_t = A h_{t-1}: what counts there is A's
spectral radius, the largest |eigenvalue|, and its rotation makes the numbers swing.

tanh keeps the values in bounds, not the gradients. By the chain rule, dh_T/dh_0 is a product of T
factors: 3 each without tanh; with it 3 (1 - h_t^2), and 1 - h_t^2 is nearly 0 where tanh is flat.
The last picture has what autograd says; examples/vanishing_gradient.py goes on from there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from lecture import figure, picture, run

import minigrad as mg

START = (5.0, 0.1, -0.5)
COLOURS = ("#d94801", "#2171b5", "#238b45")


def orbit(step: Callable[[Any], Any], start: Any, steps: int) -> list[Any]:
    """h_0 .. h_T: the start, and what comes after each step"""
    states = [start]
    for _ in range(steps):
        states.append(step(states[-1]))
    return states


def values(states: list[mg.Tensor]) -> np.ndarray:
    return np.array([h.detach().numpy() for h in states])  # (T + 1, 3)


def gradients(step: Callable[[Any], Any], steps: int) -> np.ndarray:
    """|dh_T/dh_0| of each of the three numbers, which do not mix: (T + 1, 3)"""
    start = mg.tensor(START, dtype=mg.float64, requires_grad=True)
    rows = []
    for h in orbit(step, start, steps):
        (g,) = mg.autograd.grad(h.sum(), start, retain_graph=True)
        rows.append(abs(g.numpy()))
    return np.array(rows)


def rotation(radius: float, rng: np.random.Generator) -> mg.Tensor:
    """A random rotation of space, times `radius`, which is then its spectral radius: (3, 3)"""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    return mg.tensor(radius * q * np.sign(np.diag(r)))


def draw(axes: Any, curves: np.ndarray, names: list[str]) -> None:
    """Curves (T + 1, n) against the step, each with its name."""
    for curve, colour, name in zip(curves.T, COLOURS, names, strict=True):
        axes.plot(curve, "o-", ms=3, lw=1.4, color=colour, label=name)
    axes.set_xlabel("step t")
    axes.grid(axis="y", color="#eeeeee")


def squash(axes: Any) -> None:
    """tanh, and where it takes the three numbers."""
    x = np.linspace(-6, 6, 300)
    axes.plot(x, np.tanh(x), color="#555555")
    for value, colour, place in zip(START, COLOURS, (0.8, 0.05, -0.55), strict=True):
        axes.plot(value, np.tanh(value), "o", color=colour)
        axes.text(1.8, place, f"tanh({value:g}) = {np.tanh(value):.4f}", color=colour)
    axes.set(title="tanh squashes into (-1, 1)", xlabel="x", ylabel="tanh x")


def main(args: argparse.Namespace) -> None:
    steps = 6 if args.quick else 12
    start = mg.tensor(START, dtype=mg.float64)
    free = values(orbit(lambda h: 3 * h, start, steps))
    bound = values(orbit(lambda h: (3 * h).tanh(), start, steps))
    print("tanh of (5, 0.1, -0.5) is", np.round(np.tanh(START), 4))
    print("\nstep        h = 3 h                           h = tanh(3 h)")
    for t in (0, 1, 2, 3, steps):
        left, right = (" ".join(f"{x:10.6g}" for x in v[t]) for v in (free, bound))
        print(f"{t:4}  {left}  {right}")
    print(f"after {steps} steps the largest number is {abs(free[-1]).max():.3g}",
          f"without tanh and {abs(bound[-1]).max():.3g} with it")  # fmt: skip

    rng = np.random.default_rng(args.seed)
    A = rotation(1.5, rng)
    free_A, bound_A = (values(orbit(f, start, steps)) for f in (
        lambda h: A @ h, lambda h: (A @ h).tanh()))  # fmt: skip
    print(f"a matrix of spectral radius 1.5: {abs(free_A[-1]).max():.3g} and",
          f"{abs(bound_A[-1]).max():.3g}")  # fmt: skip

    slope_free = gradients(lambda h: 3 * h, steps)
    slope = gradients(lambda h: (3 * h).tanh(), steps)
    print(f"gradient dh_T/dh_0 after {steps} steps: {slope_free[-1, 0]:.3g} without tanh;",
          "with it, " + ", ".join(f"{g:.0e}" for g in slope[-1]))  # fmt: skip

    made, axes = figure(13, 7, nrows=2, ncols=3)
    names = [f"starts at {x:g}" for x in START]
    for row, a, b, what, note in (
        (0, free, bound, "3 h", ""),
        (1, free_A, bound_A, "A h", ", A of spectral radius 1.5"),
    ):
        draw(axes[row, 0], a, names)
        axes[row, 0].set(title=f"without: {what}{note}", ylabel="h")
        draw(axes[row, 1], b, names)
        axes[row, 1].legend(frameon=False)
        axes[row, 1].axhspan(-1, 1, color="#eef4fa", zorder=0)
        axes[row, 1].set(title=f"with: tanh({what})", ylabel="h", ylim=(-1.2, 5.2))
    axes[0, 0].set_yscale("symlog", linthresh=1)
    axes[0, 0].set_ylabel("h (logarithmic beyond 1)")
    squash(axes[0, 2])
    axis = axes[1, 2]
    axis.semilogy(slope_free[:, 0], "o-", ms=3, color="#555555", label="3 h, from any start")
    for curve, colour, name in zip(slope.T, COLOURS, START, strict=True):
        axis.semilogy(curve, "o-", ms=3, lw=1.4, color=colour, label=f"tanh(3 h), from {name:g}")
    axis.set(title="and the gradient $|dh_t/dh_0|$", xlabel="step t", ylim=(1e-48, 1e12))
    axis.legend(frameon=False)
    made.suptitle("Without tanh the numbers explode; with tanh it is the gradient that vanishes")
    picture(args, made, "why_tanh")


if __name__ == "__main__":
    run(main, __doc__)
