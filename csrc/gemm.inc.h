/* Matrix product on one core, for the kernels of this library, and the public one on all cores.
 *
 * After BLIS: c is cut into tiles whose sums fit the registers, the axis k into blocks of KC, so
 * that what a tile reads comes from near caches. A block of b, (KC, NC), is copied to L2, in panels
 * as wide as a tile; the rows of a that a tile needs stay in L1 while all panels pass. (BLIS keeps
 * the panel in L1 and lets a pass; a panel of four 64-byte vectors would be 64 KB.) An element of c
 * is the sum over k in order, KC at a time, whatever m, n and its place: no result depends on how
 * the work is cut up. */

/* How a tile reads a and b: in place; or b in panels, and of a rows in place, or what pack_a made
 */
enum FN(gemm_form) { FN(loose), FN(rows), FN(packed) };

/* What a tile reads and writes; element (i, p) of a at a[i * rs_a + p * cs_a], b's rows ldb apart
 */
struct FN(gemm_tile) {
    real *c;
    size_t ldc, cols, k;
    const real *a, *b;
    ptrdiff_t rs_a, cs_a, ldb;
    int accumulate;
    enum FN(gemm_form) form;
};

/* The part of a tile that c has room for. */
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
 * Two multiply-adders of latency 4 want 8 sums or more. rows, parts and form are constants wherever
 * this is inlined: the loops over them unroll, and the sums live in registers. (All of them must:
 * one loop that stays a loop puts them in memory, and a tile of k = 16 takes 1.4 times as long.) */
MG_INLINE void FN(gemm_kernel)(const struct FN(gemm_tile) * t, const int rows, const int parts,
                               const enum FN(gemm_form) form) {
    const real *a = t->a, *b = t->b;
    const ptrdiff_t rs_a = form == FN(packed) ? 1 : t->rs_a;
    const ptrdiff_t cs_a = form == FN(packed) ? rows : form == FN(rows) ? 1 : t->cs_a;
    const ptrdiff_t ldb = form == FN(loose) ? t->ldb : parts * VL;
    vec sum[MR * PARTS]; /* as many as TALL * 2 */
    MG_UNROLL for (int i = 0; i < rows; i++) for (int j = 0; j < parts; j++) sum[i * parts + j] =
        (vec){0};
    MG_UNROLL_4 for (size_t p = t->k; p > 0; p--, a += cs_a, b += ldb) {
        vec row[WIDE];
        for (int j = 0; j < parts; j++)
            row[j] = FN(load)(b + j * VL);
        if (form == FN(loose) && rows <= FEW && parts > 1)
            for (int j = 0; j < parts * VEC_BYTES; j += 64)
                __builtin_prefetch((const char *)(b + AHEAD * ldb) + j);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < parts; j++)
                sum[i * parts + j] += a[i * rs_a] * row[j];
    }
    if (t->cols < (size_t)parts * VL) {
        real sums[MR * NR];
        MG_UNROLL for (int i = 0; i < rows; i++) for (int j = 0; j < parts; j++)
            FN(store)(sums + (i * parts + j) * VL, sum[i * parts + j]);
        FN(gemm_edge)(t, sums, (size_t)rows, (size_t)parts * VL);
        return;
    }
    real *c = t->c;
    const size_t ldc = t->ldc;
    if (t->accumulate)
        MG_UNROLL for (int i = 0; i < rows; i++, c += ldc) for (int j = 0; j < parts; j++)
            FN(store)(c + j * VL, FN(load)(c + j * VL) + sum[i * parts + j]);
    else
        MG_UNROLL for (int i = 0; i < rows; i++, c += ldc) for (int j = 0; j < parts; j++)
            FN(store)(c + j * VL, sum[i * parts + j]);
}

#define TILE(r, p, form)                                                                           \
    case (p) * 16 + (r):                                                                           \
        FN(gemm_kernel)(t, r, p, FN(form));                                                        \
        break
#define TILES(p, form)                                                                             \
    TILE(1, p, form);                                                                              \
    TILE(2, p, form);                                                                              \
    TILE(3, p, form);                                                                              \
    TILE(4, p, form);                                                                              \
    TILE(5, p, form);                                                                              \
    TILE(6, p, form)
#define TALL_TILES(p)                                                                              \
    TILE(7, p, loose);                                                                             \
    TILE(8, p, loose);                                                                             \
    TILE(9, p, loose);                                                                             \
    TILE(10, p, loose);                                                                            \
    TILE(11, p, loose);                                                                            \
    TILE(12, p, loose)
#if PARTS == 4
#define WIDE_TILES(form)                                                                           \
    TILES(3, form);                                                                                \
    TILES(4, form)
#endif

/* Each tile compiled on its own. Tiles of one vector, or of more than MR rows, are always loose. */
static void FN(gemm_any)(const struct FN(gemm_tile) * t, size_t rows, size_t parts) {
    size_t tile = parts * 16 + rows;
    if (t->form == FN(loose) || parts == 1)
        switch (tile) {
            TILES(1, loose);
            TILES(2, loose);
            TILE(1, 8, loose);
#if PARTS == 4
            WIDE_TILES(loose);
            TALL_TILES(1);
            TALL_TILES(2);
#else
            TILE(2, 4, loose);
            TILE(3, 3, loose);
#endif
        }
    else if (t->form == FN(rows))
        switch (tile) {
            TILES(2, rows);
#if PARTS == 4
            WIDE_TILES(rows);
#endif
        }
    else
        switch (tile) {
            TILES(2, packed);
#if PARTS == 4
            WIDE_TILES(packed);
#endif
        }
#undef TILE
#undef TILES
#undef TALL_TILES
#undef WIDE_TILES
}

/* m rows in tiles of as equal a height as can be; t->c and t->a are those of the first. */
static void FN(gemm_rows)(struct FN(gemm_tile) t, size_t m, size_t parts) {
    size_t most = parts <= 2 ? TALL : MR;
    size_t tiles = (m + most - 1) / most, rows = m / tiles, taller = m % tiles;
    for (size_t i = 0; i < tiles; i++) {
        size_t r = rows + (i < taller);
        FN(gemm_any)(&t, r, parts);
        t.c += r * t.ldc;
        t.a += (ptrdiff_t)r * t.rs_a;
    }
}

/* Vectors of the next tile of m rows, of `left` that are read in place: few rows, a wide tile. */
MG_INLINE size_t FN(tile_parts)(size_t m, size_t left) {
    size_t wide = m == 1 ? 8 : m == 2 ? 4 : m == 3 && PARTS < 3 ? 3 : PARTS;
    return left >= wide ? wide : FN(panel_parts)(left);
}

/* All columns of one block: b (k, n) in place, with rows ldb apart, as far as vectors go. What is
 * left of it, or all of it when ldb is 0, lies packed in panels. */
static void FN(gemm_block)(struct FN(gemm_tile) t, const real *b, size_t ldb, const real *panels,
                           size_t m, size_t n) {
    size_t whole = ldb ? n / VL * VL : 0;
    real *c = t.c;
    t.ldb = (ptrdiff_t)ldb;
    for (size_t j = 0, parts; j < whole; j += parts * VL) {
        parts = FN(tile_parts)(m, (whole - j) / VL);
        t.b = b + j, t.c = c + j, t.cols = parts * VL;
        FN(gemm_rows)(t, m, parts);
    }
    for (size_t j = whole, parts; j < n; j += parts * VL) {
        parts = FN(panel_parts)((n - j + VL - 1) / VL);
        t.ldb = (ptrdiff_t)(parts * VL);
        t.b = panels, t.c = c + j, t.cols = MG_MIN(n - j, parts * VL);
        FN(gemm_rows)(t, m, parts);
        panels += t.k * parts * VL;
    }
}

/* All columns of MR rows, then those of the next: a tile's rows of a stay in L1, and c is written
 * by whole rows. */
static void FN(gemm_by_rows)(struct FN(gemm_tile) t, const real *panels, size_t m, size_t n) {
    size_t tiles = (m + MR - 1) / MR, rows = m / tiles, taller = m % tiles;
    real *c = t.c;
    for (size_t i = 0; i < tiles; i++) {
        size_t r = rows + (i < taller);
        ptrdiff_t next = (ptrdiff_t)r * t.rs_a;
        if (t.form == FN(packed)) /* a panel of one vector reads it loose */
            t.rs_a = 1, t.cs_a = (ptrdiff_t)r, next = (ptrdiff_t)(r * t.k);
        t.b = panels;
        for (size_t j = 0, parts; j < n; j += parts * VL) {
            parts = FN(panel_parts)((n - j + VL - 1) / VL);
            t.ldb = (ptrdiff_t)(parts * VL);
            t.c = c + j, t.cols = MG_MIN(n - j, parts * VL);
            FN(gemm_any)(&t, r, parts);
            t.b += t.k * parts * VL;
        }
        c += r * t.ldc;
        t.a += next;
    }
}

/* Few rows: each panel is copied, and read by all of them while it lies in the nearest cache. */
static void FN(gemm_by_panels)(struct FN(gemm_tile) t, const real *b, ptrdiff_t rs_b,
                               ptrdiff_t cs_b, real *pack, size_t m, size_t n) {
    real *c = t.c;
    t.b = pack;
    for (size_t j = 0, parts; j < n; j += parts * VL) {
        parts = FN(panel_parts)((n - j + VL - 1) / VL);
        t.ldb = (ptrdiff_t)(parts * VL);
        t.c = c + j, t.cols = MG_MIN(n - j, parts * VL);
        t.form = t.cs_a == 1 && parts == PARTS ? FN(rows) : FN(loose);
        FN(pack_b)(pack, b + (ptrdiff_t)j * cs_b, rs_b, cs_b, t.k, t.cols);
        FN(gemm_rows)(t, m, parts);
    }
}

/* Scratch, in reals, that gemm wants for these sizes: room for b, then for a; whole cache lines,
 * for the next one's begins where it ends. */
MG_INLINE size_t FN(gemm_pack_size)(size_t m, size_t n, size_t k) {
    size_t kc = MG_MIN(k, KC);
    return ((MG_MIN(n, NC) + NR) * kc + MG_MIN(m, MC) * kc + 15) / 16 * 16;
}

/* Whether tiles read b (k, n) as it lies. Where its vectors straddle cache lines, many rows of more
 * than two of them pay for a copy of any size. */
MG_INLINE int FN(reads_in_place)(const real *b, size_t m, size_t n, size_t k, ptrdiff_t rs_b,
                                 ptrdiff_t cs_b) {
    size_t bytes = (size_t)rs_b * sizeof(real);
    size_t straddling = m <= PANEL_ROWS || n <= 2 * VL ? STRADDLING_BYTES : 0;
    size_t most = ((uintptr_t)b | bytes) % VEC_BYTES ? straddling : IN_PLACE_BYTES;
    return cs_b == 1 && rs_b > 0 && (m <= IN_PLACE_ROWS || bytes * k <= most);
}

/* A block of b that lies in panels (k, n), for all m rows of c: t->a and t->c are the first row's,
 * `copy` has room for (MC, k). */
static void FN(gemm_panels)(struct FN(gemm_tile) t, const real *panels, real *copy, size_t m,
                            size_t n) {
    const real *a = t.a;
    real *c = t.c;
    if (n <= 2 * VL && PARTS > 2) { /* two vectors at most: tall tiles */
        FN(gemm_block)(t, NULL, 0, panels, m, n);
    } else if (t.cs_a == 1) {
        t.form = FN(rows);
        FN(gemm_by_rows)(t, panels, m, n);
    } else if (n < COPY_COLUMNS) {
        FN(gemm_block)(t, NULL, 0, panels, m, n);
    } else
        for (size_t i = 0; i < m; i += MC) {
            size_t mc = MG_MIN(m - i, MC);
            FN(pack_a)(copy, a + (ptrdiff_t)i * t.rs_a, t.rs_a, t.cs_a, mc, t.k);
            t.a = copy, t.c = c + i * t.ldc, t.form = FN(packed);
            FN(gemm_by_rows)(t, panels, mc, n);
        }
}

/* c (m, n) = or += a (m, k) @ b (k, n); row stride ldc, any element strides for a and b. */
static void FN(gemm)(real *c, size_t ldc, const real *a, ptrdiff_t rs_a, ptrdiff_t cs_a,
                     const real *b, ptrdiff_t rs_b, ptrdiff_t cs_b, size_t m, size_t n, size_t k,
                     int accumulate, real *pack) {
    int flat = m * n * sizeof(real) > FLAT_BYTES;
    if (k == 0 && !accumulate)
        for (size_t i = 0; i < m; i++)
            memset(c + i * ldc, 0, n * sizeof(real));
    for (size_t j = 0; m > 0 && j < n; j += NC)
        for (size_t p = 0; p < k; p += KC) {
            size_t kc = MG_MIN(k - p, KC), nc = MG_MIN(n - j, NC);
            const real *b_block = b + (ptrdiff_t)p * rs_b + (ptrdiff_t)j * cs_b;
            size_t ldb = FN(reads_in_place)(b_block, m, nc, kc, rs_b, cs_b) ? (size_t)rs_b : 0;
            struct FN(gemm_tile) t = {.c = c + j, .ldc = ldc, .k = kc};
            t.a = a + (ptrdiff_t)p * cs_a, t.rs_a = rs_a, t.cs_a = cs_a;
            t.accumulate = accumulate || p > 0;
            if (ldb) {
                size_t whole = nc / VL * VL, step = flat && kc <= FLAT_K ? MR : m;
                FN(pack_b)(pack, b_block + whole, rs_b, 1, kc, nc - whole);
                for (size_t i = 0; i < m; i += step) {
                    FN(gemm_block)(t, b_block, ldb, pack, MG_MIN(m - i, step), nc);
                    t.c += step * ldc, t.a += (ptrdiff_t)step * rs_a;
                }
            } else if (m <= PANEL_ROWS) {
                FN(gemm_by_panels)(t, b_block, rs_b, cs_b, pack, m, nc);
            } else {
                FN(pack_b)(pack, b_block, rs_b, cs_b, kc, nc);
                FN(gemm_panels)(t, pack, pack + (nc + NR) * kc, m, nc);
            }
        }
}
