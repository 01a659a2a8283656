"""One step of a recurrent network: the lecture's equations, line by line.

A cell takes an input x_t (B, I) and its state to the next state: h (B, H), or (h, c) for an LSTM.
Its equations stand once, in `step`; a layer that no kernel covers runs them over time, and the
kernels are tested against them. `drive` is what the input alone brings to the gates, W x_t + b_ih,
which a layer computes for all its steps at once.

Letters: B batch, I inputs, H hidden units, P projected units, g gates. sigma = 1 / (1 + e^-x).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from minigrad.creation import generator, zeros
from minigrad.ops.elementwise import clamp, where
from minigrad.ops.linalg import linear
from minigrad.ops.shape import cat, chunk, split
from minigrad.tensor import Tensor

from . import functional as F
from . import init
from .gate_activations import resolve
from .layers import parameter, positive
from .module import Module
from .parameter import Parameter

State = tuple[Any, ...]
Next = TypeVar("Next")  # the next state as it is returned: h, or (h, c)


def zoned(old: Any, new: Any, p: float, training: bool) -> Any:
    """y = old with probability p, new otherwise, each element by itself; the mean in evaluation

    Source: Krueger et al., Zoneout, 2017.
    """
    if training:
        return where(generator().random(new.shape) < p, old, new)
    return p * old + (1 - p) * new


def peep(a: Any, p: Any, c: Any) -> Any:
    """y = a + p c: what a gate adds up when it sees the cell; a where it does not (p None)"""
    return a if p is None else a + p * c


def dropped(h: Any, drop: Any) -> Any:
    """y = drop h; h where there is nothing to drop (None)"""
    return h if drop is None else drop * h


class Cell(Module, Generic[Next]):
    """What the cells share: parameters, checks, and the options that change no equation.

    weight_ih (gH, I), weight_hh (gH, H or P), bias_ih and bias_hh (gH): U(-s, s), s = 1/sqrt(H).
    layer_norm   LN(W x) gain_ih and LN(U h) gain_hh stand for W x and U h; an LSTM's act(c) becomes
                 act(LN(c) gain_c + shift_c) (Ba, Kiros and Hinton, Layer normalization, 2016)
    zoneout      every unit of the state keeps its old value with this probability (`zoned`)
    clip         the inputs of all activations are brought into [-clip, clip], as ONNX does
    activations  others for the cell's own, in the order of its equations: see `nn.gate_activations`
    """

    blocks: tuple[int, ...] = (1,)  # the gates that layer_norm takes together
    default: tuple[str, ...] = ("Tanh",)  # activations
    noted: dict[str, list[Any]] | None = None  # by letter, a value each step
    bias_ih: Parameter | None
    bias_hh: Parameter | None
    gain_ih: Parameter | None
    gain_hh: Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        gates: int,
        units: int,
        *,
        layer_norm: bool = False,
        zoneout: float = 0.0,
        clip: float | None = None,
        activations: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        positive(name, input_size=input_size, hidden_size=hidden_size)
        if clip is not None and not clip > 0:
            raise ValueError(f"{name}: clip must be greater than 0, got {clip}")
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self.state_size: int | tuple[int, ...] = units
        self.layer_norm, self.clip = layer_norm, clip
        self.zoneout = F.probability(f"{name}: zoneout", zoneout)
        self.activations = resolve(name, activations, self.default)
        rows = gates * hidden_size
        self.weight_ih = parameter(rows, input_size, dtype=dtype)
        self.weight_hh = parameter(rows, units, dtype=dtype)
        self.bias_ih = parameter(rows, dtype=dtype) if bias else None
        self.bias_hh = parameter(rows, dtype=dtype) if bias else None
        self.gain_ih = parameter(rows, dtype=dtype) if layer_norm else None
        self.gain_hh = parameter(rows, dtype=dtype) if layer_norm else None
        options = {"activations": activations, "layer_norm": layer_norm, "zoneout": zoneout,
                   "clip": clip}  # fmt: skip
        self.beyond = [name for name, value in options.items() if value]  # what no kernel covers

    def reset_parameters(self) -> None:
        """Draws all parameters anew: gains are 1, shifts 0."""
        s = 1 / math.sqrt(self.hidden_size)
        for name, p in self.named_parameters():
            if name.startswith("gain"):
                init.ones_(p)
            elif name.startswith("shift"):
                init.zeros_(p)
            else:
                init.uniform_(p, -s, s)

    # -- what the equations are made of

    def note(self, **values: Any) -> None:
        """Keeps the values of these letters of the equations, where `RNNBase.inspect` asks."""
        if self.noted is not None:
            for letter, value in values.items():
                self.noted.setdefault(letter, []).append(value)

    def drive(self, x: Any) -> Any:
        """W x + b_ih: (..., I) -> (..., gH)"""
        return self._affine(x, self.weight_ih, self.bias_ih, self.gain_ih, self.blocks)

    def _affine(self, x: Any, w: Any, b: Any, gain: Any, blocks: Sequence[int]) -> Any:
        """W x + b, or LN(W x) gain + b: `blocks` gates have a mean and a variance together."""
        if gain is None:
            return linear(x, w, b)
        sizes = tuple(n * self.hidden_size for n in blocks)
        y = (
            cat(
                -1,
                *[F.layer_norm(part, part.shape[-1:]) for part in split(linear(x, w), sizes, -1)],
            )
            * gain
        )
        return y if b is None else y + b

    def _recur(self, h: Any, drop: Any) -> Any:
        """U (drop h) + b_hh: (B, H) -> (B, gH)"""
        h = dropped(h, drop)
        return self._affine(h, self.weight_hh, self.bias_hh, self.gain_hh, self.blocks)

    def _clipped(self, x: Any) -> Any:
        return x if self.clip is None else clamp(x, -self.clip, self.clip)

    def step(self, wx: Any, state: State, drop: Any = None) -> State:
        """The next state from wx = drive(x_t) and this one; in U h, h is multiplied by `drop`"""
        raise TypeError(f"{type(self).__name__} defines no step")

    def advance(self, wx: Any, state: State, drop: Any = None) -> State:
        """`step`, then zoneout."""
        new = self.step(wx, state, drop)
        if self.zoneout:
            pairs = zip(state, new, strict=True)
            new = tuple(zoned(a, b, self.zoneout, self.training) for a, b in pairs)
        self.note(**dict(zip("hc", new)))
        return new

    # -- the cell by itself

    def forward(self, input: Tensor, hx: Any = None) -> Next:
        """One step: input (B, I) or (I) and hx -> h', or (h', c'); hx None stands for zeros"""
        name = type(self).__name__
        check_input(name, input, self.input_size, self.weight_ih.dtype, (1, 2))
        single = isinstance(self.state_size, int)
        sizes = (self.state_size,) if isinstance(self.state_size, int) else self.state_size
        shapes = [(*input.shape[:-1], n) for n in sizes]
        if hx is None:
            state: State = tuple(zeros(shape, dtype=input.dtype) for shape in shapes)
        else:
            state = states_of(name, hx, len(sizes))
            for letter, s, shape in zip("hc", state, shapes, strict=False):
                check_state(name, letter, s, shape, "(N, H)", input)
        new: Any = self.advance(self.drive(input), state)
        return new[0] if single else new

    def extra_repr(self) -> str:
        bias = "" if self.bias else ", bias=False"
        return f"{self.input_size}, {self.hidden_size}{bias}"


class RNNCell(Cell[Tensor]):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu

    x (B, I) or (I), h (B, H) or (H). Source: Elman, Finding structure in time, 1990.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        activations: Any = None,
        **options: Any,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell: expected nonlinearity tanh or relu, got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, 1, hidden_size,
                         activations=activations, **options)  # fmt: skip
        self.nonlinearity = nonlinearity
        if activations is None:
            self.activations = resolve("RNNCell", [nonlinearity.capitalize()], self.default)
        self.reset_parameters()

    def step(self, wx: Any, state: State, drop: Any = None) -> State:
        [h], [act] = state, self.activations
        return (act(self._clipped(wx + self._recur(h, drop))),)


class LSTMCell(Cell[tuple[Tensor, Tensor]]):
    """i = sigma(W_ii x + b_ii + W_hi h + b_hi)   input gate       rows of W, U, b: i f g o
    f = sigma(W_if x + b_if + W_hf h + b_hf)   forget gate
    g = tanh (W_ig x + b_ig + W_hg h + b_hg)   candidate
    c' = f c + i g                             cell
    o = sigma(W_io x + b_io + W_ho h + b_ho)   output gate
    h' = o tanh(c')                            output; with proj_size=P: W_hr o tanh(c')

    peephole  i and f also see c, and o sees c', each unit its own: + p_i c, + p_f c, + p_o c';
              weight_peephole (3H), in the order i f o (coupled: 2H, f o)
    coupled   i = 1 - f; the rows are f g o
    x (B, I) or (I), h (B, H or P), c (B, H); activations: sigma, tanh of g, tanh of c'.
    Sources: Hochreiter and Schmidhuber 1997; the forget gate: Gers, Schmidhuber and Cummins 2000;
    peepholes: Gers and Schmidhuber 2000; projection: Sak, Senior and Beaufays 2014; coupled gates:
    Greff et al. 2017.
    """

    default = ("Sigmoid", "Tanh", "Tanh")
    weight_hr: Parameter | None
    weight_peephole: Parameter | None
    gain_c: Parameter | None
    shift_c: Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        proj_size: int = 0,
        peephole: bool = False,
        coupled: bool = False,
        **options: Any,
    ) -> None:
        if not isinstance(proj_size, int) or not 0 <= proj_size < max(hidden_size, 1):
            raise ValueError(
                f"LSTM: proj_size must be at least 0 and smaller than hidden_size={hidden_size}, "
                f"got {proj_size}"
            )
        gates, units, H = 4 - coupled, proj_size or hidden_size, hidden_size
        super().__init__(input_size, hidden_size, bias, gates, units, **options)
        dtype = self.weight_ih.dtype
        self.state_size = (units, hidden_size)
        self.proj_size, self.peephole, self.coupled = proj_size, peephole, coupled
        self.blocks = (gates,)
        self.weight_hr = parameter(proj_size, H, dtype=dtype) if proj_size else None
        self.weight_peephole = parameter((gates - 1) * H, dtype=dtype) if peephole else None
        self.gain_c = parameter(H, dtype=dtype) if self.layer_norm else None
        self.shift_c = parameter(H, dtype=dtype) if self.layer_norm else None
        self.beyond += [n for n in ("peephole", "coupled") if getattr(self, n)]
        self.reset_parameters()

    def step(self, wx: Any, state: State, drop: Any = None) -> State:
        (h, c), (act, act_g, act_c), clip = state, self.activations, self._clipped
        *i, f, g, o = chunk(wx + self._recur(h, drop), 3 if self.coupled else 4, -1)  # (B, H) each
        *p_i, p_f, p_o = self._peepholes()
        f = act(clip(peep(f, p_f, c)))
        i = 1 - f if self.coupled else act(clip(peep(i[0], p_i[0], c)))
        g = act_g(clip(g))
        c = f * c + i * g
        o = act(clip(peep(o, p_o, c)))
        self.note(i=i, f=f, g=g, o=o)
        h = o * act_c(clip(self._normalized(c)))
        return (h if self.weight_hr is None else linear(h, self.weight_hr)), c

    def _peepholes(self) -> Sequence[Any]:
        """p_i, p_f, p_o; p_f, p_o if coupled"""
        count = 2 if self.coupled else 3
        if self.weight_peephole is None:
            return (None,) * count
        return chunk(self.weight_peephole, count)

    def _normalized(self, c: Any) -> Any:
        return (
            c if self.gain_c is None else F.layer_norm(c, c.shape[-1:]) * self.gain_c + self.shift_c
        )


class GRUCell(Cell[Tensor]):
    """r = sigma(W_ir x + b_ir + W_hr h + b_hr)       reset gate       rows of W, U, b: r z n
    z = sigma(W_iz x + b_iz + W_hz h + b_hz)       update gate
    n = tanh (W_in x + b_in + r (W_hn h + b_hn))   candidate
    h' = (1 - z) n + z h

    reset_after=False, the paper's form: n = tanh(W_in x + b_in + W_hn (r h) + b_hn).
    x (B, I) or (I), h (B, H); activations: sigma, tanh.
    Source: Cho et al. 2014; the reset gate after the product as in cuDNN and PyTorch (who also
    exchanged z and 1 - z).
    """

    blocks = (2, 1)
    default = ("Sigmoid", "Tanh")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, hidden_size, **options)
        self.reset_after = reset_after
        self.reset_parameters()

    def step(self, wx: Any, state: State, drop: Any = None) -> State:
        [h], (act, act_n), clip = state, self.activations, self._clipped
        sizes = (2 * self.hidden_size, self.hidden_size)
        x_rz, x_n = split(wx, sizes, -1)  # (B, 2H), (B, H)
        if self.reset_after:
            u_rz, u_n = split(self._recur(h, drop), sizes, -1)
            r, z = chunk(act(clip(x_rz + u_rz)), 2, -1)
            n = act_n(clip(x_n + r * u_n))
        else:
            weights = (self.weight_hh, self.bias_hh, self.gain_hh)
            rows = [(None, None) if w is None else split(w, sizes, 0) for w in weights]
            (w_rz, w_n), (b_rz, b_n), (gain_rz, gain_n) = rows
            u_rz = self._affine(dropped(h, drop), w_rz, b_rz, gain_rz, (2,))
            r, z = chunk(act(clip(x_rz + u_rz)), 2, -1)
            n = act_n(clip(x_n + self._affine(dropped(r * h, drop), w_n, b_n, gain_n, (1,))))
        self.note(r=r, z=z, n=n)
        return ((1 - z) * n + z * h,)


# ------------------------------------------------------------------------------------ checks


def check_input(name: str, x: Any, features: int, dtype: np.dtype, axes: tuple[int, int]) -> None:
    """Raises unless x is a tensor of that many axes, features and that dtype."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: expected a tensor as input, got {type(x).__name__}")
    if x.ndim not in axes:
        raise ValueError(
            f"{name}: expected input of {axes[0]} or {axes[1]} axes, got shape {x.shape}"
        )
    if x.shape[-1] != features:
        raise ValueError(
            f"{name}: input has {x.shape[-1]} features on its last axis, this layer was made for "
            f"input_size={features}"
        )
    if x.dtype != dtype:
        raise TypeError(f"{name}: input is {x.dtype}, the parameters are {dtype}")


def states_of(name: str, hx: Any, count: int) -> State:
    """hx as a tuple of `count` tensors."""
    states = tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
    if len(states) != count or not all(isinstance(s, Tensor) for s in states):
        expected = {1: "a tensor", 2: "(h, c)"}.get(count, f"a tuple of {count} tensors")
        raise TypeError(f"{name}: expected hx to be {expected}")
    return states


def check_state(name: str, letter: str, s: Any, shape: tuple, axes: str, x: Any) -> None:
    """Raises unless the state s has this shape, whose axes are called so, and x's dtype."""
    if s.shape != shape:
        raise ValueError(
            f"{name}: expected {letter} of shape {axes} = {shape} for input of shape {x.shape}, "
            f"got {s.shape}"
        )
    if s.dtype != x.dtype:
        raise TypeError(f"{name}: {letter} is {s.dtype}, the input is {x.dtype}")
