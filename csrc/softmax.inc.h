/* ln softmax of rows x (rows, n), and its derivative; by all threads where there is much of it. */
#ifndef SOFTMAX_SPLIT
#define SOFTMAX_SPLIT 32768 /* elements: below, waking the others costs more than they save */
#endif
#undef MG_LOG
#if REAL_BITS == 32
#define MG_LOG logf
#else
#define MG_LOG log
#endif

struct FN(softmax) {
    void (*run)(real *, const real *, const real *, size_t rows, size_t n);
    real *y;
    const real *a, *b;
    size_t rows, n, tasks;
};

/* Sums of f(a - shift), with f the identity or exp, over n elements, a vector at a time. */
MG_INLINE real FN(row_sum)(const real *a, size_t n, real shift, const int exponential) {
    vec sums = {0};
    real total = 0, last[VL];
    size_t i = 0;
    while (i + VL <= n) { /* of blocks first: the rounding errors of a long row stay few */
        vec block = {0};
        for (size_t end = i + 64 * VL; i < end && i + VL <= n; i += VL)
            block += exponential ? FN(vexp)(FN(load)(a + i) - shift) : FN(load)(a + i);
        sums += block;
    }
    if (i < n) {
        vec v = FN(load_part)(a + i, n - i);
        FN(store)(last, exponential ? FN(vexp)(v - shift) : v);
        for (size_t l = 0; l < n - i; l++)
            total += last[l];
    }
    for (int l = 0; l < VL; l++)
        total += sums[l];
    return total;
}

/* The largest of n, at least 1; any value where one is NaN: the sum is NaN then anyhow. */
MG_INLINE real FN(row_max)(const real *x, size_t n) {
    vec top = FN(splat)(x[0]);
    real largest = x[0];
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        top = FN(vmax)(FN(load)(x + i), top);
    for (int l = 0; l < VL; l++)
        largest = top[l] > largest ? top[l] : largest;
    for (; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

/* y = (x - m) - ln sum exp(x - m), m the row's largest: no exp overflows. */
static void FN(log_softmax_rows)(real *y, const real *x, const real *unused, size_t rows,
                                 size_t n) {
    (void)unused;
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        real largest = FN(row_max)(x, n);
        real ln = MG_LOG(FN(row_sum)(x, n, largest, 1));
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] - largest - ln;
    }
}

/* gx = gy - exp(y) sum gy */
static void FN(log_softmax_grad_rows)(real *gx, const real *gy, const real *y, size_t rows,
                                      size_t n) {
    for (size_t r = 0; r < rows; r++, gx += n, gy += n, y += n) {
        real total = FN(row_sum)(gy, n, 0, 0);
        size_t i = 0;
        for (; i + VL <= n; i += VL)
            FN(store)(gx + i, FN(load)(gy + i) - FN(vexp)(FN(load)(y + i)) * total);
        if (i < n)
            FN(store_part)(gx + i,
                           FN(load_part)(gy + i, n - i) -
                               FN(vexp)(FN(load_part)(y + i, n - i)) * total,
                           n - i);
    }
}

static void FN(softmax_task)(void *context, size_t index) {
    const struct FN(softmax) *t = context;
    size_t first = t->rows * index / t->tasks, last = t->rows * (index + 1) / t->tasks;
    t->run(t->y + first * t->n, t->a + first * t->n, t->b + first * t->n, last - first, t->n);
}

static void FN(log_softmax)(real *y, const real *x, size_t rows, size_t n) {
    struct FN(softmax) t = {FN(log_softmax_rows), y, x, x, rows, n, 1};
    t.tasks = rows * n < SOFTMAX_SPLIT ? 1 : mg_num_threads();
    mg_parallel(FN(softmax_task), &t, t.tasks);
}

static void FN(log_softmax_grad)(real *gx, const real *gy, const real *y, size_t rows, size_t n) {
    struct FN(softmax) t = {FN(log_softmax_grad_rows), gx, gy, y, rows, n, 1};
    t.tasks = rows * n < SOFTMAX_SPLIT ? 1 : mg_num_threads();
    mg_parallel(FN(softmax_task), &t, t.tasks);
}
