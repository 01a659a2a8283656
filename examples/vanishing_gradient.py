"""The vanishing gradient: measured, cured, and what the cure is good for.

    python examples/vanishing_gradient.py

By the chain rule, what the error says about a state t steps back is a product of t factors,

    dE/dh_{T-t} = dE/dh_T  prod  dh_k/dh_{k-1},     dh_k/dh_{k-1} = diag(1 - h_k^2) W  for tanh

and a product of many factors below 1 is nothing: the update no longer moves the weight. The slide
says 2.1 - 0.001 = 2.0999 (it is 2.099, but yes: hardly); main() prints one from a real network.
What helps: another start (orthogonal W: it shrinks nothing by itself), ReLU (its slope is 1, but
then W has to be near 1, too: the usual small W vanishes all the faster), an optimiser that divides
by the gradient's size (Adam), and gates. In an LSTM's cell the factor is the forget gate, c_t = f_t
c_{t-1} + ..., and a bias b_f > 0 holds it open: sigma(0) = 0.5 leaves a thousandth after 10 steps,
sigma(1) = 0.73 after 22, sigma(4) = 0.98 after 380.

Two tasks need a long memory (Hochreiter and Schmidhuber 1997):
    adding   T pairs (number, mark); say the sum of the two marked numbers. Saying 1 costs 1/6
    recall   some symbols, then T blanks, then a mark: say the symbols again
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from lecture import figure, picture, progress, run

import minigrad as mg
from minigrad import nn, optim

F = nn.functional
H, B = 32, 50  # hidden units, batch
SYMBOLS, LENGTH = 4, 3  # of the recall task


def lstm(inputs: int, forget: float) -> nn.LSTM:
    return nn.init.forget_bias_(nn.LSTM(inputs, H), forget)


def orthogonal(inputs: int) -> nn.RNN:
    """A tanh RNN whose W is a rotation, without biases at first."""
    layer = nn.RNN(inputs, H)
    nn.init.orthogonal_(layer.weight_hh_l0)
    nn.init.zeros_(layer.bias_ih_l0)
    nn.init.zeros_(layer.bias_hh_l0)
    return layer


def identity_relu(inputs: int) -> nn.RNN:
    """A ReLU RNN with W = 1: it starts as a perfect memory (Le, Jaitly and Hinton 2015)."""
    layer = nn.RNN(inputs, H, nonlinearity="relu")
    nn.init.eye_(layer.weight_hh_l0)
    nn.init.zeros_(layer.bias_ih_l0)
    nn.init.zeros_(layer.bias_hh_l0)
    return layer


LAYERS: dict[str, Callable[[int], Any]] = {
    "RNN, tanh": lambda n: nn.RNN(n, H),
    "RNN, relu": lambda n: nn.RNN(n, H, nonlinearity="relu"),
    "RNN, tanh, orthogonal W": orthogonal,
    "RNN, relu, W = 1": identity_relu,
    "GRU": lambda n: nn.GRU(n, H),
    "LSTM, forget bias 0": lambda n: lstm(n, 0.0),
    "LSTM, forget bias 1": lambda n: lstm(n, 1.0),
    "LSTM, forget bias 4": lambda n: lstm(n, 4.0),
}
COLOURS = dict(zip(LAYERS, ("#d94801", "#fdae6b", "#7a0177", "#f768a1", "#238b45", "#c6dbef",
                            "#6baed6", "#08519c"), strict=True))  # fmt: skip

# ------------------------------------------------------------------------- how it vanishes


def by_distance(layer: Any, x: mg.Tensor) -> np.ndarray:
    """|d(sum of h_T)/dx_{T-t}| for t = 0 .. T-1, the nearest as 1: one backward gives them all"""
    x = x.to(mg.float64).detach().requires_grad_()  # float32 ends at 1e-45
    output, _ = layer.to(mg.float64)(x)
    output[-1].sum().backward()
    sizes = np.linalg.norm(x.grad.numpy(), axis=(1, 2))[::-1]
    return sizes / sizes[0]


def by_layer(depth: int, activation: type, gain: float, rate: float) -> tuple[np.ndarray, Any]:
    """|dE/dW| of each layer of a deep network, and a weight of the first, before and after a step

    Weights N(0, gain^2 / 32); the first weight is set to 2.1, as on the slide.
    """
    linears = [nn.Linear(32, 32) for _ in range(depth)]
    for linear in linears:
        nn.init.normal_(linear.weight, 0, gain / np.sqrt(32))
    with mg.no_grad():
        linears[0].weight[0, 0] = 2.1
    net = nn.Sequential(*[part for linear in linears for part in (linear, activation())])
    loss = F.mse_loss(net(mg.randn(64, 32)), mg.randn(64, 32))
    loss.backward()
    sizes = np.array([np.linalg.norm(linear.weight.grad.numpy()) for linear in linears])
    g = linears[0].weight.grad[0, 0].item()
    return sizes, (2.1, rate * g, 2.1 - rate * g)


# ------------------------------------------------------------------- tasks that need memory


def adding(rng: np.random.Generator, T: int) -> tuple[mg.Tensor, np.ndarray]:
    """x (T, B, 2): numbers in [0, 1), and two marks; the sum of the marked numbers (B, 1)"""
    x = np.zeros((T, B, 2), np.float32)
    x[..., 0] = rng.random((T, B))
    x[rng.integers(0, T // 2, B), range(B), 1] = 1
    x[rng.integers(T // 2, T, B), range(B), 1] = 1
    return mg.tensor(x), (x[..., 0] * x[..., 1]).sum(0)[:, None]


def recall(rng: np.random.Generator, T: int) -> tuple[mg.Tensor, np.ndarray]:
    """x (T + 2 LENGTH, B, SYMBOLS + 2), one-hot: symbols, blanks, mark; the symbols (LENGTH, B)"""
    symbols = rng.integers(0, SYMBOLS, (LENGTH, B))
    ids = np.full((T + 2 * LENGTH, B), SYMBOLS)  # blank
    ids[:LENGTH], ids[LENGTH + T - 1] = symbols, SYMBOLS + 1
    return mg.tensor(np.eye(SYMBOLS + 2, dtype=np.float32)[ids]), symbols


def judge(task: Callable, head: Any, output: Any, target: np.ndarray) -> tuple[Any, float]:
    """The loss, and what is reported: the squared error, or the symbols that are right"""
    if task is adding:
        loss = F.mse_loss(head(output[-1]), mg.tensor(target))
        return loss, loss.item()
    scores = head(output[-LENGTH:])
    loss = F.cross_entropy(scores.reshape(-1, SYMBOLS), mg.tensor(target.reshape(-1)))
    return loss, float((scores.detach().numpy().argmax(-1) == target).mean())


def train(
    name: str, task: Callable, T: int, steps: int, seed: int, optimiser: Any = optim.Adam,
    lr: float = 0.01,
) -> tuple[Any, np.ndarray]:  # fmt: skip
    """A layer of LAYERS on a task; what was reported at each step, as a mean of 50."""
    mg.manual_seed(seed)
    rng = np.random.default_rng(seed)
    inputs, outputs = (2, 1) if task is adding else (SYMBOLS + 2, SYMBOLS)
    layer, head = LAYERS[name](inputs), nn.Linear(H, outputs)
    parameters = [*layer.parameters(), *head.parameters()]
    step, reports = optimiser(parameters, lr=lr), []
    for _ in progress(range(steps), f"{task.__name__}: {name}"):
        x, target = task(rng, T)
        loss, report = judge(task, head, layer(x)[0], target)
        step.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        step.step()
        reports.append(report)
    return layer, np.convolve(reports, np.full(50, 1 / 50), "valid")


# ----------------------------------------------------------------------------- the pictures


def show_distance(axes: Any, T: int) -> None:
    """Untrained layers, after T steps."""
    x = mg.randn(T, 16, 8)
    print(f"gradient of the last output at the input t steps before, against the last input, "
          f"at t = 10 and {T - 1}")  # fmt: skip
    for name, make in LAYERS.items():
        sizes = by_distance(make(8), x)
        axes.semilogy(sizes, color=COLOURS[name], label=name)
        print(f"  {name:<26}{sizes[10]:8.0e}{sizes[-1]:8.0e}")
    axes.set(title="untrained: gradient against distance", xlabel="steps back in time",
             ylabel="relative to the last step", ylim=(1e-30, 1e14))  # fmt: skip
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")


def show_depth(axes: Any) -> None:
    """Deep and shallow networks without time, and what becomes of the slide's 2.1."""
    print("\none step of gradient descent, rate 0.1, on a weight 2.1 of the first layer")
    for depth, activation, gain, colour in (
        (3, nn.Sigmoid, 1.0, "#6baed6"),
        (12, nn.Sigmoid, 1.0, "#d94801"),
        (12, nn.ReLU, np.sqrt(2), "#238b45"),
    ):
        sizes, (before, change, after) = by_layer(depth, activation, gain, 0.1)
        name = f"{depth} layers, {activation.__name__.lower()}"
        print(f"  {name:<19}{before} - ({change:.1e}) = {after:.12g}")
        axes.semilogy(range(1, depth + 1), sizes, "o-", color=colour, label=name)
    axes.set(title="deep and shallow: gradient by layer", xlabel="layer", ylabel="|dE/dW|")
    axes.legend(frameon=False)


def show_remedies(axes: Any, T: int, steps: int, seed: int) -> None:
    """What helps a plain RNN to recall over T blanks."""
    print(f"\nremedies: symbols recalled over {T} blanks after {steps} steps; a guess has 25 %")
    for name, layer, optimiser, lr, colour in (
        ("tanh, SGD", "RNN, tanh", optim.SGD, 0.1, "#d94801"),
        ("orthogonal W", "RNN, tanh, orthogonal W", optim.SGD, 0.1, "#7a0177"),
        ("ReLU, W = 1", "RNN, relu, W = 1", optim.SGD, 0.1, "#f768a1"),
        ("Adam", "RNN, tanh", optim.Adam, 0.003, "#fdae6b"),
        ("Adam and orthogonal W", "RNN, tanh, orthogonal W", optim.Adam, 0.003, "#555555"),
    ):
        _, right = train(layer, recall, T, steps, seed, optimiser, lr)
        print(f"  {name:<24}{right[-1]:6.1%}")
        axes.plot(right, color=colour, label=name)
    axes.set(title=f"remedies, RNN: recall over {T} blanks", xlabel="step",
             ylabel="symbols right", ylim=(0, 1.4))  # fmt: skip
    axes.legend(frameon=False, ncols=2)


def show_memory(axes: Any, T_add: int, T_recall: int, steps: int, seed: int) -> None:
    """Both tasks, learned by three layers, and the gradients of those that learned recall."""
    sums, symbols, trained = axes
    x, _ = recall(np.random.default_rng(seed), 100)
    print(f"\nafter {steps} steps     adding, {T_add} numbers: squared error   recall, {T_recall} "
          "blanks: symbols right")  # fmt: skip
    for name in ("RNN, tanh", "LSTM, forget bias 4", "GRU"):
        _, error = train(name, adding, T_add, steps, seed)
        layer, right = train(name, recall, T_recall, steps, seed)
        print(f"  {name:<22}{error[-1]:20.4f}{right[-1]:38.1%}")
        sums.semilogy(error, color=COLOURS[name], label=name)
        symbols.plot(right, color=COLOURS[name], label=name)
        trained.semilogy(by_distance(layer, x), color=COLOURS[name], label=name)
    sums.axhline(1 / 6, color="#555555", ls=":", label="always saying 1")
    symbols.axhline(1 / SYMBOLS, color="#555555", ls=":", label="guessing")
    sums.set(title=f"adding, {T_add} numbers", xlabel="step", ylabel="squared error",
             ylim=(2e-6, 0.5))  # fmt: skip
    symbols.set(title=f"recall over {T_recall} blanks", xlabel="step", ylabel="symbols right",
                ylim=(0, 1.4))  # fmt: skip
    trained.set(title="trained on recall: gradient against distance", xlabel="steps back in time",
                ylabel="relative to the last step", ylim=(1e-22, 1e6))  # fmt: skip
    for one in (sums, trained):
        one.legend(frameon=False, loc="lower left")
    symbols.legend(frameon=False, ncols=2, loc="upper left")


def main(args: argparse.Namespace) -> None:
    made, ((distance, layers, remedies), memory) = figure(15, 9, nrows=2, ncols=3)
    show_distance(distance, 50 if args.quick else 100)
    show_depth(layers)
    show_remedies(remedies, *((10, 100) if args.quick else (20, 1500)), args.seed)
    show_memory(memory, *((10, 15, 300) if args.quick else (60, 40, 2000)), args.seed)
    made.suptitle("Gradients vanish with distance; gates that hold the past let them through")
    picture(args, made, "vanishing_gradient")


if __name__ == "__main__":
    run(main, __doc__)
