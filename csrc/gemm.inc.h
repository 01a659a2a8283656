/* Matrix product on one core, for the kernels of this library, and the public one on all cores.
 *
 * BLIS's scheme: c is cut into tiles whose sums fit the registers, the axis k into blocks of KC, so
 * that what a tile reads comes from the nearest cache: a panel of b, (KC, NR), from L1, a block of
 * a, (MC, KC), from L2. An element of c is the sum over k in order, KC at a time, whatever m, n and
 * its place: no result depends on how the work is cut up. */

/* What a tile reads and writes; element (i, p) of a at a[i * rs_a + p * cs_a], b's rows ldb apart
 */
struct FN(gemm_tile) {
    real *c;
    size_t ldc, cols, k;
    const real *a, *b;
    ptrdiff_t rs_a, cs_a, ldb;
    int accumulate, fetch, packed; /* packed: a as pack_a leaves it, b a panel */
};

/* The rest of a tile that c has no room for. */
static void FN(gemm_edge)(const struct FN(gemm_tile) * t, const real *sums, size_t rows,
                          size_t width) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < t->cols; j++) {
            real *c = t->c + i * t->ldc + j;
            *c = (t->accumulate ? *c : 0) + sums[i * width + j];
        }
}

/* The micro-kernel: rows x parts vectors of sums, each over k products.
 *
 *      b, row p:              [ vec 0 ][ vec 1 ]     loaded once
 *      a  (i,   p)  [splat] * [  sum  ][  sum  ]     one splat, used `parts` times
 *         (i+1, p)  [splat] * [  sum  ][  sum  ]
 *            ...                 ...
 *
 * Two multiply-adders of latency 4 want 8 sums or more. rows and parts are constants wherever this
 * is inlined: the loops over them unroll, and the sums live in registers. */
MG_INLINE void FN(gemm_kernel)(const struct FN(gemm_tile) * t, const int rows, const int parts,
                               const int packed) {
    const real *a = t->a, *b = t->b;
    const ptrdiff_t rs_a = packed ? 1 : t->rs_a, cs_a = packed ? rows : t->cs_a;
    const ptrdiff_t ldb = packed ? parts * VL : t->ldb;
    vec sum[MR * 2];
    for (int s = 0; s < rows * parts; s++)
        sum[s] = (vec){0};
    if (t->fetch)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < parts * VEC_BYTES; j += 64)
                __builtin_prefetch((char *)(t->c + (size_t)i * t->ldc) + j, 1);
    MG_UNROLL_4 for (size_t p = t->k; p > 0; p--, a += cs_a, b += ldb) {
        vec row[WIDE];
        for (int j = 0; j < parts; j++)
            row[j] = FN(load)(b + j * VL);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < parts; j++)
                sum[i * parts + j] += a[i * rs_a] * row[j];
    }
    if (t->cols < (size_t)parts * VL) {
        real sums[MR * NR];
        for (int s = 0; s < rows * parts; s++)
            FN(store)(sums + s * VL, sum[s]);
        FN(gemm_edge)(t, sums, (size_t)rows, (size_t)parts * VL);
        return;
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < parts; j++) {
            real *c = t->c + (size_t)i * t->ldc + j * VL;
            vec s = sum[i * parts + j];
            FN(store)(c, t->accumulate ? FN(load)(c) + s : s);
        }
}

/* Vectors in a tile of so many rows, when b is read in place: few rows make a wide tile. */
MG_INLINE size_t FN(gemm_parts)(size_t rows) {
    return rows == 1 ? 8 : rows == 2 ? 4 : rows == 3 ? 3 : 2;
}

static void FN(gemm_any)(const struct FN(gemm_tile) * t, size_t rows, size_t parts) {
#define CASE(r)                                                                                    \
    case r:                                                                                        \
        t->packed    ? parts == 1 ? FN(gemm_kernel)(t, r, 1, 1) : FN(gemm_kernel)(t, r, 2, 1)      \
        : parts == 1 ? FN(gemm_kernel)(t, r, 1, 0)                                                 \
                     : FN(gemm_kernel)(t, r, 2, 0);                                                \
        break
    if (parts > 2)
        rows == 1   ? FN(gemm_kernel)(t, 1, 8, 0)
        : rows == 2 ? FN(gemm_kernel)(t, 2, 4, 0)
                    : FN(gemm_kernel)(t, 3, 3, 0);
    else
        switch (rows) {
            CASE(1);
            CASE(2);
            CASE(3);
            CASE(4);
            CASE(5);
            CASE(6);
#if MR > 6
            CASE(7);
            CASE(8);
            CASE(9);
            CASE(10);
            CASE(11);
            CASE(12);
#endif
        }
#undef CASE
}

/* m rows in tiles of as equal a height as can be; t->c and t->a are those of the first row. */
static void FN(gemm_rows)(struct FN(gemm_tile) t, size_t m, size_t parts) {
    size_t tiles = (m + MR - 1) / MR, rows = m / tiles, taller = m % tiles;
    for (size_t i = 0; i < tiles; i++) {
        size_t r = rows + (i < taller);
        FN(gemm_any)(&t, r, parts);
        t.c += r * t.ldc;
        t.a += t.packed ? (ptrdiff_t)(r * t.k) : (ptrdiff_t)r * t.rs_a;
    }
}

/* All columns of one block: b (k, n) in place, with rows ldb apart, as far as vectors go. What is
 * left of it, or all of it when ldb is 0, lies packed in panels. */
static void FN(gemm_block)(struct FN(gemm_tile) t, const real *b, size_t ldb, const real *panels,
                           size_t m, size_t n) {
    size_t wide = FN(gemm_parts)(m), whole = ldb ? n / VL * VL : 0;
    real *c = t.c;
    t.ldb = (ptrdiff_t)ldb;
    for (size_t j = 0, parts; j < whole; j += parts * VL) {
        size_t left = (whole - j) / VL;
        parts = left >= wide ? wide : left >= 2 ? 2 : 1;
        t.b = b + j, t.c = c + j, t.cols = parts * VL;
        FN(gemm_rows)(t, m, parts);
    }
    for (size_t j = whole; j < n; j += NR) {
        t.b = panels, t.c = c + j, t.cols = MG_MIN(n - j, NR);
        size_t parts = t.cols > VL ? 2 : 1;
        t.ldb = (ptrdiff_t)parts * VL;
        FN(gemm_rows)(t, m, parts);
        panels += t.k * parts * VL;
    }
}

/* Scratch, in reals, that gemm wants for these sizes: room for b, then for a; whole cache lines,
 * for the next one's begins where it ends. */
MG_INLINE size_t FN(gemm_pack_size)(size_t m, size_t n, size_t k) {
    size_t kc = MG_MIN(k, KC);
    return ((MG_MIN(n, NC) + NR) * kc + MG_MIN(m, MC) * kc + 15) / 16 * 16;
}

/* Whether tiles read b (k, n) as it lies. */
MG_INLINE int FN(reads_in_place)(size_t m, size_t k, ptrdiff_t rs_b, ptrdiff_t cs_b) {
    return cs_b == 1 && rs_b > 0 &&
           (m <= IN_PLACE_ROWS || (size_t)rs_b * k * sizeof(real) <= IN_PLACE_BYTES);
}

/* c (m, n) = or += a (m, k) @ b (k, n); row stride ldc, any element strides for a and b. */
static void FN(gemm)(real *c, size_t ldc, const real *a, ptrdiff_t rs_a, ptrdiff_t cs_a,
                     const real *b, ptrdiff_t rs_b, ptrdiff_t cs_b, size_t m, size_t n, size_t k,
                     int accumulate, real *pack) {
    int fetch = m * n * sizeof(real) > FETCH_BYTES;
    if (k == 0 && !accumulate)
        for (size_t i = 0; i < m; i++)
            memset(c + i * ldc, 0, n * sizeof(real));
    for (size_t p = 0; p < k; p += KC)
        for (size_t j = 0; j < n; j += NC) {
            size_t kc = MG_MIN(k - p, KC), nc = MG_MIN(n - j, NC);
            const real *b_block = b + (ptrdiff_t)p * rs_b + (ptrdiff_t)j * cs_b;
            size_t ldb = FN(reads_in_place)(m, kc, rs_b, cs_b) ? (size_t)rs_b : 0;
            size_t direct = ldb ? nc / VL * VL : 0;
            FN(pack_b)(pack, b_block + (ptrdiff_t)direct * cs_b, rs_b, cs_b, kc, nc - direct);
            size_t step = fetch && kc <= FLAT_K && cs_a == 1 ? MR : MC;
            for (size_t i = 0; i < m; i += step) {
                struct FN(gemm_tile) t = {.c = c + i * ldc + j, .ldc = ldc, .k = kc};
                size_t mc = MG_MIN(m - i, step);
                t.a = a + (ptrdiff_t)i * rs_a + (ptrdiff_t)p * cs_a;
                t.rs_a = rs_a, t.cs_a = cs_a;
                t.accumulate = accumulate || p > 0;
                t.fetch = fetch;
                if (!ldb && nc >= COPY_COLUMNS) {
                    real *copy = pack + (nc + NR) * kc;
                    FN(pack_a)(copy, t.a, rs_a, cs_a, mc, kc);
                    t.a = copy, t.packed = 1;
                }
                FN(gemm_block)(t, b_block, ldb, pack, mc, nc);
            }
        }
}
