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

/* Which rows of x, of the output and of all that is kept belong to which time step: first[t] up to,
 * not including, first[t + 1]. They are the first sequences of the batch, never more than in the
 * step before: as packed sequences, longest first, lie. first NULL: all B of them at every step. */
struct mg_steps {
    const size_t *first;
    size_t T, B;
};

/* The row where step t begins. */
static inline size_t mg_row(const struct mg_steps *s, size_t t) {
    return s->first ? s->first[t] : t * s->B;
}

/* The rows of steps [steps.first, steps.last). */
static inline size_t mg_rows(const struct mg_steps *s, struct mg_span steps) {
    return mg_row(s, steps.last) - mg_row(s, steps.first);
}

/* How many sequences have step t. */
static inline size_t mg_batch(const struct mg_steps *s, size_t t) {
    return mg_row(s, t + 1) - mg_row(s, t);
}

/* Those among these sequences that have step t. */
static inline struct mg_span mg_active(const struct mg_steps *s, size_t t, struct mg_span rows) {
    size_t batch = mg_batch(s, t);
    return (struct mg_span){mg_least(rows.first, batch), mg_least(rows.last, batch)};
}

static inline size_t mg_active_count(const struct mg_steps *s, size_t t, struct mg_span rows) {
    struct mg_span active = mg_active(s, t, rows);
    return active.last - active.first;
}

/* From step t on, as many steps as have at most `most` rows of these sequences: one at least. */
static inline struct mg_span mg_steps_from(const struct mg_steps *s, size_t t, struct mg_span rows,
                                           size_t most) {
    size_t last = t + 1, count = mg_active_count(s, t, rows);
    while (last < s->T && (count += mg_active_count(s, last, rows)) <= most)
        last++;
    return (struct mg_span){t, last};
}

/* The same up to step `last`, for all sequences. */
static inline struct mg_span mg_steps_before(const struct mg_steps *s, size_t last, size_t most) {
    struct mg_span steps = {last - 1, last};
    while (steps.first > 0 && mg_row(s, last) - mg_row(s, steps.first - 1) <= most)
        steps.first--;
    return steps;
}

/* Sequences 0 .. b, as many as have just about part / tasks of the rows of these steps. */
static inline size_t mg_cut(const struct mg_steps *s, struct mg_span steps, size_t part,
                            size_t tasks) {
    size_t b = 0, sum = 0, t = steps.last, total = mg_rows(s, steps);
    for (size_t batch = mg_batch(s, steps.first); b < batch; b++) {
        while (mg_batch(s, t - 1) <= b)
            t--;
        if ((2 * sum + t - steps.first) * tasks > 2 * total * part)
            break;
        sum += t - steps.first;
    }
    return b;
}

/* The share of the batch that task `index` of `tasks` does in these steps: of about as many rows as
 * any other's. */
static inline struct mg_span mg_share_rows(const struct mg_steps *s, struct mg_span steps,
                                           size_t index, size_t tasks) {
    if (!s->first)
        return mg_share(s->B, index, tasks);
    return (struct mg_span){mg_cut(s, steps, index, tasks), mg_cut(s, steps, index + 1, tasks)};
}

/* What a gradient of weights sums ggates with: x, h_{t-1}, or what a step's second product takes.
 */
enum mg_with { MG_X, MG_H, MG_MID };

/* How one call is split. By rows: each task takes sequences of the batch through all their steps,
 * and nobody waits at a time step. By units: all rows, a share of the hidden units each, all tasks
 * together at every step; for batches too small to share out, whose time goes into reading U: each
 * task then reads its share of it. */
struct mg_plan {
    size_t tasks;
    int by_units;
    size_t chunk; /* rows, at least B, whose input projection (or weight gradient) is one product */
};

/* For steps of at most B rows, gates (T, B, width), states of S units. What adds up over a chunk
 * does not depend on the number of threads: neither do the results. Forward wants the chunk in the
 * cache with U, so that a step finds its projection there (64 rows of 1024 gates are 256 KB: 1.1
 * times as fast as 256 rows), unless W is so large (floats) that fetching it for 64 rows costs
 * more. Forward each task has so many rows of its own: two threads gain 1.05 to 1.3. */
static inline struct mg_plan mg_plan(const struct mg_steps *s, size_t I, size_t S, size_t width,
                                     int backward) {
    size_t threads = mg_num_threads(), most = backward || I * width > 131072 ? 256 : 64, B = s->B;
    size_t rows = 256 * most / (width + 1);
    rows = rows > most ? rows : most;
    size_t steps = rows <= B ? 1 : mg_least(rows / (B + 1), s->T ? s->T : 1);
    struct mg_plan plan = {1, 0, steps * B};
    /* U (floats) outgrows a core's second cache: reading all of it pays for more rows than these.
     * Two threads, by units: 1.2 at B = 16 and H = 1024, 1.05 at 32 and 512, 0.98 at 128 and 512 */
    int shared = S * width > 262144 && B <= 32 * threads;
    if (!shared && B >= 4 * threads && mg_row(s, s->T) * width * (I + S) >= 500000)
        plan.tasks = threads, plan.chunk *= backward ? 1 : threads;
    else if (B * width * S >= 100000)
        plan.tasks = threads, plan.by_units = 1;
    return plan;
}
