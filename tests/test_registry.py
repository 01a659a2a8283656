"""The house rules that a machine can hold: who imports whom, and what the docs must list."""

import ast
import re
from pathlib import Path

import pytest

import minigrad as mg

PACKAGE = Path(mg.__file__).parent
SOURCES = sorted(p for p in PACKAGE.rglob("*.py"))
DOC = PACKAGE.parent / "docs" / "operations.md"

# Each room, and the rooms it may import from: downwards only.
ENGINE = {"tape", "broadcasting", "hooks", "autograd", "kernels", "dtypes", "quiet", "writes"}
OPS = {*ENGINE, "ops"}
TENSOR = {*OPS, "methods", "printing", "tensor"}
BELOW = {
    "modes": set(), "writes": set(), "broadcasting": set(),
    "tape": {"broadcasting", "modes", "writes"}, "dtypes": set(),
    "quiet": set(), "kernels": {"kernels"}, "hooks": {"modes", "tape"}, "gradients": {"tape"},
    "autograd": {"gradients", "hooks", "modes", "quiet", "tape", "writes"},
    "function": {"modes", "tape", "writes"},
    "config": {"kernels"}, "ops": OPS, "methods": {*OPS, "methods"}, "printing": {"dtypes"},
    "tensor": TENSOR, "creation": TENSOR, "functions": TENSOR, "derivatives": TENSOR,
    "gradcheck": {*TENSOR, "derivatives", "functions"},
}  # fmt: skip


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """(the room it imports from, the node) for each import of ours, outside `if TYPE_CHECKING`."""
    tree = ast.parse(path.read_text())
    hidden = {
        n for i in ast.walk(tree) if isinstance(i, ast.If) and "TYPE_CHECKING" in ast.dump(i.test)
        for n in ast.walk(i)
    }  # fmt: skip
    parts = ("minigrad", *path.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in hidden:
            module = node.module.split(".") if node.module else []
            if node.level:
                module = [*parts[: len(parts) - node.level], *module]
            if module[:1] == ["minigrad"]:
                for name in [module[1]] if module[1:] else [a.name for a in node.names]:
                    yield name, node


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downwards_and_stand_at_the_top(path):
    tree = ast.parse(path.read_text())
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner = [n for n in ast.walk(function) if isinstance(n, (ast.Import, ast.ImportFrom))]
            assert not inner, f"{path.name}: {function.name} imports inside itself"
    if room(path) in BELOW:
        above = {name for name, _ in imports(path)} - BELOW[room(path)]
        assert not above, f"{path.name} imports {above} from above"


def test_the_rule_sees_what_is_imported():
    assert {name for name, _ in imports(PACKAGE / "printing.py")} == {"dtypes"}
    found = {name for name, _ in imports(PACKAGE / "ops" / "linalg.py")}
    assert found == {"kernels", "autograd", "dtypes", "ops", "quiet"}


# -------------------------------------------------------------------------------- what is listed


def public_operations():
    methods = {n for c in mg.Tensor.__mro__[1:-2] if "methods" in c.__module__ for n in vars(c)}
    return sorted(
        n for n in {*methods, *mg.functions.__all__, *mg.nn.functional.__all__}
        if not n.startswith("_")
    )  # fmt: skip


def primitives():
    return sorted(
        {p.primitive.name for m in vars(mg.ops).values()
         for p in getattr(m, "__dict__", {}).values() if hasattr(p, "primitive")}
    )  # fmt: skip


def listed():
    return set(re.findall(r"`([a-zA-Z_0-9]+)[`(]", DOC.read_text()))


def test_the_page_of_operations_lists_every_one():
    assert len(public_operations()) > 120
    assert len(primitives()) > 60
    missing = {*public_operations(), *primitives()} - listed()
    assert not missing, f"docs/operations.md lacks {sorted(missing)}"


def test_every_function_is_the_method_of_its_name():
    for name in mg.functions.__all__:
        if name not in ("cat", "einsum", "stack", "where"):
            assert getattr(mg, name) is getattr(mg.Tensor, name)
    assert set(mg.__all__) <= set(vars(mg))
