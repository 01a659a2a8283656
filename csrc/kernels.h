/* The table of kernels: one per number type and instruction set, with the prototypes of minigrad.h
 * (which are written there and nowhere else). */
#pragma once
#include "minigrad.h"

#define MG_TABLE(dtype)                                                                            \
    struct mg_kernels_##dtype {                                                                    \
        __typeof__(mg_tanh_##dtype) *tanh;                                                         \
        __typeof__(mg_tanh_grad_##dtype) *tanh_grad;                                               \
        __typeof__(mg_sigmoid_##dtype) *sigmoid;                                                   \
        __typeof__(mg_sigmoid_grad_##dtype) *sigmoid_grad;                                         \
        __typeof__(mg_relu_##dtype) *relu;                                                         \
        __typeof__(mg_relu_grad_##dtype) *relu_grad;                                               \
        __typeof__(mg_log_softmax_##dtype) *log_softmax;                                           \
        __typeof__(mg_log_softmax_grad_##dtype) *log_softmax_grad;                                 \
        __typeof__(mg_matmul_##dtype) *matmul;                                                     \
        __typeof__(mg_lstm_forward_##dtype) *lstm_forward;                                         \
        __typeof__(mg_lstm_backward_##dtype) *lstm_backward;                                       \
        __typeof__(mg_gru_forward_##dtype) *gru_forward;                                           \
        __typeof__(mg_gru_backward_##dtype) *gru_backward;                                         \
        __typeof__(mg_rnn_forward_##dtype) *rnn_forward;                                           \
        __typeof__(mg_rnn_backward_##dtype) *rnn_backward;                                         \
        __typeof__(mg_pack_##dtype) *pack;                                                         \
        __typeof__(mg_infer_##dtype) *infer;                                                       \
    }

MG_TABLE(f32);
MG_TABLE(f64);

struct mg_kernels {
    const char *isa;
    const struct mg_kernels_f32 *f32;
    const struct mg_kernels_f64 *f64;
};

extern const struct mg_kernels mg_kernels_baseline, mg_kernels_avx2, mg_kernels_avx512;
extern const struct mg_kernels mg_kernels_neon;
