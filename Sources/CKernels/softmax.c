#include "CKernels.h"
#include "clones.h"
#include "vector_math.h"

#include <math.h>

static inline __attribute__((always_inline)) float row_max(const float *x, size_t cols) {
  // Lanes of their own: a single running maximum would not vectorise.
  enum { LANES = 16 };
  float m[LANES];
  for (size_t k = 0; k < LANES; k++) m[k] = -INFINITY;
  size_t i = 0;
  for (; i + LANES <= cols; i += LANES)
    for (size_t k = 0; k < LANES; k++) m[k] = x[i + k] > m[k] ? x[i + k] : m[k];
  for (; i < cols; i++) m[0] = x[i] > m[0] ? x[i] : m[0];
  float top = m[0];
  for (size_t k = 1; k < LANES; k++) top = m[k] > top ? m[k] : top;
  return top;
}

CLONES void ck_softmax(const float *x, float *y, size_t rows, size_t cols, float scale) {
  REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * cols;
    float *out = y + r * cols;
    float top = row_max(in, cols) * scale;
    float sum = 0.0f;
    IN_PLACE
    for (size_t i = 0; i < cols; i++) {
      float e = vm_exp(in[i] * scale - top);
      out[i] = e;
      sum += e;
    }
    float inverse = 1.0f / sum;
    for (size_t i = 0; i < cols; i++) out[i] *= inverse;
  }
}

CLONES void ck_softmax_axis(const float *x, float *y, size_t outer, size_t count, size_t inner, float scale) {
  enum { BLOCK = 64 };
  for (size_t o = 0; o < outer; o++)
    for (size_t first = 0; first < inner; first += BLOCK) {
      size_t n = inner - first < BLOCK ? inner - first : BLOCK;
      const float *in = x + o * count * inner + first;
      float *out = y + o * count * inner + first;
      float top[BLOCK], sum[BLOCK];
      for (size_t i = 0; i < n; i++) top[i] = -INFINITY, sum[i] = 0;
      for (size_t u = 0; u < count; u++)
        for (size_t i = 0; i < n; i++) top[i] = in[u * inner + i] > top[i] ? in[u * inner + i] : top[i];
      for (size_t i = 0; i < n; i++) top[i] *= scale;
      for (size_t u = 0; u < count; u++) {
        const float *from = in + u * inner;
        float *to = out + u * inner;
        IN_PLACE
        for (size_t i = 0; i < n; i++) {
          float e = vm_exp(from[i] * scale - top[i]);
          to[i] = e;
          sum[i] += e;
        }
      }
      for (size_t i = 0; i < n; i++) sum[i] = 1.0f / sum[i];
      for (size_t u = 0; u < count; u++)
        for (size_t i = 0; i < n; i++) out[u * inner + i] *= sum[i];
    }
}

CLONES void ck_softmax_gradient(const float *p, const float *g, float *y, size_t rows,
                                size_t cols) {
  REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    const float *pr = p + r * cols, *gr = g + r * cols;
    float *out = y + r * cols;
    float dot = 0.0f;
    for (size_t i = 0; i < cols; i++) dot += pr[i] * gr[i];
    IN_PLACE
    for (size_t i = 0; i < cols; i++) out[i] = pr[i] * (gr[i] - dot);
  }
}

CLONES void ck_softmax_curvature(const float *p, float *dp, float *ds, float *e, size_t rows,
                                 size_t cols) {
  REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    const float *pr = p + r * cols;
    float *dpr = dp + r * cols, *dsr = ds + r * cols, *er = e + r * cols;
    float a = 0.0f, b = 0.0f, c = 0.0f;
    for (size_t i = 0; i < cols; i++) {
      a += pr[i] * dpr[i];
      b += pr[i] * dsr[i];
    }
    for (size_t i = 0; i < cols; i++) {
      float g = dsr[i] * dpr[i] - b * dpr[i] - a * dsr[i] + er[i];
      c += pr[i] * g;
      er[i] = g;
      dpr[i] = pr[i] * (dpr[i] - a);
      dsr[i] = pr[i] * (dsr[i] - b);
    }
    for (size_t i = 0; i < cols; i++) er[i] = pr[i] * (er[i] - c);
  }
}

CLONES void ck_log_sum_exp(const float *x, float *out, size_t rows, size_t cols) {
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * cols;
    float top = row_max(in, cols);
    double sum = 0.0;
    for (size_t i = 0; i < cols; i++) sum += (double)vm_exp(in[i] - top);
    out[r] = top + (float)log(sum);
  }
}
