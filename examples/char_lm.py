"""A character language model: a recurrent net reads a text and learns to say what comes next.

    python examples/char_lm.py            five epochs on the Python language reference
    python examples/char_lm.py --quick    the same in seconds, on a slice: does everything work?

The text is cut into B streams, read side by side, a window of T characters at a time. Gradients run
back to the window's start; the recurrent state is carried on into the next window, cut off from its
history. That is truncated backpropagation through time.

Letters: T characters in a window, B streams, V symbols of the vocabulary, E embedding, H hidden.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

try:
    import numpy as np
    import safetensors  # noqa: F401  # what mg.save needs
    from char_lm_tools import Row, compressors, curve, number, table
    from lecture import Parser, fail, write
    from tqdm import tqdm

    import minigrad as mg
    from minigrad import nn, optim
except ModuleNotFoundError as error:
    print(f'char_lm: {error}; this brings it: pip install -e ".[examples]"', file=sys.stderr)
    raise SystemExit(2) from None

T, B, E = 64, 32, 64
HELD_OUT = 0.05  # the last part of the text, never trained on
CLIP = 1.0  # bound on the gradient's norm: recurrent nets have cliffs (Pascanu et al. 2013)
SAMPLE_EVERY = 200  # windows
QUICK_CHARACTERS = 60_000
CELLS = {"lstm": (nn.LSTM, 0.01), "gru": (nn.GRU, 0.005), "rnn": (nn.RNN, 0.004)}  # learning rate
OPTIONS = (  # what a checkpoint keeps of the command line
    "text", "quick", "cell", "hidden", "layers", "epochs", "lr", "seed", "sample", "temperature"
)  # fmt: skip


# ---------------------------------------------------------------------------------------- data


def read_text(path: str | None) -> str:
    """The text of a file; without a path, the language reference that comes with Python."""
    if path is None:
        from pydoc_data.topics import topics  # a second of import that other texts do not need

        return "".join(topics[key] for key in sorted(topics))
    try:
        text = Path(path).read_bytes().decode()
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}")
    except UnicodeDecodeError as error:
        fail(f"{path} is not UTF-8 text: see byte {error.start:,}")
    if "\0" in text:
        fail(f"{path} is not text: it has NUL characters")
    shortest = math.ceil((B * T + 2) / (1 - HELD_OUT))
    if len(text) < shortest:
        fail(f"{path} is too short: {len(text):,} characters, and at least {shortest:,} are needed")
    return text


class Corpus:
    """A text as numbers. `inputs` and `targets` are (N, B), the targets one character ahead."""

    def __init__(self, text: str) -> None:
        split = round(len(text) * (1 - HELD_OUT))
        self.training, self.held_out = text[:split], text[split:]
        self.vocabulary = sorted(set(text))
        code = {symbol: i for i, symbol in enumerate(self.vocabulary)}
        ids = np.array([code[symbol] for symbol in text])
        n = (split - 1) // B  # characters in a stream
        self.inputs = ids[: n * B].reshape(B, n).T
        self.targets = ids[1 : n * B + 1].reshape(B, n).T
        self.held_out_ids = ids[split - 1 :, None]  # one stream, led in by the character before
        self.windows = math.ceil(n / T)  # in an epoch
        self.digest = hashlib.sha256(text.encode()).hexdigest()


# --------------------------------------------------------------------------------------- model


class CharLM(nn.Module):
    """ids (T, B) -> logits (T, B, V): embedding, recurrent layers, one linear layer on top."""

    def __init__(self, cell: str, symbols: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, E)
        self.recurrent = CELLS[cell][0](E, hidden, num_layers=layers)
        self.linear = nn.Linear(hidden, symbols)

    def forward(self, ids: np.ndarray, state: Any = None) -> tuple[Any, Any]:
        output, state = self.recurrent(self.embedding(mg.tensor(ids)), state)
        return self.linear(output), state


def loss_of(logits: Any, targets: np.ndarray) -> Any:
    """Mean of -ln p(target), in nats: logits (T, B, V), targets (T, B)."""
    flat = logits.reshape(-1, logits.shape[-1])
    return nn.functional.cross_entropy(flat, mg.tensor(targets.reshape(-1)))


def detached(state: Any) -> Any:
    """The same state, h or (h, c), without its history."""
    return tuple(map(detached, state)) if isinstance(state, tuple) else state.detach()


def bits_per_character(model: CharLM, ids: np.ndarray) -> float:
    """Mean of -log2 p(next character): ids (N, 1) as one stream, its state carried throughout."""
    nats, state = 0.0, None
    with mg.no_grad():
        for start in range(0, len(ids) - 1, 1024):
            targets = ids[start + 1 : start + 1025]
            logits, state = model(ids[start : start + len(targets)], state)
            nats += loss_of(logits, targets).item() * len(targets)
    return nats / math.log(2) / (len(ids) - 1)


def generate(model: CharLM, symbols: list[str], n: int, temperature: float, seed: list[int]) -> str:
    """`n` characters, each drawn from softmax(logits / temperature), on a new line.

    argmax(logits + temperature * Gumbel noise) draws just that, and divides by nothing. The noise
    depends on `seed` alone, so sampling leaves nothing behind that a checkpoint would have to keep.
    """
    rng = np.random.default_rng(seed)
    drawn, state = [symbols.index("\n") if "\n" in symbols else 0], None
    with mg.no_grad():
        for _ in range(n):
            logits, state = model(np.array([drawn[-1:]]), state)
            noise = rng.gumbel(size=len(symbols))
            drawn.append(int(np.argmax(logits.numpy()[0, 0] + temperature * noise)))
    return "".join(symbols[i] for i in drawn[1:])


# ------------------------------------------------------------------------------------- training


class Run:
    """Everything that training changes: model, optimiser, carried state, history."""

    def __init__(self, args: argparse.Namespace, corpus: Corpus) -> None:
        mg.manual_seed(args.seed)
        self.model = CharLM(args.cell, len(corpus.vocabulary), args.hidden, args.layers)
        self.optimiser = optim.Adam(self.model.parameters(), lr=args.lr)
        self.state: Any = None
        self.losses: list[float] = []  # bits per character, one a window: its length is the step
        self.validation: list[float] = []  # bits per character, one an epoch

    def step(self, inputs: np.ndarray, targets: np.ndarray, lr: float) -> None:
        """One window of truncated backpropagation through time."""
        logits, state = self.model(inputs, self.state)
        self.state = detached(state)
        loss = loss_of(logits, targets)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimiser.param_groups[0]["lr"] = lr
        self.optimiser.step()
        self.losses.append(loss.item() / math.log(2))

    def state_dict(self) -> dict[str, Any]:
        """All of it, to be saved."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "state": self.state,
            "losses": np.array(self.losses),
            "validation": np.array(self.validation),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Goes on from where `state_dict` was taken."""
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.state = saved["state"]
        self.losses = saved["losses"].numpy().tolist()
        self.validation = saved["validation"].numpy().tolist()


def save(path: Path, content: dict[str, Any]) -> None:
    """mg.save, which writes all or nothing; a full disk is one line."""
    try:
        mg.save(content, path)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


def train(args: argparse.Namespace, corpus: Corpus, run: Run, checkpoint: Path) -> bool:
    """Trains to the last epoch, saving after each; False when Ctrl-C stopped it before."""
    stopped = False

    def stop(signum: int, frame: object) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C does not wait

    before = signal.signal(signal.SIGINT, stop)
    about = {name: getattr(args, name) for name in OPTIONS} | {"digest": corpus.digest}
    windows, total = corpus.windows, args.epochs * corpus.windows
    size, began = corpus.inputs.size, time.perf_counter()
    done = len(run.losses) // windows * size + len(run.losses) % windows * T * B
    bar = tqdm(  # disable=None: no bar where there is no terminal
        total=args.epochs * size, initial=done, unit="char", unit_scale=True, disable=None
    )
    with bar, np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is told so below
        while len(run.losses) < total and not stopped:
            epoch, window = divmod(len(run.losses), windows)
            rows = slice(window * T, (window + 1) * T)
            if window == 0:
                run.state = None
            # A rate that knows nothing of the last epoch: going on for more epochs is no other run.
            lr = args.lr / math.sqrt(1 + len(run.losses) / windows)
            run.step(corpus.inputs[rows], corpus.targets[rows], lr)
            if not run.losses[-1] < 1000:  # and not NaN: no character is worth a thousand bits
                bar.close()
                fail(f"the loss is {run.losses[-1]:g} bits/char: --lr {args.lr:g} is too much")
            recent = sum(run.losses[-50:]) / len(run.losses[-50:])
            bar.set_description_str(f"epoch {epoch + 1}/{args.epochs}", refresh=False)
            bar.set_postfix_str(f"{recent:.2f} bits/char", refresh=False)
            bar.update(corpus.inputs[rows].size)
            if len(run.losses) % SAMPLE_EVERY == 0:
                seed = [args.seed, len(run.losses)]
                sample = generate(run.model, corpus.vocabulary, 120, args.temperature, seed)
                tqdm.write(f"epoch {epoch + 1}, {recent:.2f} bits/char, writes: {sample!r}")
            if window + 1 == windows:
                run.validation.append(bits_per_character(run.model, corpus.held_out_ids))
                mean, seconds = sum(run.losses[-windows:]) / windows, time.perf_counter() - began
                tqdm.write(
                    f"epoch {epoch + 1}: training {mean:.3f}, validation {run.validation[-1]:.3f} "
                    f"bits/char, {seconds:.1f} s"
                )
            if stopped or window + 1 == windows:
                save(checkpoint, {"options": about, "run": run.state_dict()})
    signal.signal(signal.SIGINT, before)
    return len(run.losses) == total


# --------------------------------------------------------------------------------- command line


def options() -> Parser:
    """The command line."""
    parser = Parser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    add = parser.add_argument
    rates = ", ".join(f"{cell} {lr}" for cell, (_, lr) in CELLS.items())
    count, above = number(int, 1), number(float, 0)
    add("--quick", action="store_true", help="a slice of it, in seconds")
    add("--text", metavar="FILE", help="default: the Python language reference")
    add("--cell", choices=CELLS, default="lstm", help="default: lstm")
    add("--hidden", metavar="N", type=count, help="units; default: 256, 64 with --quick")
    add("--layers", metavar="N", type=count, default=1, help="default: 1")
    add("--epochs", metavar="N", type=count, help="default: 5, 2 with --quick")
    add("--lr", metavar="X", type=above, help=f"Adam's, at the start; default: {rates}")
    add("--seed", metavar="N", type=number(int, 0), default=0, help="default: 0")
    text = "characters to write at the end; default: 500"
    add("--sample", metavar="N", type=number(int, 0), default=500, help=text)
    text = "of the sampling: low is timid, high is wild; default: 0.7"
    add("--temperature", metavar="X", type=above, default=0.7, help=text)
    text = "go on from a checkpoint, with its options; if its epochs are done, write a sample"
    add("--resume", metavar="FILE", help=text)
    text = "for checkpoint and curve; default: char_lm_out, or where --resume's file is"
    add("--out", metavar="DIR", default="char_lm_out", help=text)
    return parser


def parse() -> tuple[argparse.Namespace, dict[str, Any]]:
    """The options, and the checkpoint to go on from, whose options are their defaults."""
    parser = options()
    args = parser.parse_args()
    saved: dict[str, Any] = {}
    if args.resume is not None:
        try:
            saved = mg.load(args.resume)
        except (OSError, ValueError) as error:
            fail(f"cannot read the checkpoint {args.resume}: {error}")
        if (
            not isinstance(saved, dict)
            or saved.keys() != {"options", "run"}
            or saved["options"].keys() != {*OPTIONS, "digest"}
        ):
            fail(f"{args.resume} is no checkpoint of this program")
        kept = {name: saved["options"][name] for name in OPTIONS}
        parser.set_defaults(**kept, out=str(Path(args.resume).parent))
        args = parser.parse_args()
        for name in ("cell", "hidden", "layers"):
            if getattr(args, name) != kept[name]:
                fail(f"{args.resume} has --{name} {kept[name]}, not {getattr(args, name)}")
    args.hidden = args.hidden or (64 if args.quick else 256)
    args.epochs = args.epochs or (2 if args.quick else 5)
    args.lr = args.lr or CELLS[args.cell][1]
    return args, saved


def main() -> None:
    args, saved = parse()
    text = read_text(args.text)[: QUICK_CHARACTERS if args.quick else None]
    corpus = Corpus(text)
    run = Run(args, corpus)
    if saved:
        if saved["options"]["digest"] != corpus.digest:
            fail(f"{args.resume} was made with another text")
        try:
            run.load_state_dict(saved["run"])
        except (LookupError, ValueError, TypeError, RuntimeError) as error:
            fail(f"{args.resume} does not fit: {error}")

    def paragraph() -> str:
        seed = [args.seed, len(run.losses)]
        return generate(run.model, corpus.vocabulary, args.sample, args.temperature, seed)

    if len(run.losses) >= args.epochs * corpus.windows:
        print(paragraph())
        return
    out = Path(args.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass  # it can be written to: better known now than in an hour
    except OSError as error:
        fail(f"cannot write to {out}: {error.strerror}")

    name = f"{args.layers} x " * (args.layers > 1) + f"{args.cell.upper()} {args.hidden}"
    title = f"{name} on {Path(args.text).name if args.text else 'the Python language reference'}"
    kinds, weights = len(corpus.vocabulary), sum(math.prod(p.shape) for p in run.model.parameters())
    print(f"{title}: {weights:,} parameters. The text has {len(text):,} characters")
    print(f"of {kinds} kinds; the last {len(corpus.held_out):,} are held out for validation")
    args.text = args.text and os.path.abspath(args.text)  # to be found from anywhere
    checkpoint = out / "char_lm.safetensors"
    if not train(args, corpus, run, checkpoint):
        python = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv)]
        command = shlex.join([*python, sys.argv[0], "--resume", str(checkpoint)])
        print(f"stopped and saved; to go on:\n{command}")
        raise SystemExit(128 + signal.SIGINT)

    rows = compressors(corpus.training, corpus.held_out)
    png = curve(title, run.losses, run.validation, rows, corpus.inputs.size)
    write(out / "char_lm.png", png)
    network = Row(name, "all of the training text", run.validation[-1], None)
    print("", table([network, *rows]), "", paragraph(), "", sep="\n")
    print(f"checkpoint {checkpoint}, loss curve {out / 'char_lm.png'}")


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # samples hold any symbol
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except MemoryError as error:
        fail(f"out of memory: {error}")
