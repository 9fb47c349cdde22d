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

// Adds what a row of weights says of the ways x, y to the five moments; what they are at most, for the bound.
static void add_moments(const double *w, const double *x, const double *y, size_t n, double *moments,
                        double *most) {
  double sum = 0;
  for (size_t k = 0; k < n; k++) sum += w[k];
  for (size_t k = 0; sum > 0 && k < n; k++) {
    double p = w[k] / sum, terms[] = {x[k], y[k], x[k] * x[k], x[k] * y[k], y[k] * y[k]};
    for (size_t m = 0; m < 5; m++) moments[m] += p * terms[m], most[m] += p * fabs(terms[m]);
  }
}

static void offsets(size_t rows, size_t cols, size_t gap) {
  release("map_offsets [%zu, %zu] gap %zu", rows, cols, gap);
  size_t ld = cols + gap;
  float *a = random_floats(rows ? (rows - 1) * ld + cols : 0, -1, 1);
  for (size_t k = 0; rows > 1 && k < cols; k++) a[ld + k] = 0;
  double *qy = random_doubles(rows, 0, 64), *qx = random_doubles(rows, 0, 64), *ky = random_doubles(cols, 0, 64);
  double *kx = random_doubles(cols, 0, 64), *moments = random_doubles(5, 0, 1), *want = copy_doubles(moments, 5);
  double most[5] = {1, 1, 1, 1, 1}, *w = doubles(cols), *x = doubles(cols), *y = doubles(cols);
  ck_map_offsets(a, ld, rows, cols, qy, qx, ky, kx, moments);
  for (size_t r = 0; r < rows; r++) {
    for (size_t k = 0; k < cols; k++)
      w[k] = fabs((double)a[r * ld + k]), x[k] = kx[k] - qx[r], y[k] = ky[k] - qy[r];
    add_moments(w, x, y, cols, want, most);
  }
  for (size_t m = 0; m < 5; m++) near(m, moments[m], want[m], 1e-13 * most[m]);
}

static void taps(size_t side, size_t kernel, size_t stride, size_t dilation, int shared, int with, int signs) {
  size_t reach = dilation * (kernel - 1) + 1, pad = reach / 2, out = (side + 2 * pad - reach) / stride + 1;
  size_t n = kernel * kernel, places = out * out;
  release("tap_rows %zu by %zu, stride %zu, dilation %zu, shared %d, distances %d, signs %d", side, kernel,
          stride, dilation, shared, with, signs);
  ck_taps t = {.h = side, .w = side, .oh = out, .ow = out, .kh = kernel, .kw = kernel, .stride_h = stride,
               .stride_w = stride, .pad_top = pad, .pad_left = pad, .dilation_h = dilation,
               .dilation_w = dilation, .place_step = shared ? 0 : n};
  float *a = random_floats(shared ? n : places * n, signs ? -1 : 1e-3, 1), *d = with ? random_floats(n, 0, 9) : NULL;
  for (size_t k = 0; !shared && places > 1 && k < n; k++) a[n + k] = 0;
  double *y = random_doubles(n, -9, 9), *x = random_doubles(n, -9, 9);
  double *column = random_doubles(side * side, 0, 1), *columns = copy_doubles(column, side * side);
  double *moments = random_doubles(5, 0, 1), *want = copy_doubles(moments, 5), most[5] = {1, 1, 1, 1, 1};
  double distance = 1, far = 1, entropy = 2, spread = 2, *w = doubles(n);
  int negative = 0, below_zero = 0;
  size_t count = 0, got = ck_tap_rows(a, &t, d, y, x, &distance, &entropy, column, moments, &negative);
  for (size_t r = 0; r < places; r++) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
      long at_y = (long)(r / out * stride + k / kernel * dilation) - (long)pad;
      long at_x = (long)(r % out * stride + k % kernel * dilation) - (long)pad;
      int inside = at_y >= 0 && at_x >= 0 && at_y < (long)side && at_x < (long)side;
      float own = a[r * t.place_step + k];
      w[k] = inside ? fabs((double)own) : 0;
      below_zero |= inside && own < 0;
      sum += w[k];
    }
    count += sum > 0;
    add_moments(w, x, y, n, want, most);
    for (size_t k = 0; sum > 0 && k < n; k++) {
      double p = w[k] / sum;
      if (p > 0) {
        spread -= p * log(p);
        columns[((r / out) * stride + k / kernel * dilation - pad) * side + (r % out) * stride +
                k % kernel * dilation - pad] += p;
      }
      if (d) far += p * d[k];
    }
  }
  equal(0, got, count);
  equal(0, (size_t)negative, (size_t)below_zero);
  near(0, distance, far, 1e-12 * far);
  near(0, entropy, spread, 1e-12 * (double)(places * n + 10));
  for (size_t m = 0; m < 5; m++) near(m, moments[m], want[m], 1e-12 * most[m]);
  for (size_t k = 0; k < side * side; k++) near(k, column[k], columns[k], 1e-12 * (columns[k] + 1));
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
  EACH(n, 0, 1, 3, 17)
  EACH(cols, 1, 3, 8, 17, 50)
  EACH(gap, 0, 4) offsets(n, cols, gap);
  EACH(side, 1, 4, 7)
  EACH(kernel, 1, 3, 5)
  EACH(stride, 1, 2)
  EACH(dilation, 1, 2)
  for (int bits = 0; bits < 8; bits++) taps(side, kernel, stride, dilation, bits & 1, bits >> 1 & 1, bits >> 2);
}
