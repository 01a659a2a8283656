/* numpy arrays as C sees them, and a short way to the small kernels.
 *
 * The first fields of PyArrayObject are part of numpy's ABI; native.py makes sure, once, that they
 * stand where this file looks. Arrays come as their Python id(), which is their address: handing
 * one over takes 30 ns, where ffi.from_buffer takes 300 (and refuses what is not contiguous) and
 * .ctypes.data or .__array_interface__ 1200. Reading dtype, shape and strides here, and not in
 * Python, saves another 0.5 us for tanh and 1.5 us for a matrix product: most of a small call. */
#pragma once
#include "minigrad.h"

struct array {
    PyObject_HEAD char *data;
    int axes;
    Py_ssize_t *shape, *strides; /* strides in bytes */
    PyObject *base, *dtype;
    int flags;
};

enum { ORDER = 0x3, ALIGNED = 0x100 }; /* flags: C and Fortran order; aligned elements */

static PyObject *dtype_f32, *dtype_f64;

/* The dtypes that the kernels know, by id. */
static void np_start(uintptr_t f32, uintptr_t f64) {
    dtype_f32 = (PyObject *)f32;
    dtype_f64 = (PyObject *)f64;
}

/* Where an array's elements begin; NULL for 0, which stands for no array. */
static void *np_data(uintptr_t id) { return id ? ((struct array *)id)->data : NULL; }

/* Whether x lies in memory as y does, in one piece, with the same shape and dtype. */
static int alike(const struct array *y, const struct array *x) {
    int order = y->flags & x->flags & ORDER;
    if (y->dtype != x->dtype || y->axes != x->axes || !order || !(x->flags & ALIGNED))
        return 0;
    for (int i = 0; i < x->axes; i++)
        if (y->shape[i] != x->shape[i])
            return 0;
    return 1;
}

static size_t elements(const struct array *x) {
    size_t n = 1;
    for (int i = 0; i < x->axes; i++)
        n *= (size_t)x->shape[i];
    return n;
}

/* direct_NAME(y, x) and (gx, gy, y): 1 where the arrays are alike and the result is there; 0 where
 * native.py has to bring them into a form first. */
#define UNARY(name)                                                                                \
    static int direct_##name(uintptr_t y_id, uintptr_t x_id) {                                     \
        struct array *y = (struct array *)y_id, *x = (struct array *)x_id;                         \
        if (!alike(y, x))                                                                          \
            return 0;                                                                              \
        if (x->dtype == dtype_f32)                                                                 \
            return mg_##name##_f32((float *)y->data, (float *)x->data, elements(x)), 1;            \
        if (x->dtype == dtype_f64)                                                                 \
            return mg_##name##_f64((double *)y->data, (double *)x->data, elements(x)), 1;          \
        return 0;                                                                                  \
    }
#define BINARY(name)                                                                               \
    static int direct_##name(uintptr_t gx_id, uintptr_t gy_id, uintptr_t y_id) {                   \
        struct array *gx = (struct array *)gx_id, *gy = (struct array *)gy_id;                     \
        struct array *y = (struct array *)y_id;                                                    \
        if (!alike(gx, gy) || !alike(gx, y))                                                       \
            return 0;                                                                              \
        if (gx->dtype == dtype_f32)                                                                \
            return mg_##name##_f32((float *)gx->data, (float *)gy->data, (float *)y->data,         \
                                   elements(gx)),                                                  \
                   1;                                                                              \
        if (gx->dtype == dtype_f64)                                                                \
            return mg_##name##_f64((double *)gx->data, (double *)gy->data, (double *)y->data,      \
                                   elements(gx)),                                                  \
                   1;                                                                              \
        return 0;                                                                                  \
    }

UNARY(tanh)
UNARY(sigmoid)
UNARY(relu)
BINARY(tanh_grad)
BINARY(sigmoid_grad)
BINARY(relu_grad)

/* c (m, n) = a (m, k) @ b (k, n): 1 where the three are aligned matrices of one dtype that the
 * kernel knows and c is new; 0 where native.py has to look; -1 without memory. */
static int direct_matmul(uintptr_t c_id, uintptr_t a_id, uintptr_t b_id) {
    struct array *c = (struct array *)c_id, *a = (struct array *)a_id, *b = (struct array *)b_id;
    Py_ssize_t size = a->dtype == dtype_f32 ? 4 : 8;
    if ((a->dtype != dtype_f32 && a->dtype != dtype_f64) || a->dtype != b->dtype ||
        !(a->flags & b->flags & ALIGNED) || a->shape[1] != b->shape[0] || !elements(c))
        return 0;
    Py_ssize_t rs_a = a->strides[0], cs_a = a->strides[1], rs_b = b->strides[0];
    Py_ssize_t cs_b = b->strides[1];
    if (rs_a % size || cs_a % size || rs_b % size || cs_b % size)
        return 0;
    rs_a /= size, cs_a /= size, rs_b /= size, cs_b /= size;
    size_t m = (size_t)c->shape[0], n = (size_t)c->shape[1], k = (size_t)a->shape[1];
    int failed = size == 4 ? mg_matmul_f32((float *)c->data, (float *)a->data, 0, rs_a, cs_a,
                                           (float *)b->data, 0, rs_b, cs_b, 1, m, n, k)
                           : mg_matmul_f64((double *)c->data, (double *)a->data, 0, rs_a, cs_a,
                                           (double *)b->data, 0, rs_b, cs_b, 1, m, n, k);
    return failed ? -1 : 1;
}
