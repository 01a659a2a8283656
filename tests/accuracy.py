"""Errors of tanh, sigmoid, exp and relu in C, in units in the last place (ulp).

python tests/accuracy.py float32                every float32 there is: ten minutes
python tests/accuracy.py float64                10^8 float64, most where errors are large: two
python tests/accuracy.py float32 --isa avx2 --function tanh --part 3/8 --jobs 2

Prints the largest error and where it is, computed again in 60 digits; fails above 2 ulp, or where
NaN, a sign or an infinity is wrong. An ulp is the distance of two neighbours around the true value.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from decimal import Context, Decimal, localcontext
from multiprocessing import get_context

import numpy as np

from minigrad.kernels import native

Array = np.ndarray
BOUND = 2.0
BLOCK = 1 << 22
PIECE = 1 << 15  # of a block at a time: the arrays stay in the cache
FINER = {np.float32: np.float64, np.float64: np.longdouble}


def exp_in_c(x: Array) -> Array:
    """exp(x) as log_softmax_grad makes it: gx = gy - exp(y) sum(gy), with a one before zeros."""
    gy = np.zeros(x.size + 1, x.dtype)
    gy[0] = 1
    return -native.log_softmax_grad(gy, np.append(x.dtype.type(0), x))[1:]


COMPUTED = {"tanh": native.tanh, "sigmoid": native.sigmoid, "exp": exp_in_c, "relu": native.relu}
TRUE = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "exp": np.exp,
    "relu": lambda x: np.maximum(x, 0),
}


def in_digits(function: str, x: float) -> Decimal:
    """The true value in 60 digits or more, by another way than numpy's."""
    exact = Decimal(x)
    with localcontext(Context(prec=60, Emin=-(10**6), Emax=10**6)) as context:
        if function == "relu":
            return max(exact, Decimal(0))
        if function == "exp":
            return exact.exp()
        if function == "sigmoid":
            return 1 / (1 + (-exact).exp())
        context.prec = 60 + max(0, -exact.adjusted())  # 1 - exp(-2x) cancels
        e = (-2 * abs(exact)).exp()
        return ((1 - e) / (1 + e)).copy_sign(exact)


def units(true: Array, dtype: type) -> Array:
    """2^(e - p + 1) of 2^e <= |true| < 2^(e+1), p the digits of dtype: the last place's worth."""
    info, size = np.finfo(dtype), np.abs(true).astype(np.float64)
    size = np.where(size > np.abs(true), np.nextafter(size, 0), size)  # rounded down
    power = (size.view(np.int64) & 0x7FF << 52).view(np.float64)
    power = np.clip(power, float(info.smallest_normal), 2.0 ** (info.maxexp - 1))
    return power * float(info.eps)


def errors(y: Array, true: Array, unit: Array) -> Array:
    """|y - true| in ulp; infinite where NaN or an infinity is wrong."""
    found = (np.abs(y - true) / unit).astype(np.float64)
    if not np.isfinite(found).all():
        beyond = np.abs(true) > np.finfo(y.dtype).max
        found[beyond & np.isinf(y) & (np.sign(y) == np.sign(true))] = 0
        found[np.isnan(y) & np.isnan(true)] = 0
        found[np.isnan(found)] = np.inf
    return found


def ulps_in_digits(function: str, dtype: type, x: float) -> float:
    """The error at x, in 60 digits."""
    y = float(COMPUTED[function](np.array([x], dtype))[0])
    true = in_digits(function, x)
    unit = units(np.array([float(true)]), dtype)[0]
    return float(abs(Decimal(y) - true) / Decimal(float(unit)))


def check_oracle(functions: list[str], dtype: type) -> None:
    """RuntimeError unless the numbers compared with are right to a hundredth of an ulp."""
    rng = np.random.default_rng(1)
    edge = 80 if dtype is np.float32 else 700
    x = np.concatenate([rng.uniform(-edge, edge, 200), rng.standard_normal(300)])
    x = np.concatenate([x, 2.0 ** rng.uniform(-30, 0, 300)]).astype(dtype)
    for function in functions:
        true = TRUE[function](x.astype(FINER[dtype]))
        unit = units(true, dtype)
        for i in range(x.size):
            high = float(true[i])  # the finer number as the exact sum of two floats
            low = float(true[i] - FINER[dtype](high))
            off = abs(Decimal(high) + Decimal(low) - in_digits(function, float(x[i])))
            if off > Decimal(float(unit[i])) / 100:
                raise RuntimeError(f"{function}: {FINER[dtype].__name__} is too coarse a yardstick")


def all_float32(index: int) -> Array:
    """The block of that number of all float32 there are."""
    return np.arange(index * BLOCK, (index + 1) * BLOCK, dtype=np.uint32).view(np.float32)


def some_float64(index: int, size: int = BLOCK) -> Array:
    """Of every exponent; near 0; where exp over- and underflows; and about the cuts, where k ln 2/4
    is rounded to a neighbour, or a result is a power of two: there errors are largest."""
    rng = np.random.default_rng(index)
    n = size // 8
    sign = rng.choice([-1.0, 1.0], size - 4 * n)
    about = rng.integers(1, 4400, 2 * n) * (np.log(2) / 4)
    near = rng.integers(1, 160, size - 6 * n) * (np.log(2) / 4)
    cuts = np.concatenate([about, near])
    cuts *= 1 + rng.choice([-1.0, 1.0], cuts.size) * 2.0 ** rng.uniform(-52, -4, cuts.size)
    return np.concatenate(
        [
            rng.integers(0, 1 << 64, n, dtype=np.uint64).view(np.float64),
            2.0 ** rng.uniform(-30, 5, n) * rng.choice([-1.0, 1.0], n),
            rng.uniform(-760, 760, n),
            rng.uniform(-40, 40, n),
            cuts * sign,
        ]
    )


def worst_of(x: Array, functions: list[str], isas: list[str]) -> dict[tuple[str, str], tuple]:
    """(isa, function): the largest error over x, and where."""
    dtype, found = x.dtype.type, {}
    with np.errstate(all="ignore"):
        fine = x.astype(FINER[dtype])
        for function in functions:
            true = TRUE[function](fine)
            unit = units(true, dtype)
            for isa in isas:
                native.select_isa(isa)
                y = COMPUTED[function](x)
                error = errors(y, true, unit)
                if function == "tanh":
                    error[(np.signbit(y) != np.signbit(x)) & ~np.isnan(x)] = np.inf
                at = int(error.argmax())
                found[isa, function] = float(error[at]), float(x[at])
    return found


def worst(numbers: Iterable[dict]) -> dict[tuple[str, str], tuple]:
    """The largest of several."""
    found = {}
    for some in numbers:
        found |= {key: max(found.get(key, value), value) for key, value in some.items()}
    return found


def run(dtype: type, index: int, functions: list[str], isas: list[str]) -> dict:
    """One block, in a process of its own."""
    native.set_num_threads(1)
    x = all_float32(index) if dtype is np.float32 else some_float64(index)
    pieces = (x[i : i + PIECE] for i in range(0, BLOCK, PIECE))
    return worst(worst_of(piece, functions, isas) for piece in pieces)


def blocks(dtype: type, samples: int, part: str) -> range:
    """The numbers of the blocks of part K/N: every N-th."""
    k, n = (int(word) for word in part.split("/"))
    if not 1 <= k <= n:
        raise SystemExit(f"--part: expected K/N with K from 1 to N, got {part}")
    return range(k - 1, (1 << 32) // BLOCK if dtype is np.float32 else -(-samples // BLOCK), n)


def results(jobs: int, numbers: range, *given: object) -> Iterator[dict]:
    dtype, *rest = given
    if jobs == 1:
        yield from (run(dtype, number, *rest) for number in numbers)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for done in as_completed(pool.submit(run, dtype, number, *rest) for number in numbers):
            yield done.result()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dtype", choices=["float32", "float64"])
    parser.add_argument("--isa", choices=native.available_isas(), help="this alone (all)")
    parser.add_argument("--function", choices=list(TRUE), help="this alone (all)")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="the K-th of N parts")
    parser.add_argument("--samples", type=int, default=10**8, help="of float64 (10^8)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    return parser.parse_args()


def main() -> int:
    a = arguments()
    dtype = getattr(np, a.dtype)
    functions = [a.function] if a.function else list(TRUE)
    isas = [a.isa] if a.isa else native.available_isas()
    check_oracle(functions, dtype)
    numbers, found = blocks(dtype, a.samples, a.part), {}
    start = time.monotonic()
    for count, some in enumerate(results(a.jobs, numbers, dtype, functions, isas), 1):
        found, spent = worst([found, some]), time.monotonic() - start
        print(f"\r{count} of {len(numbers)} blocks, {spent:.0f} s ", end="", file=sys.stderr)
    print(file=sys.stderr)
    print(f"{a.dtype}, {len(numbers) * BLOCK:,} numbers, part {a.part}")
    for (isa, function), (error, x) in found.items():
        native.select_isa(isa)
        again = "" if error in (0, np.inf) else f" ({ulps_in_digits(function, dtype, x):.4f})"
        print(f"{isa:9} {function:8} {error:.4f}{again} ulp at {x.hex()} = {x!r}")
    return any(error > BOUND for error, _ in found.values())


if __name__ == "__main__":
    sys.exit(main())
