/* The sizes gemm works in, and the copies of a and b that it reads.
 *
 * What each copy gains is measured in float32 with AVX-512 (L1 48 KB, L2 1.25 MB), one core. */
#undef NR
#define NR (PARTS * VL) /* columns of a tile */
#ifndef MG_MIN
#define MG_MIN(a, b) ((a) < (b) ? (a) : (b))
/* A tile is MR rows by PARTS vectors. From L1, with 32 registers, 6 x 4 reaches 0.985 of the peak
 * and 12 x 2, which loads more often than it multiplies, 0.915; with 16, 6 x 2 reaches 0.99. */
#define MR 6
#if REGISTERS == 32
#define PARTS 4 /* 24 of 32 registers are sums */
#define TALL 12 /* rows of a tile of one or two vectors */
#else
#define PARTS 2 /* 12 of 16 */
#define TALL MR
#endif
#define KC 256                   /* a tile's rows of a, (MR, KC), are 6 KB of float */
#define MC 120                   /* rows of a packed at a time, (MC, KC): part of L2 */
#define NC (2048 / sizeof(real)) /* columns of b packed at a time: (KC, NC) is half of L2 */
#define WIDE 8                   /* vectors in the widest tile, of one row */

/* b is read in place for few rows, or where the block is small. Larger, rows of 4 KB collide in the
 * cache: 32x256x1024 copied gains 1.2, in float64 1.5. */
#define IN_PLACE_ROWS 8
#define IN_PLACE_BYTES 65536
/* Where vectors of b straddle cache lines, as in numpy's arrays, which begin 16 bytes behind one, a
 * copy pays earlier, 128^3 gains 1.14 to 1.2, and beyond PANEL_ROWS rows always: (1000, 16) @ (16,
 * 256) gains 1.6, AVX2 2; 1000x64x64 1.07, 100^3 1.1. */
#define STRADDLING_BYTES 40960
/* Up to so many rows, a panel of b is copied and used up before the next: 16x1024x1024 and
 * 32x256x1024 gain 1.07. More rows want the whole block, for c is written by whole rows:
 * 1024^3 in panels takes 1.2 times as long. */
#define PANEL_ROWS 64
/* Pieces of rows far apart are no pattern to the processor: while one is read, or copied, that of
 * some rows on is fetched. 1x1024x1024 gains 1.1, 3x1024x1024 1.2, a copy 1.05. A tile of more rows
 * does more with each vector of b than wait for it: 64^3 would lose 1.1. */
#define AHEAD 4
#define FEW 4
/* A transposed a is packed where so many columns share the cost, and b is: a tile then reads one
 * stream, at offsets known to the compiler. 256^3 gains 1.4, 512^3 1.2. One with contiguous rows is
 * read as it lies: 512^3 gains 1.06, 128^3 1.2. */
#define COPY_COLUMNS 100
/* So many of its columns at a time, for all tiles, which share their cache lines: 1024^3 gains 1.1,
 * in float64 1.2 */
#define COPY_DEPTH 16
/* With so few products an element, writing a large c is most of the work: where b is read in place,
 * it too is written by whole rows. */
#define FLAT_BYTES 262144
#define FLAT_K 128
#endif

#undef ZIP_LOW
#undef ZIP_HIGH
#ifndef MG_SHUFFLE
#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define MG_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#endif
#ifndef MG_SHUFFLE /* gcc before 12 */
#define MG_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif
#endif

#if VEC_BYTES * 8 / REAL_BITS == 2
#define ZIP_LOW 0, 2
#define ZIP_HIGH 1, 3
#elif VEC_BYTES * 8 / REAL_BITS == 4
#define ZIP_LOW 0, 4, 1, 5
#define ZIP_HIGH 2, 6, 3, 7
#elif VEC_BYTES * 8 / REAL_BITS == 8
#define ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif

/* Where in `block`, of mg_allocate and with room for 64 bytes more, a vector does not straddle two
 * cache lines and cost two loads: 512^3 gains 1.08 by it, a whole LSTM sequence 1.1 to 1.2. */
static real *FN(align)(void *block) { return (real *)(((uintptr_t)block + 63) & ~(uintptr_t)63); }

/* dst (VL, VL), rows ld_dst apart = the transpose of src, rows ld_src apart: log2(VL) rounds, each
 * of which zips row i with row i + VL/2. */
static void FN(transpose)(real *dst, size_t ld_dst, const real *src, ptrdiff_t ld_src) {
    vec r[VL], z[VL];
    for (int i = 0; i < VL; i++)
        r[i] = FN(load)(src + i * ld_src);
    for (int round = 1; round < VL; round *= 2) {
        for (int i = 0; i < VL / 2; i++) {
            z[2 * i] = MG_SHUFFLE(r[i], r[i + VL / 2], ZIP_LOW);
            z[2 * i + 1] = MG_SHUFFLE(r[i], r[i + VL / 2], ZIP_HIGH);
        }
        for (int i = 0; i < VL; i++)
            r[i] = z[i];
    }
    for (int i = 0; i < VL; i++)
        FN(store)(dst + (size_t)i * ld_dst, r[i]);
}

/* dst (m, n), rows ld apart = the elements (i, j) at src[i * rs + j * cs]. */
static void FN(copy_matrix)(real *dst, size_t ld, const real *src, ptrdiff_t rs, ptrdiff_t cs,
                            size_t m, size_t n) {
    size_t whole_m = 0, whole_n = 0; /* what whole VL x VL blocks have transposed */
    if (cs == 1) {
        for (size_t i = 0; i < m; i++, dst += ld, src += rs)
            n == VL ? FN(store)(dst, FN(load)(src)) : (void)memcpy(dst, src, n * sizeof(real));
        return;
    }
    if (rs == 1 && cs > 0) {
        whole_m = m / VL * VL, whole_n = n / VL * VL;
        for (size_t i = 0; i < whole_m; i += VL)
            for (size_t j = 0; j < whole_n; j += VL)
                FN(transpose)(dst + i * ld + j, ld, src + i + j * (size_t)cs, cs);
    }
    for (size_t i = 0; i < m; i++)
        for (size_t j = i < whole_m ? whole_n : 0; j < n; j++)
            dst[i * ld + j] = src[(ptrdiff_t)i * rs + (ptrdiff_t)j * cs];
}

/* How many of `left` vectors the next panel of b has: the widest, but no narrow one left over.
 * Without a division, for a tile of k = 16 takes only some 100 cycles. */
MG_INLINE size_t FN(panel_parts)(size_t left) {
    return PARTS == 4 && (left == 5 || left == 6) ? 3 : MG_MIN(left, PARTS);
}

/* dst (k, parts * VL) = as many whole vectors of each row of b. Inlined where `parts` is known. */
MG_INLINE void FN(pack_rows)(real *dst, const real *b, ptrdiff_t rs, size_t k, size_t parts) {
    for (size_t p = 0; p < k; p++, b += rs, dst += parts * VL)
        for (size_t v = 0; v < parts; v++) {
            __builtin_prefetch(b + AHEAD * rs + (ptrdiff_t)(v * VL));
            FN(store)(dst + v * VL, FN(load)(b + v * VL));
        }
}

/* dst: panels (k, parts * VL) of b, one after the other, the last one filled up with zeros. */
static void FN(pack_b)(real *dst, const real *b, ptrdiff_t rs, ptrdiff_t cs, size_t k, size_t n) {
    for (size_t j = 0, width; j < n; j += width, dst += k * width) {
        size_t parts = FN(panel_parts)((n - j + VL - 1) / VL), cols;
        const real *from = b + (ptrdiff_t)j * cs;
        width = parts * VL, cols = MG_MIN(n - j, width);
        if (cs == 1 && cols == NR) {
            FN(pack_rows)(dst, from, rs, k, PARTS);
            continue;
        }
        if (cols < width)
            memset(dst, 0, k * width * sizeof(real));
        FN(copy_matrix)(dst, width, from, rs, cs, k, cols);
    }
}

/* dst (k, rows) = the transpose of a tile's rows. Inlined where `rows` is a constant. */
MG_INLINE void FN(pack_tile)(real *dst, const real *a, ptrdiff_t rs, ptrdiff_t cs, size_t rows,
                             size_t k) {
    for (size_t p = 0; p < k; p++, a += cs, dst += rows)
        for (size_t r = 0; r < rows; r++)
            dst[r] = a[(ptrdiff_t)r * rs];
}

/* dst: the rows of a (m, k) in gemm's tiles, one tile after the other, each (k, rows). */
static void FN(pack_a)(real *dst, const real *a, ptrdiff_t rs, ptrdiff_t cs, size_t m, size_t k) {
    size_t tiles = (m + MR - 1) / MR, least = m / tiles, taller = m % tiles;
    for (size_t p = 0; p < k; p += COPY_DEPTH, a += COPY_DEPTH * cs) {
        size_t depth = MG_MIN(k - p, COPY_DEPTH);
        const real *from = a;
        real *tile = dst;
        for (size_t i = 0, rows; i < tiles; i++, from += (ptrdiff_t)rows * rs, tile += rows * k) {
            rows = least + (i < taller);
            if (rs == 1 && rows == MR)
                FN(pack_tile)(tile + p * MR, from, 1, cs, MR, depth);
            else
                FN(pack_tile)(tile + p * rows, from, rs, cs, rows, depth);
        }
    }
}
