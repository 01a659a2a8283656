/* RNN: h_t = tanh(W x_t + U h_{t-1} + b), or relu.
 *
 * The output is its own gates: it holds the projection, takes the product and becomes h_t in place.
 * Backward needs nothing else: the derivative of either nonlinearity is a function of h_t. */

static void FN(rnn_step)(const struct FN(forward) * f, size_t t, struct mg_span rows,
                         struct mg_span panels, real *h) {
    size_t H = f->H, columns = f->hh.width * VL;
    const real *h_before = FN(h_before)(f, t) + rows.first * H;
    for (size_t p = panels.first; p < panels.last; p++) {
        FN(panel_product)(&f->hh, p, h, H, h_before, H, NULL, rows.last - rows.first);
        for (size_t b = 0; b < rows.last - rows.first; b++)
            for (size_t u = p * columns; u < mg_least(p * columns + columns, H); u += VL) {
                size_t n = mg_least(VL, H - u);
                vec a = FN(load_lanes)(h + b * H + u, n);
                FN(store_lanes)(h + b * H + u, f->relu ? FN(op_relu)(a, a) : FN(vtanh)(a), n);
            }
    }
}

static struct FN(forward) FN(rnn_net)(int relu, size_t I, size_t H) {
    return (struct FN(forward)){.I = I,
                                .H = H,
                                .S = H,
                                .width = H,
                                .ih = FN(plain_panels)(I, H),
                                .hh = FN(plain_panels)(H, H),
                                .both = H,
                                .step = FN(rnn_step),
                                .relu = relu};
}

static int FN(rnn_forward)(real *output, const real *x, const real *h0, const real *w_ih,
                           const real *w_hh, const real *b_ih, const real *b_hh, int relu,
                           const size_t *first, size_t T, size_t B, size_t I, size_t H) {
    struct FN(forward) f = FN(rnn_net)(relu, I, H);
    f.output = output, f.gates = output, f.x = x, f.h0 = h0;
    f.steps = (struct mg_steps){first, T, B};
    FN(take_weights)(&f, w_ih, w_hh, NULL, b_ih, b_hh);
    return FN(run_forward)(&f, NULL);
}

static void FN(rnn_cells_back)(const struct FN(backward) * f, size_t t, struct mg_span rows,
                               struct mg_span units) {
    size_t H = f->H, first = mg_row(&f->steps, t) * H; /* the step's place in (N, H) */
    for (size_t b = rows.first; b < rows.last; b++)
        for (size_t u = units.first; u < units.last; u += VL) {
            size_t at = b * H + u, n = mg_least(VL, H - u);
            vec h = FN(load_lanes)(f->output + first + at, n);
            vec gh = FN(load_lanes)(f->gh + at, n);
            if (f->gy)
                gh += FN(load_lanes)(f->gy + first + at, n);
            vec ga = f->relu ? FN(op_relu_grad)(gh, h) : FN(op_tanh_grad)(gh, h);
            FN(store_lanes)(FN(ggates_at)(f, t) + at, ga, n);
        }
}

static int FN(rnn_backward)(real *gx, real *gh0, real *gw_ih, real *gw_hh, real *gb, const real *gy,
                            const real *gh_n, const real *x, const real *h0, const real *w_ih,
                            const real *w_hh, const real *output, int relu, const size_t *first,
                            size_t T, size_t B, size_t I, size_t H) {
    struct FN(backward) f = {.gx = gx,
                             .gh = gh0,
                             .gy = gy,
                             .x = x,
                             .h0 = h0,
                             .output = output,
                             .steps = {first, T, B},
                             .I = I,
                             .H = H,
                             .S = H,
                             .width = H,
                             .ih = FN(plain_panels)(H, I),
                             .hh = FN(plain_panels)(H, H),
                             .cells = FN(rnn_cells_back),
                             .relu = relu,
                             .segments = {{gw_ih, gb, 0, H, MG_X}, {gw_hh, NULL, 0, H, MG_H}}};
    FN(copy_or_zero)(gh0, gh_n, B * H);
    return FN(run_backward)(&f, w_ih, w_hh, NULL, 0);
}
