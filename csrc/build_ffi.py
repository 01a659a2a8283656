"""What setup.py builds: the extension minigrad.kernels._c from the sources beside this file."""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
FLAGS = ["-O3", "-std=c11", "-ffp-contract=fast", "-pthread"]

# minigrad.h is both the C header and cffi's description of it, less the preprocessor's lines.
header = (HERE / "minigrad.h").read_text()

ffi = FFI()
ffi.cdef("\n".join(line for line in header.splitlines() if not line.startswith("#")))
ffi.set_source(
    "minigrad.kernels._c",
    '#include "minigrad.h"',
    sources=sorted(f"csrc/{path.name}" for path in HERE.glob("*.c")),
    depends=sorted(f"csrc/{path.name}" for path in HERE.glob("*.h")),
    include_dirs=["csrc"],
    extra_compile_args=FLAGS,
    extra_link_args=["-pthread"],
)
