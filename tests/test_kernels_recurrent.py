"""The recurrent kernels in C against the reference: every instruction set, every tile edge."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minigrad.kernels import reference

native = pytest.importorskip("minigrad.kernels.native", reason="the C extension is not built")
native_recurrent = pytest.importorskip("minigrad.kernels.native_recurrent")
Arrays = dict[str, Any]

NETS = {  # gates
    "rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "gru_before": 3, "lstm": 4, "lstm_proj": 4,
}  # fmt: skip
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}

each_net = pytest.mark.parametrize("net", NETS)
each_isa = pytest.mark.parametrize("isa", native.available_isas())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    isa, threads = native.config()["isa"], native.get_num_threads()
    yield
    native.select_isa(isa)
    native.set_num_threads(threads)


def projected(net: str, H: int) -> int:
    """Units of h: P of a projection, which a kernel does not expect to be fewer than H."""
    return H * 2 // 3 + (H < 4) if net == "lstm_proj" else H


def layer(net: str, T: int, B: int, I: int, H: int, dtype: type, seed: int = 0) -> Arrays:
    """Every array a net's two functions take, output and saved values aside."""
    rng = np.random.default_rng(seed)
    rows, P = NETS[net] * H, projected(net, H)
    shapes = {
        "x": (T, B, I),
        "h0": (B, P),
        "c0": (B, H),
        "w_ih": (rows, I),
        "w_hh": (rows, P),
        "b_ih": (rows,),
        "b_hh": (rows,),
        "gy": (T, B, P),
        "gh_n": (B, P),
        "gc_n": (B, H),
    }
    if net == "lstm_proj":
        shapes["w_hr"] = (P, H)
    scale = {"w_ih": (I + 1) ** -0.5, "w_hh": (P + 1) ** -0.5, "w_hr": (H + 1) ** -0.5}
    return {
        name: (rng.standard_normal(shape) * scale.get(name, 1)).astype(dtype)
        for name, shape in shapes.items()
    }


def named(net: str, a: Arrays, *names: str) -> list[Any]:
    """The arrays that a net's function takes by these names, or None; some are the LSTM's alone."""
    return [a.get(n) for n in names if net[:4] == "lstm" or n not in ("c0", "gc_n", "w_hr")]


def told(net: str, a: Arrays) -> list[Any]:
    """What it takes after the arrays: batch sizes, and which form of the net."""
    name, _, form = net.partition("_")
    return [a.get("batch_sizes"), *{"rnn": [form], "gru": [not form]}.get(name, [])]


def forward(kernels: Any, net: str, a: Arrays, keep: bool = True) -> list[Any]:
    """output, (c_n,) saved"""
    function = getattr(kernels, f"{net.split('_')[0]}_forward")
    arrays = named(net, a, "x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh", "w_hr")
    return list(function(*arrays, *told(net, a), keep))


def backward(
    kernels: Any, net: str, a: Arrays, output: Any, saved: Any, need_x: bool, reuse: bool
) -> list[Any]:
    """gx, gh0, (gc0,) gw_ih, gw_hh, the biases' gradients (, gw_hr)"""
    function = getattr(kernels, f"{net.split('_')[0]}_backward")
    arrays = named(net, a, "gy", "gh_n", "gc_n", "x", "h0", "w_ih", "w_hh", "w_hr")
    return list(function(*arrays, output, saved, *told(net, a), need_x, reuse))


def run(kernels: Any, net: str, a: Arrays, need_x: bool = True, reuse: bool = False) -> list[Any]:
    """All that forward and backward compute."""
    *results, saved = forward(kernels, net, a)
    return results + backward(kernels, net, a, results[0], saved, need_x, reuse)


def assert_close(got: list[Any], wanted: list[Any], tolerance: float) -> None:
    for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
        assert (a is None) == (b is None), i
        if b is not None:
            assert a.shape == b.shape, i
            assert a.dtype == b.dtype, i
            scale = max(1, np.abs(b).max(initial=0))
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=str(i))


def assert_same_bits(got: list[Any], wanted: list[Any]) -> None:
    for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
        assert (a is None) == (b is None), i
        if b is not None:
            np.testing.assert_array_equal(a, b, err_msg=str(i))


sizes = st.tuples(
    st.integers(0, 5),
    st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 12, 13]),
    st.one_of(st.integers(0, 20), st.sampled_from([31, 32, 33, 64, 65])),
    st.one_of(st.integers(0, 20), st.sampled_from([31, 32, 33, 63, 64, 65, 130])),
)

edges = st.one_of(st.integers(1, 20), st.sampled_from([31, 32, 33, 63, 64, 65, 130]))


@each_dtype
@each_isa
@each_net
@settings(max_examples=40, deadline=None)
@given(size=sizes, seed=st.integers(0, 99), left_out=st.sets(st.sampled_from("iHygcx"), max_size=5))
@example(size=(0, 2, 3, 4), seed=0, left_out=set())
@example(size=(3, 0, 3, 4), seed=0, left_out=set())
@example(size=(3, 2, 0, 4), seed=0, left_out=set())
@example(size=(3, 2, 3, 0), seed=0, left_out=set())
@example(size=(140, 3, 5, 6), seed=0, left_out=set())  # several chunks
@example(size=(2, 13, 530, 130), seed=0, left_out=set())  # panels in slices
def test_as_the_reference(net, isa, dtype, size, seed, left_out) -> None:
    native.select_isa(isa)
    a = layer(net, *size, dtype, seed)
    for letter, name in {"i": "b_ih", "H": "b_hh", "y": "gy", "g": "gh_n", "c": "gc_n"}.items():
        if letter in left_out:
            del a[name]
    need_x = "x" not in left_out
    assert_close(run(native, net, a, need_x), run(reference, net, a, need_x), TOLERANCE[dtype])


@each_dtype
@each_isa
@each_net
@pytest.mark.parametrize(
    "size",
    [
        (9, 16, 20, 48),
        (3, 2, 40, 340),
        (2, 16, 5, 272),  # rows enough to share out, and weights too large for it
        (70, 9, 33, 35),
        (1, 1, 40, 340),
        (1, 3, 19, 257),
    ],
)
def test_same_bits_for_any_number_of_threads(net, isa, dtype, size) -> None:
    native.select_isa(isa)
    a = layer(net, *size, dtype)
    results = []
    for threads in (1, 2, 3, 4):
        native.set_num_threads(threads)
        results.append(run(native, net, a))
        *inference, saved = forward(native, net, a, keep=False)
        assert saved is None
        assert_same_bits(inference, results[-1][: len(inference)])  # keep changes nothing
    for other in results[1:]:
        assert_same_bits(other, results[0])
    assert_close(results[0], run(reference, net, a), TOLERANCE[dtype])


@each_dtype
@each_isa
@each_net
@settings(max_examples=30, deadline=None)
@given(B=st.integers(1, 6), I=edges, H=edges, seed=st.integers(0, 99), bias=st.booleans())
def test_one_step_of_few_rows(net, isa, dtype, B, I, H, seed, bias) -> None:
    """Weights are read as they lie: what borders on them is not, nor is an infinity spread."""
    native.select_isa(isa)
    a = layer(net, 1, B, I, H, dtype, seed)
    for name in {"w_ih", "w_hh", "w_hr", "b_ih", "b_hh", "x", "h0"} & set(a):
        around = np.full(a[name].size + 64, np.nan, dtype)
        around[32:-32] = a[name].ravel()
        a[name] = around[32:-32].reshape(a[name].shape)
    if not bias:
        del a["b_ih"], a["b_hh"]
    assert_close(run(native, net, a), run(reference, net, a), TOLERANCE[dtype])
    if net == "rnn_relu":
        a["w_ih"][0, -1], a["x"][0, 0, -1] = np.inf, 1.0
        output = forward(native, net, a)[0]
        assert np.isinf(output[0, 0, 0])
        assert np.isfinite(output[0, :, 1:]).all()


@each_dtype
@each_isa
@each_net
@pytest.mark.parametrize("B", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("I", "H"), [(5, 7), (33, 40), (64, 64), (20, 130)])
def test_one_step_has_the_bits_of_the_first_of_several(net, isa, dtype, B, I, H) -> None:
    native.select_isa(isa)
    a = layer(net, 3, B, I, H, dtype)
    whole = forward(native, net, a)[0]
    for keep in (True, False):
        one = forward(native, net, a | {"x": a["x"][:1]}, keep)[0]
        np.testing.assert_array_equal(one[0], whole[0])


@each_net
@pytest.mark.parametrize("size", [(5, 7, 9, 21), (150, 9, 21, 21), (3, 2, 340, 340), (4, 3, 0, 0)])
@pytest.mark.parametrize("threads", [1, 2])
def test_reuse(net, size, threads) -> None:
    native.set_num_threads(threads)
    a = layer(net, *size, np.float32)
    output, *_, saved = forward(native, net, a)
    first = backward(native, net, a, output, saved, True, False)
    second = backward(native, net, a, output, saved, True, False)  # False: saved is as it was
    third = backward(native, net, a, output, saved, True, True)
    assert_same_bits(second, first)
    assert_same_bits(third, first)


@pytest.mark.parametrize(
    ("net", "row"),
    [("gru", 5 * 9), ("gru_before", 4 * 9), ("lstm", 6 * 9), ("lstm_proj", 5 * 9 + 6)],
)
def test_what_is_kept(net, row) -> None:
    """With the output, so many numbers for each step and row; and an LSTM's first cells."""
    T, B, H = 7, 4, 9
    output, *_, saved = forward(native, net, layer(net, T, B, 3, H, np.float32))
    first_cells = B * H if net.startswith("lstm") else 0
    assert output.size + sum(array.size for array in saved) == T * B * row + first_cells


@each_net
def test_any_layout(net) -> None:
    a = layer(net, 4, 5, 6, 7, np.float64)
    strided = {name: np.repeat(x, 2, axis=-1)[..., ::2] for name, x in a.items()}
    assert not strided["w_hh"].flags.c_contiguous
    assert_same_bits(run(native, net, strided), run(native, net, a))
    unaligned = {}
    for name, x in a.items():
        memory = np.empty(x.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(x.shape)
        memory[...] = x
        unaligned[name] = memory
    assert_same_bits(run(native, net, unaligned), run(native, net, a))


@each_net
def test_inputs_are_left_alone(net) -> None:
    a = layer(net, 4, 5, 6, 7, np.float64)
    before = {name: x.copy() for name, x in a.items()}
    run(native, net, a)
    assert_same_bits(list(a.values()), list(before.values()))


@each_net
def test_nan_and_infinity_arrive(net) -> None:
    a = layer(net, 3, 4, 5, 6, np.float64)
    a["x"][1, 2, 3] = np.nan
    output = forward(native, net, a)[0]
    assert np.isnan(output[1:, 2]).all()
    assert np.isfinite(output[:, [0, 1, 3]]).all()
    if net != "rnn_relu":  # infinity - infinity
        a["x"][1, 2, 3] = np.inf
        assert_close(forward(native, net, a)[:-1], forward(reference, net, a)[:-1], 1e-12)


@each_net
@pytest.mark.parametrize("dtype", [np.complex128, np.float16, ">f8"])
def test_other_dtypes_are_the_references(net, dtype) -> None:
    a = {name: x.astype(dtype) for name, x in layer(net, 2, 3, 4, 5, np.float64).items()}
    assert_same_bits(forward(native, net, a)[:-1], forward(reference, net, a)[:-1])


@each_net
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", np.zeros((2, 3)), "2 and 2 axes"),
        ("h0", np.zeros((4, 5)), r"h0 has shape \(4, 5\), expected \(3, 5\)"),
        ("w_ih", np.zeros((2, 4)), r"w_ih has shape \(2, 4\), expected \(.*, 4\)"),
        ("w_hh", np.zeros((5, 9)), r"w_hh has shape \(5, 9\), expected \(.*, [35]\)"),
        ("b_ih", np.zeros((20, 1)), r"b_ih has shape \(20, 1\), expected \(.*,\)"),
        ("b_hh", np.zeros(20, np.float32), "b_hh is float32, expected float64"),
        ("w_hh", np.zeros((20, 5), np.int64), "w_hh is int64, expected float64"),
        ("w_ih", None, "w_ih is None, expected an array"),
    ],
)
def test_wrong_arguments_are_named(net, name, value, message) -> None:
    a = layer(net, 2, 3, 4, 5, np.float64) | {name: value}
    with pytest.raises(ValueError, match=f"{net[:3]}.*_forward: .*{message}"):
        forward(native, net, a)


@each_net
@pytest.mark.parametrize("name", ["gy", "gh_n", "gc_n", "output", "saved"])
def test_wrong_gradients_are_named(net, name) -> None:
    a = layer(net, 2, 3, 4, 5, np.float64)
    output, *_, saved = forward(native, net, a)
    lstm = net.startswith("lstm")
    if (name == "gc_n" and not lstm) or (name == "saved" and net.startswith("rnn")):
        return
    if name == "output":
        output = output[:, :2]
    elif name == "saved":
        saved = (saved[0], saved[1][:2]) if lstm else (saved[0][..., 1:],)
    else:
        a[name] = a[name][..., :-1]
    wanted = {"saved": "cells" if lstm else "gates"}.get(name, name)
    with pytest.raises(ValueError, match=f"_backward: {wanted} has shape"):
        backward(native, net, a, output, saved, True, True)


def test_lstm_c0_is_checked() -> None:
    a = layer("lstm", 2, 3, 4, 5, np.float64) | {"c0": np.zeros((3, 4))}
    with pytest.raises(ValueError, match=r"c0 has shape \(3, 4\), expected \(3, 5\)"):
        forward(native, "lstm", a)


@pytest.mark.parametrize(
    ("w_hr", "message"),
    [
        (np.zeros((4, 5)), r"w_hr has shape \(4, 5\), expected \(3, 5\)"),
        (np.zeros((3, 6)), r"c0 has shape \(3, 5\), expected \(3, 6\)"),
        (np.zeros(5), r"expected w_hr \(P, H\), got 1 axes"),
        (np.zeros((3, 5), np.float32), "w_hr is float32, expected float64"),
    ],
)
def test_lstm_w_hr_is_checked(w_hr, message) -> None:
    a = layer("lstm_proj", 2, 3, 4, 5, np.float64)
    with pytest.raises(ValueError, match=message):
        forward(native, "lstm_proj", a | {"w_hr": w_hr})


@pytest.mark.parametrize("P", [0, 1, 5, 9])
def test_lstm_any_projection(P) -> None:
    """P is not bound to be less than H: for a kernel they are two sizes."""
    a, rng = layer("lstm_proj", 3, 5, 4, 5, np.float64), np.random.default_rng(1)
    for name, shape in {"h0": (5, P), "w_hh": (20, P), "w_hr": (P, 5), "gh_n": (5, P)}.items():
        a[name] = rng.standard_normal(shape)
    a["gy"] = rng.standard_normal((3, 5, P))
    for more in ({}, {"x": a["x"][..., :0], "w_ih": a["w_ih"][:, :0]}):
        got = run(native, "lstm_proj", a | more)
        assert_close(got, run(reference, "lstm_proj", a | more), 1e-12)


@pytest.mark.parametrize("kernels", [native, reference])
def test_rnn_nonlinearity_is_checked(kernels) -> None:
    a = layer("rnn_tanh", 2, 3, 4, 5, np.float64)
    with pytest.raises(ValueError, match="expected nonlinearity 'tanh' or 'relu', got 'elu'"):
        forward(kernels, "rnn_elu", a)


@each_net
def test_sizes_that_cannot_be_are_refused(net) -> None:
    x = np.broadcast_to(np.float32(0), (2**31, 2**20, 1))
    state = np.broadcast_to(np.float32(0), (2**20, 2**20))
    a = {"x": x, "h0": state, "c0": state, "w_ih": state, "w_hh": state}
    if net == "lstm_proj":
        a |= {"h0": np.broadcast_to(np.float32(0), (2**20, 3)), "w_hr": state}
    with pytest.raises(ValueError, match="too large"):
        forward(native, net, a)


def test_kept_memory_is_used_again_but_never_while_someone_holds_it():
    dtype = np.dtype(np.float32)
    kept = native_recurrent.Kept(dtype, (3, 1, 20), (4, 1, 5))
    gates, addresses = kept[0], [a.ctypes.data for a in kept]
    assert all(address % 64 == 0 for address in addresses)
    del kept
    again = native_recurrent.Kept(dtype, (3, 1, 20), (4, 1, 5))
    assert again[0].ctypes.data != addresses[0]  # `gates` still is the first
    assert again[1].ctypes.data == addresses[1]
    assert native_recurrent.Kept(np.dtype(np.float64), (4, 1, 5))[0].dtype == np.float64
    del gates


def test_kept_memory_that_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(native_recurrent, "SPARE_BYTES", 1000)
    for rows in range(1, 20):
        native_recurrent.Kept(np.dtype(np.float64), (rows, 5))
    spare = native_recurrent.Kept.spare.values()
    assert 0 < sum(a.nbytes for arrays in spare for a in arrays) <= 1000
