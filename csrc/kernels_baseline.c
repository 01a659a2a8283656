/* The kernels for any processor: 16-byte vectors (SSE2 on x86-64). */
#include "system.h"

#if !defined(__aarch64__)
#define ISA baseline
#define VEC_BYTES 16
#define REGISTERS 16
#include "kernels.inc.h"
#endif
