/* All kernels for one instruction set: the templates, once per number type, then the table.
 * A kernels_*.c chooses the target, defines ISA, VEC_BYTES and REGISTERS, and includes this file,
 * which includes itself once for each number type. */
#ifndef REAL_BITS

#define REAL_BITS 32
#include "kernels.inc.h"
#undef REAL_BITS
#define REAL_BITS 64
#include "kernels.inc.h"
#undef REAL_BITS

#define TABLE_(isa)                                                                                \
    const struct mg_kernels mg_kernels_##isa = {#isa, &table_f32_##isa, &table_f64_##isa}
#define TABLE(isa) TABLE_(isa)
TABLE(ISA);

#else

/* In this order: each file needs those above it. */
#include "simd.inc.h"
#include "math.inc.h"
#include "elementwise.inc.h"
#include "softmax.inc.h"
#include "pack.inc.h"
#include "gemm.inc.h"
#include "matmul.inc.h"
#include "panels.inc.h"
#include "recurrent_forward.inc.h"
#include "recurrent_backward.inc.h"
#include "rnn.inc.h"
#include "lstm.inc.h"
#include "gru_before.inc.h"
#include "gru.inc.h"
#include "infer.inc.h"

static const struct MG_TABLE_NAME FN(table) = {
    .tanh = FN(tanh),
    .tanh_grad = FN(tanh_grad),
    .sigmoid = FN(sigmoid),
    .sigmoid_grad = FN(sigmoid_grad),
    .relu = FN(relu),
    .relu_grad = FN(relu_grad),
    .log_softmax = FN(log_softmax),
    .log_softmax_grad = FN(log_softmax_grad),
    .matmul = FN(matmul),
    .lstm_forward = FN(lstm_forward),
    .lstm_backward = FN(lstm_backward),
    .gru_forward = FN(gru_forward),
    .gru_backward = FN(gru_backward),
    .rnn_forward = FN(rnn_forward),
    .rnn_backward = FN(rnn_backward),
    .pack = FN(pack),
    .infer = FN(infer),
};

#endif
