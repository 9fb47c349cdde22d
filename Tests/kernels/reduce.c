#include "check.h"

// A sum in Float64, rounded once.
static double sum_bound(double want, double magnitudes, size_t n) {
  return 1.001 * U * fabs(want) + UD * (double)n * magnitudes;
}

static void sums(size_t outer, size_t count, size_t inner) {
  release("sum_axis, expand_axis [%zu, %zu, %zu]", outer, count, inner);
  float *x = random_floats(outer * count * inner, -5, 5), *y = floats(outer * inner);
  ck_sum_axis(x, y, outer, count, inner);
  for (size_t o = 0; o < outer; o++)
    for (size_t i = 0; i < inner; i++) {
      double want = 0, magnitudes = 0;
      for (size_t k = 0; k < count; k++) {
        double v = x[(o * count + k) * inner + i];
        want += v, magnitudes += fabs(v);
      }
      near(o * inner + i, y[o * inner + i], want, sum_bound(want, magnitudes, count));
    }
  float *wide = floats(outer * count * inner);
  ck_expand_axis(y, wide, outer, count, inner);
  for (size_t i = 0; i < outer * count * inner; i++)
    near(i, wide[i], y[i / (count * inner) * inner + i % inner], 0);
}

static void along_axis(size_t outer, size_t count, size_t inner) {
  release("largest_of_axis, cumulative_sum [%zu, %zu, %zu]", outer, count, inner);
  size_t n = outer * count * inner;
  float *x = random_floats(n, -5, 5), *y = floats(outer * inner), *up = floats(n), *down = floats(n);
  ck_cumulative_sum(x, up, outer, count, inner, 0);
  ck_cumulative_sum(x, down, outer, count, inner, 1);
  for (size_t o = 0; o < outer; o++)
    for (size_t i = 0; i < inner; i++)
      for (int backward = 0; backward < 2; backward++) {
        double want = 0, magnitudes = 0;
        for (size_t k = 0; k < count; k++) {
          size_t at = (o * count + (backward ? count - 1 - k : k)) * inner + i;
          want += x[at], magnitudes += fabs((double)x[at]);
          near(at, (backward ? down : up)[at], want, sum_bound(want, magnitudes, count));
        }
      }
  for (size_t i = 0; i < n; i++)
    if (below(30) == 0) x[i] = below(2) ? NAN : -INFINITY;
  ck_largest_of_axis(x, y, outer, count, inner);
  for (size_t o = 0; o < outer; o++)
    for (size_t i = 0; i < inner; i++) {
      double want = -INFINITY;
      for (size_t k = 0; k < count; k++) {
        double v = x[(o * count + k) * inner + i];
        if (v > want || isnan(v)) want = v;
      }
      near(o * inner + i, y[o * inner + i], want, 0);
    }
}

static void columns(size_t count, size_t width, size_t gap) {
  release("sum_columns, dot_columns, dot_rows [%zu, %zu] gap %zu", count, width, gap);
  size_t stride = width + gap, n = count ? (count - 1) * stride + width : 0;
  float *a = random_floats(n, -5, 5), *b = random_floats(n, -5, 5);
  float *y = floats(width), *z = floats(width), *rows = floats(count);
  ck_sum_columns(a, y, count, width, stride);
  ck_dot_columns(a, b, z, count, width, stride);
  for (size_t c = 0; c < width; c++) {
    double sum = 0, dot = 0, sizes = 0, products = 0;
    for (size_t k = 0; k < count; k++) {
      double v = a[k * stride + c], w = b[k * stride + c];
      sum += v, dot += v * w, sizes += fabs(v), products += fabs(v * w);
    }
    near(c, y[c], sum, sum_bound(sum, sizes, count));
    near(c, z[c], dot, sum_bound(dot, products, count));
  }
  if (gap) return;
  ck_dot_rows(a, b, rows, count, width);
  for (size_t k = 0; k < count; k++) {
    double dot = 0, products = 0;
    for (size_t c = 0; c < width; c++) {
      double v = (double)a[k * width + c] * b[k * width + c];
      dot += v, products += fabs(v);
    }
    near(k, rows[k], dot, sum_bound(dot, products, width));
  }
}

static void dot(size_t n) {
  release("dot [%zu]", n);
  float *x = random_floats(n, -5, 5), *y = random_floats(n, -5, 5);
  double want = 0, magnitudes = 0;
  for (size_t i = 0; i < n; i++) {
    double v = (double)x[i] * y[i];
    want += v, magnitudes += fabs(v);
  }
  near(n, ck_dot(x, y, n), want, UD * 2 * (double)n * magnitudes);
}

static void nonfinite(size_t n) {
  release("first_nonfinite [%zu]", n);
  float *x = random_floats(n, -1e38, 1e38);
  equal(n, ck_first_nonfinite(x, n), n);
  const float bad[] = {NAN, INFINITY, -INFINITY, -NAN};
  size_t step = n > 200 ? 127 : 1;
  for (size_t i = 0; i < n; i += n - i > step ? step : 1) {
    float before = x[i];
    x[i] = bad[i % 4];
    equal(i, ck_first_nonfinite(x, n), i);
    float last = x[n - 1];
    x[n - 1] = NAN;  // a second one does not matter
    equal(i, ck_first_nonfinite(x, n), i);
    x[n - 1] = last;
    x[i] = before;
  }
}

static void crc(size_t n, size_t offset) {
  release("crc32 of %zu bytes", n);
  uint8_t *data = bytes(n + offset);
  for (size_t i = 0; i < n + offset; i++) data[i] = (uint8_t)below(256);
  uint32_t start = n % 2 ? 0 : 0xdeadbeef, got = start, want = ~start;
  size_t length = ck_crc32(&got, data, n);
  for (size_t i = 0; i < length; i++) {
    want ^= data[i];
    for (int bit = 0; bit < 8; bit++) want = want >> 1 ^ (want & 1 ? 0xedb88320 : 0);
  }
  require(length <= n && length % 16 == 0, "another length than whole sixteens");
  equal(n, got, length ? ~want : start);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("pclmul") && n >= 64) require(length == n / 16 * 16, "nothing done");
#endif
}

void test_reduce(void) {
  EACH(outer, 0, 1, 3)
  EACH(count, 1, 2, 5, 17, 67)
  EACH(inner, 1, 2, 7, 16, 33, 255, 256, 257) {
    sums(outer, count, inner);
    along_axis(outer, count, inner);
  }
  EACH(count, 0, 1, 2, 9)
  EACH(width, 0, 1, 3, 8, 17, 255, 256, 259, 600)
  EACH(gap, 0, 3) columns(count, width, gap);
  EACH(n, 0, 1, 2, 3, 7, 8, 15, 16, 17, 63, 65, 1027, 5000) dot(n);
  EACH(n, 0, 1, 2, 7, 17, 33, 4095, 4096, 4097, 9001) nonfinite(n);
  for (size_t n = 0; n < 300; n++) crc(n, n % 5);
  crc(4097, 3);
  release("exp");
  for (double x = -30; x < 30; x += 0.37) near(0, ck_exp(x), exp(x), 2 * UD * exp(x));
  near(0, ck_exp(1), 2.718281828459045235, 4 * UD);
}
