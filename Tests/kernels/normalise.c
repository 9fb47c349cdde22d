#include "check.h"

struct row {
  double mean, rstd;
};

static struct row row_of(const float *x, size_t cols, float eps) {
  double mean = 0, variance = 0;
  for (size_t i = 0; i < cols; i++) mean += x[i];
  mean /= (double)cols;
  for (size_t i = 0; i < cols; i++) variance += (x[i] - mean) * (x[i] - mean);
  return (struct row){mean, 1 / sqrt(variance / (double)cols + eps)};
}

// Of a sum of `cols` values, one after the other; vectors have less.
static double relative(size_t cols) { return ((double)cols + 8) * U; }

static void layer_norm(size_t rows, size_t cols, double mean, float eps) {
  release("layer_norm, row_rstd [%zu, %zu] about %g", rows, cols, mean);
  size_t n = rows * cols;
  float *x = random_floats(n, mean - 1, mean + 1), *y = floats(n), *z = floats(n);
  float *gamma = random_floats(cols, -2, 2), *beta = random_floats(cols, -2, 2), *rstd = floats(rows);
  ck_layer_norm(x, gamma, beta, y, rows, cols, eps);
  ck_layer_norm(x, NULL, NULL, z, rows, cols, eps);
  ck_row_rstd(x, rstd, rows, cols, eps);
  for (size_t r = 0; r < rows; r++) {
    struct row s = row_of(x + r * cols, cols, eps);
    near(r, rstd[r], s.rstd, relative(cols) * s.rstd);
    for (size_t c = 0; c < cols; c++) {
      size_t i = r * cols + c;
      double want = (x[i] - s.mean) * s.rstd, bound = relative(cols) * (1 + fabs(want));
      near(i, z[i], want, bound);
      double moved = want * gamma[c] + beta[c];
      near(i, y[i], moved, bound * fabs((double)gamma[c]) + 2 * U * (fabs(want * gamma[c]) + fabs(moved)));
    }
    // A row for itself has the same bits.
    float *alone = floats(cols);
    ck_layer_norm(x + r * cols, gamma, beta, alone, 1, cols, eps);
    same("of one row", alone, y + r * cols, cols * sizeof *y);
  }
}

static void derivatives(size_t rows, size_t cols, double mean, float eps) {
  release("normalise_gradient, normalise_curvature [%zu, %zu] about %g", rows, cols, mean);
  size_t total = rows * cols;
  float *x = random_floats(total, mean - 1, mean + 1), *y = floats(total);
  float *h = random_floats(total, -1, 1), *u = random_floats(total, -1, 1);
  float *cx = floats(total), *ch = floats(total);
  ck_normalise_gradient(x, h, y, rows, cols, eps);
  ck_normalise_curvature(x, h, u, cx, ch, rows, cols, eps);
  for (size_t r = 0; r < rows; r++) {
    struct row s = row_of(x + r * cols, cols, eps);
    const float *xr = x + r * cols, *hr = h + r * cols, *ur = u + r * cols;
    double count = (double)cols, mh = 0, mu = 0, nh = 0, nu = 0;
    for (size_t i = 0; i < cols; i++) {
      double n = (xr[i] - s.mean) * s.rstd;
      mh += hr[i] / count, mu += ur[i] / count;
      nh += n * hr[i], nu += n * ur[i];
    }
    double along = 0;  // <u, J h>
    for (size_t i = 0; i < cols; i++) {
      double n = (xr[i] - s.mean) * s.rstd;
      along += ur[i] * (hr[i] - mh - n * nh / count) * s.rstd;
    }
    for (size_t i = 0; i < cols; i++) {
      double n = (xr[i] - s.mean) * s.rstd;
      double jh = (hr[i] - mh - n * nh / count) * s.rstd, ju = (ur[i] - mu - n * nu / count) * s.rstd;
      // |h|, |u| <= 1, and the sum of |n| is at most `cols`: what is added up has these magnitudes.
      double scale = s.rstd * (2 + fabs(n)), bound = 3 * relative(cols) * scale;
      near(i, y[r * cols + i], jh, bound);
      near(i, ch[r * cols + i], ju, bound);
      double want = -(n * along + nh * ju + nu * jh) / count * s.rstd;
      near(i, cx[r * cols + i], want, 8 * relative(cols) * s.rstd * scale);
    }
  }
}

void test_normalise(void) {
  EACH(rows, 0, 1, 3)
  EACH(cols, 1, 2, 3, 7, 8, 16, 17, 31, 64, 65, 192, 1027) {
    layer_norm(rows, cols, 0, 1e-6f);
    layer_norm(rows, cols, 300, 1e-5f);
    derivatives(rows, cols, 0, 1e-6f);
    derivatives(rows, cols, 20, 1e-5f);
  }
}
