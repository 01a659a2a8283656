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


def test_a_strict_user_sees_tensors(tmp_path):
    lines = ["import minigrad as mg", "a, b = mg.randn(2, 3, requires_grad=True), mg.randn(3, 2)"]
    user = tmp_path / "user.py"
    user.write_text("\n".join([*lines, *(f"reveal_type({e})" for e in TENSORS), "a += 1", ""]))
    (tmp_path / "mypy.ini").write_text("[mypy]\nfollow_imports = silent\n")  # as if installed
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "user.py"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=600,
        env={"MYPYPATH": str(Path(mg.__file__).parents[1])},
    )  # fmt: skip
    found = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert dict(zip(TENSORS, found)) == dict.fromkeys(TENSORS, "minigrad.tensor.Tensor"), (
        done.stdout
    )
    assert done.returncode == 0, done.stdout
