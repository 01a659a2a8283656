/* What the recurrent kernels share: vectors with missing lanes, packing in parallel, the plan. */
#include "recurrent.h"

MG_INLINE vec FN(load_lanes)(const real *p, size_t n) {
    return n == VL ? FN(load)(p) : FN(load_part)(p, n);
}

MG_INLINE void FN(store_lanes)(real *p, vec v, size_t n) {
    if (n == VL)
        FN(store)(p, v);
    else
        FN(store_part)(p, v, n);
}

/* `block` is from malloc and has room for 64 bytes more: a vector that straddles two cache lines
 * costs two loads, and packed weights are all loads (aligned: 1.9 times as fast). */
static real *FN(align)(void *block) { return (real *)(((uintptr_t)block + 63) & ~(uintptr_t)63); }

static void FN(copy_or_zero)(real *to, const real *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = from ? from[i] : 0;
}

/* One matrix to be packed: element (i, j) lies at source[i * rs + j * cs]. */
struct FN(packing) {
    const struct FN(panels) * panels;
    const real *source;
    size_t rs, cs, tasks;
};

static void FN(pack_task)(void *context, size_t index) {
    const struct FN(packing) *p = context;
    struct mg_span share = mg_share(p->panels->panels, index, p->tasks);
    FN(pack_panels)(p->panels, p->source, p->rs, p->cs, share.first, share.last);
}

/* Packs W into `memory` and returns the memory that follows it. */
static real *FN(pack)(struct FN(panels) * w, real *memory, const real *source, size_t rs, size_t cs,
                      size_t tasks) {
    struct FN(packing) p = {w, source, rs, cs, tasks};
    w->data = memory;
    mg_parallel(FN(pack_task), &p, tasks);
    return memory + FN(panels_size)(w);
}

/* The plan for T steps of B rows, where a step multiplies each row by a (gates * H, H) matrix. */
static struct mg_plan FN(plan)(size_t T, size_t B, size_t I, size_t H, size_t gates) {
    size_t threads = mg_num_threads(), step = B * gates * H * H;
    struct mg_plan plan = {1, 0, 1};
    if (B >= 4 * threads && T * B * gates * H * (I + H) >= 500000)
        plan.tasks = threads;
    else if (step >= 100000)
        plan.tasks = threads, plan.by_units = 1;
    size_t rows = 262144 / (gates * H * sizeof(real) +
                            1); /* whatever the tasks: gradients add up by chunks */
    plan.chunk = (rows > 256 ? rows : 256) / (B + 1);
    plan.chunk = plan.chunk < 1 ? 1 : mg_least(plan.chunk, T ? T : 1);
    return plan;
}
