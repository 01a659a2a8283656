"""What setup.py builds: the extension minigrad.kernels._c from the sources beside this file."""

import os
import re
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
FLAGS = ["-O3", "-std=c11", "-ffp-contract=fast", "-pthread"]
LINK = ["-pthread", "-lm"]
if sanitizers := os.environ.get("MINIGRAD_SANITIZE"):  # as in address,undefined: see .ci/sanitize
    LINK += [f"-fsanitize={sanitizers}"]
    FLAGS += ["-O1", "-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", LINK[-1]]

# minigrad.h is both the C header and cffi's description of it, less the preprocessor's lines.
HEADER = "\n".join(
    line for line in (HERE / "minigrad.h").read_text().splitlines() if not line.startswith("#")
)

# csrc/array.h, for cffi: numpy's arrays by their id().
ARRAYS = "".join(
    [
        "void np_start(uintptr_t f32, uintptr_t f64, uintptr_t array);",
        "void *np_data(uintptr_t id); int np_fit(const char *form, const uintptr_t *ids);",
        *(f"int direct_{name}(uintptr_t y, uintptr_t x);" for name in ("tanh", "sigmoid", "relu")),
        *(
            f"int direct_{name}_grad(uintptr_t gx, uintptr_t gy, uintptr_t y);"
            for name in ("tanh", "sigmoid", "relu")
        ),
        "int direct_matmul(uintptr_t c, uintptr_t a, uintptr_t b);",
        "struct np_layer { struct mg_net net; const char *isa; uintptr_t packed; };",
        "int np_infer(const struct np_layer *layer, size_t k, const uintptr_t *ids);",
    ]
)


def by_id(header: str) -> list[tuple[str, str]]:
    """Prototype and body of a twin of every kernel that takes arrays by their Python id().

    mg_tanh_f32(float *y, const float *x, size_t n) becomes np_tanh_f32(uintptr_t y, uintptr_t x,
    size_t n): see array.h.
    """
    twins = []
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    for result, name, parameters in re.findall(r"(\w+) mg_(\w+_f\d+)\(([^)]*)\);", code):
        taken, given = [], []
        for parameter in parameters.split(","):
            kind, word = re.fullmatch(r"\s*(.*\W)(\w+)\s*", parameter, re.DOTALL).groups()
            taken.append(f"uintptr_t {word}" if "*" in kind else kind + word)
            given.append(f"np_data({word})" if "*" in kind else word)
        call = f"mg_{name}({', '.join(given)});"
        body = call if result == "void" else "return " + call
        twins.append((f"{result} np_{name}({', '.join(taken)})", f"{{ {body} }}"))
    return twins


ffi = FFI()
twins = by_id(HEADER)
ffi.cdef(HEADER + ARRAYS + "".join(f"{head};" for head, _ in twins))
ffi.set_source(
    "minigrad.kernels._c",
    '#include "array.h"\n' + "".join(f"static {head} {body}\n" for head, body in twins),
    sources=sorted(f"csrc/{path.name}" for path in HERE.glob("*.c")),
    depends=sorted(f"csrc/{path.name}" for path in HERE.glob("*.h")),
    include_dirs=["csrc"],
    extra_compile_args=FLAGS,
    extra_link_args=LINK,
)
