"""Kernels without memory: each allocation in C fails once: a MemoryError, and nothing leaked."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from test_kernels_recurrent import NETS, assert_same_bits, backward, forward, layer

import minigrad as mg

native = pytest.importorskip("minigrad.kernels.native", reason="the C extension is not built")

each_isa = pytest.mark.parametrize("isa", native.available_isas())
each_net = pytest.mark.parametrize("net", NETS)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    isa, threads = native.config()["isa"], native.get_num_threads()
    yield
    native.fail_allocation(0)
    native.select_isa(isa)
    native.set_num_threads(threads)


def failures(call: Callable[[], list[Any]]) -> int:
    """Lets the 1st, 2nd, ... allocation of `call` fail until none is left; how many there were."""
    wanted = call()
    for k in range(1, 100):
        native.fail_allocation(k)
        try:
            got = call()
        except MemoryError:
            assert native.live_allocations() == 0
            native.fail_allocation(0)
            assert_same_bits(call(), wanted)
            continue
        native.fail_allocation(0)
        assert native.live_allocations() == 0
        assert_same_bits(got, wanted)
        return k - 1
    raise AssertionError("a hundred allocations in one call")


@each_isa
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 3])
def test_matmul(isa: str, dtype: type, threads: int) -> None:
    native.select_isa(isa)
    native.set_num_threads(threads)
    rng = np.random.default_rng(0)
    for a, b, asked in (
        ((1, 9), (9, 4), 0),  # little scratch lies on the stack
        ((3, 5, 6), (6, 7), 0),
        ((3, 1, 5, 6), (2, 6, 7), 0),
        ((50, 60), (60, 70), 1),
        ((3, 60, 50), (2, 1, 50, 70), 2),
        ((130, 270), (270, 140), 1),
    ):
        x, y = rng.standard_normal(a).astype(dtype), rng.standard_normal(b).astype(dtype)
        for left, right in (x, y), (x, np.swapaxes(np.swapaxes(y, -1, -2).copy(), -1, -2)):
            assert failures(lambda a=left, b=right: [native.matmul(a, b)]) == asked


@each_isa
@each_net
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "size", [(4, 3, 5, 7), (0, 2, 3, 4), (5, 17, 20, 42), (3, 1, 20, 171), (1, 2, 9, 21)]
)
def test_recurrent(net: str, isa: str, dtype: type, threads: int, size: tuple) -> None:
    native.select_isa(isa)
    native.set_num_threads(threads)
    a = layer(net, *size, dtype)
    output, *_, saved = forward(native, net, a)
    for keep in (True, False):
        assert failures(lambda keep=keep: forward(native, net, a, keep)[:-1]) >= 1
    asked = 2 if net == "gru" else 1  # it turns the order of its gates
    for need_x in (True, False):
        found = failures(
            lambda need_x=need_x: backward(native, net, a, output, saved, need_x, False)
        )
        assert found >= asked


@pytest.mark.skipif(mg.kernels.config()["backend"] != "c", reason="of C alone")
def test_a_layer_is_as_before() -> None:
    """A training step that ran out of memory, forward or backward, can be done again."""
    layer, x = mg.nn.LSTM(3, 20), mg.randn(6, 4, 3)

    def step() -> list[np.ndarray]:
        layer.zero_grad()
        layer(x)[0].sum().backward()
        return [p.grad.numpy() for p in layer.parameters()]

    assert failures(step) >= 2


def test_a_failure_is_over_when_it_has_happened() -> None:
    x = np.ones((60, 60))
    native.fail_allocation(1)
    with pytest.raises(MemoryError):
        native.matmul(x, x)
    assert (native.matmul(x, x) == 60).all()
