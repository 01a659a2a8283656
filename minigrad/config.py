"""Which backend runs, and on how many threads."""

from __future__ import annotations

import platform

import numpy as np

from . import kernels

get_num_threads = kernels.get_num_threads
set_num_threads = kernels.set_num_threads


def show_config() -> None:
    """Prints backend, instruction set, threads, compiler, numpy and Python."""
    shown = {**kernels.config(), "numpy": np.__version__, "python": platform.python_version()}
    width = max(len(name) for name in shown)
    for name, value in shown.items():
        print(f"{name:<{width}}  {value}")
