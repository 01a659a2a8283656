"""The shapes a recurrent network can have, as modules: which steps have an input, which an output.

    one to many     OneToMany        a vector begins a sequence
    many to one     ManyToOne        a sequence ends in a vector
    aligned         ManyToMany       an output at each step
    delayed         EncoderDecoder   read it all, then write; with attention or without

One to one is a network without time, `Sequential`; a deep RNN is `num_layers`.
Letters: T steps, B batch, V symbols, E embedding, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.creation import generator, zeros
from minigrad.functions import cat, stack
from minigrad.tensor import Tensor

from . import functional as F
from .attention import Attention
from .cells import GRUCell
from .layers import Embedding, Linear, positive
from .module import Module
from .recurrent import GRU, LSTM, RNN
from .sequence import PackedSequence, length_mask


class ManyToOne(Module):
    """y = head(h_n of the last layer): (T, B, I), or packed -> (B, O)

    Of both directions, side by side, if there are two: head takes D*H. mask (T, B), as the layer's.
    """

    def __init__(self, rnn: Any, head: Module) -> None:
        super().__init__()
        self.rnn, self.head = rnn, head

    def forward(self, input: Any, hx: Any = None, *, mask: Any = None) -> Tensor:
        _, last = self.rnn(input, hx, mask=mask)
        h_n = last if isinstance(last, Tensor) else last[0]
        return self.head(cat(list(h_n[-len(self.rnn.directions) :]), dim=-1))


class ManyToMany(Module):
    """y_t = head(h_t), (T, B, I) -> (T, B, O), packed -> packed; returns y and the last state

    mask (T, B), as the layer's: y is head(0) where there is no step.
    """

    def __init__(self, rnn: Any, head: Module) -> None:
        super().__init__()
        self.rnn, self.head = rnn, head

    def forward(self, input: Any, hx: Any = None, *, mask: Any = None) -> tuple[Any, Any]:
        output, last = self.rnn(input, hx, mask=mask)
        if isinstance(output, PackedSequence):
            return output.like(self.head(output.data)), last
        return self.head(output), last


class OneToMany(Module):
    """h_0 = tanh(W x),  h_t = GRU(feedback(y_{t-1}), h_{t-1}),  y_t = head(h_t); first 0 is fed

    (B, I) -> (T, B, O). feedback: a function, or module, (B, O) -> (B, O); None: y as it is, for a
    sequence of values. For symbols, whose scores y are, say which was written:
    `feedback=lambda y: nn.functional.one_hot(y.argmax(-1), O).float()`.
    With `target` (T, B, O), this is fed in place of feedback(y): teacher forcing.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        feedback: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        if not (feedback is None or callable(feedback)):
            raise TypeError(f"OneToMany: feedback must be a function, got {feedback!r}")
        self.start = Linear(input_size, hidden_size)
        self.cell = GRUCell(output_size, hidden_size)
        self.head = Linear(hidden_size, output_size)
        self.feedback = feedback

    def forward(self, input: Tensor, steps: int, target: Tensor | None = None) -> Tensor:
        I, O = self.start.in_features, self.head.out_features
        positive("OneToMany", steps=steps)
        if input.ndim != 2 or input.shape[1] != I:
            raise ValueError(f"OneToMany: expected input (B, {I}), got shape {input.shape}")
        size = (input.shape[0], O)
        if target is not None and (target.shape[1:] != size or len(target) < steps):
            raise ValueError(
                f"OneToMany: expected target of shape (T, B, O) = {(steps, *size)}, "
                f"got {target.shape}"
            )
        h, fed, outputs = self.start(input).tanh(), zeros(*size, dtype=input.dtype), []
        for t in range(steps):
            h = self.cell(fed, h)
            outputs.append(self.head(h))
            fed = self._fed(outputs[-1]) if target is None else target[t]
        return stack(outputs)

    def _fed(self, y: Tensor) -> Tensor:
        """What the next step takes of this one's output y (B, O)."""
        if self.feedback is None:
            return y
        fed = self.feedback(y)
        if fed.shape != y.shape:
            raise ValueError(
                f"OneToMany: feedback made shape {fed.shape} of an output of {y.shape}: expected "
                "that again"
            )
        return fed


class EncoderDecoder(Module):
    """Reads source symbols (S, B), then writes target symbols: scores (T, B, V)

    The encoder's last state is the decoder's first. With attention (dot, general, additive), each
    decoder output also looks at all the encoder's: scores = W [h; context].
    `encode` and `step` are what `nn.decoding` needs: generate(m.step, m.encode(source), start, 20).
    `attention_weights` says what it looked at.
    kind: RNN, LSTM, GRU.
    Sources: Sutskever, Vinyals and Le 2014; Cho et al. 2014; Luong, Pham and Manning 2015.
    """

    def __init__(
        self,
        source_symbols: int,
        target_symbols: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        kind: str = "GRU",
        attention: str | None = None,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"EncoderDecoder: kind is one of {', '.join(KINDS)}, not {kind!r}")
        self.source, self.target = (
            Embedding(n, embedding_dim) for n in (source_symbols, target_symbols)
        )
        self.encoder = KINDS[kind](embedding_dim, hidden_size, num_layers)
        self.decoder = KINDS[kind](embedding_dim, hidden_size, num_layers)
        self.attention = None if attention is None else Attention(attention, hidden_size)
        self.head = Linear(hidden_size * (2 if attention else 1), target_symbols)

    def encode(self, source: Any, lengths: Any = None) -> Any:
        """The decoder's first state: the encoder's last, and its outputs and mask to look at"""
        source = np.asarray(source)
        sizes = np.full(source.shape[1], source.shape[0]) if lengths is None else lengths
        mask = length_mask(sizes, source.shape[0])
        output, last = self.encoder(self.source(source), mask=None if lengths is None else mask)
        return last, output, mask

    def forward(
        self, source: Any, target: Any, lengths: Any = None, teacher_forcing: float = 1.0
    ) -> Tensor:
        """Scores (T, B, V) of the symbols that follow each of `target` (T, B)

        With a probability of 1 - teacher_forcing, a step goes on from its own likeliest symbol
        instead (Bengio et al., Scheduled sampling, 2015).
        """
        F.probability("EncoderDecoder: teacher_forcing", teacher_forcing)
        target, state = np.asarray(target), self.encode(source, lengths)
        if teacher_forcing == 1:
            return self._decode(target, state)[0]
        scores, symbols = [], target[0]
        for t in range(len(target)):
            if t and generator().random() < teacher_forcing:
                symbols = target[t]
            made, state = self.step(symbols, state)
            scores.append(made)
            symbols = made.data.argmax(-1)
        return stack(scores)

    def step(self, symbols: Any, state: Any) -> tuple[Tensor, Any]:
        """Scores (B, V) of what follows these symbols (B), and the next state"""
        scores, state = self._decode(np.asarray(symbols)[None], state)
        return scores[0], state

    def attention_weights(self, source: Any, target: Any, lengths: Any = None) -> Tensor:
        """a (T, B, S): how far each step of `target` (T, B) looks at each of `source` (S, B)"""
        if self.attention is None:
            raise ValueError("EncoderDecoder: attention_weights of a net without attention=")
        last, keys, mask = self.encode(source, lengths)
        output, _ = self.decoder(self.target(np.asarray(target)), last)
        return self.attention(output, keys, mask=mask)[1]

    def _decode(self, symbols: np.ndarray, state: Any) -> tuple[Tensor, Any]:
        last, keys, mask = state
        output, last = self.decoder(self.target(symbols), last)
        if self.attention is not None:
            context, _ = self.attention(output, keys, mask=mask)
            output = cat([output, context], dim=-1)
        return self.head(output), (last, keys, mask)


KINDS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
