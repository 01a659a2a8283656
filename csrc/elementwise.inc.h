/* The elementwise kernels: an operation on vectors, mapped over arrays. */

typedef vec FN(op)(vec a, vec b);

/* y = op(a, b), n elements; `op` is inlined, a function of one argument ignores b. */
MG_INLINE void FN(map)(FN(op) op, real *y, const real *a, const real *b, size_t n) {
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        FN(store)(y + i, op(FN(load)(a + i), FN(load)(b + i)));
    if (i < n)
        FN(store_part)(y + i, op(FN(load_part)(a + i, n - i), FN(load_part)(b + i, n - i)), n - i);
}

MG_INLINE vec FN(op_tanh)(vec x, vec unused) { return (void)unused, FN(vtanh)(x); }
MG_INLINE vec FN(op_tanh_grad)(vec gy, vec y) { return gy * (1 - y * y); }
MG_INLINE vec FN(op_sigmoid)(vec x, vec unused) { return (void)unused, FN(vsigmoid)(x); }
MG_INLINE vec FN(op_sigmoid_grad)(vec gy, vec y) { return gy * y * (1 - y); }
MG_INLINE vec FN(op_relu_grad)(vec gy, vec y) { return (vec)(~(y <= 0) & (ivec)gy); }
MG_INLINE vec FN(op_relu)(vec x, vec unused) { return (void)unused, FN(op_relu_grad)(x, x); }

static void FN(tanh)(real *y, const real *x, size_t n) { FN(map)(FN(op_tanh), y, x, x, n); }

static void FN(tanh_grad)(real *gx, const real *gy, const real *y, size_t n) {
    FN(map)(FN(op_tanh_grad), gx, gy, y, n);
}

static void FN(sigmoid)(real *y, const real *x, size_t n) { FN(map)(FN(op_sigmoid), y, x, x, n); }

static void FN(sigmoid_grad)(real *gx, const real *gy, const real *y, size_t n) {
    FN(map)(FN(op_sigmoid_grad), gx, gy, y, n);
}

static void FN(relu)(real *y, const real *x, size_t n) { FN(map)(FN(op_relu), y, x, x, n); }

static void FN(relu_grad)(real *gx, const real *gy, const real *y, size_t n) {
    FN(map)(FN(op_relu_grad), gx, gy, y, n);
}
