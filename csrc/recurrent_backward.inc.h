/* What RNN, LSTM and GRU share on the way back through time: everything but the cell.
 *
 * Chunks of steps, the last first. Within a chunk, step by step, the net's `cells` makes the
 * gradients of the gates' inputs, ggates[t] (B, width), and one product takes them to h_{t-1}:
 * gh = ggates[t] U. Once a chunk is through, what adds up over time is a few long products:
 * gx = ggates W, gw_ih += ggates^T x, gw_hh += ggates^T h_before. ggates holds one chunk, and so
 * stays in the cache, and what forward kept stays as it was.
 *
 * Where a step has a second product, its gradient comes between the two: `cells` makes what it
 * takes, `middle` takes that through U_n or W_hr, panel by panel, and makes the gradients of the
 * other gates' inputs. mid itself, r h_{t-1} or o tanh(c_t), is made again, as columns of ggates.
 *
 * Of packed sequences, those that have ended wait: a step back changes the rows of gh and gc that
 * belong to its own sequences, and the others still hold the gradients of the last states.
 *
 * gh and gc hold the gradients of h_t and c_t on their way back. The weights' gradients are split
 * by rows of the result, never by the rows they sum over: no number of threads changes a bit. */

/* Columns [column, column + rows) of ggates make these rows of a weight's gradient. */
struct FN(segment) {
    real *gw, *gb; /* (rows, I) with x, (rows, S) with h_before, (rows, H) with mid; (rows), NULL */
    size_t column, rows;
    enum mg_with with;
};

struct FN(backward) {
    real *gx, *gh, *gc, *ggates;             /* (N, I) or NULL, (B, S), (B, H), (chunk, width) */
    const real *gy, *x, *h0;                 /* (N, S) or NULL, (N, I), (B, S) */
    const real *output, *gates, *cells_kept; /* as forward left them */
    struct FN(panels) ih, hh, mh;            /* W, U, and U_n or W_hr as (., H): or 0 panels */
    const real *zeros, *start;               /* zeros, packed; start: the same, or NULL for gh += */
    real *pack;                              /* gemm's scratch, pack_size a task */
    real *gathered;                          /* (chunk, S): h_before, where it lies scattered */
    const real *with_h;                      /* (chunk, S): h_before of the chunk's rows */
    struct mg_steps steps;
    size_t pack_size, I, H, S; /* S: units of h, H but for a projection */
    size_t width, ih_column;   /* of a row of ggates; where in it those of W begin (U: 0), */
    size_t mid;                /* and mid */
    struct mg_plan plan;
    struct mg_span chunk; /* the steps under way; by units, `last` moves on to the one in hand */
    void (*cells)(const struct FN(backward) *, size_t t, struct mg_span rows, struct mg_span units);
    void (*middle)(const struct FN(backward) *, size_t t, struct mg_span rows,
                   struct mg_span panels); /* NULL without a second product */
    struct FN(segment) segments[3];
    int relu; /* RNN */
};

/* Row (t, b = 0) of ggates. */
static real *FN(ggates_at)(const struct FN(backward) * f, size_t t) {
    return f->ggates + (mg_row(&f->steps, t) - mg_row(&f->steps, f->chunk.first)) * f->width;
}

/* h_{t-1}, row b = 0. */
static const real *FN(h_entering)(const struct FN(backward) * f, size_t t) {
    return t ? f->output + mg_row(&f->steps, t - 1) * f->S : f->h0;
}

/* gh = ggates[t] U for these rows and panels. */
static void FN(step_back)(const struct FN(backward) * f, size_t t, struct mg_span rows,
                          struct mg_span panels) {
    for (size_t p = panels.first; p < panels.last; p++)
        FN(panel_product)(&f->hh, p, f->gh + rows.first * f->S, f->S,
                          FN(ggates_at)(f, t) + rows.first * f->width, f->width, f->start,
                          rows.last - rows.first);
}

/* gx = ggates W for the chunk, these rows and panels. */
static void FN(project_back)(const struct FN(backward) * f, struct mg_span rows,
                             struct mg_span panels) {
    size_t first = mg_row(&f->steps, f->chunk.first) + rows.first;
    if (f->gx)
        FN(product)(&f->ih, panels, f->gx + first * f->I, f->I, 1,
                    f->ggates + rows.first * f->width + f->ih_column, f->width, f->zeros, &f->steps,
                    f->chunk, rows);
}

/* By rows: a share of the batch through the chunk. */
static void FN(rows_back_task)(void *context, size_t index) {
    const struct FN(backward) *f = context;
    struct mg_span rows = mg_share_rows(&f->steps, f->chunk, index, f->plan.tasks);
    for (size_t t = f->chunk.last; t-- > f->chunk.first;) {
        struct mg_span active = mg_active(&f->steps, t, rows);
        f->cells(f, t, active, (struct mg_span){0, f->S});
        if (f->middle)
            f->middle(f, t, active, (struct mg_span){0, f->mh.panels});
        FN(step_back)(f, t, active, (struct mg_span){0, f->hh.panels});
    }
    FN(project_back)(f, rows, (struct mg_span){0, f->ih.panels});
}

/* By units: a share of the cells of step chunk.last - 1, of the product after them, of gx. */
static void FN(cells_back_task)(void *context, size_t index) {
    const struct FN(backward) *f = context;
    struct mg_span units = mg_share((f->S + VL - 1) / VL, index, f->plan.tasks);
    units = (struct mg_span){units.first * VL, mg_least(units.last * VL, f->S)};
    size_t t = f->chunk.last - 1;
    f->cells(f, t, (struct mg_span){0, mg_batch(&f->steps, t)}, units);
}

static void FN(middle_task)(void *context, size_t index) {
    const struct FN(backward) *f = context;
    size_t t = f->chunk.last - 1;
    struct mg_span all = {0, mg_batch(&f->steps, t)};
    f->middle(f, t, all, mg_share(f->mh.panels, index, f->plan.tasks));
}

static void FN(step_back_task)(void *context, size_t index) {
    const struct FN(backward) *f = context;
    size_t t = f->chunk.last - 1;
    struct mg_span all = {0, mg_batch(&f->steps, t)};
    FN(step_back)(f, t, all, mg_share(f->hh.panels, index, f->plan.tasks));
}

static void FN(project_back_task)(void *context, size_t index) {
    const struct FN(backward) *f = context;
    struct mg_span all = {0, f->steps.B};
    FN(project_back)(f, all, mg_share(f->ih.panels, index, f->plan.tasks));
}

static void FN(by_units_back)(struct FN(backward) * f) {
    size_t last = f->chunk.last;
    for (; f->chunk.last > f->chunk.first; f->chunk.last--) {
        mg_parallel(FN(cells_back_task), f, f->plan.tasks);
        if (f->middle)
            mg_parallel(FN(middle_task), f, f->plan.tasks);
        mg_parallel(FN(step_back_task), f, f->plan.tasks);
    }
    f->chunk.last = last;
    mg_parallel(FN(project_back_task), f, f->plan.tasks);
}

/* h_before of the chunk's rows, to be multiplied at once: where it lies, if that is in one piece,
 * else gathered, as after h0 and where sequences end. */
static const real *FN(all_before)(const struct FN(backward) * f) {
    const struct mg_steps *s = &f->steps;
    size_t t = f->chunk.first, whole = t + 1, at = 0;
    while (whole < f->chunk.last && whole > 1 && mg_batch(s, whole - 1) == mg_batch(s, whole - 2))
        whole++;
    if (whole == f->chunk.last)
        return FN(h_entering)(f, t);
    for (; t < f->chunk.last; at += mg_batch(s, t++) * f->S)
        memcpy(f->gathered + at, FN(h_entering)(f, t), mg_batch(s, t) * f->S * sizeof(real));
    return f->gathered;
}

/* Columns of a segment's gw. */
static size_t FN(columns)(const struct FN(backward) * f, const struct FN(segment) * s) {
    return s->with == MG_X ? f->I : s->with == MG_H ? f->S : f->H;
}

/* gw and gb (+)= what the chunk adds to these rows of a segment. */
static void FN(add_weights)(const struct FN(backward) * f, const struct FN(segment) * s,
                            struct mg_span rows, real *pack) {
    size_t n = FN(columns)(f, s), m = rows.last - rows.first, width = f->width;
    size_t first = mg_row(&f->steps, f->chunk.first), k = mg_rows(&f->steps, f->chunk);
    int more = f->chunk.last < f->steps.T;              /* not the first chunk: += */
    const real *g = f->ggates + s->column + rows.first; /* (k, m), width apart */
    const real *with = s->with == MG_X   ? f->x + first * n
                       : s->with == MG_H ? f->with_h
                                         : f->ggates + f->mid; /* (k, n) */
    size_t apart = s->with == MG_MID ? width : n;
    FN(gemm)(s->gw + rows.first * n, n, g, 1, width, with, apart, 1, m, n, k, more, pack);
    if (!s->gb)
        return;
    if (!more)
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
        FN(copy_or_zero)(s->gw, NULL, s->rows * FN(columns)(f, s));
        if (s->gb)
            FN(copy_or_zero)(s->gb, NULL, s->rows);
    }
}

/* Packs the weights and returns the memory that follows. */
static real *FN(pack_back)(struct FN(backward) * f, real *rest) {
    rest = FN(pack_all)(&f->hh, rest, f->plan.tasks);
    if (f->gx)
        rest = FN(pack_all)(&f->ih, rest, f->plan.tasks);
    return f->middle ? FN(pack_all)(&f->mh, rest, f->plan.tasks) : rest;
}

static void FN(chunks_back)(struct FN(backward) * f) {
    for (size_t last = f->steps.T; last > 0; last = f->chunk.first) {
        f->chunk = mg_steps_before(&f->steps, last, f->plan.chunk);
        if (f->plan.by_units)
            FN(by_units_back)(f);
        else
            mg_parallel(FN(rows_back_task), f, f->plan.tasks);
        f->with_h = FN(all_before)(f);
        mg_parallel(FN(weights_task), f, f->plan.tasks);
    }
    if (f->steps.T == 0)
        FN(zero_weights)(f);
}

/* Runs the way back of a net that its caller has described, with weights (., I), (., S) and, for
 * mid, (., H) or NULL; gh and gc begin as gh_n and gc_n. 0, or -1 without memory. */
static int FN(run_backward)(struct FN(backward) * f, const real *w_ih, const real *w_hh,
                            const real *w_mh, int adds_to_gh) {
    if (f->steps.B == 0 || f->I + f->H + f->S == 0) /* nothing to compute, however many steps */
        f->steps = (struct mg_steps){NULL, 0, f->steps.B};
    f->plan = mg_plan(&f->steps, f->I, f->S, f->width, 1);
    f->ih.source = w_ih, f->ih.rs = f->I, f->ih.cs = 1;
    f->hh.source = w_hh, f->hh.rs = f->S, f->hh.cs = 1;
    f->mh.source = w_mh, f->mh.rs = f->H, f->mh.cs = 1;
    size_t states = f->H > f->S ? f->H : f->S, most = f->I > states ? f->I : states;
    size_t chunk = f->plan.chunk, scratch = (chunk * f->width + VL) / VL * VL;
    size_t gathered = (chunk * f->S + VL) / VL * VL, zeros = most / VL * VL + 4 * VL;
    f->pack_size = FN(gemm_pack_size)(f->width, most, chunk);
    size_t size = FN(panels_size)(&f->ih) + FN(panels_size)(&f->hh) + FN(panels_size)(&f->mh) +
                  zeros + scratch + gathered + f->plan.tasks * f->pack_size;
    void *memory = mg_allocate(size * sizeof(real) + 64);
    if (!memory)
        return -1;
    real *rest = FN(pack_back)(f, FN(align)(memory));
    FN(copy_or_zero)(rest, NULL, zeros);
    f->zeros = rest;
    f->start = adds_to_gh ? NULL : rest;
    f->ggates = rest + zeros;
    f->gathered = f->ggates + scratch;
    f->pack = f->gathered + gathered;
    FN(chunks_back)(f);
    mg_release(memory);
    return 0;
}
