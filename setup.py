"""Builds the C kernels; `MINIGRAD_BUILD=off` installs without them, on the numpy backend."""

import os

from setuptools import setup

off = os.environ.get("MINIGRAD_BUILD") == "off"
setup(cffi_modules=[] if off else ["csrc/build_ffi.py:ffi"])
