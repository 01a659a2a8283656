/* What RNN, LSTM and GRU share on the way back through time: everything but the cell.
 *
 * Chunks of steps, the last first. Within a chunk, step by step, the net's `cells` makes the
 * gradients of the gates' inputs, ggates[t] (B, width), and one product takes them to h_{t-1}:
 * gh = ggates[t] U. Once a chunk is through, what adds up over time is a few long products:
 * gx = ggates W, gw_ih += ggates^T x, gw_hh += ggates^T h_before. ggates holds one chunk, and so
 * stays in the cache, and what forward kept stays as it was.
 *
 * gh and gc hold the gradients of h_t and c_t on their way back. The weights' gradients are split
 * by rows of the result, never by the rows they sum over: no number of threads changes a bit. */

/* Columns [column, column + rows) of ggates make these rows of a weight's gradient. */
struct FN(segment) {
    real *gw, *gb; /* (rows, I) with x, else (rows, H) with h_before; (rows) or NULL */
    size_t column, rows;
    int with_x;
};

struct FN(backward) {
    real *gx, *gh, *gc, *ggates; /* (T, B, I) or NULL, (B, H), (B, H), (chunk, B, width) */
    const real *gy, *x, *h0;     /* (T, B, H) or NULL, (T, B, I), (B, H) */
    const real *output, *gates, *cells_kept; /* as forward left them */
    struct FN(panels) ih, hh;                /* W and U */
    const real *zeros, *start;               /* zeros, packed; start: the same, or NULL for gh += */
    real *pack;                              /* gemm's scratch, pack_size a task */
    size_t pack_size, T, B, I, H;
    size_t width, ih_column; /* of a row of ggates; where in it those of W begin (U: 0) */
    struct mg_plan plan;
    struct mg_span steps; /* those under way */
    void (*cells)(const struct FN(backward) *, size_t t, struct mg_span rows, struct mg_span units);
    struct FN(segment) segments[3];
    int relu; /* RNN */
};

/* Row (t, b = 0) of ggates. */
static real *FN(ggates_at)(const struct FN(backward) * f, size_t t) {
    return f->ggates + t % f->plan.chunk * f->B * f->width;
}

/* gh = ggates[t] U for these rows and panels. */
static void FN(step_back)(const struct FN(backward) * f, size_t t, struct mg_span rows,
                          struct mg_span panels) {
    FN(product)(&f->hh, panels.first, panels.last, f->gh + rows.first * f->H, f->H, 0,
                FN(ggates_at)(f, t) + rows.first * f->width, f->width, 0, f->start,
                rows.last - rows.first, 1);
}

/* gx = ggates W for the chunk, these rows and panels. */
static void FN(project_back)(const struct FN(backward) * f, struct mg_span rows,
                             struct mg_span panels) {
    size_t B = f->B, I = f->I, width = f->width, first = f->steps.first;
    if (f->gx)
        FN(product)(&f->ih, panels.first, panels.last, f->gx + (first * B + rows.first) * I, I,
                    B * I, FN(ggates_at)(f, first) + rows.first * width + f->ih_column, width,
                    B * width, f->zeros, rows.last - rows.first, f->steps.last - first);
}

/* By rows: a share of the batch through the chunk. */
static void FN(rows_back_task)(void *context, size_t index) {
    const struct FN(backward) *f = context;
    struct mg_span rows = mg_share(f->B, index, f->plan.tasks);
    for (size_t t = f->steps.last; t-- > f->steps.first;) {
        f->cells(f, t, rows, (struct mg_span){0, f->H});
        FN(step_back)(f, t, rows, (struct mg_span){0, f->hh.panels});
    }
    FN(project_back)(f, rows, (struct mg_span){0, f->ih.panels});
}

/* By units: a share of the cells of step steps.last - 1, of the product after them, of gx. */
static void FN(cells_back_task)(void *context, size_t index) {
    const struct FN(backward) *f = context;
    struct mg_span units = mg_share((f->H + VL - 1) / VL, index, f->plan.tasks);
    units = (struct mg_span){units.first * VL, mg_least(units.last * VL, f->H)};
    f->cells(f, f->steps.last - 1, (struct mg_span){0, f->B}, units);
}

static void FN(step_back_task)(void *context, size_t index) {
    const struct FN(backward) *f = context;
    struct mg_span all = {0, f->B};
    FN(step_back)(f, f->steps.last - 1, all, mg_share(f->hh.panels, index, f->plan.tasks));
}

static void FN(project_back_task)(void *context, size_t index) {
    const struct FN(backward) *f = context;
    struct mg_span all = {0, f->B};
    FN(project_back)(f, all, mg_share(f->ih.panels, index, f->plan.tasks));
}

static void FN(by_units_back)(struct FN(backward) * f) {
    size_t last = f->steps.last;
    for (; f->steps.last > f->steps.first; f->steps.last--) {
        mg_parallel(FN(cells_back_task), f, f->plan.tasks);
        mg_parallel(FN(step_back_task), f, f->plan.tasks);
    }
    f->steps.last = last;
    mg_parallel(FN(project_back_task), f, f->plan.tasks);
}

/* gw and gb (+)= what the chunk adds to these rows of a segment. */
static void FN(add_weights)(const struct FN(backward) * f, const struct FN(segment) * s,
                            struct mg_span rows, real *pack) {
    size_t B = f->B, n = s->with_x ? f->I : f->H, m = rows.last - rows.first, width = f->width;
    size_t first = f->steps.first, k = (f->steps.last - first) * B;
    int more = f->steps.last < f->T;                                  /* not the first chunk: += */
    const real *g = FN(ggates_at)(f, first) + s->column + rows.first; /* (k, m), width apart */
    const real *with = s->with_x ? f->x + first * B * n : f->h0;
    real *gw = s->gw + rows.first * n;
    if (!s->with_x && first > 0)
        with = f->output + (first - 1) * B * n;
    else if (!s->with_x) { /* h0 does not lie before h_1 */
        FN(gemm)(gw, n, g, 1, width, f->h0, n, 1, m, n, B, more, pack);
        g += B * width, k -= B, more = 1, with = f->output;
    }
    FN(gemm)(gw, n, g, 1, width, with, n, 1, m, n, k, more, pack);
    if (!s->gb)
        return;
    g = FN(ggates_at)(f, first) + s->column + rows.first;
    k = (f->steps.last - first) * B;
    if (f->steps.last == f->T)
        FN(copy_or_zero)(s->gb + rows.first, NULL, m);
    for (size_t r = 0; r < k; r++)
        for (size_t j = 0; j < m; j++)
            s->gb[rows.first + j] += g[r * width + j];
}

static void FN(weights_task)(void *context, size_t index) {
    const struct FN(backward) *f = context;
    for (const struct FN(segment) *s = f->segments; s < f->segments + 3; s++)
        if (s->rows > 0)
            FN(add_weights)(f, s, mg_share(s->rows, index, f->plan.tasks),
                            f->pack + index * f->pack_size);
}

/* Without a step nothing is added up. */
static void FN(zero_weights)(const struct FN(backward) * f) {
    for (const struct FN(segment) *s = f->segments; s < f->segments + 3; s++) {
        FN(copy_or_zero)(s->gw, NULL, s->rows * (s->with_x ? f->I : f->H));
        if (s->gb)
            FN(copy_or_zero)(s->gb, NULL, s->rows);
    }
}

/* Runs the way back of a net that its caller has described; gh and gc begin as gh_n and gc_n. */
static int FN(run_backward)(struct FN(backward) * f, const real *w_ih, const real *w_hh,
                            int adds_to_gh) {
    if (f->B == 0 || f->I + f->H == 0) /* nothing to compute, however many steps */
        f->T = 0;
    f->plan = mg_plan(f->T, f->B, f->I, f->H, f->width, 1);
    size_t most = f->I > f->H ? f->I : f->H, zeros = most / VL * VL + 4 * VL;
    size_t chunk = f->plan.chunk, scratch = (chunk * f->B * f->width + VL) / VL * VL;
    f->pack_size = FN(gemm_pack_size)(f->width, most, chunk * f->B);
    size_t size = FN(panels_size)(&f->ih) + FN(panels_size)(&f->hh) + zeros + scratch +
                  f->plan.tasks * f->pack_size;
    void *memory = mg_allocate(size * sizeof(real) + 64);
    if (!memory)
        return -1;
    f->ih.source = w_ih, f->ih.rs = f->I, f->ih.cs = 1;
    f->hh.source = w_hh, f->hh.rs = f->H, f->hh.cs = 1;
    real *rest = FN(pack_all)(&f->hh, FN(align)(memory), f->plan.tasks);
    if (f->gx)
        rest = FN(pack_all)(&f->ih, rest, f->plan.tasks);
    FN(copy_or_zero)(rest, NULL, zeros);
    f->zeros = rest;
    f->start = adds_to_gh ? NULL : rest;
    f->ggates = rest + zeros;
    f->pack = f->ggates + scratch;
    for (size_t end = f->T; end > 0; end = f->steps.first) {
        f->steps = (struct mg_span){(end - 1) / chunk * chunk, end};
        if (f->plan.by_units)
            FN(by_units_back)(f);
        else
            mg_parallel(FN(rows_back_task), f, f->plan.tasks);
        mg_parallel(FN(weights_task), f, f->plan.tasks);
    }
    if (f->T == 0)
        FN(zero_weights)(f);
    mg_release(memory);
    return 0;
}
