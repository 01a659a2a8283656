/* What the recurrent kernels share that does not depend on the number type: how work is split. */
#pragma once
#include "threads.h"

/* From first up to, not including, last: rows of the batch, panels of the weights, time steps. */
struct mg_span {
    size_t first, last;
};

/* The share of 0 .. n that task `index` of `tasks` does. */
static inline struct mg_span mg_share(size_t n, size_t index, size_t tasks) {
    return (struct mg_span){n * index / tasks, n * (index + 1) / tasks};
}

static inline size_t mg_least(size_t a, size_t b) { return a < b ? a : b; }

/* How one call is split. By rows: each task takes rows of the batch through the whole sequence, and
 * nobody waits at a time step. By units: all rows, a share of the hidden units each, all tasks
 * together at every step; for batches too small to share out, whose time goes into reading U. */
struct mg_plan {
    size_t tasks;
    int by_units;
    size_t chunk; /* steps whose input projection (or weight gradient) is one product */
};

/* Steps whose input projection (or gradients of weights) are one product of some `rows` rows. */
static inline size_t mg_chunk(size_t rows, size_t T, size_t B) {
    return mg_least(rows <= B ? 1 : rows / (B + 1), T ? T : 1);
}

/* For T steps of B rows, gates (T, B, width). What adds up over a chunk does not depend on the
 * number of threads: neither do the results. Forward wants the chunk in the cache with U, so that a
 * step finds its projection there (64 rows of 1024 gates are 256 KB: 1.1 times as fast as 256
 * rows), unless W is so large (floats) that fetching it for 64 rows costs more. */
static inline struct mg_plan mg_plan(size_t T, size_t B, size_t I, size_t H, size_t width,
                                     int backward) {
    size_t threads = mg_num_threads(), most = backward || I * width > 131072 ? 256 : 64;
    size_t rows = 256 * most / (width + 1);
    struct mg_plan plan = {1, 0, mg_chunk(rows > most ? rows : most, T, B)};
    if (B >= 4 * threads && T * B * width * (I + H) >= 500000)
        plan.tasks = threads;
    else if (B * width * H >= 100000)
        plan.tasks = threads, plan.by_units = 1;
    return plan;
}
