/* numpy arrays as C sees them, and a short way to the small kernels.
 *
 * The first fields of PyArrayObject are part of numpy's ABI; native.py makes sure, once, that they
 * stand where this file looks. Arrays come as their Python id(), which is their address: handing
 * one over takes 30 ns, where ffi.from_buffer takes 300 (and refuses what is not contiguous) and
 * .ctypes.data or .__array_interface__ 1200. Reading dtype, shape and strides here, and not in
 * Python, saves another 0.5 us for tanh and 1.5 us for a matrix product: most of a small call. */
#pragma once
#include "minigrad.h"
#include <string.h>

struct array {
    PyObject_HEAD char *data;
    int axes;
    Py_ssize_t *shape, *strides; /* strides in bytes */
    PyObject *base, *dtype;
    int flags;
};

enum { ORDER = 0x3, ALIGNED = 0x100, IN_ORDER = 0x101 }; /* flags: C or Fortran order; aligned; C */

static PyObject *dtype_f32, *dtype_f64, *array_type;

/* The dtypes that the kernels know, and the type ndarray, by id. */
static void np_start(uintptr_t f32, uintptr_t f64, uintptr_t array) {
    dtype_f32 = (PyObject *)f32;
    dtype_f64 = (PyObject *)f64;
    array_type = (PyObject *)array;
}

/* Where an array's elements begin; NULL for None. */
static void *np_data(uintptr_t id) {
    return id == (uintptr_t)Py_None ? NULL : ((struct array *)id)->data;
}

/* What a letter stands for before an axis has said so: 0, or the rows of a sequence. */
static Py_ssize_t rows_of(char letter, const Py_ssize_t *sizes) {
    Py_ssize_t N = sizes['T'] * sizes['B'];
    return letter == 'N' ? N : letter == 'M' ? sizes['B'] + N : 0;
}

/* Whether the axes of x are those of the word [form, end). */
static int has_axes(const struct array *x, const char *form, const char *end, Py_ssize_t *sizes) {
    enum { MOST = 1 << 17 }; /* of a size: no count of bytes overflows */
    int axis = 0;
    for (; form < end; form++, axis++) {
        Py_ssize_t times = *form <= '9' ? *form++ - '0' : 1, *size = &sizes[(int)*form];
        if (axis == x->axes)
            return 0;
        if (!*size && !(*size = rows_of(*form, sizes)))
            *size = x->shape[axis] / times;
        if (*size < 1 || *size > MOST || x->shape[axis] != times * *size)
            return 0;
    }
    return axis == x->axes;
}

/* The dtype of these arrays if C can take them as they lie: aligned, contiguous, of one dtype that
 * it knows, with the axes in `form`; else NULL. form has a word for each, as in "TBI,BH,4HI,4H?": a
 * letter for a size, which is the same wherever it stands (N is T B, M is B + N), a digit for a
 * multiple of it, `?` behind what may be None. sizes, by letter: 0 where nothing is known. */
static PyObject *fitting(const char *form, const uintptr_t *ids, Py_ssize_t *sizes) {
    PyObject *dtype = NULL;
    for (; *form; ids++) {
        const struct array *x = (const struct array *)*ids;
        const char *end = form + strcspn(form, ",?");
        if ((PyObject *)Py_TYPE((PyObject *)*ids) == array_type) {
            if (!dtype && (x->dtype == dtype_f32 || x->dtype == dtype_f64))
                dtype = x->dtype;
            if (x->dtype != dtype || (x->flags & IN_ORDER) != IN_ORDER ||
                !has_axes(x, form, end, sizes))
                return NULL;
        } else if (*end != '?' || *ids != (uintptr_t)Py_None)
            return NULL;
        form = end + 1;
    }
    return dtype;
}

/* Whether C can take these arrays: to look at each in Python takes 7 us, longer than a small step.
 */
static int np_fit(const char *form, const uintptr_t *ids) {
    Py_ssize_t sizes['Z' + 1] = {0};
    return fitting(form, ids, sizes) != NULL;
}

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

/* One layer in one direction, whose weights stay packed. */
struct np_layer {
    struct mg_net net;
    const char *isa;  /* what they are packed for: mg_isa() */
    uintptr_t packed; /* the array that they are in, by its id */
};

/* y (T, B, P) and row k of h_n (L, B, P) and c_n (L, B, H) from x (T, B, I) and row k of h0 and c0;
 * of an LSTM, else c0 and c_n are None. ids: y, h_n, c_n, x, h0, c0. 1 where it is done, 0 where
 * they do not fit, or the instruction set is another one, -1 without memory. */
static int np_infer(const struct np_layer *layer, size_t k, const uintptr_t *ids) {
    struct mg_net net = layer->net;
    Py_ssize_t sizes['Z' + 1] = {
        ['I'] = (Py_ssize_t)net.I, ['H'] = (Py_ssize_t)net.H, ['P'] = (Py_ssize_t)net.P};
    struct array *packed = (struct array *)layer->packed;
    void *y = np_data(ids[0]), *c_n = np_data(ids[2]), *c0 = np_data(ids[5]);
    PyObject *dtype = fitting("TBP,LBP,LBH?TBI,LBP,LBH?", ids, sizes);
    if (!dtype || dtype != packed->dtype || layer->isa != mg_isa() || k >= (size_t)sizes['L'] ||
        (net.kind == MG_LSTM) != (c_n && c0))
        return 0;
    size_t T = (size_t)sizes['T'], B = (size_t)sizes['B'], size = dtype == dtype_f32 ? 4 : 8;
    size_t h = B * net.P * size, c = c_n ? k * B * net.H * size : 0; /* bytes of h; c's row k */
    char *h_n = (char *)np_data(ids[1]) + k * h, *h0 = (char *)np_data(ids[4]) + k * h;
    c_n = c_n ? (char *)c_n + c : NULL, c0 = c0 ? (char *)c0 + c : NULL;
    void *x = np_data(ids[3]);
    if (size == 4
            ? mg_infer_f32(y, c_n, x, (float *)h0, c0, (float *)packed->data, NULL, T, B, net)
            : mg_infer_f64(y, c_n, x, (double *)h0, c0, (double *)packed->data, NULL, T, B, net))
        return -1;
    memcpy(h_n, (char *)y + (T - 1) * h, h);
    return 1;
}
