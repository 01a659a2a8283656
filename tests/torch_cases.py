"""What PyTorch's recurrent layers compute: live where torch is installed, else from golden/.

`python tests/torch_cases.py` writes the golden file anew. Inputs and weights are drawn from a seed,
only PyTorch's answers are stored.
"""

from __future__ import annotations

import itertools
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

GOLDEN = Path(__file__).parent / "golden" / "recurrent.npz"
SIZES = (4, 3, 3, 2)  # T, B, I, H
LENGTHS = {"packed": [4, 2, 1], "unsorted": [2, 4, 2]}
FORMS = ("padded", "batch_first", "unbatched", "packed", "unsorted")
KINDS: dict[str, tuple[str, dict]] = {
    "RNN": ("RNN", {}),
    "RNN relu": ("RNN", {"nonlinearity": "relu"}),
    "LSTM": ("LSTM", {}),
    "LSTM proj": ("LSTM", {"proj_size": 1}),
    "GRU": ("GRU", {}),
}


def cases() -> dict[str, tuple[str, dict, str, bool]]:
    """Case by name: class, its arguments, the form of the input, whether states are given."""
    found = {}
    for (name, (kind, options)), form in itertools.product(KINDS.items(), FORMS):
        for layers, both in ((1, False), (2, True)):
            more = {"num_layers": layers, "bidirectional": both}
            more["bias"] = form != "unbatched"
            more["batch_first"] = form in ("batch_first", "unsorted")
            found[f"{name}, {form}, {layers}"] = kind, {**options, **more}, form, form != "packed"
    return found


def drawn(name: str, shapes: dict[str, tuple], dtype: Any = np.float64) -> dict[str, np.ndarray]:
    """An array for each name, the same ones each time."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return {n: rng.standard_normal(shape).astype(dtype) for n, shape in shapes.items()}


def run(library: Any, module: Any, arrays: dict, form: str) -> dict[str, np.ndarray]:
    """Outputs and gradients of one layer, the same lines for either library.

    library: torch or minigrad; arrays: x and perhaps h_0, c_0.
    """
    names = [n for n in ("x", "h_0", "c_0") if n in arrays]
    leaves = {n: library.tensor(arrays[n]).requires_grad_() for n in names}
    x = leaves["x"]
    if form in LENGTHS:
        pack = library.nn.utils.rnn.pack_padded_sequence
        x = pack(x, LENGTHS[form], module.batch_first, form == "packed")
    states = [leaves[n] for n in names[1:]]
    hx = None if not states else states[0] if len(states) == 1 else tuple(states)
    output, last = module(x, hx)
    last = last if isinstance(last, tuple) else (last,)
    made = dict(zip(("output", "h_n", "c_n"), (output, *last), strict=False))
    if form in LENGTHS:
        made["output"] = output.data
    weights = drawn("loss", {n: tuple(y.shape) for n, y in made.items()}, arrays["x"].dtype)
    loss = sum((y * library.tensor(weights[n])).sum() for n, y in made.items())
    loss.backward()
    found = {n: y.detach().numpy() for n, y in made.items()}
    found |= {f"grad {n}": leaf.grad.numpy() for n, leaf in leaves.items()}
    return found | {f"grad {n}": p.grad.numpy() for n, p in module.named_parameters()}


def inputs(
    kind: str, options: dict, form: str, states: bool, sizes: tuple, name: str
) -> dict[str, np.ndarray]:
    """x and states of a case."""
    T, B, I, H = sizes
    rows = options["num_layers"] * (1 + options["bidirectional"])
    P = options.get("proj_size") or H
    first = {"batch_first": (B, T, I), "unsorted": (B, T, I), "unbatched": (T, I)}
    shapes = {"x": first.get(form, (T, B, I))}
    if states:
        batch = () if form == "unbatched" else (B,)
        shapes["h_0"] = (rows, *batch, P)
        if kind == "LSTM":
            shapes["c_0"] = (rows, *batch, H)
    return drawn(name, shapes)


def parameters(name: str, shapes: dict[str, tuple], H: int) -> dict[str, np.ndarray]:
    """The weights of a case."""
    return {n: w * H**-0.5 for n, w in drawn("weights of " + name, shapes).items()}


def compute(library: Any, name: str, sizes: tuple = SIZES, dtype: Any = np.float64) -> dict:
    """The outputs and gradients of a case in torch or minigrad."""
    kind, options, form, states = cases()[name]
    module = getattr(library.nn, kind)(sizes[2], sizes[3], **options)
    shapes = {n: tuple(p.shape) for n, p in module.named_parameters()}
    module.to(getattr(library, np.dtype(dtype).name, dtype))
    weights = {n: w.astype(dtype) for n, w in parameters(name, shapes, sizes[3]).items()}
    module.load_state_dict({n: library.tensor(w) for n, w in weights.items()})
    arrays = inputs(kind, options, form, states, sizes, name)
    return run(library, module, {n: a.astype(dtype) for n, a in arrays.items()}, form)


def joined(found: dict[str, np.ndarray]) -> np.ndarray:
    """All arrays of a case as one vector."""
    return np.concatenate([a.ravel() for a in found.values()])


LARGE = (20, 4, 16, 32)
ROUNDED = [f"{name}, padded, {n}" for name in KINDS for n in (1, 2)]


def rounding(found: dict, exact: dict) -> np.ndarray:
    """The relative error of each array, in the 2-norm: the largest would be a matter of luck."""
    pairs = zip(found.values(), exact.values(), strict=True)
    return np.array([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs])


def expected() -> dict[str, np.ndarray]:
    """The answers of all cases in float64, and PyTorch's own rounding errors in float32."""
    if torch is None:
        with np.load(GOLDEN) as golden:
            return dict(golden)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LSTM with projections: no oneDNN
        found = {name: joined(compute(torch, name)) for name in cases()}
        for name in ROUNDED:
            exact = compute(torch, name, LARGE)
            found[f"float32 {name}"] = rounding(compute(torch, name, LARGE, np.float32), exact)
    return found


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **expected())  # type: ignore[arg-type]
    print(f"{GOLDEN}: {GOLDEN.stat().st_size / 1000:.0f} kB")
