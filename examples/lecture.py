"""What the examples share: options, progress bar, picture, data, and errors of one line.

Each example has a `main(args)` and ends with `run(main, __doc__)`. With `--quick` it takes seconds:
that is the slice that the tests use.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

EXTRA = 'pip install -e ".[examples]"'


def fail(message: object) -> NoReturn:
    """Ends the program with one line and status 2."""
    name = Path(sys.argv[0]).stem
    print(f"{name}:", " ".join(str(message).split()), file=sys.stderr)
    raise SystemExit(2)


def package(name: str) -> ModuleType:
    """The module `name`, or one line that says what brings it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        fail(f"{error}; this brings it: {EXTRA}")


def packaged(name: str, path: str) -> Path:
    """A data file inside an installed package, which is not imported: some take seconds."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        fail(f"No module named {name!r}; this brings it: {EXTRA}")
    file = Path(spec.origin).parent / path
    if not file.exists():
        fail(f"the package {name} that is installed has no {path}")
    return file


def ts_file(path: Path) -> tuple[list[Any], list[str]]:
    """The series (T, C) of a .ts file and the class of each: channels stand between colons."""
    np = package("numpy")
    rows = [r for r in path.read_text(encoding="utf-8").splitlines() if r and r[0] not in "#@"]
    split = [row.split(":") for row in rows]
    series = [np.array([c.split(",") for c in channels], np.float32).T for *channels, _ in split]
    return series, [row[-1].strip().lower() for row in split]


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one line."""

    def error(self, message: str) -> NoReturn:
        fail(message)


def run(main: Callable[[argparse.Namespace], None], doc: str | None, **options: Any) -> None:
    """main(args): reads the command line; `options` are dicts for `add_argument`."""
    parser = Parser(description=(doc or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="default: 0")
    parser.add_argument("--quick", action="store_true", help="a slice of it, in seconds")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("lecture_out"),
                        help="where the picture goes; default: lecture_out")  # fmt: skip
    for name, option in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **option)
    args = parser.parse_args()
    if not 0 <= args.seed < 2**32:
        fail(f"--seed must lie in 0 .. 2**32 - 1, got {args.seed}")
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=args.out):
            pass  # better known now than after the training
    except OSError as error:
        fail(f"cannot write to {args.out}: {error.strerror}")
    package("minigrad").manual_seed(args.seed)
    try:
        main(args)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def progress(steps: Iterable[Any], label: str, total: int | None = None) -> Any:
    """The same steps, with a bar where there is a terminal; `bar.set_postfix_str` shows a loss."""
    tqdm = package("tqdm").tqdm
    return tqdm(steps, desc=label, total=total, disable=None, leave=False)


def figure(
    width: float = 9, height: float = 4.5, mosaic: str | None = None, **grid: Any
) -> tuple[Any, Any]:
    """A matplotlib figure and its axes, `plt.subplots` or `plt.subplot_mosaic` without a window."""
    made = package("matplotlib.figure").Figure((width, height), dpi=110, layout="constrained")
    axes = made.subplots(**grid) if mosaic is None else made.subplot_mosaic(mosaic, **grid)
    for one in made.axes:
        one.spines[["top", "right"]].set_visible(False)
    return made, axes


def bars(axes: Any, values: dict[str, float], nets: Iterable[str], form: str = "%.2f") -> None:
    """A bar each, the first on top, those of `nets` in red."""
    names = list(values)[::-1]
    colours = ["tab:red" if name in nets else "0.7" for name in names]
    drawn = axes.barh(names, [values[name] for name in names], color=colours)
    axes.bar_label(drawn, fmt=form, fontsize=8, padding=2)
    axes.set(xticks=[])
    axes.spines["bottom"].set_visible(False)


def write(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all: written beside its place, then renamed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        fail(f"cannot write {path}: {error.strerror}")


def picture(args: argparse.Namespace, made: Any, name: str) -> None:
    """Writes NAME.png into `--out`, and says so."""
    with tempfile.SpooledTemporaryFile() as file:
        made.savefig(file, format="png")
        file.seek(0)
        write(args.out / f"{name}.png", file.read())
    print(f"picture: {args.out / name}.png")


def source_distribution(name: str, version: str, sha256: str) -> tarfile.TarFile:
    """The source archive of a package: some carry the data that their wheels leave out.

    pip fetches it once into the user's cache (`XDG_CACHE_HOME`, or ~/.cache); nothing is installed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigrad"
    path = cache / f"{name}-{version}.tar.gz"
    if not path.exists():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                fetched(name, version, Path(scratch)).replace(path)
        except OSError as error:
            fail(f"cannot write to {cache}: {error.strerror}; XDG_CACHE_HOME names another place")
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        fail(f"{path} is not the file expected (its SHA-256 differs): delete it and try again")
    return tarfile.open(path)


def archived(name: str, version: str, sha256: str, path: str) -> bytes:
    """A file of a source archive."""
    with source_distribution(name, version, sha256) as archive:
        content = archive.extractfile(path)
        assert content is not None  # the digest has been checked: it is the archive we know
        return content.read()


def fetched(name: str, version: str, folder: Path) -> Path:
    """The source archive, brought by pip into an empty folder."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder,
               "--no-binary", name, f"{name}=={version}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.iterdir())
    if done.returncode or len(found) != 1:
        fail(f"pip cannot fetch the source of {name} {version}: {done.stderr[-300:]}")
    return found[0]
