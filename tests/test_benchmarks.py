"""Every benchmark runs on its smallest slice, compares results, and prints a table."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
ROWS = {  # a table's rows, and how many --quick makes
    "gemm": (r"float32 (NN|NT|TN) +\d+x\d+x\d+ 1 thr +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+", 6),
    "charlm": (r"lstm (train|write) 1 thr +[\d.]+ +[\d.]+ +[\d.]+   ms a (step|character)", 2),
    "memory": (r"LSTM float32 (minigrad|PyTorch).* +-?[\d.]+ +-?[\d.]+ +-?[\d.]+", 3),
    "scaling": (r" +\d+ +\d+ +\d+ +[\d.]+ +[\d.]+ +\d+ +\d+ +[\d.]+ +[\d.]+ +[\d.]+", 6),
    "rnn": (r"LSTM float32 \w+ +[\dx]+ 1 thr( +[\d.]+){3,5}  \w+.*", 6),
    "eager": (r" +4 +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+", 1),
}  # fmt: skip


def run(name: str, *arguments: str) -> str:
    pytest.importorskip("torch")
    if name == "eager":
        pytest.importorskip("autograd")
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), *arguments],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ROWS)
def test_prints_a_table(name: str) -> None:
    head, *lines = run(name, "--quick").splitlines()
    assert "minigrad" in head
    assert "numpy" in head
    pattern, count = ROWS[name]
    assert sum(re.fullmatch(pattern, line) is not None for line in lines) == count, lines


def test_every_benchmark_is_tried() -> None:
    mains = {p.stem for p in BENCHMARKS.glob("*.py") if "__main__" in p.read_text()}
    assert mains == set(ROWS)


def test_rnn_draws_its_picture(tmp_path: Path) -> None:
    output = run(
        "rnn", "--quick", "--modes", "train", "infer", "--picture", str(tmp_path / "p.png")
    )
    assert "times as fast as the fastest peer" in output
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]  # nothing left beside it


def test_wrong_results_are_refused(tmp_path: Path) -> None:
    """A benchmark whose peer computes something else ends before it times anything."""
    pytest.importorskip("torch")
    code = (
        "import sys, numpy as np, gemm\n"
        "from minigrad import kernels\n"
        "kernels.matmul = lambda a, b: np.matmul(a, b) + 1e-2\n"
        "sys.argv = ['gemm', '--quick']\n"
        "print(len(list(gemm.cells(gemm.arguments(), 1))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{BENCHMARKS}:{BENCHMARKS.parent}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0
    assert "AssertionError" in done.stderr
    assert "float32 NN 16x16x16" in done.stderr
