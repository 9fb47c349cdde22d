// exp, log and erf as branch-free polynomials that vectorise. Bounds of exp and erf were measured
// over every seventh float, those of log over all.
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE float bits_to_float(int32_t i) {
  float f;
  memcpy(&f, &i, 4);
  return f;
}

// exp(x) to 1.01 ulp; 0 below -87.3 (no denormals), infinity above 88.72.
// Cody-Waite reduction, degree-6 polynomial (Cephes).
INLINE float vm_exp(float x) {
  CONTRACT
  // Comparisons with NaN are false: it becomes -87.3 here and comes back at the end.
  float clamped = x > -87.3f ? (x < 88.73f ? x : 88.73f) : -87.3f;
  // Adding 1.5 * 2^23 rounds to the nearest integer without a library call.
  float shifted = clamped * 1.44269504088896341f + 12582912.0f;
  float k = shifted - 12582912.0f;
  float r = clamped - k * 0.693359375f;
  r = r - k * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // 2^k in two factors: 2^128 alone is no float.
  int32_t power = (int32_t)k, half = power >> 1;
  float y = p * bits_to_float((half + 127) << 23) * bits_to_float((power - half + 127) << 23);
  y = x < -87.3f ? 0.0f : y;
  return x != x ? x : y;
}

INLINE int32_t float_to_bits(float f) {
  int32_t i;
  memcpy(&i, &f, 4);
  return i;
}

// log(x) of positive normal numbers, to 0.83 ulp; NaN and infinity stay. Degree-8 polynomial
// on [sqrt(1/2), sqrt(2)) (Cephes).
INLINE float vm_log(float x) {
  CONTRACT
  uint32_t bits = (uint32_t)float_to_bits(x);
  int32_t e = (int32_t)(bits - 0x3f3504f3u) >> 23;
  float f = bits_to_float((int32_t)(bits - ((uint32_t)e << 23))) - 1.0f;
  float k = (float)e;
  float p = 7.0376836292e-2f;
  p = p * f + -1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f + -1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f + -1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f + -2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  float square = f * f;
  float y = p * f * square;
  y = y + k * -2.12194440e-4f;
  y = y - 0.5f * square;
  y = (f + y) + k * 0.693359375f;
  return x <= 3.402823466e38f ? y : x;
}

// erf(x), absolute and relative error below 4.5e-7: rational approximation on [-4, 4] (the one in
// Eigen). GELU and its derivatives inherit it: x Phi(x) is good to 3e-7 max(1, |x|), the others to
// 3e-7.
INLINE float vm_erf(float x) {
  CONTRACT
  float c = x < -4.0f ? -4.0f : (x > 4.0f ? 4.0f : x);
  float s = c * c;
  float p = -2.72614225801306e-10f;
  p = p * s + 2.77068142495902e-08f;
  p = p * s + -2.10102402082508e-06f;
  p = p * s + -5.69250639462346e-05f;
  p = p * s + -7.34990630326855e-04f;
  p = p * s + -2.95459980854025e-03f;
  p = p * s + -1.60960333262415e-02f;
  float q = -1.45660718464996e-05f;
  q = q * s + -2.13374055278905e-04f;
  q = q * s + -1.68282697438203e-03f;
  q = q * s + -7.37332916720468e-03f;
  q = q * s + -1.42647390514189e-02f;
  float y = c * p / q;
  return x != x ? x : y;
}

// The standard normal distribution function and density.
INLINE float vm_normal_cdf(float x) { return 0.5f * (1.0f + vm_erf(x * 0.70710678118654752f)); }
INLINE float vm_normal_pdf(float x) { return 0.39894228040143268f * vm_exp(-0.5f * x * x); }
INLINE float vm_gelu(float x) { return x * vm_normal_cdf(x); }

// x sigmoid(p(x)): SiLU with p = x, QuickGELU with p = 1.702 x, and GELU by the hyperbolic tangent, as
// (1 + tanh u) / 2 = sigmoid(2 u).
INLINE float vm_sigmoid(float x) { return 1.0f / (1.0f + vm_exp(-x)); }
INLINE float vm_silu(float x) { return x * vm_sigmoid(x); }
INLINE float vm_quick_gelu(float x) { return x * vm_sigmoid(1.702f * x); }
INLINE float vm_gelu_tanh(float x) {
  return x * vm_sigmoid(1.5957691216057308f * (x + 0.044715f * (x * x * x)));
}

// tanh(x): an odd polynomial of degree 11 below 0.625 (Cephes), 1 - 2 / (exp(2 x) + 1) above.
INLINE float vm_tanh(float x) {
  CONTRACT
  float size = x < 0.0f ? -x : x, s = x * x;
  float p = -5.70498872745e-3f;
  p = p * s + 2.06390887954e-2f;
  p = p * s + -5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s + -3.33332819422e-1f;
  float inner = p * s * x + x;
  float outer = 1.0f - 2.0f / (vm_exp(2.0f * size) + 1.0f);
  outer = x < 0.0f ? -outer : outer;
  return size < 0.625f ? inner : outer;
}

INLINE float vm_activate(float x, int activation) {
  switch (activation) {
    case 1: return vm_gelu(x);
    case 2: return x < 0.0f ? 0.0f : x;
    case 3: return x < 0.0f ? 0.0f : (x > 6.0f ? 6.0f : x);
    case 4: return vm_gelu_tanh(x);
    case 5: return vm_quick_gelu(x);
    case 6: return vm_silu(x);
    default: return x;
  }
}
