"""What a net that reads genes has to beat: naive Bayes, argmax_k ln p(k) + sum_t ln p(x_t | k).

p is counted in x (N, T), symbols 0 .. 4, with labels (N), one more of each kind; asked is `test`.
"""

from __future__ import annotations

import numpy as np

KINDS = 5


def by_position(x: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """A table p_t(x_t | k) for each position t: test (M, T) -> labels (M)"""
    scores = []
    for k in range(labels.max() + 1):
        counts = np.stack([(x[labels == k] == kind).sum(0) for kind in range(KINDS)]) + 1.0
        p = counts / counts.sum(0)  # (KINDS, T)
        scores.append(np.log(p)[test, np.arange(x.shape[1])].sum(1) + np.log((labels == k).mean()))
    return np.argmax(scores, 0)


def of_words(x: np.ndarray, labels: np.ndarray, test: np.ndarray, n: int = 5) -> np.ndarray:
    """One table p(word | k) for all positions, of n neighbours: test (M, S) -> labels (M)"""
    known, asked = (
        sum(v[:, i : v.shape[1] - n + 1 + i] * KINDS ** (n - 1 - i) for i in range(n))
        for v in (x, test)
    )  # (N, T - n + 1), (M, S - n + 1): each word as a number
    scores = []
    for k in range(labels.max() + 1):
        counts = np.bincount(known[labels == k].ravel(), minlength=KINDS**n) + 1.0
        p = counts / counts.sum()
        scores.append(np.log(p)[asked].sum(1) + np.log((labels == k).mean()))
    return np.argmax(scores, 0)
