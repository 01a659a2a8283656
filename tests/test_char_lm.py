"""The example as its user meets it: a program, its files, its messages."""

import importlib
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import minigrad as mg

ROOT = Path(__file__).parents[1]
PROGRAM = [sys.executable, str(ROOT / "examples" / "char_lm.py")]
SMALL = ["--quick", "--hidden", "16", "--sample", "40"]
# One BLAS thread: the nets are tiny, and OpenBLAS's threads wait for work by spinning.
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def run(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs the example in `folder`."""
    return subprocess.run(
        [*PROGRAM, *options], cwd=folder, env=ENVIRONMENT | environment, check=False,
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip


def arrays(folder: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(folder / "char_lm_out" / "char_lm.safetensors")


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A folder in which `--quick` has run, and what it printed."""
    folder = tmp_path_factory.mktemp("quick")
    done = run(folder, *SMALL)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_it_learns_and_shows_it(quick):
    folder, done = quick
    saved = arrays(folder)
    losses, validation = saved["run.losses"], saved["run.validation"]
    assert losses[-5:].mean() < losses[:5].mean() - 1
    assert validation[1] < validation[0] < losses[0]
    assert sorted(path.name for path in (folder / "char_lm_out").iterdir()) == [
        "char_lm.png",
        "char_lm.safetensors",
    ]
    assert (folder / "char_lm_out" / "char_lm.png").read_bytes().startswith(b"\x89PNG")
    for name in ("LSTM 16", "zlib", "bz2", "lzma"):
        assert re.search(rf"^{name} .* \d\.\d\d\d", done.stdout, re.MULTILINE)
    assert f"{validation[1]:.3f}" in done.stdout
    assert done.stderr == ""  # no terminal, no progress bar


def test_the_same_seed_is_the_same_run(quick, tmp_path):
    folder, done = quick
    assert run(tmp_path, *SMALL).stdout.splitlines()[-5:] == done.stdout.splitlines()[-5:]
    assert same(arrays(tmp_path), arrays(folder))
    assert run(tmp_path, *SMALL, "--seed", "1").returncode == 0
    assert not same(arrays(tmp_path), arrays(folder))


def test_resuming_for_another_epoch_is_the_uninterrupted_run(quick, tmp_path):
    run(tmp_path, *SMALL, "--epochs", "1")
    done = run(tmp_path, "--resume", "char_lm_out/char_lm.safetensors", "--epochs", "2")
    assert done.returncode == 0, done.stderr
    assert same(arrays(tmp_path), arrays(quick[0]))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send to a process")
@pytest.mark.parametrize(
    ("options", "windows"),  # in an epoch
    [(["--layers", "2"], 28), (["--cell", "gru", "--text", "small.txt"], 5)],
)
def test_ctrl_c_stops_saves_and_says_how_to_go_on(options, windows, tmp_path):
    for folder in (tmp_path, tmp_path / "whole"):
        folder.mkdir(exist_ok=True)
        (folder / "small.txt").write_text("".join(f"{n * n} is {n} squared\n" for n in range(500)))
    with subprocess.Popen(
        [*PROGRAM, *SMALL, *options, "--epochs", "999"], cwd=tmp_path, env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        while "epoch 1:" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "")
    epochs = ["--epochs", str(len(arrays(tmp_path)["run.losses"]) // windows + 1)]
    command = shlex.split(stdout.splitlines()[-1])
    again = subprocess.run(
        [*command, *epochs], cwd=tmp_path, env=ENVIRONMENT, check=False, capture_output=True
    )
    assert again.returncode == 0, again.stderr
    run(tmp_path / "whole", *SMALL, *options, *epochs)
    assert same(arrays(tmp_path), arrays(tmp_path / "whole"))


def test_a_finished_checkpoint_only_samples(quick):
    folder, done = quick
    before = {path: path.read_bytes() for path in (folder / "char_lm_out").iterdir()}
    resume = ["--resume", "char_lm_out/char_lm.safetensors"]
    sampled = run(folder, *resume, "--sample", "60")
    assert (sampled.returncode, sampled.stderr, len(sampled.stdout)) == (0, "", 61)
    assert sampled.stdout[:40] in done.stdout
    assert run(folder, *resume, "--seed", "5").stdout[:40] not in sampled.stdout
    assert {path: path.read_bytes() for path in (folder / "char_lm_out").iterdir()} == before


def test_rnn(tmp_path):
    done = run(tmp_path, *SMALL, "--cell", "rnn", "--epochs", "1", "--out", "deep/er")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "deep" / "er" / "char_lm.safetensors").exists()


def one_line(status: object, stdout: str, stderr: str, message: str) -> None:
    """Status 2, nothing but one line, and that line says what is wrong."""
    assert (status, stdout) == (2, "")
    assert re.fullmatch(rf"char_lm: .*{re.escape(message)}.*\n", stderr), stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--text missing.txt", "cannot read missing.txt: No such file"),
        ("--text .", "cannot read .: Is a directory"),
        ("--text empty.txt", "empty.txt is too short: 0 characters"),
        ("--text short.txt", "short.txt is too short: 1,000 characters, and at least 2,158"),
        ("--text binary.txt", "binary.txt is not UTF-8 text"),
        ("--text nul.txt", "nul.txt is not text"),
        ("--epochs -1", "--epochs: expected a whole number, 1 or more, got '-1'"),
        ("--epochs 1.5", "--epochs: expected a whole number"),
        ("--hidden 0", "--hidden: expected a whole number, 1 or more, got '0'"),
        ("--layers 0", "--layers: expected"),
        ("--lr nan", "--lr: expected a number above 0, got 'nan'"),
        ("--lr inf", "--lr: expected a number above 0"),
        ("--temperature 0", "--temperature: expected a number above 0"),
        ("--seed -1", "--seed: expected a whole number, 0 or more"),
        ("--sample many", "--sample: expected a whole number"),
        ("--cell tree", "--cell: invalid choice: 'tree'"),
        ("--speed 9", "unrecognized arguments: --speed 9"),
        ("--quick --out short.txt", "cannot write to short.txt"),
        ("--quick --out short.txt/x", "cannot write to short.txt/x"),
        ("--quick --hidden 16 --lr 1e30", "bits/char: --lr 1e+30 is too much"),
        ("--resume missing", "cannot read the checkpoint missing"),
        ("--resume .", "cannot read the checkpoint"),
        ("--resume empty.txt", "cannot read the checkpoint empty.txt"),
        ("--resume truncated", "cannot read the checkpoint truncated"),
        ("--resume foreign", "foreign is no checkpoint of this program"),
        ("--resume lacking", "lacking does not fit"),
        ("--resume kept --hidden 17", "kept has --hidden 16, not 17"),
        ("--resume kept --layers 2", "kept has --layers 1, not 2"),
        ("--resume kept --cell gru", "kept has --cell lstm, not gru"),
        ("--resume kept --text long.txt", "kept was made with another text"),
    ],
)
def test_bad_input_is_one_line_and_overwrites_nothing(
    options, message, quick, tmp_path, monkeypatch, capsys
):
    checkpoint = quick[0] / "char_lm_out" / "char_lm.safetensors"
    content = checkpoint.read_bytes()
    lacking = mg.load(checkpoint)
    del lacking["run"]["model"]["linear.weight"]
    mg.save(lacking, tmp_path / "lacking")
    for name, data in {
        "empty.txt": b"",
        "short.txt": b"short\n" * 166 + b"text",
        "long.txt": b"another text\n" * 1000,
        "binary.txt": bytes(range(256)) * 20,
        "nul.txt": b"\0" * 5000,
        "kept": content,
        "truncated": content[: len(content) // 2],
        "foreign": safetensors.numpy.save({"x": np.zeros(3)}),
        "char_lm_out/char_lm.safetensors": b"an earlier run",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.setattr(sys, "argv", ["char_lm.py", *options.split()])
    with pytest.raises(SystemExit) as stop:
        importlib.import_module("char_lm").main()
    out, err = capsys.readouterr()
    # That a learning rate is too large shows only after the run has introduced itself.
    one_line(stop.value.code, "" if "--lr 1e30" in options else out, err, message)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["tqdm", "matplotlib", "safetensors"])
def test_a_missing_package_is_named_with_its_cure(name, tmp_path):
    (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{name}'\")")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = run(tmp_path, PYTHONPATH=path)
    message = f"No module named '{name}'; this brings it: pip install -e \".[examples]\""
    one_line(done.returncode, done.stdout, done.stderr, message)


def test_bad_input_ends_with_status_2(tmp_path):
    done = run(tmp_path, "--epochs", "-1")
    one_line(done.returncode, done.stdout, done.stderr, "--epochs: expected a whole number")


def test_help_names_every_default():
    done = run(ROOT, "--help", COLUMNS="200")
    assert done.returncode == 0
    for default in ("lstm", "256", "1", "5", "0.01", "0", "500", "0.7", "char_lm_out"):
        assert re.search(rf"default: .*\b{re.escape(default)}\b", done.stdout)
