/* GRU whose reset comes before the product: n = tanh(W_n x_t + b_in + U_n (r h_{t-1}) + b_hn); the
 * rest as in gru.inc.h.
 *
 * gates (T, B, 3H), in the order r z n, take the projection. A step is two products:
 *
 *      gates[t]   r: |..u..|   z: |..u..|      n: |......|                 (rows, 3H)
 *                     +            +               +
 *      h_{t-1} @ panel of U^T, (H, 2, VL)      mid @ panel of U_n^T        (rows, H)
 *                     |            |               |
 *                     |            |               +--> h_t = (1 - z) n + z h_{t-1} --> output[t]
 *                     +--> mid[u] = r h_{t-1}
 *
 * Kept for backward: r z n, with the output 4 numbers for each step, row and unit. There, ggates
 * has the gradients of the same three, and behind them mid. */

/* gates (3, H), h_before and mid (H), each from the first of the n units on. */
MG_INLINE void FN(gru_reset)(real *gates, const real *h_before, real *mid, size_t H, size_t n) {
    vec r = FN(vsigmoid)(FN(load_lanes)(gates, n));
    vec z = FN(vsigmoid)(FN(load_lanes)(gates + H, n));
    FN(store_lanes)(gates, r, n);
    FN(store_lanes)(gates + H, z, n);
    FN(store_lanes)(mid, r * FN(load_lanes)(h_before, n), n);
}

static void FN(gru_before_step)(const struct FN(forward) * f, size_t t, struct mg_span rows,
                                struct mg_span panels, real *gates) {
    size_t H = f->H, m = rows.last - rows.first;
    const real *h_before = FN(h_before)(f, t) + rows.first * H;
    real *mid = f->mid + rows.first * H;
    for (size_t p = panels.first; p < panels.last; p++) {
        size_t u = p * VL, n = FN(panel_lanes)(&f->hh, p, 0);
        FN(panel_product)(&f->hh, p, gates, 3 * H, h_before, H, NULL, m);
        for (size_t b = 0; b < m; b++)
            FN(gru_reset)(gates + b * 3 * H + u, h_before + b * H + u, mid + b * H + u, H, n);
    }
}

static void FN(gru_before_finish)(const struct FN(forward) * f, size_t t, struct mg_span rows,
                                  struct mg_span panels, real *gates) {
    size_t H = f->H, m = rows.last - rows.first, columns = f->mh.width * VL;
    const real *h_before = FN(h_before)(f, t) + rows.first * H;
    real *h = f->output + (mg_row(&f->steps, t) + rows.first) * H;
    for (size_t p = panels.first; p < panels.last; p++) {
        FN(panel_product)(&f->mh, p, gates + 2 * H, 3 * H, f->mid + rows.first * H, H, NULL, m);
        for (size_t b = 0; b < m; b++)
            for (size_t u = p * columns; u < mg_least(p * columns + columns, H); u += VL) {
                size_t lanes = mg_least(VL, H - u);
                real *gate = gates + b * 3 * H + u;
                vec n = FN(vtanh)(FN(load_lanes)(gate + 2 * H, lanes));
                vec z = FN(load_lanes)(gate + H, lanes);
                vec before = FN(load_lanes)(h_before + b * H + u, lanes);
                FN(store_lanes)(h + b * H + u, n - z * n + z * before, lanes);
                if (f->keep)
                    FN(store_lanes)(gate + 2 * H, n, lanes);
            }
    }
}

/* The gradients of z and n, and what goes past both to h_{t-1}. */
static void FN(gru_before_cells_back)(const struct FN(backward) * f, size_t t, struct mg_span rows,
                                      struct mg_span units) {
    size_t H = f->H, first = mg_row(&f->steps, t) * H; /* the step's place in (N, H) */
    const real *h_before = FN(h_entering)(f, t);
    for (size_t b = rows.first; b < rows.last; b++)
        for (size_t u = units.first; u < units.last; u += VL) {
            size_t at = b * H + u, lanes = mg_least(VL, H - u);
            const real *gates = f->gates + 3 * first + b * 3 * H + u;
            real *ggates = FN(ggates_at)(f, t) + b * f->width + u;
            vec z = FN(load_lanes)(gates + H, lanes), n = FN(load_lanes)(gates + 2 * H, lanes);
            vec gh = FN(load_lanes)(f->gh + at, lanes);
            if (f->gy)
                gh += FN(load_lanes)(f->gy + first + at, lanes);
            vec past = FN(load_lanes)(h_before + at, lanes) - n;
            FN(store_lanes)(ggates + H, gh * past * z * (1 - z), lanes);
            FN(store_lanes)(ggates + 2 * H, gh * (1 - z) * (1 - n * n), lanes);
            FN(store_lanes)(f->gh + at, gh * z, lanes); /* the products add to it */
        }
}

/* g = the gradient of r h_{t-1}, where r's will stand; then r's, and what goes to h_{t-1}. */
static void FN(gru_before_middle)(const struct FN(backward) * f, size_t t, struct mg_span rows,
                                  struct mg_span panels) {
    size_t H = f->H, width = f->width, columns = f->mh.width * VL;
    const real *h_before = FN(h_entering)(f, t);
    const real *gates = f->gates + 3 * mg_row(&f->steps, t) * H;
    real *ggates = FN(ggates_at)(f, t);
    for (size_t p = panels.first; p < panels.last; p++) {
        real *g = ggates + rows.first * width;
        FN(panel_product)(&f->mh, p, g, width, g + 2 * H, width, f->zeros, rows.last - rows.first);
        for (size_t b = rows.first; b < rows.last; b++)
            for (size_t u = p * columns; u < mg_least(p * columns + columns, H); u += VL) {
                size_t at = b * H + u, n = mg_least(VL, H - u);
                real *of_r = ggates + b * width + u;
                vec r = FN(load_lanes)(gates + b * 3 * H + u, n), gm = FN(load_lanes)(of_r, n);
                vec before = FN(load_lanes)(h_before + at, n);
                FN(store_lanes)(of_r, gm * before * r * (1 - r), n);
                FN(store_lanes)(of_r + f->mid, r * before, n);
                FN(store_lanes)(f->gh + at, FN(load_lanes)(f->gh + at, n) + gm * r, n);
            }
    }
}
