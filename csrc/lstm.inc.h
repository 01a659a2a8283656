/* LSTM: i, f, o = sigmoid(a), g = tanh(a), with a = W x_t + U h_{t-1} + b;
 *       c_t = f c_{t-1} + i g,  h_t = o tanh(c_t).
 *
 * gates (T, B, 4H), in the order i f g o. One panel of U^T is the four gates of VL hidden units u:
 *
 *      gates[t]   i: |..u..|   f: |..u..|   g: |..u..|   o: |..u..|      (rows, 4H)
 *                     +            +            +            +
 *      h_{t-1} (rows, H)  @  panel of U^T for the units u, (H, 4, VL)
 *                     |            |            |            |
 *                     +--> c_t[u] = f c_{t-1} + i g,  h_t[u] = o tanh(c_t) --> output[t]
 *
 * With a projection, h_t = W_hr (o tanh(c_t)), W_hr (P, H), h and the output have P units: o
 * tanh(c_t) goes to mid, and the step's second product, mid @ W_hr^T, to the output.
 *
 * Kept for backward: gates and c, with the output 6 numbers for each step, row and unit, or 5 and P
 * for each step and row. cells (B+N, H) begins with c_0; behind it, step after step, lies what the
 * output is to h. */

/* The row of cells where c_{t-1} begins; c_t itself begins at row B + mg_row(s, t). */
MG_INLINE size_t FN(cells_before)(const struct mg_steps *s, size_t t) {
    return t ? s->B + mg_row(s, t - 1) : 0;
}

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

static void FN(lstm_step)(const struct FN(forward) * f, size_t t, struct mg_span rows,
                          struct mg_span panels, real *gates) {
    size_t H = f->H, m = rows.last - rows.first, row = mg_row(&f->steps, t) + rows.first;
    real *h = f->finish ? f->mid + rows.first * H : f->output + row * H;
    const real *h_before = FN(h_before)(f, t) + rows.first * f->S;
    real *c_before = f->c_n + rows.first * H, *c = c_before; /* in place, unless they are kept */
    if (f->keep) {
        c_before = f->cells + (FN(cells_before)(&f->steps, t) + rows.first) * H;
        c = f->cells + (f->steps.B + row) * H;
    }
    for (size_t p = panels.first; p < panels.last; p++) {
        size_t u = p * VL, n = FN(panel_lanes)(&f->hh, p, 0);
        FN(panel_product)(&f->hh, p, gates, 4 * H, h_before, f->S, NULL, m);
        for (size_t b = 0; b < m; b++) {
            size_t at = b * H + u;
            FN(lstm_cell)(gates + b * 4 * H + u, c_before + at, c + at, h + at, H, n, f->keep);
        }
    }
}

/* h_t = W_hr mid */
static void FN(lstm_finish)(const struct FN(forward) * f, size_t t, struct mg_span rows,
                            struct mg_span panels, real *gates) {
    (void)gates;
    real *h = f->output + (mg_row(&f->steps, t) + rows.first) * f->S;
    for (size_t p = panels.first; p < panels.last; p++)
        FN(panel_product)(&f->mh, p, h, f->S, f->mid + rows.first * f->H, f->H, f->zeros,
                          rows.last - rows.first);
}

static struct FN(forward) FN(lstm_net)(int projected, size_t I, size_t H, size_t P) {
    struct FN(forward) f = {.I = I,
                            .H = H,
                            .S = P,
                            .width = 4 * H,
                            .ih = FN(gate_panels)(I, 4, H),
                            .hh = FN(gate_panels)(P, 4, H),
                            .both = 4 * H,
                            .step = FN(lstm_step)};
    if (projected)
        f.mh = FN(plain_panels)(H, P), f.finish = FN(lstm_finish);
    return f;
}

static int FN(lstm_forward)(real *output, real *c_n, real *gates, real *cells, const real *x,
                            const real *h0, const real *c0, const real *w_ih, const real *w_hh,
                            const real *b_ih, const real *b_hh, const real *w_hr,
                            const size_t *first, size_t T, size_t B, size_t I, size_t H, size_t P) {
    struct FN(forward) f = FN(lstm_net)(w_hr != NULL, I, H, P);
    f.output = output, f.gates = gates, f.x = x, f.h0 = h0, f.cells = cells, f.c_n = c_n;
    f.steps = (struct mg_steps){first, T, B};
    FN(take_weights)(&f, w_ih, w_hh, w_hr, b_ih, b_hh);
    FN(copy_or_zero)(gates ? cells : c_n, c0, B * H);
    int result = FN(run_forward)(&f, NULL);
    if (gates)
        FN(last_rows)(c_n, c0, cells + B * H, &f.steps, H);
    return result;
}

/* gates and ggates (4, H), c_before, c, gy or NULL, gh, gc, mid or NULL (H), from the first of the
 * n units on. */
MG_INLINE void FN(lstm_cell_back)(real *ggates, const real *gates, const real *c_before,
                                  const real *c, const real *gy, const real *gh, real *gc,
                                  real *mid, size_t H, size_t n) {
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
    if (mid)
        FN(store_lanes)(mid, o * tanh_c, n);
}

static void FN(lstm_cells_back)(const struct FN(backward) * f, size_t t, struct mg_span rows,
                                struct mg_span units) {
    size_t H = f->H, first = mg_row(&f->steps, t) * H; /* the step's place in (N, H) */
    const real *c_before = f->cells_kept + FN(cells_before)(&f->steps, t) * H;
    const real *c = f->cells_kept + f->steps.B * H + first;
    for (size_t b = rows.first; b < rows.last; b++)
        for (size_t u = units.first; u < units.last; u += VL) {
            size_t at = b * H + u, gate = b * 4 * H + u;
            FN(lstm_cell_back)(FN(ggates_at)(f, t) + gate, f->gates + 4 * first + gate,
                               c_before + at, c + at, f->gy ? f->gy + first + at : NULL, f->gh + at,
                               f->gc + at, NULL, H, mg_least(VL, H - u));
        }
}

/* With a projection: the gradient of h_t, behind those of the gates. ggates (5 H + P) has the
 * blocks i f g o, h, mid. */
static void FN(lstm_projected_back)(const struct FN(backward) * f, size_t t, struct mg_span rows,
                                    struct mg_span units) {
    size_t P = f->S;
    const real *gy = f->gy ? f->gy + mg_row(&f->steps, t) * P : NULL;
    for (size_t b = rows.first; b < rows.last; b++)
        for (size_t u = units.first; u < units.last; u += VL) {
            size_t at = b * P + u, n = mg_least(VL, P - u);
            vec gh = FN(load_lanes)(f->gh + at, n);
            if (gy)
                gh += FN(load_lanes)(gy + at, n);
            FN(store_lanes)(FN(ggates_at)(f, t) + b * f->width + 4 * f->H + u, gh, n);
        }
}

/* That of mid, where o's will stand; then mid itself, and the cell as without a projection. */
static void FN(lstm_middle)(const struct FN(backward) * f, size_t t, struct mg_span rows,
                            struct mg_span panels) {
    size_t H = f->H, width = f->width, columns = f->mh.width * VL;
    size_t first = mg_row(&f->steps, t) * H; /* the step's place in (N, H) */
    const real *c_before = f->cells_kept + FN(cells_before)(&f->steps, t) * H;
    const real *c = f->cells_kept + f->steps.B * H + first;
    real *ggates = FN(ggates_at)(f, t);
    for (size_t p = panels.first; p < panels.last; p++) {
        real *g = ggates + rows.first * width;
        FN(panel_product)(&f->mh, p, g + 3 * H, width, g + 4 * H, width, f->zeros,
                          rows.last - rows.first);
        for (size_t b = rows.first; b < rows.last; b++)
            for (size_t u = p * columns; u < mg_least(p * columns + columns, H); u += VL) {
                size_t at = b * H + u, n = mg_least(VL, H - u);
                const real *gates = f->gates + 4 * (first + b * H) + u;
                real *gg = ggates + b * width + u;
                FN(lstm_cell_back)(gg, gates, c_before + at, c + at, NULL, gg + 3 * H, f->gc + at,
                                   gg + f->mid, H, n);
            }
    }
}

static int FN(lstm_backward)(real *gx, real *gh0, real *gc0, real *gw_ih, real *gw_hh, real *gb,
                             real *gw_hr, const real *gy, const real *gh_n, const real *gc_n,
                             const real *x, const real *h0, const real *w_ih, const real *w_hh,
                             const real *w_hr, const real *output, const real *gates,
                             const real *cells, const size_t *first, size_t T, size_t B, size_t I,
                             size_t H, size_t P) {
    struct FN(backward)
        f = {.gx = gx,
             .gh = gh0,
             .gc = gc0,
             .gy = gy,
             .x = x,
             .h0 = h0,
             .output = output,
             .gates = gates,
             .cells_kept = cells,
             .steps = {first, T, B},
             .I = I,
             .H = H,
             .S = P,
             .width = 4 * H,
             .ih = FN(plain_panels)(4 * H, I),
             .hh = FN(plain_panels)(4 * H, P),
             .cells = FN(lstm_cells_back),
             .segments = {{gw_ih, gb, 0, 4 * H, MG_X}, {gw_hh, NULL, 0, 4 * H, MG_H}}};
    if (w_hr) {
        f.width = 5 * H + P, f.mid = 4 * H + P, f.cells = FN(lstm_projected_back);
        f.mh = FN(plain_panels)(P, H), f.middle = FN(lstm_middle);
        f.segments[2] = (struct FN(segment)){gw_hr, NULL, 4 * H, P, MG_MID};
    }
    FN(copy_or_zero)(gh0, gh_n, B * P);
    FN(copy_or_zero)(gc0, gc_n, B * H);
    return FN(run_backward)(&f, w_ih, w_hh, w_hr, 0);
}
