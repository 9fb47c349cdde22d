#include "check.h"

enum { MOST = 9 };

// `values` says the entries of a basis that is stored in float or double.
static void check_dots(const double *const *values, size_t count, const double *w, size_t n,
                       const double *got) {
  for (size_t j = 0; j < count; j++) {
    double want = 0, magnitudes = 0;
    for (size_t i = 0; i < n; i++) {
      double v = values[j][i] * w[i];
      want += v, magnitudes += fabs(v);
    }
    near(j, got[j], want, 2 * UD * (double)n * magnitudes);
  }
}
static void check_sums(const double *const *values, const double *c, size_t count,
                       const double *before, size_t n, const double *got) {
  for (size_t i = 0; i < n; i++) {
    double want = before[i], magnitudes = fabs(want);
    for (size_t j = 0; j < count; j++) want += c[j] * values[j][i], magnitudes += fabs(c[j] * values[j][i]);
    near(i, got[i], want, 2 * UD * (double)(count + 1) * magnitudes);
  }
}

static void basis(size_t count, size_t n) {
  release("basis_dots, basis_add: %zu of %zu", count, n);
  const float *single[MOST];
  const double *twofold[MOST], *widened[MOST];
  for (size_t j = 0; j < count; j++) {
    single[j] = random_floats(n, -1, 1);
    twofold[j] = random_doubles(n, -1, 1);
    double *wide = doubles(n);
    for (size_t i = 0; i < n; i++) wide[i] = single[j][i];
    widened[j] = wide;
  }
  double *w = random_doubles(n, -1, 1), *c = random_doubles(count, -1, 1), *out = doubles(count);
  ck_basis_dots_f32(single, count, w, n, out);
  check_dots(widened, count, w, n, out);
  ck_basis_dots_f64(twofold, count, w, n, out);
  check_dots(twofold, count, w, n, out);
  double *sum = copy_doubles(w, n);
  ck_basis_add_f32(single, c, count, sum, n);
  check_sums(widened, c, count, w, n, sum);
  sum = copy_doubles(w, n);
  ck_basis_add_f64(twofold, c, count, sum, n);
  check_sums(twofold, c, count, w, n, sum);
}

static void vectors(size_t n) {
  release("dot_f64, round_f32, narrow_f64, scale_f64 [%zu]", n);
  double *x = random_doubles(n, -1, 1), *y = random_doubles(n, -1, 1), want = 0, magnitudes = 0;
  for (size_t i = 0; i < n; i++) want += x[i] * y[i], magnitudes += fabs(x[i] * y[i]);
  near(0, ck_dot_f64(x, y, n), want, 2 * UD * (double)n * magnitudes);
  float *v = floats(n), *narrow = floats(n);
  double *w = copy_doubles(x, n), *scaled = copy_doubles(x, n);
  ck_round_f32(w, v, n);
  ck_narrow_f64(x, narrow, n);
  ck_scale_f64(0.7, scaled, n);
  for (size_t i = 0; i < n; i++) {
    near(i, v[i], (float)x[i], 0);
    near(i, w[i], (float)x[i], 0);
    near(i, narrow[i], (float)x[i], 0);
    near(i, scaled[i], 0.7 * x[i], 0);
  }
}

void test_krylov(void) {
  EACH(n, 0, 1, 2, 3, 5, 8, 15, 16, 33, 257, 1027) {
    EACH(count, 0, 1, 2, 3, 4, 5, 7, 8, 9) basis(count, n);
    vectors(n);
  }
}
