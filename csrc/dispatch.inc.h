/* The exported functions, each a jump through the table. */

void MG(tanh)(real *y, const real *x, size_t n) { KERNEL(tanh)(y, x, n); }

void MG(tanh_grad)(real *gx, const real *gy, const real *y, size_t n) {
    KERNEL(tanh_grad)(gx, gy, y, n);
}

void MG(sigmoid)(real *y, const real *x, size_t n) { KERNEL(sigmoid)(y, x, n); }

void MG(sigmoid_grad)(real *gx, const real *gy, const real *y, size_t n) {
    KERNEL(sigmoid_grad)(gx, gy, y, n);
}

void MG(relu)(real *y, const real *x, size_t n) { KERNEL(relu)(y, x, n); }

void MG(relu_grad)(real *gx, const real *gy, const real *y, size_t n) {
    KERNEL(relu_grad)(gx, gy, y, n);
}

void MG(log_softmax)(real *y, const real *x, size_t rows, size_t n) {
    KERNEL(log_softmax)(y, x, rows, n);
}

void MG(log_softmax_grad)(real *gx, const real *gy, const real *y, size_t rows, size_t n) {
    KERNEL(log_softmax_grad)(gx, gy, y, rows, n);
}

int MG(matmul)(real *c, const real *a, ptrdiff_t bs_a, ptrdiff_t rs_a, ptrdiff_t cs_a,
               const real *b, ptrdiff_t bs_b, ptrdiff_t rs_b, ptrdiff_t cs_b, size_t batch,
               size_t m, size_t n, size_t k) {
    return KERNEL(matmul)(c, a, bs_a, rs_a, cs_a, b, bs_b, rs_b, cs_b, batch, m, n, k);
}

int MG(lstm_forward)(real *output, real *c_n, real *gates, real *cells, const real *x,
                     const real *h0, const real *c0, const real *w_ih, const real *w_hh,
                     const real *b_ih, const real *b_hh, const real *w_hr, const size_t *first,
                     size_t T, size_t B, size_t I, size_t H, size_t P) {
    return KERNEL(lstm_forward)(output, c_n, gates, cells, x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr,
                                first, T, B, I, H, P);
}

int MG(lstm_backward)(real *gx, real *gh0, real *gc0, real *gw_ih, real *gw_hh, real *gb,
                      real *gw_hr, const real *gy, const real *gh_n, const real *gc_n,
                      const real *x, const real *h0, const real *w_ih, const real *w_hh,
                      const real *w_hr, const real *output, const real *gates, const real *cells,
                      const size_t *first, size_t T, size_t B, size_t I, size_t H, size_t P) {
    return KERNEL(lstm_backward)(gx, gh0, gc0, gw_ih, gw_hh, gb, gw_hr, gy, gh_n, gc_n, x, h0, w_ih,
                                 w_hh, w_hr, output, gates, cells, first, T, B, I, H, P);
}

int MG(gru_forward)(real *output, real *gates, const real *x, const real *h0, const real *w_ih,
                    const real *w_hh, const real *b_ih, const real *b_hh, int reset_after,
                    const size_t *first, size_t T, size_t B, size_t I, size_t H) {
    return KERNEL(gru_forward)(output, gates, x, h0, w_ih, w_hh, b_ih, b_hh, reset_after, first, T,
                               B, I, H);
}

int MG(gru_backward)(real *gx, real *gh0, real *gw_ih, real *gw_hh, real *gb_ih, real *gb_hh,
                     const real *gy, const real *gh_n, const real *x, const real *h0,
                     const real *w_ih, const real *w_hh, const real *output, const real *gates,
                     int reset_after, const size_t *first, size_t T, size_t B, size_t I, size_t H) {
    return KERNEL(gru_backward)(gx, gh0, gw_ih, gw_hh, gb_ih, gb_hh, gy, gh_n, x, h0, w_ih, w_hh,
                                output, gates, reset_after, first, T, B, I, H);
}

int MG(rnn_forward)(real *output, const real *x, const real *h0, const real *w_ih, const real *w_hh,
                    const real *b_ih, const real *b_hh, int relu, const size_t *first, size_t T,
                    size_t B, size_t I, size_t H) {
    return KERNEL(rnn_forward)(output, x, h0, w_ih, w_hh, b_ih, b_hh, relu, first, T, B, I, H);
}

int MG(rnn_backward)(real *gx, real *gh0, real *gw_ih, real *gw_hh, real *gb, const real *gy,
                     const real *gh_n, const real *x, const real *h0, const real *w_ih,
                     const real *w_hh, const real *output, int relu, const size_t *first, size_t T,
                     size_t B, size_t I, size_t H) {
    return KERNEL(rnn_backward)(gx, gh0, gw_ih, gw_hh, gb, gy, gh_n, x, h0, w_ih, w_hh, output,
                                relu, first, T, B, I, H);
}

size_t MG(pack)(real *packed, const real *w_ih, const real *w_hh, const real *b_ih,
                const real *b_hh, const real *w_hr, struct mg_net net) {
    return KERNEL(pack)(packed, w_ih, w_hh, b_ih, b_hh, w_hr, net);
}

int MG(infer)(real *output, real *c_n, const real *x, const real *h0, const real *c0,
              const real *packed, const size_t *first, size_t T, size_t B, struct mg_net net) {
    return KERNEL(infer)(output, c_n, x, h0, c0, packed, first, T, B, net);
}
