/* What RNN, LSTM and GRU share on the way forward: everything but the cell.
 *
 * gates (T, B, width) first holds the input projection x W^T + b, one product for a chunk of steps.
 * Then, step by step and panel by panel, the net's `step` adds h_{t-1} U^T and, while that tile is
 * in the nearest cache, makes gates and h_t of it. Nothing but h_t ties a step to the next, so a
 * task can take rows of the batch through the whole sequence without meeting another. */
#include "recurrent.h"

struct FN(forward) {
    real *output;             /* (T, B, H): h_1 ... h_T */
    real *gates;              /* (T, B, width), or for inference (chunk, B, width) */
    const real *x, *h0;       /* (T, B, I), (B, H) */
    struct FN(panels) ih, hh; /* W^T and U^T */
    const real *start;        /* the biases, packed as ih is */
    size_t T, B, I, H;
    size_t width;     /* of a row of gates */
    size_t ih_column; /* where in it the projection begins */
    struct mg_plan plan;
    int keep;             /* gates is there for all steps */
    struct mg_span steps; /* by units: those under way */
    void (*step)(const struct FN(forward) *, size_t t, struct mg_span rows, struct mg_span panels);
    real *cells, *c_n; /* LSTM: (T+1, B, H) or NULL, (B, H) */
    const real *b_hn;  /* GRU: (H) or NULL */
    int relu;          /* RNN */
};

/* `from` NULL: zeros. */
static void FN(copy_or_zero)(real *to, const real *from, size_t n) {
    if (n > 0 && from)
        memcpy(to, from, n * sizeof(real));
    else if (n > 0)
        memset(to, 0, n * sizeof(real));
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

/* Row (t, b = 0) of gates. */
static real *FN(gates_at)(const struct FN(forward) * f, size_t t) {
    return f->gates + (f->keep ? t : t % f->plan.chunk) * f->B * f->width;
}

static const real *FN(h_before)(const struct FN(forward) * f, size_t t) {
    return t ? f->output + (t - 1) * f->B * f->H : f->h0;
}

/* x W^T + b for these steps (of one chunk), rows and panels. */
static void FN(project)(const struct FN(forward) * f, struct mg_span steps, struct mg_span rows,
                        struct mg_span panels) {
    size_t B = f->B, I = f->I, width = f->width;
    real *gates = FN(gates_at)(f, steps.first) + rows.first * width + f->ih_column;
    FN(product)(&f->ih, panels.first, panels.last, gates, width, B * width,
                f->x + (steps.first * B + rows.first) * I, I, B * I, f->start,
                rows.last - rows.first, steps.last - steps.first);
}

/* By rows: a share of the batch through the whole sequence. */
static void FN(rows_task)(void *context, size_t index) {
    const struct FN(forward) *f = context;
    struct mg_span rows = mg_share(f->B, index, f->plan.tasks), all = {0, f->ih.panels};
    for (size_t t0 = 0; t0 < f->T; t0 += f->plan.chunk) {
        struct mg_span steps = {t0, mg_least(t0 + f->plan.chunk, f->T)};
        FN(project)(f, steps, rows, all);
        for (size_t t = steps.first; t < steps.last; t++)
            f->step(f, t, rows, all);
    }
}

/* By units: a share of the panels, of the projection of a chunk or of one step. */
static void FN(project_task)(void *context, size_t index) {
    const struct FN(forward) *f = context;
    struct mg_span all = {0, f->B};
    FN(project)(f, f->steps, all, mg_share(f->ih.panels, index, f->plan.tasks));
}

static void FN(step_task)(void *context, size_t index) {
    const struct FN(forward) *f = context;
    struct mg_span all = {0, f->B};
    f->step(f, f->steps.first, all, mg_share(f->hh.panels, index, f->plan.tasks));
}

static void FN(by_units)(struct FN(forward) * f) {
    for (size_t t0 = 0; t0 < f->T; t0 += f->plan.chunk) {
        f->steps = (struct mg_span){t0, mg_least(t0 + f->plan.chunk, f->T)};
        mg_parallel(FN(project_task), f, f->plan.tasks);
        for (; f->steps.first < f->steps.last; f->steps.first++)
            mg_parallel(FN(step_task), f, f->plan.tasks);
    }
}

/* Runs a net that its caller has described: packs its weights, (., I) and (., H), and its biases,
 * of which b_hh counts for the first `both` columns only. 0, or -1 without memory. */
static int FN(run_forward)(struct FN(forward) * f, const real *w_ih, const real *w_hh,
                           const real *b_ih, const real *b_hh, size_t both) {
    if (f->B == 0 || f->H == 0) /* nothing to compute, however many steps */
        f->T = 0;
    f->plan = mg_plan(f->T, f->B, f->I, f->H, f->width, 0);
    f->keep = f->gates != NULL;
    size_t start = f->ih.panels * f->ih.width * VL;
    size_t chunk = f->keep ? 0 : f->plan.chunk * f->B * f->width;
    size_t packed =
        f->T == 1 && f->B <= FEW_ROWS ? 0 : FN(panels_size)(&f->ih) + FN(panels_size)(&f->hh);
    void *memory = mg_allocate((packed + start + chunk + VL) * sizeof(real) + 64);
    if (!memory)
        return -1;
    real *rest = FN(align)(memory);
    f->ih.source = w_ih, f->ih.rs = 1, f->ih.cs = f->I;
    f->hh.source = w_hh, f->hh.rs = 1, f->hh.cs = f->H;
    if (packed)
        rest = FN(pack_all)(&f->hh, FN(pack_all)(&f->ih, rest, f->plan.tasks), f->plan.tasks);
    FN(pack_start)(&f->ih, rest, b_ih, b_hh, both);
    f->start = rest;
    if (!f->keep)
        f->gates = rest + start;
    if (f->plan.by_units)
        FN(by_units)(f);
    else
        mg_parallel(FN(rows_task), f, f->plan.tasks);
    mg_release(memory);
    return 0;
}
