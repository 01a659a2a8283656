/* The C interface of minigrad, and, without the lines that begin with #, cffi's description of it.
 *
 * Every kernel exists for float and for double; the contract is written once, above the two.
 * Outputs come first, inputs are const, sizes come last. Arrays are C-contiguous, aligned to their
 * element and do not overlap unless the contract says otherwise; `=` overwrites an output, `+=`
 * adds to it. A kernel that needs memory returns int: 0, or -1 when there is none, and then its
 * outputs hold nothing of worth. native.py has checked every size and address before a call. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* ---- the library itself (dispatch.c, threads.c) ---- */

/* The instruction set in use: "baseline", "avx2", "avx512"; on 64-bit ARM "neon". */
const char *mg_isa(void);
/* Those this processor can run and this library has: the first is the best, after the last NULL. */
const char *mg_isa_available(size_t index);
/* Use this one from now on. 0, or -1 and no change where it is not available. */
int mg_select_isa(const char *name);
/* The compiler that built the kernels, as "gcc 12.2.0". */
const char *mg_compiler(void);

/* Threads a kernel may use, at least 1. No result depends on it. */
size_t mg_num_threads(void);
void mg_set_num_threads(size_t threads);

/* ---- for tests: the kernels' memory (memory.c) ---- */

/* Of the kernels' allocations from now on, the k-th fails, and only that one; 0: none does. */
void mg_fail_allocation(size_t k);
/* Blocks that kernels hold now: 0 between calls. */
size_t mg_live_allocations(void);

/* ---- elementwise, n elements; y or gx may be the very array x, gy or y is (elementwise.inc.h)
 * ---- */

/* y = tanh(x) */
void mg_tanh_f32(float *y, const float *x, size_t n);
void mg_tanh_f64(double *y, const double *x, size_t n);
/* gx = gy (1 - y^2) */
void mg_tanh_grad_f32(float *gx, const float *gy, const float *y, size_t n);
void mg_tanh_grad_f64(double *gx, const double *gy, const double *y, size_t n);
/* y = 1 / (1 + exp(-x)) */
void mg_sigmoid_f32(float *y, const float *x, size_t n);
void mg_sigmoid_f64(double *y, const double *x, size_t n);
/* gx = gy y (1 - y) */
void mg_sigmoid_grad_f32(float *gx, const float *gy, const float *y, size_t n);
void mg_sigmoid_grad_f64(double *gx, const double *gy, const double *y, size_t n);
/* y = max(x, 0), NaN stays NaN */
void mg_relu_f32(float *y, const float *x, size_t n);
void mg_relu_f64(double *y, const double *x, size_t n);
/* gx = 0 where y <= 0, else gy */
void mg_relu_grad_f32(float *gx, const float *gy, const float *y, size_t n);
void mg_relu_grad_f64(double *gx, const double *gy, const double *y, size_t n);

/* ---- rows (rows, n), n at least 1 (softmax.inc.h) ---- */

/* y = x - ln sum exp(x) of each row */
void mg_log_softmax_f32(float *y, const float *x, size_t rows, size_t n);
void mg_log_softmax_f64(double *y, const double *x, size_t rows, size_t n);
/* gx = gy - exp(y) sum gy of each row */
void mg_log_softmax_grad_f32(float *gx, const float *gy, const float *y, size_t rows, size_t n);
void mg_log_softmax_grad_f64(double *gx, const double *gy, const double *y, size_t rows, size_t n);

/* ---- matrix product (gemm.inc.h, matmul.inc.h) ---- */

/* c (batch, m, n) = a (batch, m, k) @ b (batch, k, n). c is contiguous and overlaps neither;
 * element (s, i, p) of a lies at a[s * bs_a + i * rs_a + p * cs_a], and so for b: a transposed
 * array is its strides swapped, an axis of stride 0 repeats one element. No size is 0 but k. */
int mg_matmul_f32(float *c, const float *a, ptrdiff_t bs_a, ptrdiff_t rs_a, ptrdiff_t cs_a,
                  const float *b, ptrdiff_t bs_b, ptrdiff_t rs_b, ptrdiff_t cs_b, size_t batch,
                  size_t m, size_t n, size_t k);
int mg_matmul_f64(double *c, const double *a, ptrdiff_t bs_a, ptrdiff_t rs_a, ptrdiff_t cs_a,
                  const double *b, ptrdiff_t bs_b, ptrdiff_t rs_b, ptrdiff_t cs_b, size_t batch,
                  size_t m, size_t n, size_t k);

/* ---- LSTM, GRU and RNN, a layer over a whole sequence (lstm.inc.h, gru.inc.h, rnn.inc.h) ----
 *
 * x (N, I), h0 (B, H), w_ih (G H, I), w_hh (G H, H), b_ih and b_hh (G H), each or NULL, with G
 * 4, 3 and 1; output (N, H). first (T+1): step t has the rows first[t] ... first[t+1] - 1 of x, of
 * the output and of all that is (N, .), those of the first sequences of the batch: at least one, at
 * most as many as the step before and as B; first[0] 0, first[T] N. NULL: N = T B, first[t] = t B.
 * What forward keeps for backward is NULL where there will be none. gy (N, H), gh_n (B, H): the
 * gradients of the output and of each sequence's last row, each or NULL. gx is NULL where it is not
 * wanted. All outputs =. */

/* c0, c_n (B, H); kept: gates (N, 4H) and cells (B+N, H), both or neither. w_hr (P, H): output and
 * gy (N, P), h0 and gh_n (B, P), w_hh (4H, P); NULL: P = H */
int mg_lstm_forward_f32(float *output, float *c_n, float *gates, float *cells, const float *x,
                        const float *h0, const float *c0, const float *w_ih, const float *w_hh,
                        const float *b_ih, const float *b_hh, const float *w_hr,
                        const size_t *first, size_t T, size_t B, size_t I, size_t H, size_t P);
int mg_lstm_forward_f64(double *output, double *c_n, double *gates, double *cells, const double *x,
                        const double *h0, const double *c0, const double *w_ih, const double *w_hh,
                        const double *b_ih, const double *b_hh, const double *w_hr,
                        const size_t *first, size_t T, size_t B, size_t I, size_t H, size_t P);
/* gc_n (B, H) or NULL; gb (4H): the gradient of either bias; gw_hr NULL where w_hr is. Where I is
 * H, gx may be cells + B H, which are then spent */
int mg_lstm_backward_f32(float *gx, float *gh0, float *gc0, float *gw_ih, float *gw_hh, float *gb,
                         float *gw_hr, const float *gy, const float *gh_n, const float *gc_n,
                         const float *x, const float *h0, const float *w_ih, const float *w_hh,
                         const float *w_hr, const float *output, const float *gates,
                         const float *cells, const size_t *first, size_t T, size_t B, size_t I,
                         size_t H, size_t P);
int mg_lstm_backward_f64(double *gx, double *gh0, double *gc0, double *gw_ih, double *gw_hh,
                         double *gb, double *gw_hr, const double *gy, const double *gh_n,
                         const double *gc_n, const double *x, const double *h0, const double *w_ih,
                         const double *w_hh, const double *w_hr, const double *output,
                         const double *gates, const double *cells, const size_t *first, size_t T,
                         size_t B, size_t I, size_t H, size_t P);
/* kept: gates (N, 4H); reset_after 0: (N, 3H) */
int mg_gru_forward_f32(float *output, float *gates, const float *x, const float *h0,
                       const float *w_ih, const float *w_hh, const float *b_ih, const float *b_hh,
                       int reset_after, const size_t *first, size_t T, size_t B, size_t I,
                       size_t H);
int mg_gru_forward_f64(double *output, double *gates, const double *x, const double *h0,
                       const double *w_ih, const double *w_hh, const double *b_ih,
                       const double *b_hh, int reset_after, const size_t *first, size_t T, size_t B,
                       size_t I, size_t H);
int mg_gru_backward_f32(float *gx, float *gh0, float *gw_ih, float *gw_hh, float *gb_ih,
                        float *gb_hh, const float *gy, const float *gh_n, const float *x,
                        const float *h0, const float *w_ih, const float *w_hh, const float *output,
                        const float *gates, int reset_after, const size_t *first, size_t T,
                        size_t B, size_t I, size_t H);
int mg_gru_backward_f64(double *gx, double *gh0, double *gw_ih, double *gw_hh, double *gb_ih,
                        double *gb_hh, const double *gy, const double *gh_n, const double *x,
                        const double *h0, const double *w_ih, const double *w_hh,
                        const double *output, const double *gates, int reset_after,
                        const size_t *first, size_t T, size_t B, size_t I, size_t H);
/* relu: 0 for tanh */
int mg_rnn_forward_f32(float *output, const float *x, const float *h0, const float *w_ih,
                       const float *w_hh, const float *b_ih, const float *b_hh, int relu,
                       const size_t *first, size_t T, size_t B, size_t I, size_t H);
int mg_rnn_forward_f64(double *output, const double *x, const double *h0, const double *w_ih,
                       const double *w_hh, const double *b_ih, const double *b_hh, int relu,
                       const size_t *first, size_t T, size_t B, size_t I, size_t H);
int mg_rnn_backward_f32(float *gx, float *gh0, float *gw_ih, float *gw_hh, float *gb,
                        const float *gy, const float *gh_n, const float *x, const float *h0,
                        const float *w_ih, const float *w_hh, const float *output, int relu,
                        const size_t *first, size_t T, size_t B, size_t I, size_t H);
int mg_rnn_backward_f64(double *gx, double *gh0, double *gw_ih, double *gw_hh, double *gb,
                        const double *gy, const double *gh_n, const double *x, const double *h0,
                        const double *w_ih, const double *w_hh, const double *output, int relu,
                        const size_t *first, size_t T, size_t B, size_t I, size_t H);

/* ---- the same with weights that stay packed from one call to the next (infer.inc.h) ---- */

enum { MG_RNN, MG_GRU, MG_LSTM };
/* option: of an RNN relu, of a GRU reset_after, of an LSTM whether it has w_hr; else P is H */
struct mg_net {
    int kind, option;
    size_t I, H, P;
};
/* packed: these weights as the instruction set in use reads them. Returns how many numbers they
 * are; NULL: nothing is packed. */
size_t mg_pack_f32(float *packed, const float *w_ih, const float *w_hh, const float *b_ih,
                   const float *b_hh, const float *w_hr, struct mg_net net);
size_t mg_pack_f64(double *packed, const double *w_ih, const double *w_hh, const double *b_ih,
                   const double *b_hh, const double *w_hr, struct mg_net net);
/* As forward where nothing is kept, bit by bit. c0 and c_n: of an LSTM, else NULL */
int mg_infer_f32(float *output, float *c_n, const float *x, const float *h0, const float *c0,
                 const float *packed, const size_t *first, size_t T, size_t B, struct mg_net net);
int mg_infer_f64(double *output, double *c_n, const double *x, const double *h0, const double *c0,
                 const double *packed, const size_t *first, size_t T, size_t B, struct mg_net net);
