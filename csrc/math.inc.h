/* exp, tanh and sigmoid of a vector: one branch-free core, no tables, no gathers.
 *
 *     exp(x) = 2^q exp(r),   q = rint(x / ln 2),   r = x - q ln 2,   |r| <= ln 2 / 2
 *     p = exp(r) - 1 = r + r^2 (c0 + c1 r + ...)
 *
 * The coefficients make the largest relative error of p over |r| <= 0.347 as small as it can be:
 * 1.3e-8 for float, 1.8e-17 for double, a quarter of a unit in the last place. They were found by
 * least squares at 160 Chebyshev points, reweighted by the error until it was level (Lawson's
 * algorithm), in 50 digits. ln 2 = LN2_HIGH + LN2_LOW, where q LN2_HIGH is exact even without a
 * fused multiply-add. */
#undef LOG2_E
#undef LN2_HIGH
#undef LN2_LOW
#undef ROUNDER
#undef MANTISSA
#undef BIAS
#undef EXP_LIMIT
#undef TANH_LIMIT

#if REAL_BITS == 32
#define LOG2_E 1.44269504f
#define LN2_HIGH 0.693145751953125f
#define LN2_LOW 1.42860682030942e-6f
#define ROUNDER 12582912.0f /* 1.5 2^23: x + ROUNDER has the nearest integer in its low bits */
#define MANTISSA 23
#define BIAS 127
#define EXP_LIMIT 120.0f /* exp is infinity above it, 0 below its negative */
#define TANH_LIMIT 10.0f /* tanh is 1 above it */
#else
#define LOG2_E 1.442695040888963407
#define LN2_HIGH 0.6931471805582987
#define LN2_LOW 1.646594958289708128e-12
#define ROUNDER 6755399441055744.0 /* 1.5 2^52 */
#define MANTISSA 52
#define BIAS 1023
#define EXP_LIMIT 760.0
#define TANH_LIMIT 20.0
#endif

/* exp(x) - 1 at the reduced argument; *t is q + ROUNDER. */
MG_INLINE vec FN(exp_core)(vec x, vec *t) {
    *t = x * (real)LOG2_E + (real)ROUNDER;
    vec q = *t - (real)ROUNDER;
    vec r = x - q * (real)LN2_HIGH - q * (real)LN2_LOW;
#if REAL_BITS == 32
    vec c = 0.001388251035f * r + 0.008366580346f;
    c = c * r + 0.041667201777f;
    c = c * r + 0.166665431779f;
    c = c * r + 0.499999981441f;
#else
    vec c = 2.505379234071871633e-8 * r + 2.762615889847199274e-7;
    c = c * r + 2.755740779961733198e-6;
    c = c * r + 2.480150498541253561e-5;
    c = c * r + 1.984126971840754114e-4;
    c = c * r + 1.388888893178880270e-3;
    c = c * r + 8.333333333389953608e-3;
    c = c * r + 4.166666666657613531e-2;
    c = c * r + 0.166666666666665885;
    c = c * r + 0.5000000000000005221;
#endif
    return r * r * c + r;
}

/* 2^q of an integer q: its bits are the exponent's. */
MG_INLINE vec FN(pow2)(ivec q) { return (vec)((q + BIAS) << MANTISSA); }

MG_INLINE vec FN(clamp)(vec x, real limit) {
    return FN(vmin)(FN(splat)(limit), FN(vmax)(FN(splat)(-limit), x)); /* NaN stays NaN */
}

/* exp(x). 2^q in two factors, so that neither overflows where the result does not. */
MG_INLINE vec FN(vexp)(vec x) {
    vec t, p = FN(exp_core)(FN(clamp)(x, EXP_LIMIT), &t);
    vec half = (t - (real)ROUNDER) * (real)0.5 + (real)ROUNDER;
    vec s = FN(pow2)((ivec)half);
    return (s * p + s) * FN(pow2)((ivec)t - (ivec)half);
}

/* 1 / (1 + exp(-x)), both sides of the fraction times 2^(-q/2): right down to the denormals. The
 * order of the sum matters: largest last is 2.0 ulp at most (float, AVX-512, every input), other
 * orders 2.4. */
MG_INLINE vec FN(vsigmoid)(vec x) {
    vec t, p = FN(exp_core)(FN(clamp)(-x, EXP_LIMIT), &t);
    vec half = (t - (real)ROUNDER) * (real)0.5 + (real)ROUNDER;
    vec a = FN(pow2)(-(ivec)half);
    vec b = FN(pow2)((ivec)t - (ivec)half);
    return a / (b * p + a + b);
}

/* tanh(|x|) = -e / (e + 2), e = exp(-2|x|) - 1 = s p + (s - 1); the sign is put back last.
 * e + 2 = s p + (s + 1) is rounded once, not twice; with exp(+2|x|) the error is 2.4 ulp, not 1.93
 * (float, AVX-512, every input). */
MG_INLINE vec FN(vtanh)(vec x) {
    const ivec sign = (ivec)FN(splat)((real)-0.0);
    vec z = FN(vmax)(FN(splat)(-2 * TANH_LIMIT), 2 * (vec)((ivec)x | sign));
    vec t, p = FN(exp_core)(z, &t);
    vec s = FN(pow2)((ivec)t);
    vec y = (s * p + (s - 1)) / (s * p + (s + 1));
    return (vec)(((ivec)y & ~sign) | ((ivec)x & sign));
}
