#include "check.h"

static void directions(size_t tokens, size_t c) {
  release("sum_of_directions [%zu, %zu]", tokens, c);
  float *x = random_floats(tokens * c, -2, 2);
  double *sum = doubles(c);
  for (size_t i = 0; tokens > 2 && i < c; i++) x[2 * c + i] = 0;
  size_t count = 0, got = ck_sum_of_directions(x, tokens, c, sum);
  for (size_t t = 0; t < tokens; t++) count += c > 0 && t != 2;
  equal(0, got, count);
  for (size_t k = 0; k < c; k++) {
    double want = 0, magnitudes = 0;
    for (size_t t = 0; t < tokens; t++) {
      double square = 0;
      for (size_t i = 0; i < c; i++) square += (double)x[t * c + i] * x[t * c + i];
      if (square == 0) continue;
      want += x[t * c + k] / sqrt(square);
      magnitudes += fabs(x[t * c + k] / sqrt(square));
    }
    near(k, sum[k], want, UD * (double)(tokens + c + 4) * magnitudes);
  }
}

static void rows(size_t rows, size_t cols, size_t gap, int with, int signs) {
  release("attention_rows [%zu, %zu] gap %zu, distances %d, signs %d", rows, cols, gap, with, signs);
  size_t ld = cols + gap;
  float *a = random_floats(rows ? (rows - 1) * ld + cols : 0, 1e-6, 1);
  float *d = with ? random_floats(rows * cols, 0, 10) : NULL;
  for (size_t r = 0; r < rows; r++)
    for (size_t k = 0; k < cols; k++) {
      float *at = a + r * ld + k;
      if (below(4) == 0) *at = 0;
      if (below(4) == 0) *at *= 1e-20f;
      if (signs && below(2)) *at = -*at;
      if (r == 1) *at = 0;
    }
  // Beyond `cols` nothing is looked at.
  for (size_t r = 0; r + 1 < rows; r++)
    for (size_t k = cols; k < ld; k++) a[r * ld + k] = -NAN;
  double *column = random_doubles(cols, 0, 1), *before = copy_doubles(column, cols), *weights;
  double distance = 1, entropy = 2, far = 1, spread = 2, logs = 0;
  int negative = 0, below_zero = 0;
  size_t count = 0, got = ck_attention_rows(a, ld, rows, cols, d, &distance, &entropy, column, &negative);
  weights = doubles(rows);
  for (size_t r = 0; r < rows; r++) {
    weights[r] = 0;
    for (size_t k = 0; k < cols; k++) {
      weights[r] += fabs((double)a[r * ld + k]);
      below_zero |= a[r * ld + k] < 0;
    }
    count += weights[r] > 0;
    for (size_t k = 0; weights[r] > 0 && k < cols; k++) {
      double w = fabs((double)a[r * ld + k]), p = w / weights[r];
      if (p > 0) spread -= p * log(p), logs += p * (fabs(log(w)) + 1);
      if (d) far += p * d[r * cols + k];
    }
  }
  equal(0, got, count);
  equal(0, (size_t)negative, (size_t)below_zero);
  near(0, distance, far, 1e-13 * far);
  near(0, entropy, spread, 2 * U * logs + 1e-13 * (double)(rows * cols + 10));
  for (size_t k = 0; k < cols; k++) {
    double want = before[k];
    for (size_t r = 0; r < rows; r++)
      if (weights[r] > 0) want += fabs((double)a[r * ld + k]) / weights[r];
    near(k, column[k], want, 1e-13 * want);
  }
}

static void entropy(size_t n) {
  release("entropy [%zu]", n);
  double *x = random_doubles(n, 0, 3), sum = 0, want = 0;
  for (size_t i = 0; i < n; i += 3) x[i] = 0;
  for (size_t i = 0; i < n; i++) sum += x[i];
  for (size_t i = 0; i < n; i++)
    if (x[i] > 0) want -= x[i] / sum * log(x[i] / sum);
  near(0, ck_entropy(x, n), want, 1e-14 * (double)(n + 1));
}

void test_attention_maps(void) {
  EACH(tokens, 0, 1, 2, 5)
  EACH(c, 0, 1, 3, 16, 37, 192) directions(tokens, c);
  EACH(n, 0, 1, 3, 4, 17)
  EACH(cols, 1, 3, 8, 17, 50, 197)
  EACH(gap, 0, 4)
  for (int with = 0; with < 2; with++)
    for (int signs = 0; signs < 2; signs++) rows(n, cols, gap, with, signs);
  EACH(n, 0, 1, 2, 5, 33, 200) entropy(n);
}
