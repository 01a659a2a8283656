"""What a net that reads has to beat: a score from which words there are, and which pairs of them.

Ridge regression: w = argmin |X w - y|^2 + penalty |w|^2, X (texts, features) of ones and zeros.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np


class BagOfWords:
    """scores(texts) after fitting: the sum of the weights of the words and neighbours in a text"""

    def __init__(self, texts: list[list[str]], scores: np.ndarray, penalty: float) -> None:
        """Conjugate gradients on (X'X + penalty) w = X'y; X is kept as where its ones are."""
        found = [self.features(words) for words in texts]
        self.code = {f: i for i, f in enumerate(dict.fromkeys(f for some in found for f in some))}
        column = np.array([self.code[f] for some in found for f in some])
        row = np.repeat(np.arange(len(found)), [len(some) for some in found])
        self.mean = scores.mean()
        w = np.zeros(len(self.code))
        rest = direction = np.bincount(column, (scores - self.mean)[row])
        for _ in range(50):
            image = np.bincount(column, np.bincount(row, direction[column])[row])
            image = image + penalty * direction
            step = rest @ rest / (direction @ image)
            w, before, rest = w + step * direction, rest @ rest, rest - step * image
            direction = rest + rest @ rest / before * direction
        self.weight = w

    @staticmethod
    def features(words: list[str]) -> list[Any]:
        """Each word and each pair of neighbours, once"""
        return list(dict.fromkeys([*words, *pairwise(words)]))

    def scores(self, texts: list[list[str]]) -> np.ndarray:
        known = [[self.code[f] for f in self.features(w) if f in self.code] for w in texts]
        return np.array([self.mean + self.weight[some].sum() for some in known])
