"""Inside an LSTM: what it forgets, writes and shows while it reads, and the same of a GRU.

    python examples/inside_lstm.py

    f_t = sigma(W_f x_t + U_f h_{t-1} + b_f)   forget gate: how much of the cell stays
    i_t = sigma(W_i x_t + U_i h_{t-1} + b_i)   input gate: how much of the candidate is written
    g_t = tanh (W_g x_t + U_g h_{t-1} + b_g)   candidate
    c_t = f_t c_{t-1} + i_t g_t                cell
    o_t = sigma(W_o x_t + U_o h_{t-1} + b_o)   output gate: how much of the cell is shown
    h_t = o_t tanh(c_t)                        output

A GRU has two gates, and no cell beside its output:

    z_t = sigma(...)   update gate: how much stays      h_t = (1 - z_t) n_t + z_t h_{t-1}
    r_t = sigma(...)   reset gate: how much of the past the candidate n_t sees

Both learn for a minute, character by character, from the language reference that comes with every
Python. `layer.inspect(x)` then gives every letter of the equations at every step of a line that
they never saw. The units shown are the ones whose state follows best whether a quotation is open:
nobody told the network to keep track of that, but predicting the next character needs it.
"""

from __future__ import annotations

import argparse
import math
from pydoc_data.topics import topics
from typing import Any

import numpy as np
from lecture import figure, picture, progress, run

import minigrad as mg
from minigrad import nn, optim

T, B, H = 64, 32, 96
HELD_OUT, STREAMS = 20_000, 40  # characters at the end of the text, read as so many streams
FORGET_BIAS = 1.0
LETTERS = {"LSTM": "fioc", "GRU": "zrh"}
NAMES = {"i": "input gate i: written", "f": "forget gate f: kept", "o": "output gate o: shown",
         "c": "cell, as tanh(c)", "r": "reset gate r: past seen", "z": "update gate z: kept",
         "h": "state h"}  # fmt: skip


class Reader(nn.Module):
    """ids (T, B) -> scores of the next character (T, B, V), and the last state"""

    def __init__(self, kind: str, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, 32)
        self.recurrent = getattr(nn, kind)(32, H)
        self.head = nn.Linear(H, symbols)
        if kind == "LSTM":
            nn.init.forget_bias_(self.recurrent, FORGET_BIAS)

    def forward(self, ids: np.ndarray, state: Any = None) -> tuple[Any, Any]:
        output, state = self.recurrent(self.embedding(mg.tensor(ids)), state)
        return self.head(output), state

    def loss(self, ids: np.ndarray, state: Any = None) -> tuple[Any, Any]:
        """Mean -ln p of ids[1:] (T, B), each after the ones before it."""
        scores, state = self(ids[:-1], state)
        flat = scores.reshape(-1, scores.shape[-1])
        return nn.functional.cross_entropy(flat, mg.tensor(ids[1:].reshape(-1))), state


def train(kind: str, ids: np.ndarray, symbols: int, steps: int) -> Reader:
    """A reader of the streams ids (N, B): `steps` windows of T characters, the state carried on."""
    reader, state = Reader(kind, symbols), None
    optimiser = optim.Adam(reader.parameters(), lr=0.008)
    bar = progress(range(steps), kind)
    for step in bar:
        start = step * T % (len(ids) - T - 1)
        loss, state = reader.loss(ids[start : start + T + 1], state)
        state = nn.detach_states(state)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimiser.param_groups[0]["lr"] = 0.008 * (1 - step / steps)
        optimiser.step()
        bar.set_postfix_str(f"{loss.item() / math.log(2):.2f} bits/char")
    return reader


def quoted(text: str) -> np.ndarray:
    """1 from an opening quotation mark to the character before the closing one, 0 elsewhere.

    A blank line ends what was left open.
    """
    inside, found = 0, []
    for before, symbol in zip("\n" + text, text):
        inside = 0 if before == symbol == "\n" else inside ^ (symbol == '"')
        found.append(inside)
    return np.array(found)


def line_to_show(text: str, known: str) -> str:
    """A line that is not in the known text, 60 to 70 long, with as many quotations as there are."""
    lines = [line for line in text.split("\n") if 60 <= len(line) <= 70 and line not in known]
    return max(
        (line for line in lines if line.count('"') % 2 == 0), key=lambda line: line.count('"')
    )


def look(reader: Reader, ids: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
    """The letters of the equations over texts (T, B): (T, B, H) each

    And how far h is from what the kernel computes, which shows nothing but h.
    """
    with mg.no_grad():
        x = reader.embedding(mg.tensor(ids))
        output, _ = reader.recurrent(x)
    [seen] = reader.recurrent.inspect(x)
    apart = abs(seen["h"] - output).max().item()
    return {letter: value.numpy() for letter, value in seen.items()}, apart


def lasting(seen: dict[str, np.ndarray]) -> np.ndarray:
    """What remembers: tanh(c) of an LSTM, h of a GRU"""
    return np.tanh(seen["c"]) if "c" in seen else seen["h"]


def correlation(state: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Of each unit's state (T, B, H) with the signal (T, B): (H)"""
    state, signal = state.reshape(-1, state.shape[-1]), signal.reshape(-1)
    a, b = state - state.mean(0), signal - signal.mean()
    return a.T @ b / np.sqrt((a**2).sum(0) * (b**2).sum() + 1e-12)


def draw(rows: Any, seen: dict, kind: str, units: np.ndarray, line: str) -> None:
    """Heat maps of a line's letters (T, H), one below the other; quotations are framed."""
    for axes, letter in zip(rows, LETTERS[kind], strict=True):
        gate = letter not in "ch"
        values = (seen[letter] if gate else lasting(seen))[:, units].T  # (units, T)
        image = axes.imshow(values, aspect="auto", cmap="Greys" if gate else "RdBu_r",
                            vmin=0 if gate else -1, vmax=1, interpolation="none")  # fmt: skip
        axes.figure.colorbar(image, ax=axes, pad=0.01, aspect=6)
        axes.set_ylabel(NAMES[letter], rotation=0, ha="right", va="center")
        axes.set_yticks([])
        axes.set_xticks(range(len(line)), line.replace("\n", "\u21b5"), family="monospace")
        axes.tick_params(length=0, labelbottom=not gate)
        for edge in np.flatnonzero(np.diff(quoted(line), prepend=0)):
            axes.axvline(edge - 0.5, color="#d94801", lw=1.2)
    rows[0].set_title(f"{kind}: the six units that follow best whether a quotation is open")


def main(args: argparse.Namespace) -> None:
    text = "".join(topics[key] for key in sorted(topics))
    code = {symbol: i for i, symbol in enumerate(sorted(set(text)))}
    ids = np.array([code[symbol] for symbol in text])
    held_out, line = text[-HELD_OUT:], line_to_show(text[-HELD_OUT:], text[:-HELD_OUT]) + "\n"
    unseen = ids[-HELD_OUT:].reshape(STREAMS, -1).T
    n = (len(ids) - HELD_OUT) // B
    streams = ids[: n * B].reshape(B, n).T
    steps = 50 if args.quick else 1000
    print(f"the line: {line!r}")

    end = len(ids) - HELD_OUT + held_out.index("\n" + line) + 1 + len(line)
    marks = np.array([symbol == '"' for symbol in held_out]).reshape(STREAMS, -1).T  # (T, B)
    after = np.roll(marks, 1, axis=0)
    inside = quoted(held_out).reshape(STREAMS, -1).T

    made, axes = figure(13, 8, nrows=7)
    for kind, rows in (("LSTM", axes[:4]), ("GRU", axes[4:])):
        untrained, _ = look(Reader(kind, len(code)), unseen)
        reader = train(kind, streams, len(code), steps)
        with mg.no_grad():
            nats, _ = reader.loss(unseen)
        seen, apart = look(reader, unseen)
        related, before = (abs(correlation(lasting(s), inside)) for s in (seen, untrained))
        best = np.argsort(-related)[:6]
        keep = seen["f" if kind == "LSTM" else "z"][..., best[0]]
        print(f"\n{kind}: {nats.item() / math.log(2):.2f} bits per character of unseen text; the "
              f"equations give the kernel's h to {apart:.0e}")  # fmt: skip
        print(f"unit {best[0]} follows best whether a quotation is open: correlation "
              f"{related[best[0]]:.2f}; untrained: {before.max():.2f}")  # fmt: skip
        print(f"it keeps {keep[marks].mean():.2f} of its state at a quotation mark, "
              f"{keep[after].mean():.2f} right after it, {keep[~(marks | after)].mean():.2f} "
              "elsewhere")  # fmt: skip
        part, _ = look(reader, ids[end - 300 : end, None])
        draw(rows, {k: v[-len(line) :, 0] for k, v in part.items()}, kind, best, line)
    made.suptitle("Units that keep track of quotations let go of the past at a mark (orange), "
                  "or right after it, and keep it in between")  # fmt: skip
    picture(args, made, "inside_lstm")


if __name__ == "__main__":
    run(main, __doc__)
