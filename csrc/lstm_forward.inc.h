/* LSTM, a layer over a whole sequence.
 *
 * gates (T, B, 4H) first holds the input projection x W^T + b, a product over a chunk of steps at
 * once. Then, step by step, a tile adds h_{t-1} U^T for the four gates of VL hidden units, and
 * while it is in the cache the cell turns it into gates, c_t and h_t:
 *
 *      gates[t]   i: |..u..|   f: |..u..|   g: |..u..|   o: |..u..|     (rows, 4H), units u
 *                     +            +            +            +
 *      h_{t-1} (rows, H)  @  the panel of U^T for the units u: (H, 4, VL)
 *                     |            |            |            |
 *                     +---- c_t = f c_{t-1} + i g,  h_t = o tanh(c_t) ----> output[t]
 *
 * For inference, gates has one chunk only and c_n is the one cell state. */

struct FN(lstm) {
    real *output, *c_n, *gates, *cells;
    const real *x, *h0;
    struct FN(panels) ih, hh;
    const real *start; /* b_ih + b_hh, packed */
    size_t T, B, I, H;
    struct mg_plan plan;
    int keep;
    struct mg_span steps; /* by units: those under way */
};

/* gates (4, H), c_before, c and h (H), each from the first of the n units on. */
MG_INLINE void FN(lstm_cell)(real *gates, const real *c_before, real *c, real *h, size_t H,
                             size_t n, int keep) {
    vec i = FN(vsigmoid)(FN(load_lanes)(gates, n));
    vec f = FN(vsigmoid)(FN(load_lanes)(gates + H, n));
    vec g = FN(vtanh)(FN(load_lanes)(gates + 2 * H, n));
    vec o = FN(vsigmoid)(FN(load_lanes)(gates + 3 * H, n));
    vec state = f * FN(load_lanes)(c_before, n) + i * g;
    FN(store_lanes)(c, state, n);
    FN(store_lanes)(h, o * FN(vtanh)(state), n);
    if (keep) {
        FN(store_lanes)(gates, i, n);
        FN(store_lanes)(gates + H, f, n);
        FN(store_lanes)(gates + 2 * H, g, n);
        FN(store_lanes)(gates + 3 * H, o, n);
    }
}

/* The gates of step t; a chunk is all there is for inference. */
static real *FN(lstm_gates)(const struct FN(lstm) * f, size_t t) {
    return f->gates + (f->keep ? t : t % f->plan.chunk) * f->B * 4 * f->H;
}

/* gates = x W^T + b for these steps (of one chunk), rows and panels. */
static void FN(lstm_project)(const struct FN(lstm) * f, struct mg_span steps, struct mg_span rows,
                             struct mg_span panels) {
    size_t B = f->B, I = f->I, H4 = 4 * f->H;
    FN(product)(&f->ih, panels.first, panels.last, FN(lstm_gates)(f, steps.first) + rows.first * H4,
                H4, B * H4, f->x + (steps.first * B + rows.first) * I, I, B * I, f->start,
                rows.last - rows.first, steps.last - steps.first);
}

/* Step t for these rows and panels. */
static void FN(lstm_step)(const struct FN(lstm) * f, size_t t, struct mg_span rows,
                          struct mg_span panels) {
    size_t B = f->B, H = f->H;
    real *gates = FN(lstm_gates)(f, t), *h = f->output + t * B * H;
    const real *h_before = t ? h - B * H : f->h0;
    real *c_before = f->keep ? f->cells + t * B * H : f->c_n;
    real *c = f->keep ? c_before + B * H : f->c_n;
    for (size_t p = panels.first; p < panels.last; p++) {
        size_t u = p * VL, n = FN(panel_lanes)(&f->hh, p, 0);
        FN(panel_product)(&f->hh, p, gates + rows.first * 4 * H, 4 * H, h_before + rows.first * H,
                          H, NULL, rows.last - rows.first);
        for (size_t b = rows.first; b < rows.last; b++)
            FN(lstm_cell)(gates + b * 4 * H + u, c_before + b * H + u, c + b * H + u, h + b * H + u,
                          H, n, f->keep);
    }
}

/* By rows: a share of the batch through the whole sequence. */
static void FN(lstm_rows_task)(void *context, size_t index) {
    const struct FN(lstm) *f = context;
    struct mg_span rows = mg_share(f->B, index, f->plan.tasks), all = {0, f->hh.panels};
    for (size_t t0 = 0; t0 < f->T; t0 += f->plan.chunk) {
        struct mg_span steps = {t0, mg_least(t0 + f->plan.chunk, f->T)};
        FN(lstm_project)(f, steps, rows, all);
        for (size_t t = steps.first; t < steps.last; t++)
            FN(lstm_step)(f, t, rows, all);
    }
}

/* By units: the projection of a chunk, and one step. */
static void FN(lstm_project_task)(void *context, size_t index) {
    const struct FN(lstm) *f = context;
    FN(lstm_project)(f, f->steps, (struct mg_span){0, f->B},
                     mg_share(f->ih.panels, index, f->plan.tasks));
}

static void FN(lstm_step_task)(void *context, size_t index) {
    const struct FN(lstm) *f = context;
    FN(lstm_step)(f, f->steps.first, (struct mg_span){0, f->B},
                  mg_share(f->hh.panels, index, f->plan.tasks));
}

static void FN(lstm_by_units)(struct FN(lstm) * f) {
    for (size_t t0 = 0; t0 < f->T; t0 += f->plan.chunk) {
        f->steps = (struct mg_span){t0, mg_least(t0 + f->plan.chunk, f->T)};
        mg_parallel(FN(lstm_project_task), f, f->plan.tasks);
        for (; f->steps.first < f->steps.last; f->steps.first++)
            mg_parallel(FN(lstm_step_task), f, f->plan.tasks);
    }
}

static int FN(lstm_forward)(real *output, real *c_n, real *gates, real *cells, const real *x,
                            const real *h0, const real *c0, const real *w_ih, const real *w_hh,
                            const real *b_ih, const real *b_hh, size_t T, size_t B, size_t I,
                            size_t H) {
    struct FN(lstm) f = {.output = output,
                         .c_n = c_n,
                         .gates = gates,
                         .cells = cells,
                         .x = x,
                         .h0 = h0,
                         .ih = FN(gate_panels)(I, 4, H),
                         .hh = FN(gate_panels)(H, 4, H),
                         .T = T,
                         .B = B,
                         .I = I,
                         .H = H,
                         .plan = FN(plan)(T, B, I, H, 4),
                         .keep = gates != NULL};
    size_t start = f.ih.panels * 4 * VL, chunk = f.keep ? 0 : f.plan.chunk * B * 4 * H;
    void *memory = malloc((FN(panels_size)(&f.ih) + FN(panels_size)(&f.hh) + start + chunk + 16) *
                          sizeof(real));
    if (!memory)
        return -1;
    real *rest = FN(pack)(&f.ih, FN(align)(memory), w_ih, 1, I, f.plan.tasks);
    rest = FN(pack)(&f.hh, rest, w_hh, 1, H, f.plan.tasks);
    FN(pack_start)(&f.ih, rest, b_ih, b_hh);
    f.start = rest;
    if (!f.keep)
        f.gates = rest + start;
    FN(copy_or_zero)(f.keep ? cells : c_n, c0, B * H);
    if (f.plan.by_units)
        FN(lstm_by_units)(&f);
    else
        mg_parallel(FN(lstm_rows_task), &f, f.plan.tasks);
    if (f.keep)
        FN(copy_or_zero)(c_n, cells + T * B * H, B * H);
    free(memory);
    return 0;
}
