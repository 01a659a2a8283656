/* exp, tanh and sigmoid of a vector: branch-free, no tables, no gathers; within 2 units in the last
 * place everywhere (tests/accuracy.py).
 *
 *     exp(x) = 2^q exp(r),   q = rint(x / ln 2),   r = x - q ln 2,   |r| <= ln 2 / 2
 *     p = exp(r) - 1 = r + r^2 (c0 + c1 r + ...)
 *     tanh(r) = r + r^3 (c0 + c1 r^2 + ...),   |r| <= ln 2 / 4
 *
 * The coefficients make the largest relative error of p and tanh(r) as small as it can be: 1.3e-8
 * and 1.6e-10 for float, 1.8e-17 and 4.2e-18 for double, a quarter of a unit in the last place at
 * most. They were found by least squares at 160 Chebyshev points, reweighted by the error until it
 * was level (Lawson's algorithm), in 50 digits. ln 2 = LN2_HIGH + LN2_LOW, where q LN2_HIGH is
 * exact even without a fused multiply-add. */
#undef LOG2_E
#undef LN2_HIGH
#undef LN2_LOW
#undef ROUNDER
#undef MANTISSA
#undef EXP_LIMIT
#undef TANH_LIMIT

#if REAL_BITS == 32
#define LOG2_E 1.44269504f
#define LN2_HIGH 0.693145751953125f
#define LN2_LOW 1.42860682030942e-6f
#define ROUNDER 12582912.0f /* 1.5 2^23: x + ROUNDER has the nearest integer in its low bits */
#define MANTISSA 23
#define EXP_LIMIT 120.0f /* exp is infinity above it, 0 below its negative */
#define TANH_LIMIT 10.0f /* tanh is 1 above it */
#else
#define LOG2_E 1.442695040888963407
#define LN2_HIGH 0.6931471805582987
#define LN2_LOW 1.646594958289708128e-12
#define ROUNDER 6755399441055744.0 /* 1.5 2^52 */
#define MANTISSA 52
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

/* x 2^q, x not 0 and q an integer: q is added to the exponent, whose bits lie above the mantissa.
 */
MG_INLINE vec FN(scale)(real x, ivec q) { return (vec)((ivec)FN(splat)(x) + (q << MANTISSA)); }

MG_INLINE vec FN(clamp)(vec x, real limit) {
    return FN(vmin)(FN(splat)(limit), FN(vmax)(FN(splat)(-limit), x)); /* NaN stays NaN */
}

/* exp(x). 2^q in two factors, so that neither overflows where the result does not. */
MG_INLINE vec FN(vexp)(vec x) {
    vec t, p = FN(exp_core)(FN(clamp)(x, EXP_LIMIT), &t);
    vec half = (t - (real)ROUNDER) * (real)0.5 + (real)ROUNDER;
    vec s = FN(scale)(1, (ivec)half);
    return (s * p + s) * FN(scale)(1, (ivec)t - (ivec)half);
}

/* 1 / (1 + exp(-x)), both sides of the fraction times 27/16 2^(-q/2): right down to the denormals.
 * The 27/16 is for accuracy: rounding costs most in a sum just above a power of two, and counts
 * most in a result just below one; with a factor 1 they coincide (2.0 ulp, not 1.8). b is added
 * last so that where a is a few places below it, a is not rounded away before p is there (2.1 ulp).
 */
MG_INLINE vec FN(vsigmoid)(vec x) {
    vec t, p = FN(exp_core)(FN(clamp)(-x, EXP_LIMIT), &t);
    vec half = (t - (real)ROUNDER) * (real)0.5 + (real)ROUNDER;
    vec a = FN(scale)((real)1.6875, -(ivec)half);
    vec b = FN(scale)((real)1.6875, (ivec)t - (ivec)half);
    return a / (b * p + a + b);
}

/* |x| = k + r with k = -q ln 2 / 2, an integer q <= 0; T = tanh(r), s = exp(-2k) = 2^q, and
 *
 *     tanh(|x|) = (m + d T) / (d + m T),   m = 1 - s,   d = 1 + s
 *               = m^2 + (m s^2 + (d - m^3) T) / (d + m T)
 *
 * m^2 is near the result, so the rounding errors of the fraction are those of something small;
 * where q = 0 they vanish, and T remains. (m^2 is exact until s^2 is lost beside 1; then it is off
 * by half a unit at most, next to a fraction that is nothing.) The sign is put back last. */
MG_INLINE vec FN(vtanh)(vec x) {
    const ivec sign = (ivec)FN(splat)((real)-0.0);
    vec z = FN(vmin)(FN(splat)(TANH_LIMIT), (vec)((ivec)x & ~sign)); /* NaN stays NaN */
    vec t = z * (real)(-2 * LOG2_E) + (real)ROUNDER;
    vec q = t - (real)ROUNDER;
    vec high = z + q * (real)(LN2_HIGH / 2), low = q * (real)(LN2_LOW / 2);
    vec r = high + low, u = r * r;
#if REAL_BITS == 32
    vec c = -0.052724272064f * u + 0.133311739954f;
    c = c * u - 0.333333226467f;
    vec T = u * r * c + r;
#else
    vec c = 3.444521786353720690e-3 * u - 8.857283181833465467e-3;
    c = c * u + 2.186936995218599615e-2;
    c = c * u - 5.396825277184342915e-2;
    c = c * u + 0.1333333333277793332;
    c = c * u - 0.3333333333333247449;
    vec T = (u * r * c + low) + high; /* not r, which is rounded: 1.6 ulp, not 2.02 */
#endif
    vec s = FN(scale)(1, (ivec)t);
    vec m = 1 - s, d = 1 + s, k = m * m;
    vec y = k + ((d - k * m) * T + m * (s * s)) / (m * T + d);
    return (vec)(((ivec)y & ~sign) | ((ivec)x & sign));
}
