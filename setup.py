"""Builds the C kernels; `MINIGRAD_BUILD=off` installs without them, on the numpy backend."""

import os
import shutil
import sysconfig

from setuptools import setup
from setuptools.command.build_ext import build_ext

REMEDIES = """
    Debian or Ubuntu:         sudo apt install gcc python3-dev
    without the C kernels:    MINIGRAD_BUILD=off pip install -e .
"""


class BuildKernels(build_ext):
    """Says what is missing before the compiler, or its absence, says it less plainly."""

    def build_extensions(self) -> None:
        command = self.compiler.compiler_so[0]
        header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
        if not shutil.which(command):
            raise SystemExit(f"minigrad's kernels need a C compiler: no {command} here.{REMEDIES}")
        if not os.path.exists(header):
            raise SystemExit(f"minigrad's kernels need Python's headers: no {header}.{REMEDIES}")
        super().build_extensions()


off = os.environ.get("MINIGRAD_BUILD") == "off"
setup(
    cffi_modules=[] if off else ["csrc/build_ffi.py:ffi"],
    cmdclass={"build_ext": BuildKernels},
)
