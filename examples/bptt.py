"""Backpropagation through time: forward, cost, backward, update, on a network of five steps.

    python examples/bptt.py

Unfolded in time, the network is a deep one whose layers share their weights:

    forward   h_t = tanh(U x_t + W h_{t-1}),   y_t = v . h_t
    cost      E = 1/T sum_t (y_t - target_t)^2

Backward, from the last step to the first: delta_t is dE/d(U x_t + W h_{t-1}). h_t is at fault for
its own error and, through W, for that of all the steps that come after it:

    dE/dh_t = 2/T (y_t - target_t) v + W^T delta_{t+1}
    delta_t = (1 - h_t^2) dE/dh_t                            tanh' = 1 - tanh^2
    dE/dW   = sum_t delta_t h_{t-1}^T                        one contribution for each step
    update    W <- W - a dE/dW

As W is the same at every step, its gradient is the sum. That can be taken literally: give every
step a copy of W of its own, and autograd returns each step's contribution by itself.

The task: say what the input was two steps ago.
"""

from __future__ import annotations

import argparse

import numpy as np
from lecture import figure, picture, progress, run

import minigrad as mg

T, H, DELAY, RATE = 5, 6, 2, 0.3


def parameters(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U (H, 1), W (H, H), v (H)"""
    return (rng.normal(0, 0.5, (H, 1)), rng.normal(0, 1 / np.sqrt(H), (H, H)),
            rng.normal(0, 0.5, H))  # fmt: skip


def sequence(rng: np.random.Generator, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """x (T, 1), and what it was DELAY steps ago (T)"""
    x = rng.uniform(-1, 1, (steps, 1))
    return x, np.concatenate([np.zeros(DELAY), x[:-DELAY, 0]])


def forward(U: np.ndarray, W: np.ndarray, x: np.ndarray) -> np.ndarray:
    """h_0 .. h_T: (T + 1, H)"""
    h = [np.zeros(H)]
    for x_t in x:
        h.append(np.tanh(U @ x_t + W @ h[-1]))
    return np.array(h)


def backward(
    W: np.ndarray, v: np.ndarray, h: np.ndarray, y: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """delta_1 .. delta_T: (T, H)"""
    steps = len(y)
    delta = np.zeros((steps + 1, H))  # after the last step there is nothing to be at fault for
    for t in reversed(range(steps)):
        dE_dh = 2 / steps * (y[t] - target[t]) * v + W.T @ delta[t + 1]
        delta[t] = (1 - h[t + 1] ** 2) * dE_dh  # h has one row more: h[t + 1] is this step's
    return delta[:-1]


def autograd(
    U: np.ndarray, W: np.ndarray, v: np.ndarray, x: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """dE/dW from `backward()`, and the contributions (T, H, H), from a copy of W for each step."""
    shared = mg.tensor(W, requires_grad=True)
    copies = [mg.tensor(W, requires_grad=True) for _ in x]
    for matrices in ([shared] * len(x), copies):
        h, E = mg.zeros(H, dtype=mg.float64), 0.0
        for x_t, W_t, target_t in zip(x, matrices, target, strict=True):
            h = (mg.tensor(U @ x_t) + W_t @ h).tanh()
            E = E + (mg.tensor(v) @ h - target_t) ** 2 / len(x)
        E.backward()
    return shared.grad.numpy(), np.array([copy.grad.numpy() for copy in copies])


def train(
    U: np.ndarray, W: np.ndarray, v: np.ndarray, rng: np.random.Generator, updates: int
) -> list[float]:
    """The costs of `updates` sequences of 20 steps, with an update after each, in place."""
    costs = []
    for _ in progress(range(updates), "training"):
        x, target = sequence(rng, 20)
        h = forward(U, W, x)
        y = h[1:] @ v
        delta = backward(W, v, h, y, target)
        costs.append(np.mean((y - target) ** 2))
        v -= RATE * h[1:].T @ (2 / len(x) * (y - target))
        W -= RATE * delta.T @ h[:-1]  # sum_t delta_t h_{t-1}^T
        U -= RATE * delta.T @ x
    return costs


def main(args: argparse.Namespace) -> None:
    rng = np.random.default_rng(args.seed)
    U, W, v = parameters(rng)
    x, target = sequence(rng, T)

    h = forward(U, W, x)
    y = h[1:] @ v
    E = np.mean((y - target) ** 2)
    delta = backward(W, v, h, y, target)
    parts = np.einsum("ti,tj->tij", delta, h[:-1])  # delta_t h_{t-1}^T: (T, H, H)
    shared, copies = autograd(U, W, v, x, target)
    print("step     x_t     y_t  target   |delta_t|   its part of dE/dW[0, 0]: by hand, autograd")
    for t in range(T):
        size = np.linalg.norm(delta[t])
        print(f"{t + 1:4} {x[t, 0]:7.3f} {y[t]:7.3f} {target[t]:7.3f} {size:11.4f}"
              f"   {parts[t, 0, 0]:31.12f} {copies[t, 0, 0]:15.12f}")  # fmt: skip
    print(f"{'sum':>4} {parts[:, 0, 0].sum():67.12f} {copies[:, 0, 0].sum():15.12f}")
    print(f"loss.backward() gives dE/dW[0, 0] = {shared[0, 0]:.12f};",
          f"all of dE/dW differs by {abs(parts.sum(0) - shared).max():.0e} at most")  # fmt: skip

    W_new = W - RATE * parts.sum(0)
    E_new = np.mean((forward(U, W_new, x)[1:] @ v - target) ** 2)
    print(f"one update of W: E {E:.6f} -> {E_new:.6f}")
    costs = train(U, W, v, rng, 300 if args.quick else 3000)
    print(f"{len(costs)} updates of U, W and v: E {costs[0]:.4f} ->",
          f"{np.mean(costs[-50:]):.5f}; saying 0 costs 0.30")  # fmt: skip

    made, (left, middle, right) = figure(13, 4.2, ncols=3)
    steps = np.arange(1, T + 1)
    left.plot(steps, x, "o-", color="#555555", label="input x")
    left.plot(steps, target, "s--", color="#238b45", label="target: x two steps ago")
    left.plot(steps, y, "o-", color="#2171b5", label="output y, untrained")
    left.plot(steps, forward(U, W, x)[1:] @ v, "o:", color="#d94801", label="output y, trained")
    left.set(title="forward", xlabel="step t", ylim=(-1.1, 2.2), xticks=steps)
    middle.bar(steps, np.linalg.norm(parts, axis=(1, 2)), color="#d94801")
    middle.text(1, 0.005, "0, as\n$h_0 = 0$", ha="center")
    middle.set(title="backward: each step's part of dE/dW", xlabel="step t",
               ylabel="Frobenius norm", xticks=steps)  # fmt: skip
    mean = np.convolve(costs, np.full(20, 1 / 20), "valid")
    right.loglog(np.arange(1, len(costs) + 1), costs, color="#9ecae1", lw=0.7)
    right.loglog(np.arange(20, len(costs) + 1), mean, color="#2171b5", label="mean of 20")
    right.legend(frameon=False)
    right.set(title="update, again and again", xlabel="updates", ylabel="cost E")
    left.legend(frameon=False)
    made.suptitle("Every step has its part in dE/dW; going down their sum, the network learns")
    picture(args, made, "bptt")


if __name__ == "__main__":
    run(main, __doc__)
