"""Makes the arrays in golden/ again, with PyTorch: python tests/make_golden.py"""

from pathlib import Path

import numpy as np
import torch
import training_cases as cases


def training():
    """Trajectories of torch.optim and its schedulers."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam keeps a scalar of its state in that

    def make(array):
        return torch.nn.Parameter(torch.tensor(array))

    def read(p):
        return p.detach().numpy()

    def write(p, g):
        p.grad = torch.tensor(g)

    try:
        made = {n: cases.trajectory(torch.optim, make, read, write, n) for n in cases.OPTIMIZERS}
        made |= {n: cases.rates(torch.optim, make, n) for n in cases.SCHEDULERS}
    finally:
        torch.set_default_dtype(before)
    return made


GOLDEN = {"training.npz": training}

if __name__ == "__main__":
    folder = Path(__file__).parent / "golden"
    folder.mkdir(exist_ok=True)
    for name, make in GOLDEN.items():
        np.savez_compressed(folder / name, **make())
