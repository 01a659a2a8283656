"""What char_lm.py needs beside the network: numbers that are options, and the report at the end.

Prediction is compression: a model that gives the next character probability p can store it in
-log2 p bits, by arithmetic coding. So a compressor's size, in bits per character, compares.
"""

from __future__ import annotations

import argparse
import bz2
import io
import lzma
import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure


def number(kind: type, low: float) -> Callable[[str], Any]:
    """Reads a finite int from `low` on, or a finite float above it."""

    def read(text: str) -> Any:
        try:
            x = kind(text)
        except ValueError:
            x = math.nan
        if not (low <= x < 2**31 if kind is int else low < x < math.inf):
            limits = f", {low} or more" if math.isnan(x) or x < low else " below 2**31"
            what = f"a whole number{limits}" if kind is int else f"a number above {low}"
            raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")
        return x

    return read


class Row(NamedTuple):
    """Bits per held-out character by `name`: having been `given` something first, and alone."""

    name: str
    given: str
    bits: float
    alone: float | None


def compressors(training: str, held_out: str) -> list[Row]:
    """What zlib, bz2 and lzma need for the held-out text: what it adds to what they were given."""
    known, text = training.encode(), held_out.encode()
    size = max(1 << 12, min(len(known + text), 1 << 26))  # all of a text up to 64 MiB
    chain = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": size}]

    def zlib_size(text: bytes, window: bytes = b"") -> int:
        stream = zlib.compressobj(9, wbits=-15, zdict=window)
        return len(stream.compress(text) + stream.flush())

    def lzma_size(text: bytes) -> int:
        return len(lzma.compress(text, lzma.FORMAT_RAW, filters=chain))

    def bz2_size(text: bytes) -> int:
        return len(bz2.compress(text))

    given = "all of the training text"
    sizes = [
        (
            "zlib",
            "the training text's last 32 KiB",
            zlib_size(text, known[-32768:]),
            zlib_size(text),
        ),
        ("bz2", given, bz2_size(known + text) - bz2_size(known), bz2_size(text)),
        ("lzma", given, lzma_size(known + text) - lzma_size(known), lzma_size(text)),
    ]
    if len(known + text) > 890_000:  # bz2 starts anew every 900 kB
        sizes[1] = ("bz2", "nothing", bz2_size(text), bz2_size(text))
    bits = 8 / len(held_out)
    return [Row(name, given, size * bits, alone * bits) for name, given, size, alone in sizes]


def table(rows: list[Row]) -> str:
    """The rows as text."""
    lines = ["held-out text, bits per character   given first                           so   alone"]
    for name, given, bits, alone in rows:
        lines.append(
            f"{name:<36}{given:<34}{bits:6.3f}" + (f"{alone:8.3f}" if alone is not None else "")
        )
    return "\n".join(lines)


def curve(
    title: str, losses: list[float], validation: list[float], rows: list[Row], n: int
) -> bytes:
    """The loss curve as PNG: losses a window, validation an epoch; n characters in an epoch."""
    training = np.array(losses)
    x = np.arange(1, len(losses) + 1) * n * len(validation) / len(losses) / 1e6
    w = max(1, min(20, len(losses) // 10))  # windows in a running mean
    mean = np.convolve(training, np.ones(w) / w, "valid")
    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot(x, training, color="#9ecae1", lw=0.7)
    middle = x[w // 2 : w // 2 + len(mean)]
    axes.plot(middle, mean, color="#2171b5", lw=1.6, label=f"training, at last {mean[-1]:.2f}")
    epochs = np.arange(1, len(validation) + 1) * n / 1e6
    label = f"validation, at last {validation[-1]:.2f}"
    axes.plot(epochs, validation, "o-", color="#d94801", lw=1.2, label=label, clip_on=False)
    for row, style in zip(rows, (":", "--", "-."), strict=True):
        label = f"{row.name} given {row.given}: {row.bits:.2f}"
        axes.axhline(row.bits, color="#555555", ls=style, lw=1, label=label)
    low = min(training.min(), validation[-1], *(row.bits for row in rows))
    top = min(training.max(), 3 * validation[-1])
    axes.set(xlim=(0, x[-1]), ylim=(0.9 * low, top), title=title)
    axes.set(xlabel="characters read (millions)", ylabel="loss (bits per character)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eeeeee")
    axes.legend(frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
