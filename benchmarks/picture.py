"""The picture of benchmarks/rnn.py: how many times as fast as the fastest peer, cell by cell."""

from __future__ import annotations

import io
import os
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from peers import GATES, Case

TIMES = "\N{MULTIPLICATION SIGN}"
COLOURS = {"float32": "#d94801", "float64": "#2171b5"}
MARKS = {"PyTorch": "o", "JAX": "s", "ONNX Runtime": "^"}
TITLES = {"train": "training", "infer": "inference"}


def write(figure: Figure, path: str) -> None:
    """A PNG that is there whole or not at all."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    beside = Path(path).with_name(f".{Path(path).name}.{os.getpid()}")
    beside.write_bytes(file.getvalue())
    beside.replace(path)


def draw(cells: list[tuple[Case, float, str]], machine: str, path: str) -> None:
    """A panel for each net and mode: sizes across, the ratio upwards, a line for each dtype and
    number of threads; the mark of a point says which peer was the fastest."""
    cells = [cell for cell in cells if cell[0].mode in TITLES]
    sizes = list(dict.fromkeys(case.size for case, _, _ in cells))
    figure = Figure(figsize=(11, 6.6), dpi=110, layout="constrained")
    panels = figure.subplots(len(TITLES), len(GATES), sharex=True, sharey=True, squeeze=False)
    low = min(0.5, *(0.9 * ratio for _, ratio, _ in cells))
    high = max(2.0, *(1.15 * ratio for _, ratio, _ in cells))
    for axes, mode in zip(panels, TITLES, strict=True):
        for axis, net in zip(axes, GATES, strict=True):
            axis.axhspan(low, 1, color="#f2f2f2", lw=0)
            axis.axhline(1, color="#555555", lw=1)
            axis.set_title(f"{net}, {TITLES[mode]}", fontsize=11)
            for dtype, colour in COLOURS.items():
                for threads in sorted({case.threads for case, _, _ in cells}):
                    line = [
                        (sizes.index(case.size), ratio, MARKS[peer])
                        for case, ratio, peer in cells
                        if case[:3] == (net, dtype, mode) and case.threads == threads
                    ]
                    style = {"color": colour, "ls": "-" if threads == 1 else ":", "lw": 1.3}
                    face = colour if threads == 1 else "white"
                    axis.plot([p[0] for p in line], [p[1] for p in line], **style)
                    for x, ratio, mark in line:
                        axis.plot(x, ratio, mark, ms=6, mec=colour, mfc=face, mew=1.2)
            axis.set_yscale("log")
            axis.set(ylim=(low, high), xlim=(-0.4, len(sizes) - 0.6))
            axis.yaxis.set_major_locator(FixedLocator([0.25, 0.5, 1, 2, 4, 8, 16, 32, 64]))
            axis.yaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            names = [size.replace("x", TIMES) for size in sizes]
            turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
            axis.set_xticks(range(len(sizes)), names, fontsize=8, **turned)
            axis.grid(axis="y", color="#e5e5e5")
            axis.set_axisbelow(True)
            axis.spines[["top", "right"]].set_visible(False)
    cases = [case for case, _, _ in cells]
    legend(
        figure,
        {case.dtype for case in cases},
        {case.threads for case in cases},
        {peer for _, _, peer in cells},
    )
    figure.supylabel("times as fast as the fastest peer", fontsize=11)
    figure.supxlabel(f"B {TIMES} T {TIMES} I {TIMES} H\n{machine}", fontsize=8)
    title = "minigrad's recurrent layers against the fastest peer of each cell"
    figure.suptitle(title + "\n", fontsize=13)  # the second line is the legend's
    write(figure, path)


def legend(figure: Figure, dtypes: set[str], threads: set[int], peers: set[str]) -> None:
    """What colours, lines and marks mean."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=colour, lw=2, label=dtype)
        for dtype, colour in COLOURS.items()
        if dtype in dtypes
    ]
    for n in sorted(threads):
        lines.append(
            Line2D(
                [],
                [],
                color="#333333",
                ls="-" if n == 1 else ":",
                label=f"{n} threads"[: 8 + (n > 1)],
            )
        )
    for name, mark in MARKS.items():
        if name in peers:
            lines.append(
                Line2D([], [], color="#333333", ls="", marker=mark, label=f"fastest peer: {name}")
            )
    figure.legend(
        handles=lines,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.965),
        ncols=len(lines),
        frameon=False,
        fontsize=9,
    )
