"""Inference of recurrent layers with weights that are packed once, for many calls.

The kernels multiply with W^T and U^T in panels (csrc/panels.inc.h), which a call of `lstm_forward`
and its like makes anew each time. Here they are made once and kept, a second copy of the weights,
and a call is one call of C, which also looks whether the arrays fit. Whether the weights are still
those that were packed is for the caller to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._c import ffi, lib
from .native_arguments import KERNELS, fit

Array = np.ndarray
empty, infer, NONE = np.empty, lib.np_infer, id(None)
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
KINDS = {"rnn": lib.MG_RNN, "gru": lib.MG_GRU, "lstm": lib.MG_LSTM}
PACK = {dtype: getattr(lib, f"np_pack_{kind}") for dtype, kind in KERNELS.items()}


class Panels:
    """The weights of one layer in one direction, packed; a call runs it over a sequence.

    net: rnn, gru or lstm; weights: w_ih (gH, I), w_hh (gH, H), b_ih and b_hh (gH) or None, and of a
    projected LSTM w_hr (P, H), where w_hh is (gH, P); option: an RNN's relu, a GRU's reset_after.
    """

    def __init__(self, net: str, weights: Sequence[Array | None], option: bool) -> None:
        given: list[Any] = [*weights, *[None] * (5 - len(weights))]
        w_ih, w_hh, *_, w_hr = given
        I, H, P = w_ih.shape[1], len(w_ih) // GATES[net], w_hh.shape[1]
        self.dtype, self.units, ids = w_ih.dtype, P, [*map(id, given)]
        pack, isa = PACK[self.dtype], lib.mg_isa()
        described = ffi.new("struct mg_net *", (KINDS[net], option or w_hr is not None, I, H, P))
        self.array = empty(pack(NONE, *ids, described[0]), self.dtype)
        pack(id(self.array), *ids, described[0])
        self.layer = ffi.new("struct np_layer *", (described[0], isa, id(self.array)))

    def __call__(
        self, row: int, x: Array, h0: Any, h_n: Any, c0: Any = None, c_n: Any = None
    ) -> Array | None:
        """y (T, B, P) of x (T, B, I) and row `row` of the states, (L, B, P) and (L, B, H)

        The last states go to that row of h_n and, of an LSTM, c_n. None where x or a state is not
        as it has to be: of another dtype or shape, or where another instruction set was selected.
        """
        T, B, _ = x.shape
        y = empty((T, B, self.units), self.dtype)
        done = infer(self.layer, row, [id(y), id(h_n), id(c_n), id(x), id(h0), id(c0)])
        if done == 0:
            x, h0 = np.require(x, None, ["C", "A"]), np.require(h0, None, ["C", "A"])
            c0 = c0 if c0 is None else np.require(c0, None, ["C", "A"])
            done = infer(self.layer, row, [id(y), id(h_n), id(c_n), id(x), id(h0), id(c0)])
        if done < 0:
            raise MemoryError("inference: out of memory")
        return y if done else None


def panels(net: str, weights: Sequence[Array | None], option: bool = False) -> Panels | None:
    """The weights packed for many calls; None where C cannot take them as they are."""
    g, projected = GATES[net], len(weights) > 4
    form = f"{g}HI,{g}H{'P' if projected else 'H'},{g}H?{g}H?" + "PH," * projected
    return Panels(net, weights, option) if fit(form.encode(), [*map(id, weights)]) else None
