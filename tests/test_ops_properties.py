"""What holds of every operation: its values, its first and second derivatives, in both dtypes."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from operations import TABLE
from strategies import LAYOUTS, laid_out

import minigrad as mg
from minigrad import ops
from minigrad.gradcheck import gradcheck, gradgradcheck
from minigrad.tape import Node

TIGHT = {"eps": 1e-4, "atol": 1e-8, "rtol": 1e-7}
every_operation = pytest.mark.parametrize("operation", TABLE, ids=str)


def few(examples):
    return settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow])


def floats(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def tensors(drawn, dtype=np.float64, layout="rows"):
    return [
        mg.from_numpy(laid_out(x.astype(dtype), layout)).requires_grad_() if floats(x) else x
        for x in drawn
    ]


def several(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


@every_operation
@few(8)
@given(data=st.data())
def test_value(operation, data):
    drawn = data.draw(operation.inputs)
    xs = tensors(drawn, layout=data.draw(st.sampled_from(LAYOUTS)))
    expected = several(operation.value(*drawn))
    found = several(operation.call(*xs))
    assert len(found) == len(expected)
    for y, e in zip(found, expected, strict=True):
        assert y.shape == np.shape(e)
        np.testing.assert_allclose(y.data, e, rtol=1e-12, atol=1e-12)
    for x, before in zip(xs, drawn, strict=True):
        np.testing.assert_array_equal(np.asarray(getattr(x, "data", 0) if floats(before) else 0),
                                      before if floats(before) else 0)  # fmt: skip


@every_operation
@few(6)
@given(data=st.data())
def test_gradient(operation, data):
    xs = tensors(data.draw(operation.inputs))
    if any(y.requires_grad for y in several(operation.call(*xs))):
        gradcheck(operation.call, xs, **TIGHT)


@every_operation
@few(2)
@given(data=st.data())
def test_second_derivative(operation, data):
    xs = tensors(data.draw(operation.inputs))
    if any(y.requires_grad for y in several(operation.call(*xs))):
        gradgradcheck(operation.call, xs, **TIGHT)


@every_operation
@few(4)
@given(data=st.data())
def test_single_precision_and_layouts(operation, data):
    """float32 in, float32 out and back, whatever the layout; the numbers are those of float64."""
    drawn = data.draw(operation.inputs)
    results = []
    for dtype, layout in ((np.float64, "rows"), (np.float32, data.draw(st.sampled_from(LAYOUTS)))):
        xs = tensors(drawn, dtype, layout)
        ys = [y for y in several(operation.call(*xs)) if y.requires_grad]
        leaves = [x for x in xs if isinstance(x, mg.Tensor)]
        assert all(y.dtype == dtype for y in ys) or operation.name == "astype"
        gs = mg.autograd.grad(
            ys, leaves, [mg.ones_like(y) for y in ys], materialize_grads=True
        ) if ys else []  # fmt: skip
        assert all(g.dtype == dtype for g in gs)
        results.append([*(y.data for y in ys), *(g.data for g in gs)])
    for wide, narrow in zip(*results, strict=True):
        np.testing.assert_allclose(narrow, wide, rtol=3e-5, atol=3e-5)


BINARY = [o for o in TABLE if o.name in ("add", "sub", "mul", "maximum", "minimum", "where", "dot")]


@pytest.mark.parametrize("operation", BINARY, ids=str)
@few(3)
@given(data=st.data())
def test_one_tensor_several_times(operation, data):
    drawn = data.draw(operation.inputs)
    [x] = tensors(drawn[:1])
    gradcheck(lambda x: operation.call(*[x * 1] * len(drawn)), [x], **TIGHT)
    gradcheck(lambda x: operation.call(*[x] * len(drawn)), [x], **TIGHT)


# --------------------------------------------------------------------------- nothing is left out


def primitives():
    """All that stand in minigrad.ops, by module."""
    modules = [m for n, m in vars(ops).items() if not n.startswith("_") and hasattr(m, "__file__")]
    return {f.primitive for m in modules for f in vars(m).values() if hasattr(f, "primitive")}


def names_in(tensors):
    """The names of the calls that a graph is made of."""
    found, stack, seen = set(), [t.node for t in tensors if t.node is not None], set()
    while stack:
        v = stack.pop()
        if isinstance(v, Node) and id(v) not in seen:
            seen.add(id(v))
            found.add(v.plan.name)
            stack.extend(v.inputs)
    return found


def test_every_differentiable_primitive_is_in_the_table():
    reached = set()

    @settings(max_examples=4, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.data())
    def walk(data):
        for operation in TABLE:
            xs = tensors(data.draw(operation.inputs))
            ys = [y for y in several(operation.call(*xs)) if y.requires_grad]
            if ys:
                leaves = [x for x in xs if isinstance(x, mg.Tensor)]
                gys = [mg.ones_like(y, requires_grad=True) for y in ys]
                gs = mg.autograd.grad(ys, leaves, gys, create_graph=True, materialize_grads=True)
                reached.update(names_in(ys), names_in(gs))

    walk()
    differentiable = {p.name for p in primitives() if p._rules}
    assert len(differentiable) > 40
    assert differentiable <= reached, f"no gradient property for {differentiable - reached}"
