"""The examples on real data: each learns with --quick, says so, and draws its picture."""

import importlib
import io
import re
import sys
import tarfile

import numpy as np
import pytest
from example_programs import EXAMPLES, EXTRA, needs, numbers, program, quick


@pytest.fixture
def lecture(monkeypatch):
    """Lets a test import the examples."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("lecture")


def test_time_series_beats_the_naive_guesses(tmp_path):
    needs("statsmodels")
    sunspots, co2 = quick("time_series", tmp_path).split("CO2:")
    naive = ("last value", "last season", "last season + change")
    for text, nets in ((sunspots, ("to sequence", "to vector")), (co2, ("to vector",))):
        best = np.min([numbers(text, name) for name in naive], axis=0)
        for net in nets:
            assert np.all(numbers(text, f"sequence {net}") < best)
    assert numbers(co2, "sequence to sequence")[1] < numbers(co2, "last season")[1] / 2


def test_caption_spells_what_it_has_not_seen(tmp_path):
    needs("sklearn")
    text = quick("caption", tmp_path)
    assert numbers(text, "GRU, letter by letter")[0] > 65 > 6 * numbers(text, "commonest word")[0]


def test_speech_beats_the_nearest_neighbour(tmp_path):
    needs("aeon")
    text = quick("speech", tmp_path)
    neighbours = (numbers(text, f"nearest by {how}, held out")[0] for how in ("mean frame", "DTW"))
    assert numbers(text, "GRU, held out")[0] > max(neighbours)


def test_activity_beats_neighbour_and_last_frame(tmp_path):
    needs("aeon", "sklearn")
    motion, video = quick("activity", tmp_path).split("video,")
    assert numbers(motion, "GRU")[0] > numbers(motion, "nearest neighbour")[0] + 15
    assert numbers(video, "GRU")[0] < 0.7 * numbers(video, "copy the last frame")[0]
    assert numbers(video, "GRU")[0] < numbers(video, "always the mean frame")[0]


def test_sentiment_learns_from_reviews(tmp_path):
    text = quick("sentiment", tmp_path)
    assert numbers(text, "GRU")[0] < 0.93 * numbers(text, "always the mean")[0]
    assert numbers(text, "bag of words")[0] < 0.93 * numbers(text, "always the mean")[0]


def archive(reviews: list[tuple[float, str]]) -> tarfile.TarFile:
    """A source distribution with these reviews, half of them of films."""

    def pack(files: dict[str, bytes], mode: str) -> bytes:
        with io.BytesIO() as out:
            with tarfile.open(fileobj=out, mode=mode) as tar:
                for name, content in files.items():
                    about = tarfile.TarInfo(name)
                    about.size = len(content)
                    tar.addfile(about, io.BytesIO(content))
            return out.getvalue()

    rows = [f"{i}\t{score}\t{text}\r\n".encode() for i, (score, text) in enumerate(reviews)]
    kinds = {"movie": rows[::2], "amazon": rows[1::2]}
    name = "hutto_ICWSM_2014/{}ReviewSnippets_GroundTruth.txt"
    inner = pack({name.format(kind): b"".join(some) for kind, some in kinds.items()}, "w:gz")
    path = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
    return tarfile.open(fileobj=io.BytesIO(pack({path: inner}, "w")))


def test_sentiment_reads_the_order_that_a_bag_of_words_cannot(
    lecture, tmp_path, monkeypatch, capsys
):
    rng = np.random.default_rng(0)
    fill = [f"w{i}" for i in range(30)]

    def review() -> tuple[float, str]:
        """A good and a bad word among others: the first of them is what counts."""
        good = bool(rng.integers(2))
        parts = [list(rng.choice(fill, rng.integers(1, 4))) for _ in range(3)]
        both = ("Great", "awful") if good else ("awful", "Great")
        return 2.0 if good else -2.0, " ".join([*parts[0], both[0], *parts[1], both[1], *parts[2]])

    sentiment = importlib.import_module("sentiment")
    made = [review() for _ in range(2200)]
    monkeypatch.setattr(sentiment, "source_distribution", lambda *_: archive(made))
    monkeypatch.setattr(sys, "argv", ["sentiment.py", "--quick", "--out", str(tmp_path)])
    lecture.run(sentiment.main, sentiment.__doc__)
    text = capsys.readouterr().out
    assert numbers(text, "bag of words")[0] > 1.5
    assert numbers(text, "GRU")[0] < 0.7
    apart = dict(re.findall(r"^  (pa.*?)  .* up to (.*)$", text, re.MULTILINE))
    assert float(apart["packed"]) < 1e-5 > float(apart["padded, masked"])
    assert float(apart["padded"]) > 0.1


def test_bag_of_words_is_ridge_regression(lecture):
    model = importlib.import_module("bag_of_words").BagOfWords
    rng = np.random.default_rng(0)
    texts = [list(rng.choice(list("abcde"), rng.integers(1, 9))) for _ in range(40)]
    y = rng.standard_normal(40)
    fitted = model(texts, y, 2.0)
    x = np.array([[f in model.features(words) for f in fitted.code] for words in texts], float)
    w = np.linalg.solve(x.T @ x + 2 * np.eye(len(fitted.code)), x.T @ (y - y.mean()))
    np.testing.assert_allclose(fitted.weight, w, atol=1e-8)
    np.testing.assert_allclose(fitted.scores([["zz", *texts[3]]])[0], y.mean() + x[3] @ w)


def test_the_packaged_files_are_found_and_missing_ones_named(lecture, capsys):
    assert lecture.packaged("numpy", "linalg/__init__.py").exists()
    with pytest.raises(SystemExit, match="2"):
        lecture.packaged("no_such_package", "x")
    assert EXTRA in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        lecture.packaged("numpy", "no/such.csv")
    assert "numpy that is installed has no no/such.csv" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_one_line(lecture, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(SystemExit, match="2"):
        lecture.source_distribution("any", "1.0", "")
    assert re.search("cannot write to .*minigrad: Not a dir.*XDG_CACHE", capsys.readouterr().err)


def test_a_ts_file_has_its_channels_between_colons(lecture, tmp_path):
    (tmp_path / "a.ts").write_text("#about\n@data\n1,2,3:4,5,6:Run\n\n7:8:Walk\n")
    series, classes = lecture.ts_file(tmp_path / "a.ts")
    assert classes == ["run", "walk"]
    assert [x.tolist() for x in series] == [[[1, 4], [2, 5], [3, 6]], [[7, 8]]]


def test_dtw_is_the_best_walk_through_both(lecture):
    speech = importlib.import_module("speech")
    rng = np.random.default_rng(0)
    a, b = ([rng.standard_normal((n, 2)).astype(np.float32) for n in s] for s in ((3, 5), (4, 1)))

    def walk(x, y, i, j):
        if i < 0 or j < 0:
            return 0.0 if i == j == -1 else np.inf
        before = min(walk(x, y, i - 1, j), walk(x, y, i, j - 1), walk(x, y, i - 1, j - 1))
        return np.linalg.norm(x[i] - y[j]) + before

    wanted = [[walk(x, y, len(x) - 1, len(y) - 1) for y in b] for x in a]
    np.testing.assert_allclose(speech.dtw(a, b), wanted, rtol=1e-5)


@pytest.mark.parametrize("rate", [8000, 22050])
def test_mfcc_of_two_tones(lecture, rate):
    """Coefficient 1 tells low from high; silence around them is cut off."""
    audio = importlib.import_module("speech_audio")
    bands = audio.mel_bands(np.array([440.0, 1000.0, 50.0]))
    assert bands[0].argmax() < bands[1].argmax()
    assert bands[2].max() == 0
    t = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * np.where(t < 0.5, 400, 2500) * t)  # low, then high
    faint = 1e-4 * np.random.default_rng(0).standard_normal(rate)
    sound = np.where((t > 0.3) & (t < 0.7), tone, faint).astype(np.float32)
    features = audio.mfcc(sound, rate)
    assert features.shape[1] == audio.COEFFICIENTS
    assert 38 <= len(features) <= 44  # 0.4 s
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-4)
    assert features[:15, 1].min() > 0 > features[-15:, 1].max()  # cos(pi / M (m + 1/2))


def test_audio_names_the_debian_packages(tmp_path):
    done = program("speech", tmp_path, "--audio", PATH="")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"speech: --audio needs .*: apt install .*\n", done.stderr), done.stderr
