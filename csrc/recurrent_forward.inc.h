/* What RNN, LSTM and GRU share on the way forward: everything but the cell.
 *
 * gates (N, width), a row for each row of x, first holds the input projection x W^T + b, one
 * product for a chunk of steps. Then, step by step and panel by panel, the net's `step` adds
 * h_{t-1} U^T and, while that tile is in the nearest cache, makes gates and h_t of it. Nothing but
 * h_t ties a step to the next, so a task can take rows of the batch through the whole sequence
 * without meeting another.
 *
 * Of two nets a step has a second product, with something that needs all units of the first: of a
 * GRU whose reset comes before it U_n (r h_{t-1}), of an LSTM with a projection W_hr (o tanh(c_t)).
 * `step` then leaves r h_{t-1} or o tanh(c_t) in mid (B, H), and `finish` goes on from there.
 *
 * N = T B rows, or those of packed sequences, whose batch shrinks as they end (struct mg_steps):
 *
 *      step 0: | 0 1 2 3 |  step 1: | 0 1 2 3 |  step 2: | 0 1 |  step 3: | 0 |
 *      first:    0                    4                    8                10      and then 11
 */
#include "recurrent.h"

struct FN(forward) {
    real *output;             /* (N, S): h_1 ... h_T */
    real *gates;              /* (N, width), or for inference a task's chunks */
    const real *x, *h0;       /* (N, I), (B, S) */
    struct FN(panels) ih, hh; /* W^T and U^T */
    struct FN(panels) mh;     /* U_n^T or W_hr^T, as (H, .); none: 0 panels */
    const real *b_ih, *b_hh;  /* the biases, each or NULL: */
    size_t both, late;        /* b_hh's first `both` join b_ih's, `late` more wait for h U^T */
    real *start, *zeros;      /* what the products begin with, packed as ih is and as mh */
    real *b_late;             /* (late) */
    struct mg_steps steps;
    size_t I, H, S;   /* S: units of h, H but for a projection */
    size_t width;     /* of a row of gates */
    size_t ih_column; /* where in it the projection begins */
    struct mg_plan plan;
    int keep;             /* gates is there for all rows */
    struct mg_span chunk; /* by units: the steps under way, */
    size_t t;             /* the one of them, */
    real *at;             /* and its gates, or before those of the chunk */
    /* gates: those of the first of `rows`, which all have step t */
    void (*step)(const struct FN(forward) *, size_t t, struct mg_span rows, struct mg_span panels,
                 real *gates);
    void (*finish)(const struct FN(forward) *, size_t t, struct mg_span rows, struct mg_span panels,
                   real *gates); /* NULL without a second product */
    real *mid;                   /* (B, H) */
    real *cells, *c_n;           /* LSTM: (B+N, H) or NULL, (B, H) */
    int relu;                    /* RNN */
};

/* `from` NULL: zeros. */
static void FN(copy_or_zero)(real *to, const real *from, size_t n) {
    if (n > 0 && from)
        memcpy(to, from, n * sizeof(real));
    else if (n > 0)
        memset(to, 0, n * sizeof(real));
}

/* last (B, n): each sequence's last row of y (N, n), that of `before` (or 0) if it has none. */
static void FN(last_rows)(real *last, const real *before, const real *y, const struct mg_steps *s,
                          size_t n) {
    size_t batch = 0;
    for (size_t t = s->T; t-- > 0 && batch < s->B;) {
        size_t more = mg_batch(s, t) - batch, row = mg_row(s, t) + batch;
        FN(copy_or_zero)(last + batch * n, y + row * n, more * n);
        batch += more;
    }
    FN(copy_or_zero)(last + batch * n, before ? before + batch * n : NULL, (s->B - batch) * n);
}

struct FN(packing) {
    const struct FN(panels) * panels;
    size_t tasks;
};

static void FN(pack_task)(void *context, size_t index) {
    const struct FN(packing) *p = context;
    struct mg_span share = mg_share(p->panels->panels, index, p->tasks);
    FN(pack_panels)(p->panels, share.first, share.last);
}

/* Packs w's source into `memory` and returns the memory that follows it. */
static real *FN(pack_all)(struct FN(panels) * w, real *memory, size_t tasks) {
    struct FN(packing) p = {w, tasks};
    w->data = memory;
    mg_parallel(FN(pack_task), &p, tasks);
    return memory + FN(panels_size)(w);
}

/* C = start + A W for `rows` of the batch in these steps, and these panels. c and a point to the
 * first of the rows; A's lie as those of x, and so do C's where `apart`, else they follow one
 * another. A panel is used for all steps while it is in the cache. */
static void FN(product)(const struct FN(panels) * w, struct mg_span panels, real *c, size_t ldc,
                        int apart, const real *a, size_t lda, const real *start,
                        const struct mg_steps *s, struct mg_span steps, struct mg_span rows) {
    for (size_t p = panels.first; p < panels.last; p++) {
        real *to = c;
        for (size_t t = steps.first, next; t < steps.last; t = next) {
            size_t batch = mg_batch(s, t), count = mg_active_count(s, t, rows);
            next = count == batch ? steps.last : t + 1; /* if all of it, the next steps follow */
            if (count == batch)
                count = batch = mg_rows(s, (struct mg_span){t, steps.last});
            FN(panel_product)(w, p, to, ldc, a + (mg_row(s, t) - mg_row(s, steps.first)) * lda, lda,
                              start, count);
            to += (apart ? batch : count) * ldc;
        }
    }
}

/* h_{t-1}, row b = 0. */
static const real *FN(h_before)(const struct FN(forward) * f, size_t t) {
    return t ? f->output + mg_row(&f->steps, t - 1) * f->S : f->h0;
}

/* Gates of these rows at the beginning of a chunk, where `scratch` holds them if none are kept. */
static real *FN(chunk_gates)(const struct FN(forward) * f, size_t t, size_t row, real *scratch) {
    return f->keep ? f->gates + (mg_row(&f->steps, t) + row) * f->width : scratch;
}

/* From the gates of step t to those of step t + 1. */
static size_t FN(to_next)(const struct FN(forward) * f, size_t t, struct mg_span rows) {
    return (f->keep ? mg_batch(&f->steps, t) : mg_active_count(&f->steps, t, rows)) * f->width;
}

/* x W^T + b for the steps of a chunk, rows and panels. */
static void FN(project)(const struct FN(forward) * f, struct mg_span steps, struct mg_span rows,
                        struct mg_span panels, real *gates) {
    const real *x = f->x + (mg_row(&f->steps, steps.first) + rows.first) * f->I;
    FN(product)(&f->ih, panels, gates + f->ih_column, f->width, f->keep, x, f->I, f->start,
                &f->steps, steps, rows);
}

/* By rows: a share of the batch through the whole sequence. */
static void FN(rows_task)(void *context, size_t index) {
    const struct FN(forward) *f = context;
    size_t T = f->steps.T, tasks = f->plan.tasks, most = f->plan.chunk / tasks;
    struct mg_span rows = mg_share_rows(&f->steps, (struct mg_span){0, T}, index, tasks);
    struct mg_span all = {0, f->ih.panels}, steps;
    for (size_t t = 0; t < T && mg_active_count(&f->steps, t, rows) > 0;) {
        steps = mg_steps_from(&f->steps, t, rows, most);
        real *scratch = f->at + (index * most + rows.first) * f->width;
        real *gates = FN(chunk_gates)(f, t, rows.first, scratch);
        FN(project)(f, steps, rows, all, gates);
        for (; t < steps.last; gates += FN(to_next)(f, t, rows), t++) {
            struct mg_span active = mg_active(&f->steps, t, rows);
            f->step(f, t, active, (struct mg_span){0, f->hh.panels}, gates);
            if (f->finish)
                f->finish(f, t, active, (struct mg_span){0, f->mh.panels}, gates);
        }
    }
}

/* By units: a share of the panels, of the projection of a chunk or of one step. */
static void FN(project_task)(void *context, size_t index) {
    const struct FN(forward) *f = context;
    struct mg_span all = {0, f->steps.B};
    FN(project)(f, f->chunk, all, mg_share(f->ih.panels, index, f->plan.tasks), f->at);
}

static void FN(step_task)(void *context, size_t index) {
    const struct FN(forward) *f = context;
    struct mg_span all = {0, mg_batch(&f->steps, f->t)};
    f->step(f, f->t, all, mg_share(f->hh.panels, index, f->plan.tasks), f->at);
}

static void FN(finish_task)(void *context, size_t index) {
    const struct FN(forward) *f = context;
    struct mg_span all = {0, mg_batch(&f->steps, f->t)};
    f->finish(f, f->t, all, mg_share(f->mh.panels, index, f->plan.tasks), f->at);
}

static void FN(by_units)(struct FN(forward) * f) {
    struct mg_span all = {0, f->steps.B};
    real *scratch = f->at;
    for (f->t = 0; f->t < f->steps.T;) {
        f->chunk = mg_steps_from(&f->steps, f->t, all, f->plan.chunk);
        f->at = FN(chunk_gates)(f, f->t, 0, scratch);
        mg_parallel(FN(project_task), f, f->plan.tasks);
        for (; f->t < f->chunk.last; f->at += FN(to_next)(f, f->t, all), f->t++) {
            mg_parallel(FN(step_task), f, f->plan.tasks);
            if (f->finish)
                mg_parallel(FN(finish_task), f, f->plan.tasks);
        }
    }
}

/* The weights of a net that its caller has described: (., I), (., S) and, for mid, (., H) or NULL.
 */
static void FN(take_weights)(struct FN(forward) * f, const real *w_ih, const real *w_hh,
                             const real *w_mh, const real *b_ih, const real *b_hh) {
    f->ih.source = w_ih, f->ih.rs = 1, f->ih.cs = f->I;
    f->hh.source = w_hh, f->hh.rs = 1, f->hh.cs = f->S;
    f->mh.source = w_mh, f->mh.rs = 1, f->mh.cs = f->H;
    f->b_ih = b_ih, f->b_hh = b_hh;
}

static size_t FN(start_size)(const struct FN(panels) * w) { return w->panels * w->width * VL; }

/* Numbers of a packed net, and of what it has besides weights, with which it begins. */
static size_t FN(starts_size)(const struct FN(forward) * f) {
    return FN(start_size)(&f->ih) + FN(start_size)(&f->mh) + (f->late + VL - 1) / VL * VL;
}

static size_t FN(net_size)(const struct FN(forward) * f) {
    return FN(starts_size)(f) + FN(panels_size)(&f->ih) + FN(panels_size)(&f->hh) +
           FN(panels_size)(&f->mh);
}

/* Where its parts lie; `few`: the weights stay as they are (see panel_unpacked). */
static void FN(lay_out)(struct FN(forward) * f, real *packed, int few) {
    f->start = packed;
    f->zeros = f->start + FN(start_size)(&f->ih);
    f->b_late = f->zeros + FN(start_size)(&f->mh);
    if (few)
        return;
    f->ih.data = packed + FN(starts_size)(f);
    f->hh.data = f->ih.data + FN(panels_size)(&f->ih);
    f->mh.data = f->hh.data + FN(panels_size)(&f->hh);
}

static void FN(pack_net)(struct FN(forward) * f, size_t tasks) {
    struct FN(panels) * weights[] = {&f->ih, &f->hh, &f->mh};
    for (int i = 0; i < 3; i++)
        if (weights[i]->data && weights[i]->panels > 0)
            FN(pack_all)(weights[i], weights[i]->data, tasks);
    FN(pack_start)(&f->ih, f->start, f->b_ih, f->b_hh, f->both);
    FN(pack_start)(&f->mh, f->zeros, NULL, NULL, 0);
    FN(copy_or_zero)(f->b_late, f->b_hh ? f->b_hh + f->both : NULL, f->late);
}

/* Runs a net that its caller has described: with its weights, or with those that are `packed`. 0,
 * or -1 without memory. */
static int FN(run_forward)(struct FN(forward) * f, const real *packed) {
    if (f->steps.B == 0 || f->H + f->S == 0) /* nothing to compute, however many steps */
        f->steps = (struct mg_steps){NULL, 0, f->steps.B};
    f->plan = mg_plan(&f->steps, f->I, f->S, f->width, 0);
    f->keep = f->gates != NULL;
    int few = !packed && f->steps.T == 1 && f->steps.B <= FEW_ROWS;
    size_t size = packed ? 0 : few ? FN(starts_size)(f) : FN(net_size)(f);
    size_t chunk = f->keep ? 0 : (f->plan.chunk + f->steps.B) * f->width;
    size_t mid = f->finish ? f->steps.B * f->H : 0;
    void *memory = mg_allocate((size + chunk + mid + VL) * sizeof(real) + 64);
    if (!memory)
        return -1;
    real *rest = FN(align)(memory);
    FN(lay_out)(f, packed ? FN(align)((void *)packed) : rest, few);
    if (!packed)
        FN(pack_net)(f, f->plan.tasks);
    f->at = rest + size;
    f->mid = f->at + chunk;
    if (f->plan.by_units)
        FN(by_units)(f);
    else
        mg_parallel(FN(rows_task), f, f->plan.tasks);
    mg_release(memory);
    return 0;
}
