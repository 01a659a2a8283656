"""Is a derivative right? Four witnesses are asked, and must agree with reverse mode.

For y = f(x) and a random v, reverse mode gives g = J^T v, with J = dy/dx. Against it stand

    differences   g_k = v . (f(x + h e_k) - f(x - h e_k)) / 2h, extrapolated over two steps h
    complex       g_k = v . Im f(x + i h e_k) / h, without cancellation: to the last digits
    forward       u . g = v . (J u), J u from forward mode, for a random u
    backends      the same y and g from the numpy kernels as from the C ones

Differences say nothing where a kink lies within a step (seen by two one-sided slopes that do not
meet). The complex step runs the numpy kernels on complex numbers; it is no witness for a function
that cannot take them, or that is not analytic as written (seen by its contradicting differences).

Sources: Squire and Trapp 1998 (complex step); Griewank and Walther 2008, ch. 3 (forward, reverse).
"""

from __future__ import annotations

import contextlib
import inspect
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import kernels
from .autograd import enable_grad, grad
from .derivatives import jvp
from .functions import stack
from .kernels import reference
from .tensor import Tensor

Arrays = list[np.ndarray]

EXACT = 1e-11  # what two ways of computing the same, both without cancellation, may differ by
STEP = 1e-20  # of the complex step: its square is nothing


class GradcheckError(RuntimeError):
    """Two ways to compute a derivative disagree."""


class Case(NamedTuple):
    """A function at a point; `check` and `shown` say how the caller asked: its name, its inputs."""

    func: Callable
    inputs: tuple[Any, ...]
    eps: float
    atol: float
    rtol: float
    check: str
    shown: tuple[Callable, int]

    def wanted(self) -> list[int]:
        """Which inputs gradients are wanted for."""
        return [i for i, x in enumerate(self.inputs) if isinstance(x, Tensor) and x.requires_grad]

    def at(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The inputs, with `values` for those that gradients are wanted for."""
        xs = list(self.inputs)
        for i, value in zip(self.wanted(), values, strict=True):
            xs[i] = value
        return tuple(xs)

    def leaves(self, arrays: Arrays) -> tuple[Any, ...]:
        """The inputs, as new leaves around `arrays` where gradients are wanted."""
        leaves = [Tensor.box(a) for a in arrays]
        for x in leaves:
            x.requires_grad = True
        return self.at(leaves)

    def point(self) -> Arrays:
        """Copies of the inputs that gradients are wanted for."""
        return [np.array(self.inputs[i].data) for i in self.wanted()]

    def run(self, xs: Sequence[Any]) -> list[Tensor]:
        """The outputs that depend on the inputs."""
        with enable_grad():
            ys = self.func(*xs)
        ys = ys if isinstance(ys, (tuple, list)) else (ys,)
        return [y for y in ys if isinstance(y, Tensor) and y.requires_grad]

    def outputs(self, arrays: Arrays) -> Arrays:
        """The values of `run` at another point."""
        return [y.data for y in self.run(self.leaves(arrays))]

    def reverse(self) -> tuple[Arrays, Arrays, Arrays]:
        """y, v (one per output) and g (one per wanted input)."""
        xs = self.leaves(self.point())
        ys = self.run(xs)
        if not ys:
            raise ValueError(f"{self.check}: no output of the function requires grad")
        vs = _random(1, ys)
        inputs = [xs[i] for i in self.wanted()]
        gs = grad(ys, inputs, [Tensor.box(v) for v in vs], materialize_grads=True)
        return [y.data for y in ys], vs, [g.data for g in gs]


class Finding(NamedTuple):
    """What a witness holds against reverse mode."""

    witness: str
    where: str
    said: float  # by the witness
    reverse: float
    allowed: float

    def __str__(self) -> str:
        return (
            f"{self.witness} disagree(s) with reverse mode: {self.where} is {self.reverse!r} by "
            f"reverse mode, {self.said!r} by {self.witness} (allowed: {self.allowed:.1e})"
        )


# ------------------------------------------------------------------------- the four witnesses


def _differences(case: Case) -> Iterator[Finding]:
    """Central differences; where they do not settle, nothing is said."""
    _, vs, gs = case.reverse()
    base = case.outputs(case.point())
    for n, k, g in _elements(gs):
        (d1, bend1), (d2, bend2) = (_slopes(case, n, k, h, vs, base) for h in (1.0, 0.5))
        d = (4 * d2 - d1) / 3
        allowed = case.atol + case.rtol * abs(d)
        kink = abs(bend2) > allowed and abs(bend2) > 0.75 * abs(bend1)
        if np.isfinite(d) and not kink and abs(d1 - d2) <= allowed and not abs(g - d) <= allowed:
            yield Finding("central differences", _at(case, n, k), float(d), float(g), allowed)


def _slopes(
    case: Case, n: int, k: tuple, scale: float, vs: Arrays, base: Arrays
) -> tuple[float, float]:
    """The central slope along one element, and by how much the two one-sided slopes differ."""
    step = scale * case.eps
    with np.errstate(all="ignore"):
        above, below = (_moved(case, n, k, s) for s in (step, -step))
        ahead = sum(float(np.vdot(v, a - y)) for v, a, y in zip(vs, above, base, strict=True))
        back = sum(float(np.vdot(v, y - b)) for v, y, b in zip(vs, base, below, strict=True))
    return (ahead + back) / (2 * step), (ahead - back) / step


def _moved(case: Case, n: int, k: tuple, step: float) -> Arrays:
    point = case.point()
    point[n][k] += step
    return case.outputs(point)


def _complex_step(case: Case) -> Iterator[Finding]:
    """The imaginary part of f(x + ih) / h, from the numpy kernels."""
    ys, vs, gs = case.reverse()
    findings = []
    for n, k, g in _elements(gs):
        point: Arrays = [x.astype(np.complex128) for x in case.point()]
        point[n][k] += 1j * STEP
        try:
            with reference_kernels(), np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                moved = case.outputs(point)
        except (TypeError, np.exceptions.ComplexWarning):  # numpy on what knows no complex numbers
            return
        if len(moved) != len(ys) or not all(np.iscomplexobj(y) for y in moved):
            return
        d = sum(float(np.vdot(v, y.imag)) for v, y in zip(vs, moved, strict=True)) / STEP
        allowed = EXACT * max(1.0, _largest(gs))
        if np.isfinite(d) and not abs(g - d) <= allowed:
            findings.append(Finding("complex step", _at(case, n, k), d, float(g), allowed))
            (slope, _), tolerance = _slopes(case, n, k, 1.0, vs, ys), case.atol + case.rtol * abs(d)
            if not abs(slope - d) <= tolerance:
                return
    yield from findings


def _forward(case: Case) -> Iterator[Finding]:
    """u . (J^T v) against v . (J u)."""
    _, vs, gs = case.reverse()
    us = _random(2, gs)

    def weighted(*moving: Tensor) -> Tensor:
        ys = case.run(case.at(moving))
        return stack([(y * Tensor.box(v)).sum() for y, v in zip(ys, vs, strict=True)]).sum()

    point = tuple(Tensor.box(x) for x in case.point())
    y, vju = jvp(weighted, point, tuple(Tensor.box(u) for u in us))
    products = [u * g for u, g in zip(us, gs, strict=True)]
    said, reverse = vju.item(), float(sum(p.sum() for p in products))
    allowed = 10 * EXACT * max(1.0, abs(said) + sum(float(np.abs(p).sum()) for p in products))
    if not abs(said - reverse) <= allowed and np.isfinite(y.data).all():
        yield Finding("forward mode", "v . (J u)", said, reverse, allowed)


def _backends(case: Case) -> Iterator[Finding]:
    """Values and gradients from the numpy kernels against those of the backend in use."""
    if kernels.backend is reference:
        return
    ys, _, gs = case.reverse()
    with reference_kernels():
        rys, _, rgs = case.reverse()
    for what, ours, theirs in (("output", ys, rys), ("gradient", gs, rgs)):
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            allowed = 10 * EXACT * max(1.0, _largest([b]))
            with np.errstate(invalid="ignore"):
                wrong = ~((np.abs(a - b) <= allowed) | (a == b) | (np.isnan(a) & np.isnan(b)))
            for k in zip(*np.nonzero(np.atleast_1d(wrong)), strict=True):
                k = k if wrong.ndim else ()
                where = f"{what} {i}{_index(k)}"
                yield Finding("numpy backend", where, float(b[k]), float(a[k]), allowed)


WITNESSES: dict[str, Callable[[Case], Iterator[Finding]]] = {
    "differences": _differences,
    "complex": _complex_step,
    "forward": _forward,
    "backends": _backends,
}


@contextlib.contextmanager
def reference_kernels() -> Iterator[None]:
    """Within it all operations use the numpy kernels, in every thread."""
    names = [n for n, f in vars(kernels).items() if callable(f) and hasattr(reference, n)]
    before = {name: getattr(kernels, name) for name in names}
    for name in names:
        setattr(kernels, name, getattr(reference, name))
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(kernels, name, function)


# ---------------------------------------------------------------------------------- to be called


def gradcheck(
    func: Callable,
    inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    *,
    raise_exception: bool = True,
    witnesses: Sequence[str] = tuple(WITNESSES),
) -> bool:
    """Whether the derivatives of `func` at `inputs` are right, by the witnesses above.

    inputs     tensors, float64 where they require grad; func(*inputs) gives tensors
    eps        the step of the differences; atol + rtol |g| is what those may differ by
    witnesses  which to ask: all of differences, complex, forward, backends
    Raises GradcheckError, with the witness, the element, both numbers and a script; with
    `raise_exception=False` the answer is False instead.
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    case = Case(func, inputs, eps, atol, rtol, "gradcheck", (func, len(inputs)))
    return _check(case, witnesses, raise_exception)


def gradgradcheck(
    func: Callable,
    inputs: Any,
    grad_outputs: Any = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    *,
    raise_exception: bool = True,
    witnesses: Sequence[str] = tuple(WITNESSES),
) -> bool:
    """Whether the second derivatives are right: gradcheck of (x, v) -> J^T v.

    grad_outputs   the v, one per output; None: random ones. The rest as in `gradcheck`.
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    count = len(inputs)
    first = Case(func, inputs, eps, atol, rtol, "gradgradcheck", (func, count))
    if grad_outputs is None:
        ys = first.run(first.leaves(first.point()))
        grad_outputs = [Tensor.box(v).requires_grad_() for v in _random(3, ys)]
    elif isinstance(grad_outputs, Tensor):
        grad_outputs = (grad_outputs,)

    def pullback(*args: Any) -> tuple:
        xs, vs = args[:count], args[count:]
        wanted = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
        return grad(first.run(xs), wanted, vs, create_graph=True, materialize_grads=True)

    second = first._replace(func=pullback, inputs=(*inputs, *grad_outputs))
    return _check(second, witnesses, raise_exception)


def _check(case: Case, witnesses: Sequence[str], raise_exception: bool) -> bool:
    for name in witnesses:
        if name not in WITNESSES:
            raise ValueError(f"{case.check}: no witness {name!r}; there are {', '.join(WITNESSES)}")
    if not case.wanted():
        raise ValueError(f"{case.check}: no input requires grad")
    for i in case.wanted():
        if case.inputs[i].dtype != np.float64:
            raise TypeError(f"{case.check}: input {i} is {case.inputs[i].dtype}, expected float64")
    for name in witnesses:
        finding = next(WITNESSES[name](case), None)
        if finding is not None:
            if not raise_exception:
                return False
            case, finding = _shrunk(case, WITNESSES[name], finding)
            raise GradcheckError(f"{case.check}: {finding}\nTo see it again:\n\n{_script(case)}")
    return True


# ------------------------------------------------------------------------- making it small


def _shrunk(case: Case, witness: Callable, finding: Finding) -> tuple[Case, Finding]:
    """The smallest case found that the same witness still rejects: equal sizes shrink together.

    So a batch or a number of steps goes down to 1 or 2 in all inputs at once. Hidden units are
    tried with their multiples (the rows of 3 or 4 gates) and without.
    """
    sizes = {n for x in case.inputs if isinstance(x, Tensor) for n in x.shape if n > 1}
    for n in sorted(sizes, reverse=True):
        for m, gates in ((m, gates) for m in (1, 2) if m < n for gates in ((1, 3, 4), (1,))):
            smaller = case._replace(
                inputs=tuple(_cut(x, {g * n: g * m for g in gates}) for x in case.inputs)
            )
            try:
                found = next(witness(smaller), None)
            except Exception:  # the function does not take these sizes
                continue
            if found is not None:
                case, finding = smaller, found
                break
    return case, finding


def _cut(x: Any, sizes: dict[int, int]) -> Any:
    """x, the first elements of each axis whose size is to shrink."""
    if not isinstance(x, Tensor):
        return x
    cut = Tensor.box(np.array(x.data[tuple(slice(sizes.get(n, n)) for n in x.shape)]))
    cut.requires_grad = x.requires_grad
    return cut


def _script(case: Case) -> str:
    """A program that makes the same call."""
    func, count = case.shown
    name = getattr(func, "__name__", type(func).__name__)
    module = getattr(func, "__module__", "__main__")
    where = f"from {module} import {name} as func"
    if module == "__main__" or "<" in getattr(func, "__qualname__", name):  # not to be imported
        try:
            where = f"# func stands here:\n{textwrap.dedent(inspect.getsource(func))}".rstrip()
        except (OSError, TypeError):
            where = f"# func is {func!r}"
        where += "" if name == "<lambda>" else f"\nfunc = {name}"
    lines = ["import numpy as np", "import minigrad as mg", where]
    for i, x in enumerate(case.inputs[:count]):
        lines.append(f"x{i} = {_literal(x)}")
    args = "".join(f"x{i}, " for i in range(count))
    tolerances = f"eps={case.eps}, atol={case.atol}, rtol={case.rtol}"
    lines.append(f"mg.{case.check}(func, ({args}), {tolerances})")
    return textwrap.indent("\n".join(lines), "    ")


def _literal(x: Any) -> str:
    if not isinstance(x, Tensor):
        return repr(x)
    array = f"np.array({x.data.tolist()!r}, np.{x.dtype.name}).reshape({x.shape})"
    text = f"mg.tensor({array}, requires_grad={x.requires_grad})"
    return text.replace("nan", "np.nan").replace("inf", "np.inf")


# --------------------------------------------------------------------------------- small things


def _random(seed: int, like: Sequence[Any]) -> Arrays:
    """Numbers of both signs, away from 0, in the shapes of `like`: the same at every call."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape) for x in like]


def _elements(gs: Arrays) -> Iterator[tuple[int, tuple, Any]]:
    return ((n, k, g[k]) for n, g in enumerate(gs) for k in np.ndindex(g.shape))


def _largest(arrays: Arrays) -> float:
    with np.errstate(invalid="ignore"):
        finite = [np.abs(a[np.isfinite(a)]) for a in arrays]
    return max((float(a.max()) for a in finite if a.size), default=0.0)


def _index(k: tuple) -> str:
    return f"[{', '.join(map(str, k))}]" if k else ""


def _at(case: Case, n: int, k: tuple) -> str:
    return f"the gradient of input {case.wanted()[n]}{_index(k)}"
