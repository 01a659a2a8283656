/* Weights packed once for many calls, and inference with them.
 *
 * packed: what the products begin with, then the panels of W, U and U_n or W_hr, as run_forward has
 * them for one call. They are as long as the weights, or a little longer, and begin at the first
 * cache line in their array. */

#undef ALONE
#define ALONE 65536 /* numbers of a net that one thread packs as fast as several */

static struct FN(forward) FN(net)(struct mg_net n) {
    return n.kind == MG_LSTM  ? FN(lstm_net)(n.option, n.I, n.H, n.P)
           : n.kind == MG_GRU ? FN(gru_net)(n.option, n.I, n.H)
                              : FN(rnn_net)(n.option, n.I, n.H);
}

static size_t FN(pack)(real *packed, const real *w_ih, const real *w_hh, const real *b_ih,
                       const real *b_hh, const real *w_hr, struct mg_net net) {
    struct FN(forward) f = FN(net)(net);
    size_t size = FN(net_size)(&f);
    if (packed) {
        int before = net.kind == MG_GRU && !net.option; /* U_n has a product of its own */
        FN(take_weights)(&f, w_ih, w_hh, before ? w_hh + 2 * net.H * net.H : w_hr, b_ih, b_hh);
        FN(lay_out)(&f, FN(align)(packed), 0);
        FN(pack_net)(&f, size < ALONE ? 1 : mg_num_threads());
    }
    return size + 64 / sizeof(real);
}

static int FN(infer)(real *output, real *c_n, const real *x, const real *h0, const real *c0,
                     const real *packed, const size_t *first, size_t T, size_t B,
                     struct mg_net net) {
    struct FN(forward) f = FN(net)(net);
    f.output = output, f.gates = net.kind == MG_RNN ? output : NULL, f.x = x, f.h0 = h0;
    f.c_n = c_n, f.steps = (struct mg_steps){first, T, B};
    if (c_n)
        FN(copy_or_zero)(c_n, c0, B * net.H);
    return FN(run_forward)(&f, packed);
}
