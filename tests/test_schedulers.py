"""Schedulers: PyTorch's learning rates to the bit, state, and refusals."""

from pathlib import Path

import numpy as np
import pytest
import training_cases as cases

import minigrad as mg
from minigrad import optim
from minigrad.optim import lr_scheduler as s

GOLDEN = dict(np.load(Path(__file__).parent / "golden" / "training.npz"))


def make(array):
    return mg.tensor(array, requires_grad=True)


def optimizer_of(lr=0.1, kind=optim.SGD, groups=1):
    return kind([{"params": [make(np.ones(2))]} for _ in range(groups)], lr=lr)


@pytest.mark.parametrize("name", cases.SCHEDULERS)
def test_rates_are_pytorchs(name):
    np.testing.assert_array_equal(cases.rates(optim, make, name), GOLDEN[name])


@pytest.mark.parametrize("name", cases.SCHEDULERS)
def test_state_dict_continues_where_it_was(name):
    steps, scheduler_of = cases.SCHEDULERS[name]
    seen, metric = [], [[np.cos(t) / (t + 1)] * name.startswith("plateau") for t in range(steps)]

    def fresh():
        groups = [{"params": [make(np.ones(2))]}, {"params": [make(np.ones(2))], "lr": 0.3}]
        optimizer = optim.SGD(groups, lr=0.1, momentum=0.9)
        return optimizer, scheduler_of(s, optimizer)

    optimizer, scheduler = fresh()
    for t in range(steps):
        seen.append(scheduler.get_last_lr())
        if t == steps // 2:
            saved = optimizer.state_dict(), scheduler.state_dict()
            saved_at = t
        scheduler.step(*metric[t])
    optimizer, scheduler = fresh()
    optimizer.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    for t in range(saved_at, steps):
        assert scheduler.get_last_lr() == seen[t]
        scheduler.step(*metric[t])


def test_one_cycle_turns_adams_first_beta():
    optimizer = optimizer_of(kind=optim.Adam)
    scheduler = s.OneCycleLR(optimizer, 1.0, total_steps=10)
    betas = [optimizer.param_groups[0]["betas"]]
    for _ in range(9):
        scheduler.step()
        betas.append(optimizer.param_groups[0]["betas"])
    assert {b[1] for b in betas} == {0.999}
    assert betas[0][0] == betas[-1][0] == 0.95
    assert min(b[0] for b in betas) == pytest.approx(0.85)


def test_one_cycle_without_a_rise_starts_at_the_top():
    optimizer = optimizer_of()
    s.OneCycleLR(optimizer, 1.0, total_steps=10, pct_start=0.1, cycle_momentum=False)
    assert optimizer.param_groups[0]["lr"] == 1.0


def test_one_cycle_ends():
    scheduler = s.OneCycleLR(optimizer_of(), 1.0, total_steps=3, cycle_momentum=False)
    for _ in range(3):
        scheduler.step()
    for _ in range(2):
        with pytest.raises(ValueError, match="step 4 is past total_steps=3"):
            scheduler.step()


def test_schedulers_nest():
    optimizer = optimizer_of(1.0)
    warm = s.SequentialLR(
        optimizer, [s.ConstantLR(optimizer, 0.5, 9), s.ExponentialLR(optimizer, 0.5)], [2]
    )
    scheduler = s.SequentialLR(
        optimizer,
        [
            warm,
            s.ChainedScheduler([s.ConstantLR(optimizer, 0.1, 2), s.ExponentialLR(optimizer, 0.5)]),
        ],
        [4],
    )
    seen = []
    for _ in range(8):
        seen.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    np.testing.assert_allclose(seen, [0.5, 0.5, 1, 0.5, 0.1, 0.05, 0.25, 0.125])


def test_a_tensor_is_a_metric():
    optimizer = optimizer_of(1.0)
    scheduler = s.ReduceLROnPlateau(optimizer, patience=0)
    for metric in (mg.tensor(1.0), mg.tensor(2.0)):
        scheduler.step(metric)
    assert optimizer.param_groups[0]["lr"] == 0.1
    scheduler.step(float("nan"))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("make_it", "match"),
    [
        (lambda o: s.StepLR("adam", 3), "StepLR: optimizer must be an Optimizer, got str"),
        (lambda o: s.StepLR(o, 0), "step_size must be an int of at least 1, got 0"),
        (lambda o: s.StepLR(o, 2.5), "step_size"),
        (lambda o: s.StepLR(o, 2, -1), "gamma must be at least 0"),
        (lambda o: s.MultiStepLR(o, [3, -1]), "milestones"),
        (lambda o: s.LambdaLR(o, [abs] * 2), "lr_lambda has 2 entries for 1 groups"),
        (lambda o: s.LambdaLR(o, 0.5), "must be a function"),
        (lambda o: s.ConstantLR(o, 1.5), "factor must be between 0 and 1"),
        (lambda o: s.ConstantLR(o, 0), "factor must be above 0"),
        (lambda o: s.LinearLR(o, 0.0), "start_factor must be above 0"),
        (lambda o: s.LinearLR(o, end_factor=1.2), "end_factor"),
        (lambda o: s.LinearLR(o, total_iters=0), "total_iters"),
        (lambda o: s.CosineAnnealingLR(o, 0), "T_max"),
        (lambda o: s.CosineAnnealingLR(o, 5, -1.0), "eta_min"),
        (lambda o: s.OneCycleLR(o, 1.0), "give total_steps, or epochs"),
        (lambda o: s.OneCycleLR(o, 1.0, epochs=3), "give total_steps, or epochs"),
        (lambda o: s.OneCycleLR(o, 1.0, 10, pct_start=1.5), "pct_start"),
        (lambda o: s.OneCycleLR(o, 1.0, 10, anneal_strategy="exp"), "anneal_strategy"),
        (lambda o: s.OneCycleLR(o, [1.0, 2.0], 10), "max_lr has 2 entries for 1 groups"),
        (lambda o: s.OneCycleLR(o, 1.0, 10, div_factor=0), "div_factor must be above 0"),
        (lambda o: s.ReduceLROnPlateau(o, "least"), "mode must be"),
        (lambda o: s.ReduceLROnPlateau(o, factor=1.0), "factor must be below 1"),
        (lambda o: s.ReduceLROnPlateau(o, threshold_mode="x"), "threshold_mode"),
        (lambda o: s.ReduceLROnPlateau(o, patience=-1), "patience"),
        (lambda o: s.SequentialLR(o, [], []), "at least one scheduler"),
        (lambda o: s.SequentialLR(o, [s.StepLR(o, 2)], [3]), "at 0 milestones, got 1"),
        (lambda o: s.SequentialLR(o, [s.StepLR(o, 2)] * 3, [3, 3]), "must increase"),
        (lambda o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []), "takes nothing"),
        (lambda o: s.ChainedScheduler([s.StepLR(optimizer_of(), 2)], o), "another optimiser"),
    ],
)  # fmt: skip
def test_arguments_are_checked(make_it, match):
    optimizer = optimizer_of()
    with pytest.raises((ValueError, TypeError), match=match):
        make_it(optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_one_cycle_needs_a_momentum():
    with pytest.raises(ValueError, match="Adagrad has neither momentum nor betas"):
        s.OneCycleLR(optimizer_of(kind=optim.Adagrad), 1.0, 10)


def test_load_state_dict_refuses_another_schedulers():
    optimizer = optimizer_of()
    one, other = s.StepLR(optimizer, 3), s.ExponentialLR(optimizer, 0.5)
    with pytest.raises(ValueError, match=r"StepLR.load_state_dict: expected .*step_size.*, got"):
        one.load_state_dict(other.state_dict())
    pair, three = s.ChainedScheduler([one, other]), s.ChainedScheduler([one, other, one])
    one.step()
    with pytest.raises(ValueError, match="expected 2 schedulers, got 3"):
        pair.load_state_dict(three.state_dict())
    bad = pair.state_dict()
    bad["schedulers"][0]["last_epoch"] = 7
    bad["schedulers"][1] = {}
    with pytest.raises(ValueError, match=r"ExponentialLR.load_state_dict"):
        pair.load_state_dict(bad)
    assert one.last_epoch == 1


def test_a_function_that_fails_leaves_the_step_untaken():
    scheduler = s.LambdaLR(optimizer_of(1.0), lambda t: 1 / (2 - t))
    scheduler.step()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            scheduler.step()
    assert scheduler.last_epoch == 1
    assert scheduler.get_last_lr() == [1.0]
