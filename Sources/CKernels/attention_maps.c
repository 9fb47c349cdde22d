#include "CKernels.h"
#include "clones.h"
#include "vector_math.h"

#include <math.h>
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

double ck_entropy(const double *x, size_t n) {
  double sum = 0.0, logs = 0.0;
  for (size_t k = 0; k < n; k++) {
    sum += x[k];
    if (x[k] > 0.0) logs += x[k] * log(x[k]);
  }
  return sum > 0.0 ? log(sum) - logs / sum : 0.0;
}
