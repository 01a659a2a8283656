/* The elementwise kernels: an operation on vectors, mapped over arrays, by all threads where the
 * arrays are large. */
#ifndef ELEMENTWISE_SPLIT
#define ELEMENTWISE_SPLIT 65536 /* elements: 20 us or more of work; below, waking costs more */
#endif
#undef RUN
#undef UNARY
#undef BINARY

MG_INLINE vec FN(op_tanh)(vec x, vec unused) { return (void)unused, FN(vtanh)(x); }
MG_INLINE vec FN(op_tanh_grad)(vec gy, vec y) { return gy * (1 - y * y); }
MG_INLINE vec FN(op_sigmoid)(vec x, vec unused) { return (void)unused, FN(vsigmoid)(x); }
MG_INLINE vec FN(op_sigmoid_grad)(vec gy, vec y) { return gy * y * (1 - y); }
MG_INLINE vec FN(op_relu_grad)(vec gy, vec y) { return (vec)(~(y <= 0) & (ivec)gy); }
MG_INLINE vec FN(op_relu)(vec x, vec unused) { return (void)unused, FN(op_relu_grad)(x, x); }

/* y = op(a, b), n elements; `op` is inlined, one of a single argument ignores b. */
MG_INLINE void FN(map)(vec (*op)(vec, vec), real *y, const real *a, const real *b, size_t n) {
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        FN(store)(y + i, op(FN(load)(a + i), FN(load)(b + i)));
    if (i < n)
        FN(store_part)(y + i, op(FN(load_part)(a + i, n - i), FN(load_part)(b + i, n - i)), n - i);
}

struct FN(elementwise) {
    void (*run)(real *, const real *, const real *, size_t);
    real *y;
    const real *a, *b;
    size_t n, tasks;
};

static void FN(elementwise_task)(void *context, size_t index) {
    const struct FN(elementwise) *t = context;
    size_t share = (t->n / t->tasks + 63) & ~(size_t)63, first = share * index;
    if (first < t->n) {
        size_t n = index + 1 == t->tasks || t->n - first < share ? t->n - first : share;
        t->run(t->y + first, t->a + first, t->b + first, n);
    }
}

static void FN(elementwise)(void (*run)(real *, const real *, const real *, size_t), real *y,
                            const real *a, const real *b, size_t n) {
    if (n < ELEMENTWISE_SPLIT) {
        run(y, a, b, n);
        return;
    }
    struct FN(elementwise) t = {run, y, a, b, n, mg_num_threads()};
    mg_parallel(FN(elementwise_task), &t, t.tasks);
}

#define RUN(name)                                                                                  \
    static void FN(name##_run)(real * y, const real *a, const real *b, size_t n) {                 \
        FN(map)(FN(op_##name), y, a, b, n);                                                        \
    }
#define UNARY(name)                                                                                \
    RUN(name)                                                                                      \
    static void FN(name)(real * y, const real *x, size_t n) {                                      \
        FN(elementwise)(FN(name##_run), y, x, x, n);                                               \
    }
#define BINARY(name)                                                                               \
    RUN(name)                                                                                      \
    static void FN(name)(real * gx, const real *gy, const real *y, size_t n) {                     \
        FN(elementwise)(FN(name##_run), gx, gy, y, n);                                             \
    }

UNARY(tanh)
UNARY(sigmoid)
UNARY(relu)
BINARY(tanh_grad)
BINARY(sigmoid_grad)
BINARY(relu_grad)
