"""What is for dinner? A recurrent network small enough to set its weights by hand.

    python examples/dinner_schedule.py

Burger, pizza and salad take turns. A food is a one-hot vector, and the simple cycle a permutation:

    food_t = P food_{t-1}

Now the weather has a say: on a sunny day the cook makes the next food, on a rainy one there are
leftovers. The food matrix (6x3) proposes both, leftovers in rows 1 to 3 and the next food in rows
4 to 6; the weather matrix (6x2) votes for one half. What has a proposal and a vote adds up to 2:
only that gets past the threshold, and merging (6 -> 3) adds the halves up:

    food_t = M relu(F food_{t-1} + W weather_t + b),   M = (1 1),  b = -1

Yesterday's output is today's input, so this is a recurrent network. First the weights are set by
hand; then a network that starts from random ones has to find them in weeks of weather and dinners.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from lecture import fail, figure, picture, progress, run

import minigrad as mg
from minigrad import nn, optim

FOODS = ("burger", "pizza", "salad")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")
WEEK = np.array([True, False, True, True, False])  # sunny?
P = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])  # burger -> pizza -> salad -> burger
ONE = np.eye(3, dtype=np.float32)
M = np.hstack([ONE, ONE])  # merge (3, 6): a food's leftover row + its next-food row
STARTS, ERROR = 20, 1e-3


class Dinner(nn.Module):
    """weather (B, 2), food (B, 3) -> food (B, 3): M relu(F food + W weather + b)"""

    def __init__(self) -> None:
        super().__init__()
        self.input_size, self.state_size = 2, 3  # what nn.Recurrent asks for
        self.food = nn.Linear(3, 6, bias=False)  # F
        self.weather = nn.Linear(2, 6)  # W and b
        self.leak = 0.0  # slope of relu's flat side

    def hidden(self, weather: mg.Tensor, food: mg.Tensor) -> mg.Tensor:
        return nn.functional.leaky_relu(self.food(food) + self.weather(weather), self.leak)

    def forward(self, weather: mg.Tensor, food: mg.Tensor) -> mg.Tensor:
        return self.hidden(weather, food) @ mg.tensor(M.T)


def by_hand() -> Dinner:
    """The weights of the lecture."""
    cook = Dinner()
    leftover, following = np.eye(3), P
    rain, sun = np.repeat([[0, 1]], 3, axis=0), np.repeat([[1, 0]], 3, axis=0)
    with mg.no_grad():
        cook.food.weight.copy_(np.vstack([leftover, following]))
        cook.weather.weight.copy_(np.vstack([rain, sun]))
        cook.weather.bias.copy_(np.full(6, -1.0))
    return cook


def schedules(rng: np.random.Generator, days: int, count: int) -> tuple[Any, Any, np.ndarray]:
    """weather (T, B, 2), the dinner before (1, B, 3), and the dinners (T, B) that follow"""
    sunny = rng.random((days, count)) < 0.5
    first = rng.integers(0, 3, count)
    weather = np.stack([sunny, ~sunny], -1).astype(np.float32)
    return mg.tensor(weather), mg.tensor(ONE[first][None]), (first + sunny.cumsum(0)) % 3


def learn(rng: np.random.Generator, steps: int, label: str) -> tuple[Dinner, float]:
    """A cook that has seen `steps` batches of 32 weeks, and its last squared error."""
    cook = Dinner()
    net, optimiser = nn.Recurrent(cook), optim.Adam(cook.parameters(), lr=20 / steps)
    for step in progress(range(steps), label):
        cook.leak = max(0.0, 0.3 - 0.5 * step / steps)  # a unit that is off can still come back
        weather, before, dinners = schedules(rng, 5, 32)
        output, _ = net(weather, before)
        loss = nn.functional.mse_loss(output, mg.tensor(ONE[dinners]))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(cook.parameters(), 1.0)
        optimiser.step()
    return cook, loss.item()


def activity(cook: Dinner, weather: Any, before: Any) -> np.ndarray:
    """relu(F food + W weather + b) on each day of one schedule: (6, T)"""
    with mg.no_grad():
        output, _ = nn.Recurrent(cook)(weather, before)  # (T, 1, 3)
        return cook.hidden(weather, mg.cat([before, output[:-1]])).numpy()[:, 0].T


def situations(cook: Dinner) -> np.ndarray:
    """relu(F food + W weather + b) of three foods in sun, then in rain: (6, 6)"""
    weather, food = np.repeat(np.eye(2), 3, axis=0), np.vstack([ONE, ONE])
    with mg.no_grad():
        return cook.hidden(mg.tensor(weather.astype(np.float32)), mg.tensor(food)).numpy().T


def right(cook: Dinner, rng: np.random.Generator, days: int = 100) -> float:
    """How many of the dinners of 200 long schedules the cook gets right."""
    weather, before, dinners = schedules(rng, days, 200)
    with mg.no_grad():
        output, _ = nn.Recurrent(cook)(weather, before)
    return float((output.numpy().argmax(-1) == dinners).mean())


def align(cook: Dinner, like: Dinner) -> None:
    """Exchanges a food's two units where they learned each other's part: which is which is free."""
    order, hidden, wanted = np.arange(6), situations(cook), situations(like)
    for k in range(3):
        pair = [k, k + 3]
        if abs(hidden[pair[::-1]] - wanted[pair]).sum() < abs(hidden[pair] - wanted[pair]).sum():
            order[pair] = pair[::-1]
    with mg.no_grad():
        for p in cook.parameters():
            p.copy_(p[order])


def draw(axes: Any, matrix: np.ndarray, title: str, columns: Any, rows: Any = ()) -> None:
    """A matrix as colours and numbers."""
    axes.imshow(matrix, cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto")
    for (i, j), value in np.ndenumerate(matrix):
        text = f"{value + 0:.1f}".replace("-0.0", "0.0").removesuffix(".0")
        axes.text(j, i, text, ha="center", va="center", color="white" if abs(value) > 1.2 else "k")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_title(title, fontsize=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def print_week(hand: Dinner, weather: mg.Tensor, hidden: np.ndarray) -> list[str]:
    """Every sum of the week; weather (5, 1, 2), hidden (6, 5). What there is for dinner."""
    menu = [FOODS[k] for k in (M @ hidden).argmax(0)]
    print("\nby hand      F food + W weather    relu(that - 1)        merged   dinner")
    for t, day in enumerate(DAYS):
        yesterday = ONE[0] if t == 0 else M @ hidden[:, t - 1]
        with mg.no_grad():
            total = (hand.food(mg.tensor(yesterday)) + hand.weather(weather[t, 0]) + 1).numpy()
        cells = [
            "".join(f" {abs(x):.0f}" for x in v) for v in (total, hidden[:, t], M @ hidden[:, t])
        ]
        sky = "sun" if WEEK[t] else "rain"
        print(f"{day} {sky:<6}{cells[0]:<22}{cells[1]:<22}{cells[2]:<9}{menu[t]}")
    return menu


def found(rng: np.random.Generator, steps: int) -> Dinner:
    """A cook who has learned it; a start that gets stuck is followed by another."""
    for start in range(1, STARTS + 1):
        cook, error = learn(rng, steps, f"start {start}")
        print(f"start {start}: squared error {error:.1e}" + " (stuck: again)" * (error > ERROR))
        if error < ERROR:
            return cook
    fail(f"stuck from {STARTS} random starts: try another --seed")


def main(args: argparse.Namespace) -> None:
    rng = np.random.default_rng(args.seed)
    food, days = ONE[0], []
    for _ in range(5):
        food = P @ food
        days.append(FOODS[food.argmax()])
    print("the simple cycle, after a burger on Sunday:", ", ".join(days))

    hand = by_hand()
    weather = mg.tensor(np.stack([WEEK, ~WEEK], -1)[:, None].astype(np.float32))  # (5, 1, 2)
    before = mg.tensor(ONE[:1][None])  # Sunday's burger (1, 1, 3)
    hidden = activity(hand, weather, before)
    menu = print_week(hand, weather, hidden)
    print(f"hand-set: {right(hand, rng):.1%} of the dinners of 100-day schedules are right")

    cook = found(rng, 250 if args.quick else 1000)
    print(f"learned: {right(cook, rng):.1%} of the dinners of 100-day schedules are right")
    align(cook, hand)
    learned = activity(cook, weather, before)
    apart = abs(situations(cook) - situations(hand)).max()
    print(
        f"the six units, in all six situations: learned and by hand differ by {apart:.1e} at most"
    )

    made, axes = figure(11, 6.6, nrows=2, ncols=4, width_ratios=(3, 2, 1, 5))
    rows = [f"{food} {how}" for how in ("left over", "comes next") for food in FOODS]
    today = [f"{day}\n{'sun' if sun else 'rain'}\n{dish}"
             for day, sun, dish in zip(DAYS, WEEK, menu)]  # fmt: skip
    for row, one, units, who in zip(
        axes, (hand, cook), (hidden, learned), ("by hand", "learned"), strict=True
    ):
        F, W, b = (p.detach().numpy() for p in one.parameters())
        draw(row[0], F, f"food matrix F, {who}", FOODS, rows)
        draw(row[1], W, "weather matrix W", ("sun", "rain"))
        draw(row[2], b[:, None], "b", ("",))
        draw(row[3], units, "relu(F food + W weather + b), day by day", today)
    made.suptitle("Learned weights differ from those set by hand; what the six units say does not")
    picture(args, made, "dinner_schedule")


if __name__ == "__main__":
    run(main, __doc__)
