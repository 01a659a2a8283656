"""Seals: whether anybody but a parameter can have changed its numbers."""

from __future__ import annotations

import sys

import minigrad as mg
from minigrad.autograd import Value
from minigrad.nn.parameter import Parameter, sealed


def test_a_seal_breaks_with_whoever_asks_for_the_array():
    p, q = Parameter(mg.zeros(3)), Parameter(mg.zeros(3)[1:].clone())
    seals = sealed([p, q])
    assert seals == (p.seal, q.seal) == sealed([p, q])
    assert None not in seals
    p.grad, p.requires_grad = mg.zeros(3), False
    assert (p.seal, q.seal) == seals
    p.detach()
    assert (p.seal, q.seal) == (None, seals[1])
    assert sealed([p])[0] is not seals[0]


def test_whoever_has_the_array_when_it_is_sealed():
    p = Parameter(mg.zeros(3))
    assert sealed([p]) is not None
    array = p.data
    assert sealed([p]) is None
    del array
    assert sealed([p]) is not None
    view = p.data[1:]
    assert sealed([p]) is None
    p.data = view
    assert sealed([p]) is None
    del view
    assert sealed([p]) is not None
    assert sealed([p, mg.zeros(3)]) is None
    assert sealed([p, None]) is None


def test_a_parameter_whose_data_is_another_has_no_seal():
    class Silent(Parameter):
        __slots__ = ()
        data = Value.data

    p = Silent(mg.zeros(3))
    assert sealed([p]) is None


def test_one_who_has_just_asked_is_seen_while_another_seals():
    """Between its two lines `data` has the array, and the seal is still whole."""
    p = Parameter(mg.zeros(3))
    assert sealed([p]) is not None
    taken = []

    def between(frame, event, _):
        if frame.f_code is Parameter.data.fget.__code__ and event == "line":
            taken.append(sealed_now(p))
        return between

    def sealed_now(p):
        sys.settrace(None)
        try:
            return sealed([p])
        finally:
            sys.settrace(between)

    sys.settrace(between)
    try:
        array = p.data
    finally:
        sys.settrace(None)
    array[...] = 1
    assert len(taken) >= 2
    # whoever sealed before the array was fetched finds the seal broken, and who came later saw us
    for seals in taken:
        assert seals is None or (p.seal,) != seals
