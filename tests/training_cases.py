"""Optimisers and schedulers with options, run alike in minigrad and in PyTorch."""

import math
import warnings

import numpy as np

STEPS = 20
KEPT = (0, 1, STEPS - 1)  # the steps whose parameters are kept
SHAPES = ((3, 4), (5,), ())

OPTIMIZERS = {
    "sgd": ("SGD", {"lr": 0.1}),
    "sgd decay": ("SGD", {"lr": 0.1, "weight_decay": 0.2}),
    "sgd momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "sgd dampening": ("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1}),
    "sgd nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "sgd maximize": ("SGD", {"lr": 0.1, "momentum": 0.5, "maximize": True, "weight_decay": 0.1}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop decay": ("RMSprop", {"lr": 0.05, "alpha": 0.9, "weight_decay": 0.1, "eps": 1e-3}),
    "rmsprop momentum": ("RMSprop", {"momentum": 0.9}),
    "rmsprop centered": ("RMSprop", {"centered": True, "eps": 1e-2}),
    "rmsprop all": ("RMSprop", {"centered": True, "eps": 1e-2, "momentum": 0.5, "maximize": True}),
    "adagrad": ("Adagrad", {}),
    "adagrad all": (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.3},
    ),
    "adadelta": ("Adadelta", {}),
    "adadelta all": ("Adadelta", {"lr": 2.0, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1}),
    "adam": ("Adam", {}),
    "adam decay": ("Adam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-2, "weight_decay": 0.1}),
    "adam amsgrad": ("Adam", {"lr": 0.1, "betas": (0.5, 0.6), "amsgrad": True}),
    "adam maximize": ("Adam", {"lr": 0.1, "maximize": True, "weight_decay": 0.3}),
    "adamw": ("AdamW", {"lr": 0.1}),
    "adamw amsgrad": ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True}),
    "nadam": ("NAdam", {}),
    "nadam decay": ("NAdam", {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    "nadam decoupled": (
        "NAdam",
        {"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 0.1, "decoupled_weight_decay": True},
    ),
}

# name: (optimiser, how many steps, function of the scheduler module and the optimiser)
SCHEDULERS = {
    "lambda": (40, lambda s, o: s.LambdaLR(o, lambda t: 0.95**t)),
    "lambda per group": (9, lambda s, o: s.LambdaLR(o, [math.sqrt, lambda t: 1 / (t + 1)])),
    "step": (20, lambda s, o: s.StepLR(o, 3, 0.7)),
    "multistep": (20, lambda s, o: s.MultiStepLR(o, [9, 2, 9, 0], 0.3)),
    "exponential": (20, lambda s, o: s.ExponentialLR(o, 0.9)),
    "constant": (9, lambda s, o: s.ConstantLR(o, 0.3, 4)),
    "linear": (12, lambda s, o: s.LinearLR(o, 0.1, 0.9, 7)),
    "linear default": (9, lambda s, o: s.LinearLR(o)),
    "cosine": (30, lambda s, o: s.CosineAnnealingLR(o, 7, 1e-3)),
    "cosine 1": (6, lambda s, o: s.CosineAnnealingLR(o, 1)),
    "onecycle": (20, lambda s, o: s.OneCycleLR(o, 1.0, total_steps=20)),
    "onecycle linear": (
        30,
        lambda s, o: s.OneCycleLR(
            o, [1.0, 2.0], epochs=3, steps_per_epoch=10, pct_start=0.4, anneal_strategy="linear",
            div_factor=10.0, final_div_factor=100.0, three_phase=True, max_momentum=[0.9, 0.8],
            base_momentum=0.5,
        ),
    ),
    "warm-up, cosine": (
        25,
        lambda s, o: s.SequentialLR(
            o, [s.LinearLR(o, 0.2, total_iters=5), s.CosineAnnealingLR(o, 15, 1e-4)], [5]
        ),
    ),
    "three in turn": (
        25,
        lambda s, o: s.SequentialLR(
            o, [s.ConstantLR(o, 0.5, 3), s.ExponentialLR(o, 0.9), s.StepLR(o, 2, 0.5)], [4, 11]
        ),
    ),
    "chained": (
        15, lambda s, o: s.ChainedScheduler([s.LinearLR(o, 0.1), s.ExponentialLR(o, 0.9)])
    ),
    "plateau": (40, lambda s, o: s.ReduceLROnPlateau(o, factor=0.5, patience=2, cooldown=1)),
    "plateau max abs": (
        40,
        lambda s, o: s.ReduceLROnPlateau(
            o, "max", 0.3, 1, threshold=0.05, threshold_mode="abs", min_lr=[1e-3, 2e-2]
        ),
    ),
    "plateau max rel": (40, lambda s, o: s.ReduceLROnPlateau(o, "max", 0.9, 0, threshold=0.1)),
    "plateau min abs": (
        40, lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="abs", patience=3, eps=1e-3)
    ),
}  # fmt: skip


def start(i):
    """The first values of parameter i."""
    return np.random.default_rng(i).standard_normal(SHAPES[i])


def gradient(p, t):
    """Of a curved function, seen with noise: what an optimiser did comes back in it."""
    return p * np.linspace(0.1, 3, p.size).reshape(p.shape) + np.sin(7.0 * t + np.tanh(p))


def trajectory(optim, make, read, write, name):
    """Parameters at the KEPT steps: (3, 18). make a parameter, read its values, write its grad."""
    kind, options = OPTIMIZERS[name]
    params = [make(start(i)) for i in range(len(SHAPES))]
    optimizer, kept = getattr(optim, kind)(params, **options), []
    for t in range(STEPS):
        for p in params:
            write(p, gradient(read(p), t))
        optimizer.step()
        if t in KEPT:
            kept.append(np.concatenate([np.ravel(read(p)) for p in params]))
    return np.stack(kept)


def rates(optim, make, name):
    """lr and momentum of two groups at each step: (steps, 2, 2)"""
    steps, scheduler_of = SCHEDULERS[name]
    groups = [{"params": [make(start(0))]}, {"params": [make(start(1))], "lr": 0.3}]
    optimizer = optim.SGD(groups, lr=0.1, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, about the order of steps
        scheduler, seen = scheduler_of(optim.lr_scheduler, optimizer), []
        for t in range(steps):
            seen.append([(g["lr"], g["momentum"]) for g in optimizer.param_groups])
            scheduler.step(*([math.cos(t) / (t + 1)] if name.startswith("plateau") else []))
    return np.array(seen)
