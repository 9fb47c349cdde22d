#include "CKernels.h"
#include "clones.h"

#include <math.h>
#include <string.h>

void ck_class_sums(const float *a, size_t ld, size_t rows, size_t cols, const int32_t *classes,
                   size_t class_step, double *sum, double *magnitude, double *squares) {
  double total = 0.0;
  for (size_t r = 0; r < rows; r++) {
    const float *row = a + r * ld;
    const int32_t *of = classes + r * class_step;
    for (size_t k = 0; k < cols; k++) {
      double w = (double)row[k];
      sum[of[k]] += w;
      magnitude[of[k]] += fabs(w);
      total += w * w;
    }
  }
  *squares += total;
}

CLONES double ck_head_sums(const float *a, size_t head_step, size_t heads, size_t ld, size_t rows,
                           size_t cols, double *scratch) {
  double total = 0.0;
  for (size_t r = 0; r < rows; r++) {
    REASSOCIATE
    memset(scratch, 0, cols * sizeof(double));
    for (size_t h = 0; h < heads; h++) {
      const float *row = a + h * head_step + r * ld;
      for (size_t k = 0; k < cols; k++) scratch[k] += (double)row[k];
    }
    double own = 0.0;
    for (size_t k = 0; k < cols; k++) own += scratch[k] * scratch[k];
    total += own;
  }
  return total;
}

CLONES void ck_image_deviations(const float *a, size_t step, size_t images, size_t n, double *deviations) {
  enum { part = 512 };
  double mean[part];
  for (size_t first = 0; first < n; first += part) {
    size_t count = n - first < part ? n - first : part;
    memset(mean, 0, sizeof mean);
    for (size_t i = 0; i < images; i++) {
      const float *row = a + i * step + first;
      for (size_t k = 0; k < count; k++) mean[k] += (double)row[k];
    }
    for (size_t k = 0; k < count; k++) mean[k] /= (double)images;
    for (size_t i = 0; i < images; i++) {
      REASSOCIATE
      const float *row = a + i * step + first;
      double sum = 0.0;
      for (size_t k = 0; k < count; k++) {
        double d = (double)row[k] - mean[k];
        sum += d * d;
      }
      deviations[i] += sum;
    }
  }
}
