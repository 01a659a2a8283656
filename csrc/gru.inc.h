/* GRU: r, z = sigmoid(W x_t + U h_{t-1} + b),  n = tanh(W_n x_t + b_in + r s),
 *      s = U_n h_{t-1} + b_hn,                 h_t = (1 - z) n + z h_{t-1}.
 *
 * gates (T, B, 4H) has four blocks, in the order s r z n: the last three take the projection, the
 * first three the product with U^T, whose gates are turned to the order n r z. One panel:
 *
 *      gates[t]   s: |..u..|   r: |..u..|   z: |..u..|   n: |..u..|      (rows, 4H)
 *                     +            +            +            |
 *      h_{t-1} (rows, H)  @  panel of U^T for the units u, (H, 3, VL)
 *                     |            |            |            |
 *                     +--> n = tanh(n + r s),  h_t[u] = (1 - z) n + z h_{t-1} --> output[t]
 *
 * Kept for backward: the four blocks, with the output 5 numbers for each step, row and unit. There,
 * ggates has the gradients of the same four: W's gates are blocks 1 to 3, U's blocks 0 to 2. The
 * form without reset_after stands in gru_before.inc.h; the two kernels below are for both. */

/* gates (4, H), h_before and h (H), each from the first of the n units on. */
MG_INLINE void FN(gru_cell)(real *gates, const real *h_before, real *h, size_t H, size_t lanes,
                            int keep) {
    vec s = FN(load_lanes)(gates, lanes);
    vec r = FN(vsigmoid)(FN(load_lanes)(gates + H, lanes));
    vec z = FN(vsigmoid)(FN(load_lanes)(gates + 2 * H, lanes));
    vec n = FN(vtanh)(FN(load_lanes)(gates + 3 * H, lanes) + r * s);
    FN(store_lanes)(h, n - z * n + z * FN(load_lanes)(h_before, lanes), lanes);
    if (keep) {
        FN(store_lanes)(gates + H, r, lanes);
        FN(store_lanes)(gates + 2 * H, z, lanes);
        FN(store_lanes)(gates + 3 * H, n, lanes);
    }
}

static void FN(gru_step)(const struct FN(forward) * f, size_t t, struct mg_span rows,
                         struct mg_span panels, real *gates) {
    size_t H = f->H, m = rows.last - rows.first;
    real *h = f->output + (mg_row(&f->steps, t) + rows.first) * H;
    const real *h_before = FN(h_before)(f, t) + rows.first * H;
    for (size_t p = panels.first; p < panels.last; p++) {
        size_t u = p * VL, n = FN(panel_lanes)(&f->hh, p, 0);
        for (size_t b = 0; b < m; b++)
            FN(copy_or_zero)(gates + b * 4 * H + u, f->b_late + u, n);
        FN(panel_product)(&f->hh, p, gates, 4 * H, h_before, H, NULL, m);
        for (size_t b = 0; b < m; b++)
            FN(gru_cell)(gates + b * 4 * H + u, h_before + b * H + u, h + b * H + u, H, n, f->keep);
    }
}

static struct FN(forward) FN(gru_net)(int reset_after, size_t I, size_t H) {
    struct FN(forward) f = {.I = I,
                            .H = H,
                            .S = H,
                            .width = 4 * H,
                            .ih_column = H,
                            .ih = FN(gate_panels)(I, 3, H),
                            .hh = FN(gate_panels)(H, 3, H),
                            .both = 2 * H,
                            .late = H,
                            .step = FN(gru_step)};
    f.hh.turn = 2; /* n r z */
    if (reset_after)
        return f;
    f.width = 3 * H, f.ih_column = 0, f.both = 3 * H, f.late = 0;
    f.hh = FN(gate_panels)(H, 2, H), f.step = FN(gru_before_step);
    f.mh = FN(plain_panels)(H, H), f.finish = FN(gru_before_finish);
    return f;
}

static int FN(gru_forward)(real *output, real *gates, const real *x, const real *h0,
                           const real *w_ih, const real *w_hh, const real *b_ih, const real *b_hh,
                           int reset_after, const size_t *first, size_t T, size_t B, size_t I,
                           size_t H) {
    struct FN(forward) f = FN(gru_net)(reset_after, I, H);
    f.output = output, f.gates = gates, f.x = x, f.h0 = h0;
    f.steps = (struct mg_steps){first, T, B};
    FN(take_weights)(&f, w_ih, w_hh, reset_after ? NULL : w_hh + 2 * H * H, b_ih, b_hh);
    return FN(run_forward)(&f, NULL);
}

/* gates and ggates (4, H), h_before, gy or NULL, gh (H), from the first of the n units on. */
MG_INLINE void FN(gru_cell_back)(real *ggates, const real *gates, const real *h_before,
                                 const real *gy, real *gh, size_t H, size_t lanes) {
    vec s = FN(load_lanes)(gates, lanes), r = FN(load_lanes)(gates + H, lanes);
    vec z = FN(load_lanes)(gates + 2 * H, lanes), n = FN(load_lanes)(gates + 3 * H, lanes);
    vec gh_t = FN(load_lanes)(gh, lanes);
    if (gy)
        gh_t += FN(load_lanes)(gy, lanes);
    vec gn = gh_t * (1 - z) * (1 - n * n); /* of the input of tanh */
    FN(store_lanes)(ggates, gn * r, lanes);
    FN(store_lanes)(ggates + H, gn * s * r * (1 - r), lanes);
    FN(store_lanes)(ggates + 2 * H, gh_t * (FN(load_lanes)(h_before, lanes) - n) * z * (1 - z),
                    lanes);
    FN(store_lanes)(ggates + 3 * H, gn, lanes);
    FN(store_lanes)(gh, gh_t * z, lanes); /* the product with U adds to it */
}

static void FN(gru_cells_back)(const struct FN(backward) * f, size_t t, struct mg_span rows,
                               struct mg_span units) {
    size_t H = f->H, first = mg_row(&f->steps, t) * H; /* the step's place in (N, H) */
    const real *h_before = FN(h_entering)(f, t);
    for (size_t b = rows.first; b < rows.last; b++)
        for (size_t u = units.first; u < units.last; u += VL) {
            size_t at = b * H + u, gate = b * 4 * H + u;
            FN(gru_cell_back)(FN(ggates_at)(f, t) + gate, f->gates + 4 * first + gate,
                              h_before + at, f->gy ? f->gy + first + at : NULL, f->gh + at, H,
                              mg_least(VL, H - u));
        }
}

/* U (3H, H) with its gates in the order n r z; NULL without memory, the caller frees it. */
static real *FN(gru_turned)(const real *w_hh, size_t H) {
    real *turned = mg_allocate(3 * H * H * sizeof(real) + 1);
    if (turned) {
        FN(copy_or_zero)(turned, w_hh + 2 * H * H, H * H);
        FN(copy_or_zero)(turned + H * H, w_hh, 2 * H * H);
    }
    return turned;
}

static int FN(gru_backward)(real *gx, real *gh0, real *gw_ih, real *gw_hh, real *gb_ih, real *gb_hh,
                            const real *gy, const real *gh_n, const real *x, const real *h0,
                            const real *w_ih, const real *w_hh, const real *output,
                            const real *gates, int reset_after, const size_t *first, size_t T,
                            size_t B, size_t I, size_t H) {
    real *gw_hn = gw_hh + 2 * H * H, *gb_hn = gb_hh + 2 * H;
    size_t r = reset_after ? H : 0; /* where r z n begin in ggates */
    struct FN(backward) f = {.gx = gx,
                             .gh = gh0,
                             .gy = gy,
                             .x = x,
                             .h0 = h0,
                             .output = output,
                             .gates = gates,
                             .steps = {first, T, B},
                             .I = I,
                             .H = H,
                             .S = H,
                             .width = 4 * H,
                             .ih_column = r,
                             .ih = FN(plain_panels)(3 * H, I),
                             .hh = FN(plain_panels)(3 * H, H),
                             .cells = FN(gru_cells_back),
                             .segments = {{gw_ih, gb_ih, r, 3 * H, MG_X},
                                          {gw_hh, gb_hh, r, 2 * H, MG_H},
                                          {gw_hn, gb_hn, 0, H, MG_H}}};
    FN(copy_or_zero)(gh0, gh_n, B * H);
    if (!reset_after) {
        f.segments[2].column = 2 * H, f.segments[2].with = MG_MID, f.mid = 3 * H;
        f.hh = FN(plain_panels)(2 * H, H), f.cells = FN(gru_before_cells_back);
        f.mh = FN(plain_panels)(H, H), f.middle = FN(gru_before_middle);
        return FN(run_backward)(&f, w_ih, w_hh, w_hh + 2 * H * H, 1);
    }
    real *turned = FN(gru_turned)(w_hh, H);
    int result = turned ? FN(run_backward)(&f, w_ih, turned, NULL, 1) : -1;
    mg_release(turned);
    return result;
}
