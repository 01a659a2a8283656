"""The examples of the lecture's theory: each shows what it claims, in numbers that it prints."""

import re
import runpy
import sys

import numpy as np
import pytest
from example_programs import EXAMPLES, leaves_picture, program, quick

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
        leaves_picture(tmp_path, f"{name}.png")
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


def table(text: str, heading: str) -> dict[str, list[float]]:
    """The indented rows below a heading: the numbers behind each name."""
    _, below = text.split(heading, 1)
    rows = below.split("\n\n")[0].splitlines()[1:]
    return {
        name: [float(number) for number in re.findall(NUMBER, rest)]
        for name, rest in re.findall(
            r"^  (\S.*?)(?:  +| (?=2\.1 ))(.*)", "\n".join(rows), re.MULTILINE
        )
    }


def test_vanishing_gradient_by_distance_and_by_layer(vanishing):
    near, far = (
        {name: row[i] for name, row in table(vanishing, "gradient of the last").items()}
        for i in (0, 1)
    )
    assert len(far) == 8
    for name in ("RNN, tanh", "RNN, relu", "GRU", "LSTM, forget bias 0"):
        assert far[name] < 1e-8 < near[name] < 0.02
    assert far["LSTM, forget bias 1"] > 1e4 * far["LSTM, forget bias 0"]
    assert far["RNN, tanh, orthogonal W"] > 1e8 * far["RNN, tanh"]
    for name in ("RNN, relu, W = 1", "LSTM, forget bias 4"):
        assert far[name] > 0.1
    rows = table(vanishing, "one step of gradient descent")
    change = {name: abs(row[1]) for name, row in rows.items()}
    assert change["12 layers, sigmoid"] < 1e-3 * change["3 layers, sigmoid"]
    assert change["12 layers, relu"] > 100 * change["3 layers, sigmoid"]
    for start, moved, end in rows.values():
        assert start - end == pytest.approx(moved, rel=0.1, abs=1e-11)


def test_vanishing_gradient_remedies_and_what_remembers(vanishing):
    right = {name: row[0] for name, row in table(vanishing, "remedies:").items()}
    assert right["tanh, SGD"] < 30  # a guess has 25
    assert min(right["ReLU, W = 1"], right["Adam"]) > right["tanh, SGD"] + 8
    assert min(right["orthogonal W"], right["Adam and orthogonal W"]) > 95
    [rnn, lstm, gru] = table(vanishing, "adding, 10 numbers").values()
    assert max(lstm[0], gru[0]) < 0.02 < rnn[0] - 0.02
    assert min(lstm[1], gru[1]) > rnn[1] + 10


@pytest.fixture(scope="module")
def vanishing(tmp_path_factory):
    """What vanishing_gradient.py --quick prints; two tests read it."""
    return quick("vanishing_gradient", tmp_path_factory.mktemp("vanishing"))


def test_the_tasks_are_what_they_say(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    found = runpy.run_path(str(EXAMPLES / "vanishing_gradient.py"))
    x, total = found["adding"](np.random.default_rng(0), 7)
    x = x.numpy()
    assert (x[:3, :, 1].sum(0) == 1).all()
    assert (x[3:, :, 1].sum(0) == 1).all()
    np.testing.assert_allclose(
        total[:, 0], [row[row[:, 1] == 1, 0].sum() for row in x.swapaxes(0, 1)]
    )
    x, symbols = found["recall"](np.random.default_rng(0), 7)
    ids = x.numpy().argmax(-1)
    blank, n = found["SYMBOLS"], found["LENGTH"]
    np.testing.assert_array_equal(ids[:n], symbols)
    assert len(ids) == 7 + 2 * n
    assert (ids[n + 6] == blank + 1).all()  # the mark; the answer begins right after it
    assert (np.delete(ids[n:], 6, axis=0) == blank).all()


def test_inside_lstm_reads_and_shows_the_equations(shown):
    text, found = shown("inside_lstm")
    for kind in ("LSTM", "GRU"):
        bits, apart = numbers(text, f"{kind}:")
        assert bits < 4.2 < np.log2(100)  # some 100 symbols
        assert apart < 1e-4
    assert len(re.findall("follows best", text)) == 2
    np.testing.assert_array_equal(found["quoted"]('a"bc"d'), [0, 1, 1, 1, 0, 0])
    inside = found["quoted"]('a"bc"d')[:, None]
    both = found["correlation"](np.stack([-2.0 * inside, inside + 1.0], -1), inside)
    np.testing.assert_allclose(both, [-1, 1])


def test_an_option_that_is_wrong_is_one_line(tmp_path):
    done = program("bptt", tmp_path, "--seed", "-1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bptt: --seed must lie in 0 .. 2**32 - 1, got -1\n"
    assert not list(tmp_path.iterdir())
