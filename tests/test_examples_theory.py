"""The examples of the lecture's theory: each shows what it claims, in numbers that it prints."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NUMBER = r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?"


@pytest.fixture
def shown(tmp_path, monkeypatch, capsys):
    """Runs an example's quick slice as its user would; what it printed, and its globals."""

    def run(name: str, *options: str) -> tuple[str, dict]:
        monkeypatch.syspath_prepend(str(EXAMPLES))
        argv = [f"{name}.py", "--quick", "--out", str(tmp_path), *options]
        monkeypatch.setattr(sys, "argv", argv)
        found = runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        out, err = capsys.readouterr()
        assert err == ""
        assert [path.name for path in tmp_path.iterdir()] == [f"{name}.png"]
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        return out, found

    return run


def numbers(text: str, line: str) -> list[float]:
    """The numbers of the one line that has `line` in it, after it."""
    [found] = [row.split(line, 1)[1] for row in text.splitlines() if line in row]
    return [float(number) for number in re.findall(NUMBER, found)]


def test_dinner_schedule_by_hand_and_learned(shown):
    text, _ = shown("dinner_schedule")
    assert "after a burger on Sunday: pizza, salad, burger, pizza, salad" in text
    week = re.findall(r"^(\w{3}) (sun|rain) .* (\w+)$", text, re.MULTILINE)
    assert week == [
        ("Mon", "sun", "pizza"),
        ("Tue", "rain", "pizza"),
        ("Wed", "sun", "salad"),
        ("Thu", "sun", "burger"),
        ("Fri", "rain", "burger"),
    ]
    assert numbers(text, "hand-set:")[0] == 100
    assert numbers(text, "learned:")[0] == 100
    assert numbers(text, "learned and by hand differ by")[0] < 0.01


def test_why_tanh_bounds_values_and_not_gradients(shown):
    text, found = shown("why_tanh")
    free, bound = numbers(text, "the largest number is")
    assert free == pytest.approx(5 * 3**6, rel=0.01)
    assert bound <= 1
    free, bound = numbers(text, "spectral radius 1.5:")
    assert free > 20
    assert bound <= 1
    assert numbers(text, "tanh of (5, 0.1, -0.5) is") == [0.9999, 0.0997, -0.4621]
    # dh_T/dh_0 = prod 3 (1 - h_t^2)
    h, slope = np.array(found["START"]), 1.0
    for _ in range(6):
        h = np.tanh(3 * h)
        slope = slope * 3 * (1 - h**2)
    without, *with_tanh = numbers(text, "gradient dh_T/dh_0 after 6 steps:")
    assert without == 3**6
    np.testing.assert_allclose(with_tanh, slope, rtol=0.5)  # printed with one digit


def test_training_by_hand_three_derivatives_and_a_descent(shown):
    text, _ = shown("training_by_hand")
    hand, differences, autograd = (
        numbers(text, name) for name in ("by hand  ", "finite differences", "autograd")
    )
    np.testing.assert_allclose(hand, autograd, rtol=1e-13)
    np.testing.assert_allclose(hand, differences, rtol=1e-9)
    assert np.abs(hand).min() > 0.1
    for start in ("from the valley ", "from the cliff, clipped"):
        u, w, E, steps = numbers(text, start)
        assert (u, w, steps) == (0.6, 0.8, 120)
        assert E < 1e-8
    u, w, E, steps = numbers(text, "from the cliff  ")
    assert (steps, E > 1e12) == (1, True)


def test_bptt_parts_add_up_to_what_backward_gives(shown):
    text, _ = shown("bptt")
    rows = np.array([numbers(text, f"   {t}  ") for t in range(1, 6)])
    by_hand, autograd = rows[:, -2], rows[:, -1]
    np.testing.assert_allclose(by_hand, autograd, atol=2e-12)
    assert by_hand[0] == 0  # h_0 = 0
    assert np.abs(by_hand[1:]).min() > 1e-4
    total = numbers(text, "sum ")
    np.testing.assert_allclose(total, autograd.sum(), atol=1e-11)
    one, apart = numbers(text, "gives dE/dW[0, 0] =")
    assert one == pytest.approx(total[0], abs=1e-11)
    assert apart < 1e-14
    before, after = numbers(text, "one update of W: E")
    assert after < before
    first, last, *_ = numbers(text, "updates of U, W and v: E")
    assert last < 0.01 < first


def test_vanishing_gradient_and_what_remembers(shown):
    text, _ = shown("vanishing_gradient")
    far = {name: numbers(text, f"  {name}  ")[1] for name in (
        "RNN, tanh, orthogonal W", "RNN, relu, W = 1", "LSTM, forget bias 0",
        "LSTM, forget bias 1")}  # fmt: skip
    far["tanh"], far["relu"], far["gru"] = (
        float(re.search(rf"^  {name} +{NUMBER} +({NUMBER})$", text, re.MULTILINE)[1])
        for name in ("RNN, tanh", "RNN, relu", "GRU")
    )
    assert far["tanh"] < far["LSTM, forget bias 0"] < 1e-3 * far["LSTM, forget bias 1"]
    assert far["tanh"] < far["gru"] < 1e-6
    assert far["tanh"] < 1e-3 * far["RNN, tanh, orthogonal W"]
    assert far["RNN, relu, W = 1"] > 0.1
    shallow, deep, relu = (
        numbers(text, name)[1]
        for name in ("  3 layers, sigmoid", "12 layers, sigmoid", "12 layers, relu")
    )
    assert abs(deep) < 1e-3 * abs(shallow)
    assert abs(relu) > 1e3 * abs(shallow)
    results = {
        name: [float(n) for n in re.findall(NUMBER, row)[-2:]]
        for name, row in re.findall(r"^  (RNN|LSTM|GRU), .*|^  (GRU) .*", text, re.MULTILINE)
    }
    assert results


def test_inside_lstm(shown):
    shown("inside_lstm")


def test_an_option_that_is_wrong_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "bptt.py", "--seed", "-1"], cwd=tmp_path, check=False,
        capture_output=True, text=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bptt: --seed must lie in 0 .. 2**32 - 1, got -1\n"
    assert not list(tmp_path.iterdir())
