"""What a type checker tells a user: operators, methods, functions and layers make tensors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg

pytest.importorskip("mypy")

TENSORS = [
    "a @ b", "a + b", "a - 1", "2.0 * a", "1 / a", "-a", "a**2", "a > 0", "a == b", "~(a > 0)",
    "a[0]", "a[:, None]", "a.T", "a.sum()", "a.mean(0, keepdim=True)", "a.sum(dtype=mg.float64)",
    "a.tanh()", "a.exp()", "a.reshape(3, 2)", "a.long()", "a.detach()", "mg.exp(a)", "mg.sum(a)",
    "mg.cat([a, a])", "mg.where(a > 0, a, 0.0)", "mg.einsum('ij,jk->ik', a, b)", "mg.zeros(2)",
    "a.sort().values", "a.max()", "a.min(b.T)", "a.max(1).values", "mg.min(a, axis=0).indices",
    "mg.nn.functional.mse_loss(a, a)", "mg.nn.functional.relu(a)",
]  # fmt: skip


MODULES = {  # what a call returns
    "nn.Linear(3, 4)(a)": "T", "nn.Embedding(5, 3)(a)": "T", "nn.ReLU()(a)": "T",
    "nn.LayerNorm(3)(a)": "T", "nn.BatchNorm1d(3)(input=a)": "T", "nn.Dropout()(a)": "T",
    "nn.MSELoss()(a, a)": "T", "nn.CrossEntropyLoss()(a, [0, 1])": "T",
    "nn.RNN(3, 4)(a)": "tuple[T, T]", "nn.GRU(3, 4)(a, hx=None)": "tuple[T, T]",
    "nn.LSTM(3, 4)(a)": "tuple[T, tuple[T, T]]",
    "nn.LSTM(3, 4)(a, None, mask=a > 0)[1][0]": "T",
    "nn.LSTM(3, 4)(packed)[0]": "P", "nn.GRU(3, 4)(packed)": "tuple[P, T]",
    "nn.RNNCell(3, 4)(a)": "T", "nn.GRUCell(3, 4)(a, b)": "T",
    "nn.LSTMCell(3, 4)(a)": "tuple[T, T]",
    "nn.ManyToOne(nn.GRU(3, 4), nn.Linear(4, 1))(a)": "T", "Net()(a)": "T", "Net()(input=a)": "T",
    "loose(a, k=3)": "Any", "part(a)": "Any", "a.grad": "T | None",
    "nn.Linear(3, 4).weight.grad": "T | None",
}  # fmt: skip
USER = """
from collections.abc import Callable

import minigrad as mg
from minigrad import Tensor, nn
from loose import Loose

class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(3, 4), nn.Linear(4, 2)

    def forward(self, input: Tensor) -> Tensor:
        output, (h_n, c_n) = self.rnn(input)
        return self.head(output) + h_n.mean() + c_n.mean()

a, b = mg.randn(2, 3, requires_grad=True), mg.randn(3, 2)
packed = nn.utils.rnn.pack_sequence([a, a])
loose = Loose()
parts: list[nn.Module] = [Net(), nn.ReLU(), loose]
[*_, part] = parts
activation: Callable[[Tensor], Tensor] = nn.Tanh()
a += 1
"""
LOOSE = """
from minigrad import nn

class Loose(nn.Module):
    def forward(self, x, k=2):
        return x * k
"""
WRONG = {  # what a call is refused for
    "Net()(3)": 'incompatible type "int"; expected "Tensor"',
    "Net()(a, a)": "Too many arguments",
    "nn.Linear(3, 4)()": 'Missing positional argument "input"',
    "a.grad.sum()": 'Item "None" of "Tensor | None" has no attribute "sum"',
}


def strict(folder, statements):
    """mypy --strict on the user's program and these statements: (its status, what it says)."""
    (folder / "user.py").write_text("\n".join([USER, *statements, ""]))
    (folder / "loose.py").write_text(LOOSE)
    (folder / "mypy.ini").write_text("[mypy]\nfollow_imports = silent\n")  # as if installed
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder), "user.py"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=600,
        env={"MYPYPATH": str(Path(mg.__file__).parents[1])},
    )  # fmt: skip
    return done.returncode, done.stdout


def test_a_strict_user_sees_tensors(tmp_path):
    expected = {**dict.fromkeys(TENSORS, "T"), **MODULES}
    status, said = strict(tmp_path, [f"reveal_type({e})" for e in expected])
    found = re.findall(r'Revealed type is "(.*)"', said)
    found = [f.replace("minigrad.tensor.Tensor", "T") for f in found]
    found = [re.sub(r"tuple\[[^\[]*fallback=[\w.]*PackedSequence\]", "P", f) for f in found]
    assert dict(zip(expected, found, strict=True)) == expected, said
    assert status == 0, said


def test_a_strict_user_is_told_of_wrong_calls(tmp_path):
    status, said = strict(tmp_path, WRONG)
    lines = said.splitlines()[: len(WRONG)]
    assert status == 1, said
    for line, (call, reason) in zip(lines, WRONG.items(), strict=True):
        assert reason in line, (call, said)
