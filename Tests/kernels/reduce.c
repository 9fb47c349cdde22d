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

static void centre(size_t rows, size_t cols, size_t gap, double mean) {
  release("centre_columns [%zu, %zu] gap %zu about %g", rows, cols, gap, mean);
  size_t ld = cols + gap;
  float *x = random_floats(rows ? (rows - 1) * ld + cols : 0, mean - 1, mean + 1);
  float *y = floats(rows * cols), top = ck_centre_columns(x, ld, y, rows, cols), most = 0;
  for (size_t c = 0; c < cols; c++) {
    double sum = 0;
    for (size_t r = 0; r < rows; r++) sum += x[r * ld + c];
    double middle = sum / (double)rows;
    for (size_t r = 0; r < rows; r++) {
      double want = x[r * ld + c] - middle;
      near(r * cols + c, y[r * cols + c], want, 1.01 * U * (fabs(middle) + fabs(want)) + U * U);
      most = fmaxf(most, fabsf(y[r * cols + c]));
    }
  }
  near(0, top, most, 0);
}

static void scale_to_unit(size_t n, double size) {
  release("scale_to_unit [%zu] of size %g", n, size);
  float *x = random_floats(n, -size, size), *before = copy_floats(x, n), top = 0;
  for (size_t i = 0; i < n; i++) top = fmaxf(top, fabsf(x[i]));
  int e = ck_scale_to_unit(x, n, top);
  double scaled = ldexp(top, -e);
  if (e == 0)
    require(top == 0 || (top > 1e-15f && top < 1e15f), "squares overflow or vanish");
  else if (top > 0x1p-120f)
    require(scaled >= 0.5 && scaled < 1, "the largest is not in 0.5 ..< 1");
  else
    require(scaled > 1e-9 && scaled < 1, "the largest vanishes");
  for (size_t i = 0; i < n; i++) near(i, x[i], (float)ldexp(before[i], -e), 0);
  equal(0, (size_t)ck_scale_to_unit(x, n, INFINITY), 0);
  equal(0, (size_t)ck_scale_to_unit(x, n, NAN), 0);
}

static void triangle(size_t n, int exponent) {
  release("accumulate_triangle [%zu] exponent %d", n, exponent);
  float *product = random_floats(n * n, -5, 5);
  double *sum = random_doubles(n * n, -5, 5), *before = copy_doubles(sum, n * n);
  ck_accumulate_triangle(product, sum, n, exponent);
  for (size_t i = 0; i < n * n; i++)
    near(i, sum[i], before[i] + (i % n <= i / n ? ldexp(product[i], exponent) : 0), 0);
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
  EACH(rows, 1, 2, 7, 40)
  EACH(cols, 1, 3, 16, 37, 256, 300)
  EACH(gap, 0, 5) {
    centre(rows, cols, gap, 0);
    centre(rows, cols, gap, 1000);
  }
  EACH(n, 0, 1, 7, 16, 37) {
    const double sizes[] = {0, 1, 0.5, 1e-8, 1e-12, 1e-20, 1e-36, 1e-38, 1e-42, 1e8, 1e14, 1e25, 3.4e38};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) scale_to_unit(n, sizes[i]);
  }
  EACH(n, 0, 1, 2, 3, 9, 33) {
    triangle(n, 0);
    triangle(n, -12);
    triangle(n, 80);
  }
  release("exp");
  for (double x = -30; x < 30; x += 0.37) near(0, ck_exp(x), exp(x), 2 * UD * exp(x));
  near(0, ck_exp(1), 2.718281828459045235, 4 * UD);
}
