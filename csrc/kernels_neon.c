/* The kernels for 64-bit ARM, every one of which has NEON and fused multiply-adds. */
#include "system.h"

#if defined(__aarch64__)
#ifndef __clang__
/* gcc on ARM moves all loads of a step before its sums; then 32 registers do not hold them and the
 * 24 sums of a tile. */
#pragma GCC optimize("no-schedule-insns")
#endif

#define ISA neon
#define VEC_BYTES 16
#define REGISTERS 32
#include "kernels.inc.h"
#endif
