/* Looks at the processor once and sends every call to the kernels made for it. */
#include "kernels.h"
#include <string.h>

/* What every processor of this kind runs. */
#if defined(__aarch64__)
#define LEAST mg_kernels_neon
#else
#define LEAST mg_kernels_baseline
#endif

/* Best first. */
static const struct mg_kernels *const built[] = {
#if defined(__x86_64__)
    &mg_kernels_avx512,
    &mg_kernels_avx2,
#endif
    &LEAST,
};
enum { BUILT = sizeof built / sizeof *built };

static const struct mg_kernels *table = &LEAST;

static int runs_here(const struct mg_kernels *kernels) {
#if defined(__x86_64__)
    if (kernels == &mg_kernels_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("fma");
    if (kernels == &mg_kernels_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return kernels == &LEAST;
}

const char *mg_isa(void) { return table->isa; }

const char *mg_isa_available(size_t index) {
    for (int i = 0; i < BUILT; i++)
        if (runs_here(built[i]) && index-- == 0)
            return built[i]->isa;
    return NULL;
}

int mg_select_isa(const char *name) {
    for (int i = 0; i < BUILT; i++)
        if (!strcmp(name, built[i]->isa) && runs_here(built[i])) {
            table = built[i];
            return 0;
        }
    return -1;
}

const char *mg_compiler(void) {
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

#define real float
#define MG(name) mg_##name##_f32
#define KERNEL(name) table->f32->name
#include "dispatch.inc.h"
#undef real
#undef MG
#undef KERNEL
#define real double
#define MG(name) mg_##name##_f64
#define KERNEL(name) table->f64->name
#include "dispatch.inc.h"
