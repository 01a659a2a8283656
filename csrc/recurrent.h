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

/* How one call is split. By rows: each task takes rows of the batch through the whole sequence, and
 * nobody waits at a time step. By units: all rows, a share of the hidden units each, all tasks
 * together at every step; for batches too small to share out, whose time goes into reading W_hh. */
struct mg_plan {
    size_t tasks;
    int by_units;
    size_t chunk; /* time steps whose input projection (or gradient) is one product */
};

static inline size_t mg_least(size_t a, size_t b) { return a < b ? a : b; }
