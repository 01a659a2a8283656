/* exp, tanh and sigmoid of a vector: one branch-free core, no tables, no gathers.
 *
 *     exp(x) = 2^q exp(r),   q = rint(x / ln 2),   r = x - q ln 2,   |r| <= ln 2 / 2
 *     p = exp(r) - 1 = r + r^2/2 + r^3 (c3 + c4 r + ...)
 *
 * The coefficients make the largest relative error of p over |r| <= 0.3466 as small as it can be
 * (Remez's exchange on the weight 1/expm1(r), in 60 digits, the first two held at 1 and 1/2):
 * 1.4e-8 for float, 2.4e-17 for double, a quarter of a unit in the last place.
 * ln 2 = LN2_HIGH + LN2_LOW, where q LN2_HIGH is exact even without a fused multiply-add. */
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
    vec c = 0.00138982249251f * r + 0.00836604077302f;
    c = c * r + 0.0416668541996f;
    c = c * r + 0.166665487087f;
#else
    vec c = 2.5045893665254626326e-8 * r + 2.7622221180135032984e-7;
    c = c * r + 2.7557425098544458784e-6;
    c = c * r + 2.4801516361191762081e-5;
    c = c * r + 1.9841269709317535744e-4;
    c = c * r + 1.3888888920499841337e-3;
    c = c * r + 8.3333333333883959297e-3;
    c = c * r + 4.1666666666619999102e-2;
    c = c * r + 0.16666666666666601864;
#endif
    c = c * r + (real)0.5;
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

/* 1 / (1 + exp(-x)), both sides of the fraction times 2^(-q/2): right down to the denormals.
 * a + b is exact wherever a matters: the sum is rounded once. */
MG_INLINE vec FN(vsigmoid)(vec x) {
    vec t, p = FN(exp_core)(FN(clamp)(-x, EXP_LIMIT), &t);
    vec half = (t - (real)ROUNDER) * (real)0.5 + (real)ROUNDER;
    vec a = FN(pow2)(-(ivec)half);
    vec b = FN(pow2)((ivec)t - (ivec)half);
    return a / (b * p + (a + b));
}

/* tanh(x) = e / (e + 2), e = exp(2|x|) - 1, with the sign of x put back; e + 2 is made of s and p
 * as e is, and so rounded once, not twice. */
MG_INLINE vec FN(vtanh)(vec x) {
    ivec sign = (ivec)x & (ivec)FN(splat)((real)-0.0);
    vec t, p = FN(exp_core)(FN(vmin)(FN(splat)(2 * TANH_LIMIT), 2 * (vec)((ivec)x ^ sign)), &t);
    vec s = FN(pow2)((ivec)t);
    vec y = (s * p + (s - 1)) / (s * p + (s + 1));
    return (vec)((ivec)y | sign);
}
