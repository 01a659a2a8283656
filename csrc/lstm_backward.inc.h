/* LSTM, backward through time.
 *
 * Chunks of steps, the last first. Within a chunk, step by step, the cell's derivative makes the
 * gradients of the gates' inputs, ggates[t] (B, 4H), and one product takes them to h_{t-1}:
 * gh = ggates[t] U. Once a chunk is through, everything that adds up over time is a few long
 * products: gx = ggates W, gw_ih += ggates^T x, gw_hh += ggates^T h_before.
 *
 * gh0 and gc0 hold the gradients of h_t and c_t on their way back. The weights' gradients are split
 * by rows of the result, never by the rows they sum over: no thread count changes a bit. */

struct FN(lstm_back) {
    real *gx, *gh0, *gc0, *gw_ih, *gw_hh, *gb, *ggates;
    const real *gy, *x, *h0, *output, *gates, *cells;
    struct FN(panels) ih, hh; /* W (4H, I), U (4H, H) */
    const real *zeros;        /* the start of a product: room for the wider of the two */
    real *pack;               /* gemm's scratch, pack_size a task */
    size_t pack_size, T, B, I, H;
    struct mg_plan plan;
    struct mg_span steps; /* those under way */
};

/* gates, ggates (4, H), c_before, c, gy or NULL, gh, gc (H), from the first of the n units on. */
MG_INLINE void FN(lstm_cell_back)(real *ggates, const real *gates, const real *c_before,
                                  const real *c, const real *gy, const real *gh, real *gc, size_t H,
                                  size_t n) {
    vec i = FN(load_lanes)(gates, n), f = FN(load_lanes)(gates + H, n);
    vec g = FN(load_lanes)(gates + 2 * H, n), o = FN(load_lanes)(gates + 3 * H, n);
    vec gh_t = FN(load_lanes)(gh, n), tanh_c = FN(vtanh)(FN(load_lanes)(c, n));
    if (gy)
        gh_t += FN(load_lanes)(gy, n);
    vec gc_t = FN(load_lanes)(gc, n) + gh_t * o * (1 - tanh_c * tanh_c);
    FN(store_lanes)(ggates, gc_t * g * i * (1 - i), n);
    FN(store_lanes)(ggates + H, gc_t * FN(load_lanes)(c_before, n) * f * (1 - f), n);
    FN(store_lanes)(ggates + 2 * H, gc_t * i * (1 - g * g), n);
    FN(store_lanes)(ggates + 3 * H, gh_t * tanh_c * o * (1 - o), n);
    FN(store_lanes)(gc, gc_t * f, n);
}

/* ggates[t] for these rows and units. */
static void FN(lstm_cells_back)(const struct FN(lstm_back) * f, size_t t, struct mg_span rows,
                                struct mg_span units) {
    size_t H = f->H, step = f->B * H;
    for (size_t b = rows.first; b < rows.last; b++)
        for (size_t u = units.first; u < units.last; u += VL) {
            size_t at = b * H + u, gate = t * 4 * step + b * 4 * H + u;
            FN(lstm_cell_back)(f->ggates + gate, f->gates + gate, f->cells + t * step + at,
                               f->cells + (t + 1) * step + at, f->gy ? f->gy + t * step + at : NULL,
                               f->gh0 + at, f->gc0 + at, H, mg_least(VL, H - u));
        }
}

/* gh = ggates[t] U for these rows and panels. */
static void FN(lstm_step_back)(const struct FN(lstm_back) * f, size_t t, struct mg_span rows,
                               struct mg_span panels) {
    size_t H = f->H;
    FN(product)(&f->hh, panels.first, panels.last, f->gh0 + rows.first * H, H, 0,
                f->ggates + (t * f->B + rows.first) * 4 * H, 4 * H, 0, f->zeros,
                rows.last - rows.first, 1);
}

/* gx = ggates W for the chunk, these rows and panels. */
static void FN(lstm_project_back)(const struct FN(lstm_back) * f, struct mg_span rows,
                                  struct mg_span panels) {
    size_t I = f->I, H4 = 4 * f->H, row = f->steps.first * f->B + rows.first;
    if (f->gx)
        FN(product)(&f->ih, panels.first, panels.last, f->gx + row * I, I, f->B * I,
                    f->ggates + row * H4, H4, f->B * H4, f->zeros, rows.last - rows.first,
                    f->steps.last - f->steps.first);
}

/* By rows: a share of the batch through the chunk. */
static void FN(lstm_rows_back_task)(void *context, size_t index) {
    const struct FN(lstm_back) *f = context;
    struct mg_span rows = mg_share(f->B, index, f->plan.tasks);
    for (size_t t = f->steps.last; t-- > f->steps.first;) {
        FN(lstm_cells_back)(f, t, rows, (struct mg_span){0, f->H});
        FN(lstm_step_back)(f, t, rows, (struct mg_span){0, f->hh.panels});
    }
    FN(lstm_project_back)(f, rows, (struct mg_span){0, f->ih.panels});
}

/* By units: the cells of step steps.last - 1, the product after them, and gx of a chunk. */
static void FN(lstm_cells_back_task)(void *context, size_t index) {
    const struct FN(lstm_back) *f = context;
    struct mg_span units = mg_share((f->H + VL - 1) / VL, index, f->plan.tasks);
    units = (struct mg_span){units.first * VL, mg_least(units.last * VL, f->H)};
    FN(lstm_cells_back)(f, f->steps.last - 1, (struct mg_span){0, f->B}, units);
}

static void FN(lstm_step_back_task)(void *context, size_t index) {
    const struct FN(lstm_back) *f = context;
    FN(lstm_step_back)(f, f->steps.last - 1, (struct mg_span){0, f->B},
                       mg_share(f->hh.panels, index, f->plan.tasks));
}

static void FN(lstm_project_back_task)(void *context, size_t index) {
    const struct FN(lstm_back) *f = context;
    FN(lstm_project_back)(f, (struct mg_span){0, f->B},
                          mg_share(f->ih.panels, index, f->plan.tasks));
}

static void FN(lstm_by_units_back)(struct FN(lstm_back) * f) {
    size_t last = f->steps.last;
    for (; f->steps.last > f->steps.first; f->steps.last--) {
        mg_parallel(FN(lstm_cells_back_task), f, f->plan.tasks);
        mg_parallel(FN(lstm_step_back_task), f, f->plan.tasks);
    }
    f->steps.last = last;
    mg_parallel(FN(lstm_project_back_task), f, f->plan.tasks);
}

/* gw_ih, gw_hh and gb (+)= what the chunk adds, a share of their 4H rows each. */
static void FN(lstm_weights_task)(void *context, size_t index) {
    const struct FN(lstm_back) *f = context;
    struct mg_span gates = mg_share(4 * f->H, index, f->plan.tasks);
    size_t B = f->B, I = f->I, H = f->H, H4 = 4 * H, m = gates.last - gates.first;
    size_t first = f->steps.first, rows = (f->steps.last - first) * B;
    int more = f->steps.last < f->T;                          /* not the first chunk: += */
    const real *g = f->ggates + first * B * H4 + gates.first; /* (rows, m), H4 apart */
    real *pack = f->pack + index * f->pack_size, *gw_hh = f->gw_hh + gates.first * H;
    FN(gemm)(f->gw_ih + gates.first * I, I, g, 1, H4, f->x + first * B * I, I, 1, m, I, rows, more,
             pack);
    if (first == 0) { /* h_{-1} = h0 lies elsewhere */
        FN(gemm)(gw_hh, H, g, 1, H4, f->h0, H, 1, m, H, B, more, pack);
        FN(gemm)(gw_hh, H, g + B * H4, 1, H4, f->output, H, 1, m, H, rows - B, 1, pack);
    } else
        FN(gemm)(gw_hh, H, g, 1, H4, f->output + (first - 1) * B * H, H, 1, m, H, rows, more, pack);
    if (!more)
        FN(copy_or_zero)(f->gb + gates.first, NULL, m);
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < m; j++)
            f->gb[gates.first + j] += g[r * H4 + j];
}

static int FN(lstm_backward)(real *gx, real *gh0, real *gc0, real *gw_ih, real *gw_hh, real *gb,
                             real *ggates, const real *gy, const real *gh_n, const real *gc_n,
                             const real *x, const real *h0, const real *w_ih, const real *w_hh,
                             const real *output, const real *gates, const real *cells, size_t T,
                             size_t B, size_t I, size_t H) {
    struct FN(lstm_back) f = {.gx = gx,
                              .gh0 = gh0,
                              .gc0 = gc0,
                              .gw_ih = gw_ih,
                              .gw_hh = gw_hh,
                              .gb = gb,
                              .ggates = ggates,
                              .gy = gy,
                              .x = x,
                              .h0 = h0,
                              .output = output,
                              .gates = gates,
                              .cells = cells,
                              .ih = FN(plain_panels)(4 * H, I),
                              .hh = FN(plain_panels)(4 * H, H),
                              .T = T,
                              .B = B,
                              .I = I,
                              .H = H,
                              .plan = FN(plan)(T, B, I, H, 4)};
    size_t zeros = (I > H ? I : H) / VL * VL + 4 * VL, chunk = f.plan.chunk;
    f.pack_size = FN(gemm_pack_size)(4 * H, I > H ? I : H, chunk * B);
    void *memory = malloc((FN(panels_size)(&f.ih) + FN(panels_size)(&f.hh) + zeros +
                           f.plan.tasks * f.pack_size + 16) *
                          sizeof(real));
    if (!memory)
        return -1;
    real *rest = FN(pack)(&f.hh, FN(align)(memory), w_hh, H, 1, f.plan.tasks);
    if (gx)
        rest = FN(pack)(&f.ih, rest, w_ih, I, 1, f.plan.tasks);
    f.zeros = rest;
    FN(copy_or_zero)(rest, NULL, zeros);
    f.pack = rest + zeros;
    FN(copy_or_zero)(gh0, gh_n, B * H);
    FN(copy_or_zero)(gc0, gc_n, B * H);
    for (size_t end = T; end > 0; end = f.steps.first) {
        f.steps = (struct mg_span){end > chunk ? end - chunk : 0, end};
        if (f.plan.by_units)
            FN(lstm_by_units_back)(&f);
        else
            mg_parallel(FN(lstm_rows_back_task), &f, f.plan.tasks);
        mg_parallel(FN(lstm_weights_task), &f, f.plan.tasks);
    }
    if (T == 0) { /* nothing was summed */
        FN(copy_or_zero)(gw_ih, NULL, 4 * H * I);
        FN(copy_or_zero)(gw_hh, NULL, 4 * H * H);
        FN(copy_or_zero)(gb, NULL, 4 * H);
    }
    free(memory);
    return 0;
}
