/* The public matrix product: a batch of them, on all cores. */

/* Below this many multiply-adds (some 20 us) one core does it alone: the others would cost more to
 * wake than they save. */
#undef SPLIT_AT
#undef DOT_ROWS
#undef STACK_REALS
#define SPLIT_AT 1000000
#define STACK_REALS 4096 /* of scratch: asking for memory takes longer than 8 x 8 x 8 products */
#define DOT_ROWS                                                                                   \
    2 /* products with no more rows (or columns) than this are made of dot products                \
       */

struct FN(matmul) {
    real *c;
    const real *a, *b;
    ptrdiff_t bs_a, rs_a, cs_a, bs_b, rs_b, cs_b;
    size_t batch, m, n, k;
    size_t tasks, parts; /* a task does its share of batch * parts pieces */
    int by_rows, dots;   /* a piece has some of the rows, or else of the columns */
    real *pack;          /* (tasks, pack_size) */
    size_t pack_size;
};

/* c (m, n) of row stride rs_c and column stride cs_c = x @ y^T: rows of x (m, k) and y (n, k) are
 * contiguous. Eight sums side by side: a row of x is read once for eight of y. */
static void FN(dots)(real *c, size_t rs_c, size_t cs_c, const real *x, ptrdiff_t ldx, const real *y,
                     ptrdiff_t ldy, size_t m, size_t n, size_t k) {
    size_t whole = k / VL * VL;
    for (size_t i = 0; i < m; i++, x += ldx)
        for (size_t j = 0; j < n; j += 8) {
            size_t rows = MG_MIN(n - j, 8);
            const real *row[8];
            vec sum[8] = {{0}};
            for (size_t r = 0; r < 8; r++)
                row[r] = y + (ptrdiff_t)(j + MG_MIN(r, rows - 1)) * ldy;
            for (size_t p = 0; p < whole; p += VL)
                for (int r = 0; r < 8; r++)
                    sum[r] += FN(load)(x + p) * FN(load)(row[r] + p);
            for (size_t r = 0; r < rows; r++) {
                real total = 0;
                if (whole < k)
                    sum[r] += FN(load_part)(x + whole, k - whole) *
                              FN(load_part)(row[r] + whole, k - whole);
                for (int l = 0; l < VL; l++)
                    total += sum[r][l];
                c[i * rs_c + (j + r) * cs_c] = total;
            }
        }
}

/* The part first..last of 0..size that is number `index` of `parts`, cut at multiples of `step`. */
static void FN(cut)(size_t size, size_t step, size_t index, size_t parts, size_t *first,
                    size_t *last) {
    size_t steps = (size + step - 1) / step;
    *first = MG_MIN(steps * index / parts * step, size);
    *last = MG_MIN(steps * (index + 1) / parts * step, size);
}

static void FN(matmul_task)(void *context, size_t index) {
    const struct FN(matmul) *t = context;
    size_t pieces = t->batch * t->parts;
    real *pack = t->pack + index * t->pack_size;
    for (size_t p = pieces * index / t->tasks; p < pieces * (index + 1) / t->tasks; p++) {
        size_t item = p / t->parts, i0 = 0, i1 = t->m, j0 = 0, j1 = t->n;
        if (t->by_rows)
            FN(cut)(t->m, MR, p % t->parts, t->parts, &i0, &i1);
        else
            FN(cut)(t->n, NR, p % t->parts, t->parts, &j0, &j1);
        real *c = t->c + (item * t->m + i0) * t->n + j0;
        const real *a = t->a + (ptrdiff_t)item * t->bs_a + (ptrdiff_t)i0 * t->rs_a;
        const real *b = t->b + (ptrdiff_t)item * t->bs_b + (ptrdiff_t)j0 * t->cs_b;
        if (!t->dots)
            FN(gemm)(c, t->n, a, t->rs_a, t->cs_a, b, t->rs_b, t->cs_b, i1 - i0, j1 - j0, t->k, 0,
                     pack);
        else if (t->m <= DOT_ROWS)
            FN(dots)(c, t->n, 1, a, t->rs_a, b, t->cs_b, i1 - i0, j1 - j0, t->k);
        else
            FN(dots)(c, 1, t->n, b, t->cs_b, a, t->rs_a, j1 - j0, i1 - i0, t->k);
    }
}

static int FN(matmul)(real *c, const real *a, ptrdiff_t bs_a, ptrdiff_t rs_a, ptrdiff_t cs_a,
                      const real *b, ptrdiff_t bs_b, ptrdiff_t rs_b, ptrdiff_t cs_b, size_t batch,
                      size_t m, size_t n, size_t k) {
    if (batch > 1 && bs_b == 0 && bs_a == (ptrdiff_t)m * rs_a) /* one b for all: one tall a */
        m *= batch, batch = 1;
    struct FN(matmul)
        t = {.c = c, .a = a, .b = b, .batch = batch, .m = m, .n = n, .k = k, .tasks = 1};
    t.bs_a = bs_a, t.rs_a = rs_a, t.cs_a = cs_a, t.bs_b = bs_b, t.rs_b = rs_b, t.cs_b = cs_b;
    if (n == 1 && cs_a != 1) { /* a column: c^T = b^T a^T, a row, reads a the way it lies */
        t.a = b, t.bs_a = bs_b, t.rs_a = cs_b, t.cs_a = rs_b;
        t.b = a, t.bs_b = bs_a, t.rs_b = cs_a, t.cs_b = rs_a;
        t.m = 1, t.n = m;
    }
    t.dots = (t.m <= DOT_ROWS || t.n <= DOT_ROWS) && t.cs_a == 1 && t.rs_b == 1;
    if (m * n * k * batch >= SPLIT_AT)
        t.tasks = mg_num_threads();
    t.parts = (t.tasks + batch - 1) / batch; /* where the batch does not go round, cut its items */
    t.by_rows = t.n < 2 * NR * t.parts && t.n < t.m;
    t.pack_size = t.dots ? 0 : FN(gemm_pack_size)(t.m, t.n, t.k);
    if (t.tasks == 1 && t.pack_size <= STACK_REALS) {
        _Alignas(64) real scratch[STACK_REALS];
        t.pack = scratch;
        FN(matmul_task)(&t, 0);
        return 0;
    }
    void *memory = mg_allocate(t.tasks * t.pack_size * sizeof(real) + 64);
    if (!memory)
        return -1;
    t.pack = FN(align)(memory);
    mg_parallel(FN(matmul_task), &t, t.tasks);
    mg_release(memory);
    return 0;
}
