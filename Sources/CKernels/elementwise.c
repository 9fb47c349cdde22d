#include "CKernels.h"
#include "clones.h"
#include "vector_math.h"

#include <math.h>

// STEP(out, u, v) is what one pair of values gives.
#define BINARY(NAME, STEP)                                                              \
  CLONES void NAME(const float *a, const float *b, float *y, size_t outer, size_t cols, \
                   int mode) {                                                          \
    if (mode == CK_SAME) {                                                              \
      size_t n = outer * cols;                                                          \
      IN_PLACE                                                                          \
      for (size_t i = 0; i < n; i++) STEP(y[i], a[i], b[i]);                            \
    } else if (mode == CK_SUFFIX) {                                                     \
      for (size_t r = 0; r < outer; r++) {                                              \
        const float *in = a + r * cols;                                                 \
        float *out = y + r * cols;                                                      \
        IN_PLACE                                                                        \
        for (size_t i = 0; i < cols; i++) STEP(out[i], in[i], b[i]);                    \
      }                                                                                 \
    } else {                                                                            \
      for (size_t r = 0; r < outer; r++) {                                              \
        const float *in = a + r * cols;                                                 \
        float *out = y + r * cols, v = b[r];                                            \
        IN_PLACE                                                                        \
        for (size_t i = 0; i < cols; i++) STEP(out[i], in[i], v);                       \
      }                                                                                 \
    }                                                                                   \
  }
#define ADD(Y, U, V) Y = U + V
#define MULTIPLY(Y, U, V) Y = U * V
#define MULTIPLY_ADD(Y, U, V) Y += U * V
#define EQUAL(Y, U, V) Y = U == V ? 1.0f : 0.0f
#define KEEP(Y, U, V) Y = V != 0.0f ? U : 0.0f
BINARY(ck_add, ADD)
BINARY(ck_multiply, MULTIPLY)
BINARY(ck_multiply_add, MULTIPLY_ADD)
BINARY(ck_equal, EQUAL)
BINARY(ck_keep, KEEP)

CLONES void ck_affine_scalar(const float *x, float a, float b, float *y, size_t n) {
  IN_PLACE
  for (size_t i = 0; i < n; i++) y[i] = a * x[i] + b;
}

CLONES void ck_axpy(float a, const float *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

CLONES void ck_map(const float *x, float *y, size_t n, int function, float a, float b) {
#define LOOP(EXPRESSION)             \
  for (size_t i = 0; i < n; i++) {   \
    float v = x[i];                  \
    y[i] = (EXPRESSION);             \
  }                                  \
  break
  switch (function) {
    case CK_FN_RELU: LOOP(vm_activate(v, 2));
    // PyTorch's subgradient: 0 at the kinks of ReLU, and 0 at both kinks of ReLU6.
    case CK_FN_RELU_STEP: LOOP(v > 0.0f ? 1.0f : 0.0f);
    case CK_FN_RELU6: LOOP(vm_activate(v, 3));
    case CK_FN_RELU6_STEP: LOOP(v > 0.0f && v < 6.0f ? 1.0f : 0.0f);
    case CK_FN_SIGMOID: LOOP(vm_sigmoid(v));
    case CK_FN_EXP: LOOP(vm_exp(v));
    case CK_FN_RECIPROCAL: LOOP(1.0f / v);
    case CK_FN_RSQRT: LOOP(1.0f / sqrtf(v));
    case CK_FN_LOG: LOOP(logf(v));
    case CK_FN_TANH: LOOP(vm_tanh(v));
    case CK_FN_SQRT: LOOP(sqrtf(v));
    case CK_FN_SIN: LOOP(sinf(v));
    case CK_FN_COS: LOOP(cosf(v));
    case CK_FN_ABS: LOOP(fabsf(v));
    case CK_FN_SIGN: LOOP(v > 0.0f ? 1.0f : (v < 0.0f ? -1.0f : 0.0f));
    case CK_FN_ERF: LOOP(vm_erf(v));
    case CK_FN_SOFTPLUS: LOOP((v < 0.0f ? 0.0f : v) + log1pf(vm_exp(v < 0.0f ? v : -v)));
    case CK_FN_RECIPROCAL_OR_ZERO: LOOP(v == 0.0f ? 0.0f : 1.0f / v);
    case CK_FN_POWER: LOOP(powf(v, a));
    case CK_FN_LEAKY_RELU: LOOP(v > 0.0f ? v : a * v);
    case CK_FN_LEAKY_STEP: LOOP(v > 0.0f ? 1.0f : a);
    // A NaN stays.
    case CK_FN_CLAMP: LOOP(v < a ? a : (v > b ? b : v));
    case CK_FN_CLAMP_STEP: LOOP(v >= a && v <= b ? 1.0f : 0.0f);
    default: break;
  }
#undef LOOP
}

// A derivative of x Phi(x); inlined with a constant order where it matters.
INLINE float gelu_derivative(float x, int order) {
  if (order == 0) return vm_gelu(x);
  if (order == 1) return vm_normal_cdf(x) + x * vm_normal_pdf(x);
  if (order == 2) return vm_normal_pdf(x) * (2.0f - x * x);
  // d^n (x Phi) = n Phi^(n-1) + x Phi^(n), with Phi^(m) = (-1)^(m-1) He_(m-1)(x) phi(x).
  float h0 = 1.0f, h1 = x;  // He_0, He_1
  for (int m = 1; m < order - 2; m++) {
    float h2 = x * h1 - (float)m * h0;
    h0 = h1;
    h1 = h2;
  }
  // h1 = He_(order-2); one step more gives He_(order-1).
  float next = x * h1 - (float)(order - 2) * h0;
  float sign = (order & 1) ? 1.0f : -1.0f;
  return sign * vm_normal_pdf(x) * (x * next - (float)order * h1);
}

#define FOR_EACH_ORDER(EXPRESSION)                                          \
  switch (order) {                                                          \
    case 0: for (size_t i = 0; i < n; i++) { enum { k = 0 }; EXPRESSION; } break; \
    case 1: for (size_t i = 0; i < n; i++) { enum { k = 1 }; EXPRESSION; } break; \
    case 2: for (size_t i = 0; i < n; i++) { enum { k = 2 }; EXPRESSION; } break; \
    default: for (size_t i = 0; i < n; i++) { int k = order; EXPRESSION; } break; \
  }

CLONES void ck_gelu(const float *x, float *y, size_t n, int order) {
  FOR_EACH_ORDER(y[i] = gelu_derivative(x[i], k))
}

CLONES void ck_gelu_product(const float *x, const float *a, const float *b, float *y, size_t n,
                            int order) {
  if (b) {
    FOR_EACH_ORDER(y[i] = gelu_derivative(x[i], k) * (a[i] * b[i]))
  } else {
    FOR_EACH_ORDER(y[i] = gelu_derivative(x[i], k) * a[i])
  }
}

// row = activation(row), each in a loop of its own
INLINE void activate(float *row, size_t count, int activation) {
#define CASE(NAME) \
  case NAME:       \
    for (size_t i = 0; i < count; i++) row[i] = vm_activate(row[i], NAME); \
    break
  switch (activation) {
    CASE(CK_ACTIVATION_GELU);
    CASE(CK_ACTIVATION_RELU);
    CASE(CK_ACTIVATION_RELU6);
    CASE(CK_ACTIVATION_GELU_TANH);
    CASE(CK_ACTIVATION_QUICK_GELU);
    CASE(CK_ACTIVATION_SILU);
    default: break;
  }
#undef CASE
}

CLONES void ck_linear_epilogue(float *y, size_t rows, size_t cols, size_t ld, const float *bias,
                               int activation, const float *gain, const float *residual) {
  for (size_t r = 0; r < rows; r++) {
    float *row = y + r * ld;
    if (bias)
      for (size_t i = 0; i < cols; i++) row[i] = row[i] + bias[i];
    activate(row, cols, activation);
    if (gain)
      for (size_t i = 0; i < cols; i++) row[i] = row[i] * gain[i];
    if (residual) {
      const float *add = residual + r * cols;
      for (size_t i = 0; i < cols; i++) row[i] = row[i] + add[i];
    }
  }
}

CLONES void ck_affine_epilogue(const float *x, float *y, size_t rows, size_t cols,
                               const float *scale, const float *shift, const float *residual,
                               int activation) {
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * cols;
    float *out = y + r * cols;
    if (residual) {
      const float *add = residual + r * cols;
      IN_PLACE
      for (size_t i = 0; i < cols; i++) out[i] = (in[i] * scale[i] + shift[i]) + add[i];
    } else {
      IN_PLACE
      for (size_t i = 0; i < cols; i++) out[i] = in[i] * scale[i] + shift[i];
    }
    activate(out, cols, activation);
  }
}
