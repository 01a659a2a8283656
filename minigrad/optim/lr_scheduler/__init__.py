"""Schedulers: learning rates as functions of the number of times `step` was called.

    scheduler = CosineAnnealingLR(optimizer, T_max=100)
    for epoch in range(100):
        train()  # optimizer.step() comes before
        scheduler.step()

eta_t is a group's learning rate after t calls, eta its first. To resume, load the state dicts of
both optimiser and scheduler. Left out of PyTorch's: last_epoch.
"""

from .base import LRScheduler
from .chain import ChainedScheduler, SequentialLR
from .formulas import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    StepLR,
)
from .onecycle import OneCycleLR
from .plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "ExponentialLR", "LRScheduler",
    "LambdaLR", "LinearLR", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "SequentialLR",
    "StepLR",
]  # fmt: skip
