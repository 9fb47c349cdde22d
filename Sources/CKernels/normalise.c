#include "CKernels.h"
#include "clones.h"

#include <math.h>

// Two passes over a row that stays in cache: the mean first, then the variance about it.
static inline __attribute__((always_inline)) void row_statistics(const float *x, size_t cols,
                                                                 float eps, float *mean,
                                                                 float *rstd) {
  REASSOCIATE
  float sum = 0.0f;
  for (size_t i = 0; i < cols; i++) sum += x[i];
  float m = sum / (float)cols;
  float squares = 0.0f;
  for (size_t i = 0; i < cols; i++) squares += (x[i] - m) * (x[i] - m);
  *mean = m;
  *rstd = 1.0f / sqrtf(squares / (float)cols + eps);
}

CLONES void ck_layer_norm(const float *x, const float *gamma, const float *beta, float *y,
                          size_t rows, size_t cols, float eps) {
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * cols;
    float *out = y + r * cols;
    float mean, rstd;
    row_statistics(in, cols, eps, &mean, &rstd);
    if (gamma && beta)
      for (size_t i = 0; i < cols; i++) out[i] = ((in[i] - mean) * rstd) * gamma[i] + beta[i];
    else
      for (size_t i = 0; i < cols; i++) out[i] = (in[i] - mean) * rstd;
  }
}

CLONES void ck_row_rstd(const float *x, float *out, size_t rows, size_t cols, float eps) {
  for (size_t r = 0; r < rows; r++) {
    float mean;
    row_statistics(x + r * cols, cols, eps, &mean, out + r);
  }
}

CLONES void ck_normalise_gradient(const float *x, const float *h, float *y, size_t rows,
                                  size_t cols, float eps) {
  REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * cols, *up = h + r * cols;
    float *out = y + r * cols;
    float mean, rstd, sum = 0.0f, dot = 0.0f;
    row_statistics(in, cols, eps, &mean, &rstd);
    for (size_t i = 0; i < cols; i++) {
      sum += up[i];
      dot += up[i] * ((in[i] - mean) * rstd);
    }
    float a = sum / (float)cols, b = dot / (float)cols;
    for (size_t i = 0; i < cols; i++)
      out[i] = (up[i] - a - ((in[i] - mean) * rstd) * b) * rstd;
  }
}
