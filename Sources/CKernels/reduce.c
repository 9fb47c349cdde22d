#include "CKernels.h"
#include "clones.h"

#include <math.h>
#include <string.h>

enum { COLUMN_BLOCK = 256 };

CLONES void ck_sum_columns(const float *x, float *y, size_t count, size_t width, size_t stride) {
  for (size_t start = 0; start < width; start += COLUMN_BLOCK) {
    size_t block = width - start < COLUMN_BLOCK ? width - start : COLUMN_BLOCK;
    double sums[COLUMN_BLOCK] = {0};
    for (size_t k = 0; k < count; k++)
      for (size_t i = 0; i < block; i++) sums[i] += (double)x[k * stride + start + i];
    for (size_t i = 0; i < block; i++) y[start + i] = (float)sums[i];
  }
}

CLONES void ck_sum_axis(const float *x, float *y, size_t outer, size_t count, size_t inner) {
  REASSOCIATE
  for (size_t o = 0; o < outer; o++) {
    const float *in = x + o * count * inner;
    if (inner == 1) {
      double sum = 0.0;
      for (size_t i = 0; i < count; i++) sum += (double)in[i];
      y[o] = (float)sum;
    } else {
      ck_sum_columns(in, y + o * inner, count, inner, inner);
    }
  }
}

CLONES void ck_largest_of_axis(const float *x, float *y, size_t outer, size_t count, size_t inner) {
  for (size_t o = 0; o < outer; o++, y += inner) {
    const float *in = x + o * count * inner;
    memcpy(y, in, inner * sizeof(float));
    for (size_t k = 1; k < count; k++)
      for (size_t i = 0; i < inner; i++) {
        float v = in[k * inner + i];
        y[i] = v > y[i] || v != v ? v : y[i];
      }
  }
}

CLONES void ck_cumulative_sum(const float *x, float *y, size_t outer, size_t count, size_t inner,
                              int backward) {
  for (size_t o = 0; o < outer; o++)
    for (size_t start = 0; start < inner; start += COLUMN_BLOCK) {
      size_t block = inner - start < COLUMN_BLOCK ? inner - start : COLUMN_BLOCK;
      double sums[COLUMN_BLOCK] = {0};
      for (size_t k = 0; k < count; k++) {
        size_t at = (o * count + (backward ? count - 1 - k : k)) * inner + start;
        for (size_t i = 0; i < block; i++) {
          sums[i] += (double)x[at + i];
          y[at + i] = (float)sums[i];
        }
      }
    }
}

CLONES void ck_dot_rows(const float *a, const float *b, float *y, size_t rows, size_t cols) {
  REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    double sum = 0.0;
    for (size_t i = 0; i < cols; i++) sum += (double)a[r * cols + i] * (double)b[r * cols + i];
    y[r] = (float)sum;
  }
}

CLONES void ck_dot_columns(const float *a, const float *b, float *y, size_t count, size_t width,
                           size_t stride) {
  for (size_t start = 0; start < width; start += COLUMN_BLOCK) {
    size_t block = width - start < COLUMN_BLOCK ? width - start : COLUMN_BLOCK;
    double sums[COLUMN_BLOCK] = {0};
    for (size_t k = 0; k < count; k++) {
      const float *x = a + k * stride + start, *z = b + k * stride + start;
      for (size_t i = 0; i < block; i++) sums[i] += (double)x[i] * (double)z[i];
    }
    for (size_t i = 0; i < block; i++) y[start + i] = (float)sums[i];
  }
}

CLONES void ck_expand_axis(const float *x, float *y, size_t outer, size_t count, size_t inner) {
  for (size_t o = 0; o < outer; o++)
    for (size_t k = 0; k < count; k++) {
      float *out = y + (o * count + k) * inner;
      if (inner == 1)
        out[0] = x[o];
      else
        memcpy(out, x + o * inner, inner * sizeof(float));
    }
}

CLONES double ck_dot(const float *x, const float *y, size_t n) {
  REASSOCIATE
  double sum = 0.0;
  for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)y[i];
  return sum;
}

CLONES size_t ck_first_nonfinite(const float *x, size_t n) {
  size_t i = 0;
  // x - x is 0 for finite x and NaN otherwise: sum blocks of it, then look closer.
  while (i < n) {
    REASSOCIATE
    size_t end = n - i < 4096 ? n : i + 4096;
    int bad = 0;
    for (size_t k = i; k < end; k++) bad |= !(fabsf(x[k]) <= 3.402823466e38f);
    if (bad) {
      for (size_t k = i; k < end; k++)
        if (!(fabsf(x[k]) <= 3.402823466e38f)) return k;
    }
    i = end;
  }
  return n;
}

double ck_exp(double x) { return exp(x); }
