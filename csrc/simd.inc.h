/* The environment every template is written in: `real`, `vec` with VL lanes, FN(name).
 *
 * Included once per number type (REAL_BITS 32, 64), in a source that has chosen an instruction set
 * (ISA, a word; VEC_BYTES; REGISTERS, the vectors they hold). A vec is a GCC vector: + - * / and
 * comparisons work lane by lane. */
#undef real
#undef real_int
#undef DTYPE
#undef MG_TABLE_NAME
#undef VL
#undef vec
#undef ivec

#if REAL_BITS == 32
#define real float
#define real_int int32_t
#define DTYPE f32
#define MG_TABLE_NAME mg_kernels_f32
#else
#define real double
#define real_int int64_t
#define DTYPE f64
#define MG_TABLE_NAME mg_kernels_f64
#endif

#ifndef FN
#define MG_JOIN_(name, dtype, isa) name##_##dtype##_##isa
#define MG_JOIN(name, dtype, isa) MG_JOIN_(name, dtype, isa)
#define FN(name) MG_JOIN(name, DTYPE, ISA) /* FN(gemm) is gemm_f32_avx2 */
#define MG_INLINE static inline __attribute__((always_inline, unused))
#endif

#ifndef MG_UNROLL /* before a loop: all of it; four rounds at a time */
#ifdef __clang__
#define MG_UNROLL _Pragma("clang loop unroll(full)")
#define MG_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define MG_UNROLL _Pragma("GCC unroll 16")
#define MG_UNROLL_4 _Pragma("GCC unroll 4")
#endif
#endif

#define VL (VEC_BYTES * 8 / REAL_BITS)
#define vec FN(vec_t)
#define ivec FN(ivec_t)

typedef real vec __attribute__((vector_size(VEC_BYTES)));
typedef real_int ivec __attribute__((vector_size(VEC_BYTES)));

/* Unaligned; compilers turn the copy of a constant size into one instruction. */
MG_INLINE vec FN(load)(const real *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

MG_INLINE void FN(store)(real *p, vec v) { memcpy(p, &v, sizeof v); }

/* The first n lanes, the rest zero: never reads past p[n]. */
MG_INLINE vec FN(load_part)(const real *p, size_t n) {
    vec v = {0};
    memcpy(&v, p, n * sizeof(real));
    return v;
}

MG_INLINE void FN(store_part)(real *p, vec v, size_t n) { memcpy(p, &v, n * sizeof(real)); }

/* The same where n is VL more often than not. */
MG_INLINE vec FN(load_lanes)(const real *p, size_t n) {
    return n == VL ? FN(load)(p) : FN(load_part)(p, n);
}

MG_INLINE void FN(store_lanes)(real *p, vec v, size_t n) {
    if (n == VL)
        FN(store)(p, v);
    else
        FN(store_part)(p, v, n);
}

MG_INLINE vec FN(splat)(real x) { return x - (vec){0}; }

/* Compare and select: two instructions. (A loop over the lanes is one, but falls apart into scalars
 * where it is inlined with a constant.) Where a or b is NaN: b. */
MG_INLINE vec FN(vmax)(vec a, vec b) {
    ivec m = a > b;
    return (vec)(((ivec)a & m) | ((ivec)b & ~m));
}

MG_INLINE vec FN(vmin)(vec a, vec b) {
    ivec m = a < b;
    return (vec)(((ivec)a & m) | ((ivec)b & ~m));
}
