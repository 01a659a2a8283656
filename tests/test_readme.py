"""The programs in README.md print what stands below them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
# A program, a sentence that begins with "prints", and what it prints.
SHOWN = re.findall(
    r"^```python\n(.*?)^```\n\nprints.*?^```\n(.*?)^```", README.read_text("utf-8"), re.M | re.S
)


def test_readme_shows_two_programs():
    assert len(SHOWN) == 2


@pytest.mark.parametrize(("program", "printed"), SHOWN, ids=["gradients", "hello"])
def test_readme_program(program, printed):
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=README.parent, check=False, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == printed
