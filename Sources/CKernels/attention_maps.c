#include "CKernels.h"
#include "clones.h"
#include "vector_math.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

CLONES size_t ck_sum_of_directions(const float *x, size_t tokens, size_t c, double *sum) {
  memset(sum, 0, c * sizeof(double));
  size_t count = 0;
  for (size_t t = 0; t < tokens; t++) {
    REASSOCIATE
    const float *row = x + t * c;
    double square = 0.0;
    for (size_t k = 0; k < c; k++) square += (double)row[k] * (double)row[k];
    if (!(square > 0.0)) continue;
    count++;
    double factor = 1.0 / sqrt(square);
    for (size_t k = 0; k < c; k++) sum[k] += (double)row[k] * factor;
  }
  return count;
}

CLONES size_t ck_attention_rows(const float *a, size_t ld, size_t rows, size_t cols, const float *d,
                                double *distance, double *entropy, double *column, int *negative) {
  size_t count = 0;
  double far = 0.0, spread = 0.0;
  for (size_t r = 0; r < rows; r++) {
    REASSOCIATE
    const float *row = a + r * ld;
    double sum = 0.0, logs = 0.0, away = 0.0;
    int below = 0;
    for (size_t k = 0; k < cols; k++) {
      float w = fabsf(row[k]);
      below |= row[k] < 0.0f;
      sum += (double)w;
      // Zero has a finite logarithm here: the product is zero.
      logs += (double)w * (double)vm_log(w);
    }
    *negative |= below;
    if (!(sum > 0.0)) continue;
    count++;
    double factor = 1.0 / sum;
    // The sum of weights is taken apart first: log(w / sum) = log w - log sum.
    spread += log(sum) - logs * factor;
    if (d) {
      const float *at = d + r * cols;
      for (size_t k = 0; k < cols; k++) away += (double)fabsf(row[k]) * (double)at[k];
      far += away * factor;
    }
    for (size_t k = 0; k < cols; k++) column[k] += (double)fabsf(row[k]) * factor;
  }
  *distance += far;
  *entropy += spread;
  return count;
}

CLONES void ck_map_offsets(const float *a, size_t ld, size_t rows, size_t cols, const double *query_y,
                           const double *query_x, const double *key_y, const double *key_x,
                           double *moments) {
  for (size_t r = 0; r < rows; r++) {
    REASSOCIATE
    const float *row = a + r * ld;
    double sum = 0.0, mx = 0.0, my = 0.0, xx = 0.0, xy = 0.0, yy = 0.0;
    double qy = query_y[r], qx = query_x[r];
    for (size_t k = 0; k < cols; k++) {
      double w = (double)fabsf(row[k]), x = key_x[k] - qx, y = key_y[k] - qy;
      sum += w;
      mx += w * x;
      my += w * y;
      xx += w * x * x;
      xy += w * x * y;
      yy += w * y * y;
    }
    if (!(sum > 0.0)) continue;
    double factor = 1.0 / sum;
    moments[0] += mx * factor;
    moments[1] += my * factor;
    moments[2] += xx * factor;
    moments[3] += xy * factor;
    moments[4] += yy * factor;
  }
}

// The place of the grid that a tap of a window reads along one axis; SIZE_MAX outside.
static inline size_t tap_place(size_t result, size_t stride, size_t tap, size_t dilation, size_t pad,
                               size_t extent) {
  size_t at = result * stride + tap * dilation;
  return at >= pad && at - pad < extent ? at - pad : SIZE_MAX;
}

size_t ck_tap_rows(const float *a, const ck_taps *t, const float *d, const double *y, const double *x,
                   double *distance, double *entropy, double *column, double *moments, int *negative) {
  size_t count = 0;
  double far = 0.0, spread = 0.0;
  for (size_t r = 0; r < t->oh * t->ow; r++) {
    const float *row = a + r * t->place_step;
    double sum = 0.0, logs = 0.0, away = 0.0, mx = 0.0, my = 0.0, xx = 0.0, xy = 0.0, yy = 0.0;
    for (int pass = 0; pass < 2; pass++) {
      double factor = pass ? 1.0 / sum : 0.0;
      for (size_t i = 0; i < t->kh; i++) {
        size_t at_y = tap_place(r / t->ow, t->stride_h, i, t->dilation_h, t->pad_top, t->h);
        if (at_y == SIZE_MAX) continue;
        for (size_t j = 0; j < t->kw; j++) {
          size_t at_x = tap_place(r % t->ow, t->stride_w, j, t->dilation_w, t->pad_left, t->w);
          if (at_x == SIZE_MAX) continue;
          size_t k = i * t->kw + j;
          double w = (double)fabsf(row[k]);
          if (pass) {
            column[at_y * t->w + at_x] += w * factor;
            continue;
          }
          *negative |= row[k] < 0.0f;
          sum += w;
          if (w > 0.0) logs += w * log(w);
          if (d) away += w * (double)d[k];
          mx += w * x[k];
          my += w * y[k];
          xx += w * x[k] * x[k];
          xy += w * x[k] * y[k];
          yy += w * y[k] * y[k];
        }
      }
      if (!(sum > 0.0)) break;
    }
    if (!(sum > 0.0)) continue;
    count++;
    double factor = 1.0 / sum;
    spread += log(sum) - logs * factor;
    far += away * factor;
    moments[0] += mx * factor;
    moments[1] += my * factor;
    moments[2] += xx * factor;
    moments[3] += xy * factor;
    moments[4] += yy * factor;
  }
  *distance += far;
  *entropy += spread;
  return count;
}

double ck_entropy(const double *x, size_t n) {
  double sum = 0.0, logs = 0.0;
  for (size_t k = 0; k < n; k++) {
    sum += x[k];
    if (x[k] > 0.0) logs += x[k] * log(x[k]);
  }
  return sum > 0.0 ? log(sum) - logs / sum : 0.0;
}
