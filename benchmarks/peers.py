"""The same recurrent nets in minigrad, PyTorch, JAX and ONNX Runtime, for benchmarks/rnn.py.

A peer is made with a case and one set of weights; `train`, `infer` and `step` do its work and give
back arrays of their library. train: output, gx and the gradients of all weights, in PyTorch's
order; of a packed case no output. step: one time step, from the state that the last one left.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

import minigrad as mg

try:
    import jax
    import jax.numpy as jnp
except ModuleNotFoundError:
    jax = None  # type: ignore[assignment]
try:
    import onnx
    import onnxruntime
except ModuleNotFoundError:
    onnx = None  # type: ignore[assignment]

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
ONNX_ORDER = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 3, 1, 2]}  # of PyTorch's gates


class Case(NamedTuple):
    """One cell of the table. mode: train, infer, packed, deep (two layers, two directions), proj
    (an LSTM with a projection), step"""

    net: str
    dtype: str
    mode: str
    size: str  # BxTxIxH
    threads: int

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        B, T, I, H = map(int, self.size.split("x"))
        return B, T, I, H

    @property
    def function(self) -> str:
        """The method of a peer that this mode times."""
        return self.mode if self.mode in ("infer", "step") else "train"

    @property
    def options(self) -> dict[str, Any]:
        if self.mode == "proj":
            return {"proj_size": self.sizes[-1] // 2}
        return {"num_layers": 2, "bidirectional": True} if self.mode == "deep" else {}

    @property
    def units(self) -> int:
        """Of the output."""
        return self.options.get("proj_size", self.sizes[-1] * (2 if self.mode == "deep" else 1))


class Data(NamedTuple):
    """x (T, B, I), gy (T, B, D*H or P), lengths (B), longest first, or None; PyTorch's layer"""

    x: np.ndarray
    gy: np.ndarray
    lengths: np.ndarray | None
    module: torch.nn.RNNBase

    @classmethod
    def of(cls, case: Case) -> Data:
        B, T, I, H = case.sizes
        rng = np.random.default_rng(0)
        x, gy = (rng.standard_normal((T, B, n)).astype(case.dtype) for n in (I, case.units))
        lengths = None
        if case.mode == "packed":
            lengths = np.sort(rng.integers(1, T + 1, B))[::-1].copy()
            lengths[0] = T
        torch.manual_seed(0)
        dtype = getattr(torch, case.dtype)
        return cls(x, gy, lengths, getattr(torch.nn, case.net)(I, H, dtype=dtype, **case.options))


class Tape:
    """minigrad or PyTorch: the same lines."""

    def __init__(self, name: str, lib: Any, case: Case, data: Data) -> None:
        self.name, self.lib = name, lib
        if lib is torch:
            self.module, tensor = data.module, torch.from_numpy
        else:
            self.module = getattr(mg.nn, case.net)(
                *case.sizes[2:], dtype=data.x.dtype, **case.options
            )
            self.module.load_state_dict({n: w.numpy() for n, w in data.module.state_dict().items()})
            tensor = mg.tensor
        self.x, self.gy = tensor(data.x).requires_grad_(), tensor(data.gy)
        self.pack: Any = None
        if data.lengths is not None:
            lengths = torch.from_numpy(data.lengths) if lib is torch else data.lengths
            self.pack = partial(lib.nn.utils.rnn.pack_padded_sequence, lengths=lengths)
            self.gy = self.pack(self.gy).data
        self.state: Any = None

    def train(self) -> list[Any]:
        self.module.zero_grad()
        self.x.grad = None
        output = self.module(self.pack(self.x) if self.pack else self.x)[0]
        (output.data if self.pack else output).backward(self.gy)
        found = [self.x.grad, *(p.grad for p in self.module.parameters())]
        return found if self.pack else [output.detach(), *found]

    def infer(self) -> list[Any]:
        with self.lib.inference_mode():
            return [self.module(self.x)[0]]

    def step(self) -> list[Any]:
        with self.lib.inference_mode():
            output, self.state = self.module(self.x, self.state)
            return [output]


# ---- JAX ----


def jax_cell(net: str, state: tuple, a: Any, w_hh: Any, b_hh: Any) -> tuple:
    """The next state; a: the input's part of the gates, with b_ih."""
    u = state[0] @ w_hh.T + b_hh
    if net == "RNN":
        return (jnp.tanh(a + u),)
    if net == "LSTM":
        i, f, g, o = jnp.split(a + u, 4, -1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c
    (r, z, n), (ur, uz, un) = jnp.split(a, 3, -1), jnp.split(u, 3, -1)
    r, z = jax.nn.sigmoid(r + ur), jax.nn.sigmoid(z + uz)
    return ((1 - z) * jnp.tanh(n + r * un) + z * state[0],)


def jax_layer(
    net: str, weights: Any, x: Any, state: tuple, lengths: Any, reverse: bool
) -> tuple[Any, tuple]:
    """output and last state of one layer and direction; past its length a row stays as it is."""
    w_ih, w_hh, b_ih, b_hh = weights

    def step(state: tuple, given: tuple) -> tuple[tuple, Any]:
        new = jax_cell(net, state, given[0], w_hh, b_hh)
        if lengths is None:
            return new, new[0]
        alive = (given[1] < lengths)[:, None]
        new = tuple(jnp.where(alive, a, b) for a, b in zip(new, state, strict=True))
        return new, new[0] * alive

    last, output = jax.lax.scan(
        step, state, (x @ w_ih.T + b_ih, jnp.arange(len(x))), reverse=reverse
    )
    return output, last


def jax_net(case: Case, weights: Any, x: Any, state: tuple, lengths: Any) -> tuple[Any, tuple]:
    """All layers and directions; every one of them begins with `state`."""
    directions = 2 if case.mode == "deep" else 1
    for layer in range(0, len(weights), 4 * directions):
        rows = [weights[layer + 4 * d : layer + 4 * d + 4] for d in range(directions)]
        found = [jax_layer(case.net, w, x, state, lengths, d > 0) for d, w in enumerate(rows)]
        x = jnp.concatenate([output for output, _ in found], -1)
    return x, found[0][1]


class Jax:
    """JAX: lax.scan over time, the input's product before it; jitted whole."""

    name = "JAX"

    def __init__(self, case: Case, data: Data) -> None:
        jax.config.update("jax_enable_x64", case.dtype == "float64")
        B, _, _, H = case.sizes
        self.x, self.gy = jnp.asarray(data.x), jnp.asarray(data.gy)
        self.weights = [jnp.asarray(p.detach().numpy()) for p in data.module.parameters()]
        self.state = tuple(jnp.zeros((B, H), case.dtype) for _ in range(1 + (case.net == "LSTM")))
        self.packed = data.lengths is not None
        lengths = jnp.asarray(data.lengths) if self.packed else None
        self.forward = jax.jit(partial(jax_net, case, lengths=lengths))

        def total(x: Any, weights: Any, gy: Any, state: tuple) -> tuple[Any, Any]:
            output = jax_net(case, weights, x, state, lengths)[0]
            return (output * gy).sum(), output

        self.gradient = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))

    def train(self) -> list[Any]:
        (_, output), (gx, gw) = jax.block_until_ready(
            self.gradient(self.x, self.weights, self.gy, self.state)
        )
        return [gx, *gw] if self.packed else [output, gx, *gw]

    def infer(self) -> list[Any]:
        return [jax.block_until_ready(self.forward(self.weights, self.x, self.state))[0]]

    def step(self) -> list[Any]:
        output, self.state = jax.block_until_ready(self.forward(self.weights, self.x, self.state))
        return [output]


# ---- ONNX Runtime ----


def onnx_graph(case: Case, module: torch.nn.RNNBase) -> bytes:
    """A model of one operator: X and the initial states to Y and the last states."""
    B, T, I, H = case.sizes
    order = ONNX_ORDER[case.net]

    def turned(w: torch.Tensor) -> np.ndarray:
        return w.detach().numpy().reshape(len(order), H, -1)[order].reshape(len(order) * H, -1)

    w_ih, w_hh, b_ih, b_hh = map(turned, module.parameters())
    bias = np.concatenate([b_ih, b_hh]).T
    real, helper = onnx.TensorProto.FLOAT, onnx.helper
    states = ["h", "c"][: 1 + (case.net == "LSTM")]
    names = ["X", "W", "R", "B", "", *states]
    options = {"linear_before_reset": 1} if case.net == "GRU" else {}
    node = helper.make_node(
        case.net, names, ["Y", *(f"{s}_n" for s in states)], hidden_size=H, **options
    )
    weights = {"W": w_ih[None], "R": w_hh[None], "B": bias}
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("X", real, (T, B, I))]
        + [helper.make_tensor_value_info(s, real, (1, B, H)) for s in states],
        [helper.make_tensor_value_info("Y", real, (T, 1, B, H))]
        + [helper.make_tensor_value_info(f"{s}_n", real, (1, B, H)) for s in states],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(w), n) for n, w in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


class Onnx:
    """ONNX Runtime, for inference in float32: its operators know nothing else."""

    name = "ONNX Runtime"

    def __init__(self, case: Case, data: Data) -> None:
        B, _, _, H = case.sizes
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = case.threads, 1
        model = onnx_graph(case, data.module)
        self.session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        states = ["h", "c"][: 1 + (case.net == "LSTM")]
        self.feed = {"X": data.x} | {s: np.zeros((1, B, H), np.float32) for s in states}
        self.states = states

    def infer(self) -> list[Any]:
        return [self.session.run(["Y"], self.feed)[0][:, 0]]

    def step(self) -> list[Any]:
        output, *last = self.session.run(None, self.feed)
        self.feed.update(zip(self.states, last, strict=True))
        return [output[:, 0]]


def peers(case: Case, data: Data) -> list[Any]:
    """Ours, PyTorch, and what else is installed and can do this case."""
    found: list[Any] = [Tape("minigrad", mg, case, data), Tape("PyTorch", torch, case, data)]
    if jax is not None and case.mode != "proj":
        found.append(Jax(case, data))
    if onnx is not None and case.function != "train" and case.dtype == "float32":
        found.append(Onnx(case, data))
    return found


def versions() -> list[str]:
    found = [f"PyTorch {torch.__version__}"]
    if jax is not None:
        found.append(f"JAX {jax.__version__}")
    if onnx is not None:
        found.append(f"ONNX Runtime {onnxruntime.__version__}")
    return found
