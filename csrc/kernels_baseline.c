/* The kernels for any processor: 16-byte vectors (SSE2 on x86-64, NEON on 64-bit ARM). */
#include "system.h"

#define ISA baseline
#define VEC_BYTES 16
#include "kernels.inc.h"
