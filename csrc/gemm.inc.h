/* Matrix product on one core, and the public one on all. */

/* Scratch, in reals, that gemm wants for these sizes. */
MG_INLINE size_t FN(gemm_pack_size)(size_t m, size_t n, size_t k) { return (void)m, (void)n, k; }

/* c (m, n) = or += a (m, k) @ b (k, n); row stride ldc, any element strides for a and b. */
static void FN(gemm)(real *c, size_t ldc, const real *a, ptrdiff_t rs_a, ptrdiff_t cs_a,
                     const real *b, ptrdiff_t rs_b, ptrdiff_t cs_b, size_t m, size_t n, size_t k,
                     int accumulate, real *pack) {
    (void)pack;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            real sum = accumulate ? c[i * ldc + j] : 0;
            for (size_t p = 0; p < k; p++)
                sum += a[(ptrdiff_t)i * rs_a + (ptrdiff_t)p * cs_a] *
                       b[(ptrdiff_t)p * rs_b + (ptrdiff_t)j * cs_b];
            c[i * ldc + j] = sum;
        }
}

static int FN(matmul)(real *c, size_t ldc, const real *a, ptrdiff_t rs_a, ptrdiff_t cs_a,
                      const real *b, ptrdiff_t rs_b, ptrdiff_t cs_b, size_t m, size_t n, size_t k) {
    real *pack = malloc(FN(gemm_pack_size)(m, n, k) * sizeof(real) + 1);
    if (!pack)
        return -1;
    FN(gemm)(c, ldc, a, rs_a, cs_a, b, rs_b, cs_b, m, n, k, 0, pack);
    free(pack);
    return 0;
}
