#include "check.h"

static void softmax(size_t rows, size_t cols, float scale) {
  release("softmax, log_sum_exp [%zu, %zu] scale %g", rows, cols, (double)scale);
  size_t n = rows * cols;
  float *x = random_floats(n, -20, 20), *y = floats(n), *logs = floats(rows);
  ck_softmax(x, y, rows, cols, scale);
  ck_log_sum_exp(x, logs, rows, cols);
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * cols;
    double top = -INFINITY, sum = 0, plain = 0;
    for (size_t i = 0; i < cols; i++) top = fmax(top, in[i]);
    for (size_t i = 0; i < cols; i++) {
      sum += exp((in[i] - top) * scale);
      plain += exp(in[i] - top);
    }
    // The exponents, up to 40 * scale, are rounded three times.
    double relative = U * (3 * 40 * scale + 4) * 2 + U * (double)cols;
    for (size_t i = 0; i < cols; i++) {
      double want = exp((in[i] - top) * scale) / sum;
      near(i, y[r * cols + i], want, relative * want + 0x1p-126);
    }
    double want = top + log(plain);
    near(r, logs[r], want, U * (fabs(want) * 2 + 45));
  }
  ck_softmax(x, x, rows, cols, scale);
  same("in place", x, y, n * sizeof *y);
}

static void along(size_t outer, size_t count, size_t inner, float scale) {
  release("softmax_axis [%zu, %zu, %zu] scale %g", outer, count, inner, (double)scale);
  size_t n = outer * count * inner;
  float *x = random_floats(n, -20, 20), *y = floats(n);
  ck_softmax_axis(x, y, outer, count, inner, scale);
  double relative = U * (3 * 40 * scale + 4) * 2 + U * (double)count;
  for (size_t o = 0; o < outer; o++)
    for (size_t i = 0; i < inner; i++) {
      const float *in = x + o * count * inner + i;
      double top = -INFINITY, sum = 0;
      for (size_t u = 0; u < count; u++) top = fmax(top, in[u * inner]);
      for (size_t u = 0; u < count; u++) sum += exp((in[u * inner] - top) * scale);
      for (size_t u = 0; u < count; u++) {
        double want = exp((in[u * inner] - top) * scale) / sum;
        near(i, y[(o * count + u) * inner + i], want, relative * want + 0x1p-126);
      }
    }
  ck_softmax_axis(x, x, outer, count, inner, scale);
  same("in place", x, y, n * sizeof *y);
}

static void derivatives(size_t rows, size_t cols) {
  release("softmax_gradient, softmax_curvature [%zu, %zu]", rows, cols);
  size_t n = rows * cols;
  float *p = random_floats(n, 0, 2 / (double)cols), *g = random_floats(n, -1, 1), *y = floats(n);
  ck_softmax_gradient(p, g, y, rows, cols);
  float *dp = copy_floats(g, n), *ds = random_floats(n, -1, 1), *e = random_floats(n, -1, 1);
  const float *ds0 = copy_floats(ds, n), *e0 = copy_floats(e, n);
  ck_softmax_curvature(p, dp, ds, e, rows, cols);
  for (size_t r = 0; r < rows; r++) {
    size_t at = r * cols;
    double a = 0, b = 0, c = 0, whole = 0;
    for (size_t i = at; i < at + cols; i++) {
      a += (double)p[i] * g[i];
      b += (double)p[i] * ds0[i];
      whole += p[i];
    }
    for (size_t i = at; i < at + cols; i++)
      c += p[i] * ((double)ds0[i] * g[i] - b * g[i] - a * ds0[i] + e0[i]);
    double relative = U * ((double)cols + 8) * (1 + whole);
    for (size_t i = at; i < at + cols; i++) {
      double q = p[i];
      near(i, y[i], q * (g[i] - a), relative * q);
      near(i, dp[i], q * (g[i] - a), relative * q);
      near(i, ds[i], q * (ds0[i] - b), relative * q);
      double value = (double)ds0[i] * g[i] - b * g[i] - a * ds0[i] + e0[i];
      near(i, e[i], q * (value - c), 4 * relative * (1 + whole) * q);
    }
  }
  ck_softmax_gradient(p, g, g, rows, cols);
  same("in place", g, y, n * sizeof *y);
}

void test_softmax(void) {
  EACH(outer, 0, 1, 3)
  EACH(count, 1, 9, 49)
  EACH(inner, 1, 3, 8, 64, 67, 130) along(outer, count, inner, count == 9 ? 0.125f : 1);
  EACH(rows, 0, 1, 3)
  EACH(cols, 0, 1, 2, 3, 7, 8, 15, 16, 17, 33, 50, 64, 65, 197, 1027) {
    softmax(rows, cols, 1);
    softmax(rows, cols, 0.125f);
    if (cols) derivatives(rows, cols);
  }
}
