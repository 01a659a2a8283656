"""What a net that writes has to beat: a table of what followed each four symbols.

Where four were never seen, or seldom, three help out, then two, one, none: Witten and Bell's
smoothing.

    p_k(x) = (count(x) + kinds p_{k-1}(x)) / (sum of counts + kinds),   p_{-1} uniform

over what followed the last k symbols: counts, and how many kinds of symbols these are.
"""

from __future__ import annotations

from collections import Counter

import numpy as np


class Markov:
    """The rival: p(next | the last four), as often as it followed them."""

    def __init__(self, ids: np.ndarray, symbols: int) -> None:
        self.symbols = symbols
        self.follow: list[dict[tuple[int, ...], Counter[int]]] = [{} for _ in range(5)]
        for i in range(len(ids)):
            for k in range(min(i, 4) + 1):
                self.follow[k].setdefault(tuple(ids[i - k : i]), Counter())[ids[i]] += 1

    def p(self, before: tuple[int, ...]) -> np.ndarray:
        """p_4 (V)"""
        p = np.full(self.symbols, 1 / self.symbols)
        for k in range(min(4, len(before)) + 1):
            seen = self.follow[k].get(before[len(before) - k :])
            if seen:
                counts = np.bincount(list(seen), list(seen.values()), self.symbols)
                p = (counts + len(seen) * p) / (counts.sum() + len(seen))
        return p

    def bits(self, ids: np.ndarray) -> float:
        """Mean of -log2 p(next symbol) over one stream (N)"""
        p = [self.p(tuple(ids[max(0, i - 4) : i]))[ids[i]] for i in range(1, len(ids))]
        return float(-np.log2(p).mean())

    def write(
        self, rng: np.random.Generator, end: int, longest: int, temperature: float
    ) -> list[int]:
        """Symbols up to `end`, which comes first, too, or `longest` of them."""
        made = [end]
        while len(made) <= longest and (len(made) == 1 or made[-1] != end):
            p = self.p(tuple(made[-4:])) ** (1 / temperature)
            made.append(int(rng.choice(self.symbols, p=p / p.sum())))
        return made[1:]
