"""The checker is checked: it passes what is right, rejects what is wrong, and says where."""

import re
import textwrap

import numpy as np
import pytest

import minigrad as mg
from minigrad import kernels
from minigrad.gradcheck import WITNESSES, reference_kernels

TIGHT = {"eps": 1e-4, "atol": 1e-9, "rtol": 1e-8}
rng = np.random.default_rng(0)


def leaf(*shape, low=-1.0, high=1.0):
    return mg.tensor(rng.uniform(low, high, shape), requires_grad=True)


def rejected(func, inputs, check=mg.gradcheck, **options):
    """The message of the failure."""
    with pytest.raises(mg.GradcheckError) as caught:
        check(func, inputs, **{**TIGHT, **options})
    assert not check(func, inputs, **{**TIGHT, **options}, raise_exception=False)
    return str(caught.value)


# -------------------------------------------------------------------------- planted wrong rules


def planted(forward, **rules):
    wrong = mg.primitive(forward)
    wrong.rules(**rules)
    return wrong


def sine(x):
    return np.sin(x)


def tanh(x):
    return np.tanh(x)


def product(a, b):
    return a @ b


def scale(x, w):
    return x * w


WRONG = {
    "sign": (planted(sine, x=lambda gy, x: gy * -mg.cos(x)), [leaf(3)]),
    "factor": (planted(sine, x=lambda gy, x: gy), [leaf(3)]),
    "tanh of tanh": (planted(tanh, x=lambda gy, y: gy * (1 - np.tanh(y) ** 2)), [leaf(3)]),
    "square only": (planted(product, a=lambda gy, b: gy @ b, b=lambda gy, a: a @ gy),
                    [leaf(3, 3), leaf(3, 3)]),
    "transposed": (planted(product, a=lambda gy, b: gy @ b.mT, b=lambda gy, a: (gy.mT @ a)),
                   [leaf(3, 3), leaf(3, 3)]),
    "one percent": (planted(sine, x=lambda gy, x: gy * mg.cos(x) * 1.01), [leaf(3)]),
    "the last digits": (planted(sine, x=lambda gy, x: gy * mg.cos(x) * (1 + 1e-9)), [leaf(3)]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_planted_wrong_rule_is_rejected(name):
    func, inputs = WRONG[name]
    assert "disagree(s) with reverse mode" in rejected(func, inputs, witnesses=list(WITNESSES)[:2])


def test_a_rule_right_only_for_square_matrices_is_no_rule():
    func, _ = WRONG["transposed"]
    with pytest.raises(RuntimeError, match="gradient of shape"):
        mg.gradcheck(func, [leaf(3, 2), leaf(2, 4)])


def test_a_missing_broadcast_sum_is_rejected():
    """Where the engine cannot know of it: the primitive broadcasts to a shape of its own."""

    def spread(x):
        return x + np.zeros((2, 1))

    wrong = planted(spread, x=lambda gy: gy[:1] + 0 * gy)  # one row's, where the sum is due
    assert "differences" in rejected(wrong, [leaf(3)])
    right = planted(spread, x=lambda gy: gy)
    mg.gradcheck(right, [leaf(3)], **TIGHT)


def test_each_witness_speaks_for_itself():
    """The last digits only the complex step sees; what is not linear, only forward mode."""
    func, inputs = WRONG["the last digits"]
    assert mg.gradcheck(func, inputs, **TIGHT, witnesses=["differences"])
    assert "complex step" in rejected(func, inputs)

    def nonlinear(x):
        return np.exp(x)

    squared = planted(nonlinear, x=lambda gy, y: gy * abs(gy) * y)
    assert "forward mode" in rejected(squared, [leaf(3)], witnesses=["forward"])


@pytest.mark.skipif(kernels.backend is kernels.reference, reason="there is one backend only")
def test_a_wrong_kernel_is_rejected(monkeypatch):
    monkeypatch.setattr(kernels, "tanh", lambda x: np.tanh(x) * (1 + 1e-9))
    message = rejected(mg.tanh, [leaf(3)], atol=1e-3, witnesses=["differences", "backends"])
    assert "numpy backend disagree(s)" in message
    assert "output 0[" in message
    assert kernels.tanh is not kernels.reference.tanh


def test_second_order():
    """A rule whose value is right and whose own derivative is not."""

    def cube(x):
        return x**3

    frozen = planted(cube, x=lambda gy, x: gy * 3 * np.asarray(getattr(x, "data", x)) ** 2)
    x = leaf(3)
    mg.gradcheck(frozen, [x], **TIGHT)
    assert "input 0" in rejected(frozen, [x], mg.gradgradcheck)
    mg.gradgradcheck(lambda x: x**3, [x], **TIGHT)
    mg.gradgradcheck(lambda x: x**3, x, mg.ones(3, dtype=mg.float64), **TIGHT)


# ------------------------------------------------------------------------------ what it reports


def test_the_failure_shrinks_and_its_script_fails_alike():
    def steps(x, w):  # (T, B, H), (H, H)
        h = x[0] * 0
        for t in range(x.shape[0]):
            h = mg.tanh(x[t] + mg.matmul(h, w))
        return WRONG["factor"][0](h)

    message = rejected(steps, [leaf(5, 4, 3), leaf(3, 3)])
    assert "input 0[0, 0, 0]" in message
    assert "reshape((1, 1, 1))" in message
    assert "reverse mode" in message
    assert re.search(r"is -?[\d.e-]+ by reverse mode, -?[\d.e-]+ by central differences", message)

    message = rejected(wrong_square, [leaf(4, 2)])
    script = textwrap.dedent(message.split("\n\n", 1)[1])
    assert f"from {__name__} import wrong_square as func" in script
    with pytest.raises(mg.GradcheckError, match="differences"):
        exec(script, {})


def wrong_square(x):
    return _wrong_square(x)


_wrong_square = planted(lambda x: x * x, x=lambda gy, x: gy * x)


def test_functions_of_several_tensors_with_several_results():
    def func(x, index, w):
        return x[index] * w, (x * w).sum(), x.detach(), index

    mg.gradcheck(func, [leaf(3), mg.tensor([0, 2, 0]), leaf(1)], **TIGHT)
    mg.gradgradcheck(func, [leaf(3), mg.tensor([0, 2, 0]), leaf(1)], **TIGHT)


def test_kinks_are_not_judged():
    at = mg.tensor([-1.0, 0.0, 5e-5, 1.0], mg.float64, requires_grad=True)
    for func in (mg.relu, mg.abs, lambda x: x.clamp(0, 1), lambda x: mg.maximum(x, -x), mg.floor):
        mg.gradcheck(func, at, **TIGHT)
    wrong = planted(lambda x: np.abs(x), x=lambda gy, x: gy)
    assert "input 0[0]" in rejected(wrong, at)


def test_functions_without_complex_values_are_judged_by_the_others():
    mg.gradcheck(lambda x: mg.erf(x) + mg.atan2(x, x + 3) + abs(x), leaf(3), **TIGHT)
    conjugate = planted(lambda x: np.conj(x) * 2.0, x=lambda gy: gy * 2)
    mg.gradcheck(conjugate, leaf(3), **TIGHT)


def test_default_tolerances_pass_what_is_right():
    assert mg.gradcheck(lambda x: (x.exp() * x).sum(0), leaf(2, 2))
    assert mg.gradcheck(lambda x: mg.nn.functional.gelu(x), leaf(0, 2))
    assert mg.autograd.gradcheck is mg.gradcheck
    assert mg.autograd.gradgradcheck is mg.gradgradcheck


def test_what_it_refuses():
    with pytest.raises(TypeError, match="input 1 is float32"):
        mg.gradcheck(mg.add, [leaf(1), mg.ones(1, requires_grad=True)])
    with pytest.raises(ValueError, match="no input requires grad"):
        mg.gradcheck(mg.exp, mg.ones(1))
    with pytest.raises(ValueError, match="no output"):
        mg.gradcheck(lambda x: x.detach(), leaf(1))
    with pytest.raises(ValueError, match="no witness 'guess'"):
        mg.gradcheck(mg.exp, leaf(1), witnesses=["guess"])


def test_reference_kernels_come_and_go():
    before = kernels.tanh
    with reference_kernels():
        assert kernels.tanh is kernels.reference.tanh
        assert kernels.lstm_forward is kernels.reference.lstm_forward
    assert kernels.tanh is before
