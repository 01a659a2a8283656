/* The product inside every time loop: C = S + A W or C += A W, with a W that is packed once and
 * used at every step.
 *
 * W (k, n) is packed in panels of `width` vectors, a panel being what one tile of C reads from top
 * to bottom, in order:
 *
 *                     panel: width vectors                 tile of C, in registers
 *                   +------+------+------+------+      +------+------+------+------+
 *      i = 0 .. k   |  w0  |  w1  |  w2  |  w3  |  row | acc  | acc  | acc  | acc  |
 *                   +------+------+------+------+      +------+------+------+------+
 *                      ...                         row | acc  | acc  | acc  | acc  |
 *
 *      for each i:  acc[row][v] += a[row][i] * w[v]    (a: one element, to all lanes)
 *
 * A tile has as many accumulators as the registers hold, 12 of 16 or 24 of 32, so that no sum waits
 * for the one before it (two units x four cycles need 8). Each element of C is summed in the order
 * of k whatever the tile: results do not depend on how rows and columns are shared out.
 *
 * A panel that outgrows the nearest cache is used a slice of its rows at a time, by all tiles of C
 * that want it, which wait for their next slice in C. Meanwhile the slice behind it is fetched:
 * from the third cache, at B = 16 and H = 1024, that took longer than the sums.
 *
 * The vectors of a panel need not be neighbours in C: those of an LSTM are the four gates of the
 * same hidden units, so that a cell can be computed as soon as its tile is done. */

#undef FEW_ROWS
#define FEW_ROWS 4 /* in a single step: the LSTM, H = 128, one row: a third of the time */

#undef SLICE_BYTES
#undef LONG_SLICE_BYTES
#undef FETCH_FROM
#define SLICE_BYTES 32768 /* of a panel, at most */
/* With AVX-512 the second cache keeps up with a tile, whose sums then wait in C less often: 1.03 to
 * 1.1. Not with AVX2 (0.8 to 0.95), nor where few tiles share what comes from further away. */
#define LONG_SLICE_BYTES (VEC_BYTES == 64 ? 131072 : SLICE_BYTES)
#define FETCH_FROM 262144 /* bytes of W: a smaller one stays in the second cache */

/* What a packed W looks like. Vector v of panel p holds the columns that begin at
 * p * panel_step + v * vector_step; of those, the first `columns - p * panel_step - v * lane_step`
 * exist (at most VL), the others are zeros. */
struct FN(panels) {
    real *data;    /* (panels, k, width, VL), or NULL: not worth packing */
    size_t k;      /* rows of W */
    size_t panels; /* how many */
    size_t width;  /* vectors in each: 2, 3 or 4 */
    size_t columns, panel_step, vector_step, lane_step;
    const real *source; /* W as it came: element (i, j) at source[i * rs + j * cs] */
    size_t rs, cs;
    size_t turn; /* vector v is number (v + turn) % width of the source */
};

/* Any W (k, n): neighbouring columns in a panel. */
static struct FN(panels) FN(plain_panels)(size_t k, size_t n) {
    size_t width = n <= 2 * VL ? 2 : 4;
    return (struct FN(panels)){NULL, k, (n + width * VL - 1) / (width * VL), width, n, width * VL,
                               VL,   VL};
}

/* W (k, gates * H): the same units of all gates in a panel. */
static struct FN(panels) FN(gate_panels)(size_t k, size_t gates, size_t H) {
    return (struct FN(panels)){NULL, k, (H + VL - 1) / VL, gates, H, VL, H, 0};
}

static size_t FN(panels_size)(const struct FN(panels) * w) {
    return w->panels * w->width * VL * w->k;
}

/* How many lanes of vector v of panel p exist. */
static size_t FN(panel_lanes)(const struct FN(panels) * w, size_t p, size_t v) {
    size_t before = p * w->panel_step + v * w->lane_step;
    return before >= w->columns ? 0 : w->columns - before < VL ? w->columns - before : VL;
}

/* Where vector v of panel p begins in the source. */
static const real *FN(panel_source)(const struct FN(panels) * w, size_t p, size_t v) {
    return w->source + (p * w->panel_step + (v + w->turn) % w->width * w->vector_step) * w->cs;
}

/* Packs panels [first, last). */
static void FN(pack_panels)(const struct FN(panels) * w, size_t first, size_t last) {
    for (size_t p = first; p < last; p++)
        for (size_t v = 0; v < w->width; v++) {
            const real *from = FN(panel_source)(w, p, v);
            size_t lanes = FN(panel_lanes)(w, p, v), row = w->width * VL;
            real *to = w->data + p * w->k * row + v * VL; /* (k, VL), rows `row` apart */
            if (lanes < VL)
                for (size_t i = 0; i < w->k; i++)
                    FN(store)(to + i * row, (vec){0});
            FN(copy_matrix)(to, row, from, (ptrdiff_t)w->rs, (ptrdiff_t)w->cs, w->k, lanes);
        }
}

/* Packs biases as one row of W: (panels, width, VL). b counts for the first `both` columns only, a
 * whole number of gates; NULL: zeros. */
static void FN(pack_start)(const struct FN(panels) * w, real *start, const real *a, const real *b,
                           size_t both) {
    for (size_t p = 0; p < w->panels; p++)
        for (size_t v = 0; v < w->width; v++, start += VL) {
            size_t j = p * w->panel_step + v * w->vector_step, n = FN(panel_lanes)(w, p, v);
            vec sum = {0};
            if (a)
                sum = FN(load_lanes)(a + j, n);
            if (b && j < both)
                sum += FN(load_lanes)(b + j, n);
            FN(store)(start, sum);
        }
}

/* What a tile reads: k rows of a panel, `width` vectors each; start, one such row, or NULL. For
 * each of the k rows it fetches a cache line, fetch_step bytes from the last. */
struct FN(slice) {
    const real *panel, *start;
    size_t k;
    const char *fetch;
    size_t fetch_step;
};

/* acc += one column of a tile's A, elements lda apart, times one row of its panel. What there is
 * less of, elements or vectors, waits in registers while the other passes: beside the sums there is
 * room for these and one more. */
MG_INLINE void FN(add_product)(vec acc[6][4], const real *a, size_t lda, const real *panel,
                               const int rows, const int width) {
    vec kept[4];
    if (rows > 1 && rows < width) {
        MG_UNROLL for (int r = 0; r < rows; r++) kept[r] = FN(splat)(a[r * lda]);
        MG_UNROLL for (int v = 0; v < width; v++) {
            vec w = FN(load)(panel + v * VL);
            MG_UNROLL for (int r = 0; r < rows; r++) acc[r][v] += kept[r] * w;
        }
    } else {
        MG_UNROLL for (int v = 0; v < width; v++) kept[v] = FN(load)(panel + v * VL);
        MG_UNROLL for (int r = 0; r < rows; r++) MG_UNROLL for (int v = 0; v < width; v++)
            acc[r][v] += a[r * lda] * kept[v];
    }
}

/* One tile, `rows` x `width` vectors: C = start + A panel, or C += A panel where start is NULL.
 * Inlined where rows and width are constants. Four rows of the panel at a time: where another
 * thread shares the core, each instruction that is no multiplication costs as much as one that is.
 */
MG_INLINE void FN(panel_tile)(real *c, size_t ldc, size_t vector_step, const real *a, size_t lda,
                              const struct FN(slice) * s, const int rows, const int width) {
    const real *panel = s->panel, *start = s->start;
    const char *fetch = s->fetch;
    size_t k = s->k, fetch_step = s->fetch_step;
    vec acc[6][4];
    const real *from = start ? start : c;
    size_t from_row = start ? 0 : ldc, from_vector = start ? VL : vector_step;
    MG_UNROLL for (int r = 0; r < rows; r++) MG_UNROLL for (int v = 0; v < width; v++) acc[r][v] =
        FN(load)(from + r * from_row + v * from_vector);
    if (start) /* C is written only: its lines arrive while the sums are made */
        MG_UNROLL for (int r = 0; r < rows; r++) MG_UNROLL for (int v = 0; v < width; v++)
            __builtin_prefetch(c + r * ldc + v * vector_step, 1);
    if (rows == 1) /* waits for its own sums */
        for (size_t i = 0; i < k; i++, panel += width * VL)
            FN(add_product)(acc, a + i, lda, panel, rows, width);
    else
        MG_UNROLL_4 for (size_t i = 0; i < k; i++, panel += width * VL) {
            if (rows > 2) /* fewer have loads enough to make */
                __builtin_prefetch(fetch + i * fetch_step, 0, 2);
            FN(add_product)(acc, a + i, lda, panel, rows, width);
        }
    MG_UNROLL for (int r = 0; r < rows; r++) MG_UNROLL for (int v = 0; v < width; v++)
        FN(store)(c + r * ldc + v * vector_step, acc[r][v]);
}

/* The tile of `rows` x `width`, each compiled on its own; rows up to what the registers hold. */
static void FN(any_tile)(real *c, size_t ldc, size_t vector_step, const real *a, size_t lda,
                         const struct FN(slice) * s, size_t rows, size_t width) {
#define MG_TILE(r, w)                                                                              \
    case (w) * 8 + (r):                                                                            \
        FN(panel_tile)(c, ldc, vector_step, a, lda, s, r, w);                                      \
        break
    switch (width * 8 + rows) {
        MG_TILE(1, 4);
        MG_TILE(2, 4);
        MG_TILE(3, 4);
        MG_TILE(1, 3);
        MG_TILE(2, 3);
        MG_TILE(3, 3);
        MG_TILE(4, 3);
        MG_TILE(1, 2);
        MG_TILE(2, 2);
        MG_TILE(3, 2);
        MG_TILE(4, 2);
        MG_TILE(5, 2);
        MG_TILE(6, 2);
#if REGISTERS == 32
        MG_TILE(4, 4);
        MG_TILE(5, 4);
        MG_TILE(6, 4);
        MG_TILE(5, 3);
        MG_TILE(6, 3);
#endif
    }
#undef MG_TILE
}

/* Rows of a tile at most: 12 accumulators (24 where there are 32 registers). */
static size_t FN(tile_rows)(size_t width) {
    return REGISTERS == 32 || width == 2 ? 6 : width == 3 ? 4 : 3;
}

/* One vector of columns of C for so few rows that packing W would take longer than reading it once:
 * a block of W is transposed into the nearest cache, used, and forgotten. The sums are those of
 * panel_tile, bit by bit. Inlined where `rows` is a constant. */
MG_INLINE void FN(unpacked_vector)(const struct FN(panels) * w, const real *from, size_t lanes,
                                   real *c, size_t ldc, const real *a, size_t lda,
                                   const real *start, const size_t rows) {
    real block[VL * VL];
    vec acc[FEW_ROWS];
    if (lanes < VL)
        memset(block, 0, sizeof block);
    for (size_t r = 0; r < rows; r++)
        acc[r] = start ? FN(load)(start) : FN(load_lanes)(c + r * ldc, lanes);
    for (size_t i = 0; i < w->k; i += VL) {
        size_t more = MG_MIN(w->k - i, VL);
        if (more == VL && lanes == VL && w->rs == 1)
            FN(transpose)(block, VL, from + i, (ptrdiff_t)w->cs);
        else
            FN(copy_matrix)(block, VL, from + i * w->rs, (ptrdiff_t)w->rs, (ptrdiff_t)w->cs, more,
                            lanes);
        for (size_t j = 0; j < more; j++)
            for (size_t r = 0; r < rows; r++)
                acc[r] += a[r * lda + i + j] * FN(load)(block + j * VL);
    }
    for (size_t r = 0; r < rows; r++)
        FN(store_lanes)(c + r * ldc, acc[r], lanes);
}

/* panel_product for a W that is not packed. */
static void FN(panel_unpacked)(const struct FN(panels) * w, size_t p, real *c, size_t ldc,
                               const real *a, size_t lda, const real *start, size_t m) {
    for (size_t v = 0; v < w->width; v++, c += w->vector_step) {
        const real *from = FN(panel_source)(w, p, v), *s = start ? start + v * VL : NULL;
        size_t lanes = FN(panel_lanes)(w, p, v);
        m == 1   ? FN(unpacked_vector)(w, from, lanes, c, ldc, a, lda, s, 1)
        : m == 2 ? FN(unpacked_vector)(w, from, lanes, c, ldc, a, lda, s, 2)
        : m == 3 ? FN(unpacked_vector)(w, from, lanes, c, ldc, a, lda, s, 3)
                 : FN(unpacked_vector)(w, from, lanes, c, ldc, a, lda, s, 4);
    }
}

/* The tile of panel p that is given as if all its lanes were in C: `edge` stands in for it. */
static void FN(edge_tile)(const struct FN(panels) * w, size_t p, real *c, size_t ldc, const real *a,
                          size_t lda, const struct FN(slice) * s, size_t rows) {
    real edge[6 * 4 * VL]; /* (rows, width, VL) */
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < w->width; v++)
            FN(store)(edge + (r * w->width + v) * VL,
                      FN(load_part)(c + r * ldc + v * w->vector_step, FN(panel_lanes)(w, p, v)));
    FN(any_tile)(edge, w->width * VL, VL, a, lda, s, rows, w->width);
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < w->width; v++)
            FN(store_part)(c + r * ldc + v * w->vector_step,
                           FN(load)(edge + (r * w->width + v) * VL), FN(panel_lanes)(w, p, v));
}

/* The columns of panel p of C (m, .), rows ldc apart: C = start + A W (start packed) or, where
 * start is NULL, C += A W. A (m, k) has rows lda apart. The rows are shared out evenly over the
 * tiles. */
static void FN(panel_product)(const struct FN(panels) * w, size_t p, real *c, size_t ldc,
                              const real *a, size_t lda, const real *start, size_t m) {
    size_t row = w->width * VL;
    start = start ? start + p * row : NULL;
    c += p * w->panel_step;
    if (!w->data) {
        FN(panel_unpacked)(w, p, c, ldc, a, lda, start, m);
        return;
    }
    size_t most = FN(tile_rows)(w->width), tiles = (m + most - 1) / most;
    size_t bytes = w->k * row * sizeof(real), slice = tiles > 3 ? LONG_SLICE_BYTES : SLICE_BYTES;
    size_t slices = bytes / (slice + 1) + 1;
    const real *panel = w->data + p * w->k * row;
    int whole = FN(panel_lanes)(w, p, w->width - 1) == VL;
    int fetches = tiles > 1 && bytes * w->panels > FETCH_FROM;
    for (size_t i = 0, k0 = 0, k1; i < slices; i++, k0 = k1, start = NULL) {
        k1 = w->k * (i + 1) / slices;
        const real *now = panel + k0 * row, *next = panel + k1 * row;
        if (p + 1 == w->panels && i + 1 == slices) /* the next step begins with the first panel */
            next = w->data;
        struct FN(slice) s = {now, start, k1 - k0, (const char *)now, 0};
        if (fetches) /* each tile its share */
            s.fetch = (const char *)next, s.fetch_step = row * sizeof(real) / tiles;
        for (size_t j = 0; j < tiles; j++, s.fetch += s.fetch_step * s.k) {
            size_t r0 = m * j / tiles, rows = m * (j + 1) / tiles - r0;
            if (whole)
                FN(any_tile)(c + r0 * ldc, ldc, w->vector_step, a + r0 * lda + k0, lda, &s, rows,
                             w->width);
            else
                FN(edge_tile)(w, p, c + r0 * ldc, ldc, a + r0 * lda + k0, lda, &s, rows);
        }
    }
}
