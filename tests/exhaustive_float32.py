"""tanh, sigmoid and relu of every float32 there is, for every instruction set of this machine.

python tests/exhaustive_float32.py      prints the largest errors; takes some minutes
"""

import numpy as np

from minigrad.kernels import native

BLOCK = 1 << 24


def worst(isa: str) -> dict[str, tuple[float, float]]:
    """The largest error of each function in units in the last place, and where."""
    native.select_isa(isa)
    found = {"tanh": (0.0, 0.0), "sigmoid": (0.0, 0.0)}
    for start in range(0, 1 << 32, BLOCK):
        x = np.arange(start, start + BLOCK, dtype=np.uint32).view(np.float32)
        relu = native.relu(x)
        nan = np.isnan(x)
        assert np.array_equal(np.isnan(relu), nan)
        assert np.array_equal(relu[~nan], np.maximum(x[~nan], 0))
        fine = x.astype(np.float64)
        for name in found:
            y = getattr(native, name)(x)
            assert np.array_equal(np.isnan(y), nan)
            true = np.tanh(fine) if name == "tanh" else 1 / (1 + np.exp(-fine))
            error = np.abs(y - true) / np.spacing(np.abs(true).astype(np.float32))
            error[nan] = 0
            at = int(error.argmax())
            found[name] = max(found[name], (float(error[at]), float(x[at])))
    return found


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        for isa in native.available_isas():
            for name, (error, x) in worst(isa).items():
                print(f"{isa:9} {name:8} {error:.3f} ulp at {x!r}", flush=True)
