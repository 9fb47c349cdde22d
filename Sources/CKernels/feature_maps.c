#include "CKernels.h"
#include "clones.h"
#include "vector_math.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 256 };

CLONES void ck_project(const float *restrict x, size_t positions, size_t c,
                       const int32_t *restrict bin, size_t bins, float *restrict s) {
  memset(s, 0, bins * c * sizeof(float));
  for (size_t p = 0; p < positions; p++) {
    const float *in = x + p * c;
    float *out = s + (size_t)bin[p] * c;
    for (size_t k = 0; k < c; k++) out[k] += in[k] - x[k];
  }
}

CLONES void ck_centre_projection(float *s, size_t bins, size_t c, const int32_t *size,
                                 size_t positions) {
  for (size_t start = 0; start < c; start += BLOCK) {
    size_t width = c - start < BLOCK ? c - start : BLOCK;
    double mean[BLOCK] = {0};
    for (size_t b = 0; b < bins; b++)
      for (size_t k = 0; k < width; k++) mean[k] += (double)s[b * c + start + k];
    for (size_t k = 0; k < width; k++) mean[k] /= (double)positions;
    for (size_t b = 0; b < bins; b++)
      for (size_t k = 0; k < width; k++) {
        float *at = s + b * c + start + k;
        *at = (float)((double)*at - (double)size[b] * mean[k]);
      }
  }
}

CLONES void ck_shift_map(const float *restrict x, size_t positions, size_t c, float *restrict y) {
  for (size_t p = 0; p < positions; p++)
    for (size_t k = 0; k < c; k++) y[p * c + k] = x[p * c + k] - x[k];
}

// Numbers beyond 2^40 are brought down by 2^-80 before they are squared, and 80 log 2 added.
#define LARGE 0x1p40f
#define DOWN 0x1p-80f
#define LOG_UP 55.451774444795625f

CLONES double ck_log_sum(const float *s, size_t bins, size_t c, const float *first,
                         size_t positions, double floor, double faint, size_t *dead,
                         double *power) {
  REASSOCIATE
  double total = 0.0, squares = 0.0;
  size_t count = 0;
  for (size_t start = 0; start < c; start += BLOCK) {
    size_t width = c - start < BLOCK ? c - start : BLOCK;
    double sums[BLOCK];
    for (size_t k = 0; k < width; k++) sums[k] = (double)first[start + k] * (double)positions;
    for (size_t b = 0; b < bins; b++)
      for (size_t k = 0; k < width; k++) sums[k] += (double)s[b * c + start + k];
    for (size_t k = 0; k < width; k++) {
      double a = fabs(sums[k]);
      count += a < faint;
      squares += a * a;
      int large = a > (double)LARGE;
      float scaled = (float)((a + floor) * (large ? (double)DOWN : 1.0));
      total += (double)(vm_log(scaled) + (large ? LOG_UP : 0.0f));
    }
  }
  *dead += count;
  *power += squares;
  return total;
}

CLONES double ck_log_amplitude(const float *z, size_t n, float floor) {
  REASSOCIATE
  double total = 0.0;
  for (size_t i = 0; i < n; i++) {
    float re = fabsf(z[2 * i]), im = fabsf(z[2 * i + 1]);
    int large = re > LARGE || im > LARGE;
    float scale = large ? DOWN : 1.0f;
    re *= scale;
    im *= scale;
    float amplitude = sqrtf(re * re + im * im) + floor * scale;
    total += (double)(vm_log(amplitude) + (large ? LOG_UP : 0.0f));
  }
  return total;
}

CLONES double ck_power(const float *z, size_t n) {
  REASSOCIATE
  double total = 0.0;
  for (size_t i = 0; i < 2 * n; i++) total += (double)z[i] * (double)z[i];
  return total;
}

enum { ROWS = 4 };

// About a value of the sample itself, the sum of squares is at most 2 * positions times the sum of
// squared deviations from the mean: their difference loses no digits that matter in double.
CLONES void ck_map_moments(const float *x, size_t positions, size_t c, double *variance,
                           double *mean_square) {
  CONTRACT
  double n = (double)positions, divisor = positions > 1 ? n - 1.0 : 1.0;
  double variances = 0.0, squares = 0.0;
  for (size_t start = 0; start < c; start += BLOCK) {
    size_t width = c - start < BLOCK ? c - start : BLOCK;
    const float *first = x + start;
    double sum[BLOCK] = {0}, square[BLOCK] = {0};
    size_t p = 1;
    // A few places at a time: the sums are loaded and stored once for all of them.
    for (; p + ROWS <= positions; p += ROWS) {
      const float *a = first + p * c, *b = a + c, *d = b + c, *e = d + c;
      for (size_t k = 0; k < width; k++) {
        double origin = (double)first[k];
        double da = (double)a[k] - origin, db = (double)b[k] - origin;
        double dd = (double)d[k] - origin, de = (double)e[k] - origin;
        sum[k] += (da + db) + (dd + de);
        square[k] += (da * da + db * db) + (dd * dd + de * de);
      }
    }
    for (; p < positions; p++) {
      const float *a = first + p * c;
      for (size_t k = 0; k < width; k++) {
        double da = (double)a[k] - (double)first[k];
        sum[k] += da;
        square[k] += da * da;
      }
    }
    for (size_t k = 0; k < width; k++) {
      double rest = square[k] - sum[k] * sum[k] / n;
      // Rounding may leave a trace below zero where all values are equal but for one.
      rest = rest < 0.0 ? 0.0 : rest;
      double mean = (double)first[k] + sum[k] / n;
      variances += rest / divisor;
      squares += rest / n + mean * mean;
    }
  }
  *variance = variances;
  *mean_square = squares;
}

CLONES double ck_row_variance(const float *x, size_t images, size_t ld, size_t count) {
  REASSOCIATE
  double n = (double)images, total = 0.0;
  for (size_t start = 0; start < count; start += BLOCK) {
    size_t width = count - start < BLOCK ? count - start : BLOCK;
    double sum[BLOCK] = {0}, square[BLOCK] = {0};
    for (size_t i = 1; i < images; i++)
      for (size_t k = 0; k < width; k++) {
        double d = (double)x[i * ld + start + k] - (double)x[start + k];
        sum[k] += d;
        square[k] += d * d;
      }
    for (size_t k = 0; k < width; k++) {
      double rest = square[k] - sum[k] * sum[k] / n;
      total += (rest < 0.0 ? 0.0 : rest) / (n - 1.0);
    }
  }
  return total;
}
