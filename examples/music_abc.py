"""Jigs as ABC text: the tunes that music21 has, and how long a bar of a tune is.

"G\\nABc d2e|..." is a tune: its key, and in one line the notes. Lengths are in eighths: a letter is
one, "2" behind it makes it two, "/" a half; a triplet "(3" is three in the time of two.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from lecture import fail, package

FOLDERS = ("oneills1850", "ryansMammoth")
# What is left of a tune's text: notes, rests, lengths, accidentals, ties, broken rhythm, triplets.
BODY = re.compile(r"(?:[A-Ga-gz,'/0-9^_=|:<> -]|\(3)+")
KEY = re.compile("[A-G][b#]?(m|mix|dor)?")
ORNAMENTS = r'"[^"]*"|\{[^}]*\}|![^!]*!|\((?!3)|[)~.uvTHMSP\\`]'
NOTE = re.compile(r"(\(3)?([_=^]{0,2}[A-Ga-gz][,']*)(\d*)(/*)(\d*)([<>-]*)\s*")


def jigs() -> list[str]:
    """Distinct tunes "G\\nABc d2e|...": the key, and the notes without ornaments, in one line."""
    corpus, found = Path(package("music21").__file__).parent / "corpus", {}
    files = [file for folder in FOLDERS for file in sorted((corpus / folder).glob("*.abc"))]
    if not files:
        fail("this music21 has been packed without its corpus")
    for file in files:
        for tune in re.split(r"(?m)^(?=X:)", file.read_text("utf-8", "replace")):
            head = dict(re.findall(r"(?m)^([A-Z]):[ \t]*([^%\s]*)", tune))
            lines = [x for x in tune.splitlines() if x and not re.match(r"[A-Za-z]:|%", x)]
            notes = re.sub(ORNAMENTS, "", " ".join(lines))
            notes = re.sub(r"\s*(:\|\]?|\|:|::|\|+\]?)\s*", r"\1", re.sub(r"\s+", " ", notes))
            notes = re.sub(r"\|\|+|\|\]", "||", notes).strip()
            known = KEY.fullmatch(head.get("K", ""))
            if (head.get("M"), head.get("L")) == ("6/8", "1/8") and known and BODY.fullmatch(notes):
                found[notes] = head["K"]
    return [f"{key}\n{notes}" for notes, key in found.items()]


def abc(tune: str, title: str) -> str:
    """A whole ABC file of "G\\nABc ..."."""
    key, _, notes = tune.partition("\n")
    return f"X:1\nT:{title}\nM:6/8\nL:1/8\nK:{key}\n{notes}\n"


def eighths(bar: str) -> float:
    """The length of a bar, NaN where it cannot be read. A triplet "(3" is three in two's time."""
    total, at, triplet = 0.0, 0, 0
    while at < len(bar):
        found = NOTE.match(bar, at)
        if found is None:
            return math.nan
        three, _, times, slashes, over, _ = found.groups()
        triplet = 3 if three else triplet
        length = int(times or 1) / (int(over) if over else 2 ** len(slashes))
        total += length * (2 / 3 if triplet else 1)
        triplet, at = max(0, triplet - 1), found.end()
    return total


def inner_bars(tune: str) -> list[float]:
    """The lengths of the bars between two single bar lines: upbeats stand beside the others."""
    parts = re.split(r"(:?\|+:?|::)", tune.partition("\n")[2])  # bar, line, bar, line, ..., bar
    return [
        eighths(parts[i].strip())
        for i in range(2, len(parts) - 1, 2)
        if parts[i - 1] == parts[i + 1] == "|"
    ]


def full(tunes: list[str]) -> float:
    """The share of inner bars of six eighths."""
    lengths = [length for tune in tunes for length in inner_bars(tune)]
    return sum(abs(length - 6) < 1e-6 for length in lengths) / max(1, len(lengths))


def score_of(tune: str, title: str) -> Any:
    """music21's score; None where it is no whole tune, or music21 counts otherwise than we do."""
    key, _, notes = tune.partition("\n")
    lengths = [eighths(bar) for bar in re.split("[:|]+", notes)]
    whole = len(lengths) > 11 and KEY.fullmatch(key) and full([tune]) == 1
    if not whole or "(3" in tune or not max(lengths) <= 6:  # music21 can take minutes over these
        return None
    music21 = package("music21")
    try:
        score = music21.converter.parseData(abc(tune, title), format="abc")
    except (music21.exceptions21.Music21Exception, ValueError, LookupError):
        return None
    durations = [note.duration for note in score.recurse().notesAndRests]
    length = sum(one.quarterLength for one in durations if not one.isGrace)
    return score if abs(float(length) - sum(lengths) / 2) < 0.01 else None


def roll(axes: Any, score: Any, title: str, bars: int = 16) -> None:
    """Notes as bars, time to the right, pitch upwards."""
    for note in score.flatten().notes:
        start, length = float(note.offset), float(note.duration.quarterLength)
        for pitch in note.pitches:
            axes.barh(pitch.midi, 2 * length - 0.1, 0.9, 2 * start, color="tab:blue")
    axes.set(xlim=(0, 6 * bars), ylim=(57, 84), yticks=(60, 67, 72, 79), title=title)
    axes.set_yticklabels(("C4", "G4", "C5", "G5"))
    axes.set_xticks(range(0, 6 * bars + 1, 6), range(bars + 1), fontsize=8)
    axes.grid(axis="x", alpha=0.4)
