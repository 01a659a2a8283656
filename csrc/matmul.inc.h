static int FN(matmul)(real *c, size_t ldc, const real *a, ptrdiff_t rs_a, ptrdiff_t cs_a,
                      const real *b, ptrdiff_t rs_b, ptrdiff_t cs_b, size_t m, size_t n, size_t k) {
    real *pack = malloc(FN(gemm_pack_size)(m, n, k) * sizeof(real) + 1);
    if (!pack)
        return -1;
    FN(gemm)(c, ldc, a, rs_a, cs_a, b, rs_b, cs_b, m, n, k, 0, pack);
    free(pack);
    return 0;
}
