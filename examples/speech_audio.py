"""Spoken digits as sequences: a synthesiser's many voices, and one human voice.

`espeak-ng` speaks what there is to learn from; Asterisk's recordings, by a person, are what it is
to be good for. Both are Debian packages. Here is also what makes a sequence of a sound: the
logarithm of the energy in bands that are as wide as the ear's, a frame every 10 ms (log-mel), and
its cosine transform (MFCC).

Letters: N samples, T frames, K frequencies, M bands, C coefficients.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np
from lecture import fail, progress

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ACCENTS = ["en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029"]
VOICES = ["m1", "m2", "m3", "m4", "m5", "f1", "f2", "f3", "Andy", "Annie", "klatt2", "klatt4"]
NEW_VOICES = ["m7", "f4", "Michael", "steph"]  # never heard in the training
BANDS, COEFFICIENTS = 24, 13
HUMAN = Path("/usr/share/asterisk/sounds/en_US_f_Allison/digits")
MISSING = "apt install espeak-ng asterisk-core-sounds-en-wav"


def read_wav(source: Any) -> tuple[np.ndarray, int]:
    """Samples (N) between -1 and 1, and how many there are in a second."""
    with wave.open(source) as file:
        if file.getsampwidth() != 2:
            raise ValueError("expected 16 bits a sample")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)
        return samples.reshape(-1, file.getnchannels()).mean(1) / 2**15, file.getframerate()


def mel_bands(frequencies: np.ndarray) -> np.ndarray:
    """Triangles (K, M), evenly spaced on the mel scale, 100 to 3800 Hz: all that telephones carry.

    mel(f) = 2595 log10(1 + f / 700)
    """
    edges = np.linspace(*(2595 * np.log10(1 + np.array([100, 3800]) / 700)), BANDS + 2)
    edges = 700 * (10 ** (edges / 2595) - 1)
    low, top, high = edges[:-2], edges[1:-1], edges[2:]
    f = frequencies[:, None]
    return np.minimum((f - low) / (top - low), (high - f) / (high - top)).clip(0)


def mfcc(samples: np.ndarray, rate: int) -> np.ndarray:
    """(T, C): frames of 25 ms, 10 ms apart, silence cut off at both ends; the mean is taken out."""
    size, hop = rate // 40, rate // 100
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, 2048 if rate > 16000 else 1024)) ** 2  # (T, K)
    energy = power @ mel_bands(np.linspace(0, rate / 2, power.shape[1]))  # (T, M)
    loud = np.flatnonzero(energy.sum(1) > 1e-3 * energy.sum(1).max())
    log_mel = np.log(energy[loud[0] : loud[-1] + 1] + 1e-5 * energy.max())
    k, m = np.arange(COEFFICIENTS)[:, None], np.arange(BANDS)
    cepstrum = log_mel @ np.cos(np.pi * k * (m + 0.5) / BANDS).T
    return (cepstrum - cepstrum.mean(0)).astype(np.float32)


def speak(word: str, voice: str, speed: int, pitch: int) -> np.ndarray:
    """espeak-ng says it: (T, C)"""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", word]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        fail(f"espeak-ng: {done.stderr.decode(errors='replace')[-200:]}")
    return mfcc(*read_wav(io.BytesIO(done.stdout)))


def synthesised(voices: list[str]) -> tuple[list[np.ndarray], list[str]]:
    """All digits in all accents and voices, each at some speed and pitch."""
    if shutil.which("espeak-ng") is None:
        fail(f"--audio needs espeak-ng, and a person's recordings; this brings both: {MISSING}")
    rng = np.random.default_rng(len(voices))  # the same sounds for every --seed
    plan = [(d, a, v) for d in DIGITS for a in ACCENTS for v in voices]
    sounds = [
        speak(digit, f"{accent}+{voice}", rng.integers(110, 200), rng.integers(25, 75))
        for digit, accent, voice in progress(plan, f"espeak-ng, {len(voices)} voices")
    ]
    return sounds, [digit for digit, *_ in plan]


def recorded() -> tuple[list[np.ndarray], list[str]]:
    """The ten digits as Allison Smith said them for Asterisk (CC BY-SA 3.0)."""
    if not HUMAN.is_dir():
        fail(f"--audio needs the recordings in {HUMAN}; this brings them: {MISSING}")
    return [mfcc(*read_wav(str(HUMAN / f"{i}.wav"))) for i in range(10)], DIGITS
