#include "check.h"

#include <stdio.h>
#include <string.h>

struct operands {
  int precision;
  size_t m, n, k, lda, ldb, ldc;
  int transposed_a, transposed_b, accumulate;
  float alpha;
  float *a, *b, *start;
};

// The nearest value of 8 significant bits, ties to even.
static double bfloat16(double x) {
  int exponent;
  double fraction = frexp(x, &exponent);
  if (x == 0 || fabs(x) < 0x1p-126) return 0;
  return ldexp(nearbyint(ldexp(fraction, 8)), exponent - 8);
}

static double operand(const struct operands *o, float x) { return o->precision == CK_FLOAT32 ? x : bfloat16(x); }
static double a_at(const struct operands *o, size_t i, size_t p) {
  return operand(o, o->transposed_a ? o->a[p * o->lda + i] : o->a[i * o->lda + p]);
}
static double b_at(const struct operands *o, size_t p, size_t j) {
  return operand(o, o->transposed_b ? o->b[j * o->ldb + p] : o->b[p * o->ldb + j]);
}

// Floats from the first to the last of a matrix.
static size_t extent(size_t rows, size_t cols, size_t ld) {
  return rows && cols ? (rows - 1) * ld + cols : 0;
}

static struct operands make(int precision, size_t m, size_t n, size_t k, size_t gap, int kind, float alpha) {
  struct operands o = {.precision = precision, .m = m, .n = n, .k = k, .alpha = alpha};
  o.transposed_a = kind & 1, o.transposed_b = kind >> 1 & 1, o.accumulate = kind >> 2 & 1;
  o.lda = (o.transposed_a ? m : k) + gap;
  o.ldb = (o.transposed_b ? k : n) + gap;
  o.ldc = n + gap;
  o.a = random_floats(o.transposed_a ? extent(k, m, o.lda) : extent(m, k, o.lda), -1, 1);
  o.b = random_floats(o.transposed_b ? extent(n, k, o.ldb) : extent(k, n, o.ldb), -1, 1);
  o.start = random_floats(extent(m, n, o.ldc), -1, 1);
  return o;
}

// A result whose gaps are untouched.
static float *result(const struct operands *o) {
  size_t size = extent(o->m, o->n, o->ldc);
  float *c = floats(size);
  for (size_t i = 0; o->accumulate && i < size; i++)
    if (i % o->ldc < o->n) c[i] = o->start[i];
  return c;
}

static float *packed(const struct operands *o) {
  size_t width = ck_panel_width();
  float *panels = floats(ck_panels_count(o->precision, o->k, o->n));
  ck_pack_panels(o->precision, o->b, o->ldb, o->transposed_b, o->k, o->n, 0, (o->n + width - 1) / width, panels);
  return panels;
}

// What a panel's word holds: a value, or two of bfloat16, the first in the low half.
static double value_of(int precision, float word, int second) {
  if (precision == CK_FLOAT32) return word;
  uint32_t bits;
  memcpy(&bits, &word, sizeof bits);
  bits = second ? bits & 0xffff0000 : bits << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void products_of(int precision, size_t m, size_t n, size_t k, size_t gap, int kind, float alpha) {
  release("product, gemm of precision %d [%zu, %zu, %zu] gap %zu kind %d alpha %g", precision, m, n, k, gap, kind,
          (double)alpha);
  struct operands o = make(precision, m, n, k, gap, kind, alpha);
  int depth = precision == CK_FLOAT32 ? 1 : 2;
  size_t width = ck_panel_width(), panel_count = (n + width - 1) / width, rows = (k + depth - 1) / depth;
  float *panels = packed(&o);
  equal(0, ck_panel_rows(precision, k), rows);
  equal(0, ck_panels_count(precision, k, n), panel_count * width * rows);
  for (size_t i = 0; i < panel_count * width * rows; i++) {
    size_t column = i / (width * rows) * width + i % width, p = i % (width * rows) / width;
    for (int half = 0; half < depth; half++)
      near(i, value_of(precision, panels[i], half),
           column < n && p * depth + half < k ? b_at(&o, p * depth + half, column) : 0, 0);
  }
  float *c = result(&o);
  require(ck_product(precision, m, n, k, alpha, o.a, o.lda, o.transposed_a, panels, c, o.ldc, o.accumulate),
          "no memory");
  for (size_t i = 0; i < extent(m, n, o.ldc); i++) {
    if (i % o.ldc >= n) {
      untouched(i, c[i]);
      continue;
    }
    double sum = 0, magnitudes = 0;
    for (size_t p = 0; p < k; p++) {
      double v = a_at(&o, i / o.ldc, p) * b_at(&o, p, i % o.ldc);
      sum += v, magnitudes += fabs(v);
    }
    double want = (double)alpha * sum + (o.accumulate ? (double)o.start[i] : 0);
    near(i, c[i], want,
         U * (((double)k + 4) * fabs((double)alpha) * magnitudes + 2 * fabs(want)));
  }
  float *again = result(&o);
  require(ck_gemm(precision, m, n, k, alpha, o.a, o.lda, o.transposed_a, o.b, o.ldb, o.transposed_b, again, o.ldc,
                  o.accumulate),
          "no memory");
  same("by gemm", again, c, extent(m, n, o.ldc) * sizeof *c);
  if (precision != CK_BFLOAT16) return;
  // The same panels, words and sums, whoever rounds and multiplies.
  struct operands other = o;
  other.precision = CK_BFLOAT16_EMULATED;
  same("panels emulated", packed(&other), panels, panel_count * width * rows * sizeof *panels);
  float *emulated = result(&o);
  ck_product(CK_BFLOAT16_EMULATED, m, n, k, alpha, o.a, o.lda, o.transposed_a, panels, emulated, o.ldc, o.accumulate);
  same("emulated", emulated, c, extent(m, n, o.ldc) * sizeof *c);
}

static void products(size_t m, size_t n, size_t k, size_t gap, int kind, float alpha) {
  EACH(precision, CK_FLOAT32, CK_BFLOAT16, CK_BFLOAT16_EMULATED)
  products_of((int)precision, m, n, k, gap, kind, alpha);
}

// Rows and panels at a time, and columns beyond which there are no others.
static void partitions_of(int precision, size_t m, size_t n, size_t k, int kind, float alpha) {
  release("product of precision %d [%zu, %zu, %zu] kind %d alpha %g in parts", precision, m, n, k, kind,
          (double)alpha);
  struct operands o = make(precision, m, n, k, 3, kind, alpha);
  size_t width = ck_panel_width(), panel_count = (n + width - 1) / width;
  float *panels = packed(&o), *whole = result(&o);
  ck_product(precision, m, n, k, alpha, o.a, o.lda, o.transposed_a, panels, whole, o.ldc, o.accumulate);
  size_t size = extent(m, n, o.ldc) * sizeof *whole;
  EACH(step, 1, 3, 5, 7, 29) {
    float *c = result(&o);
    for (size_t i = 0; i < m; i += step) {
      const float *a = o.a + (o.transposed_a ? i : i * o.lda);
      size_t rows = m - i < step ? m - i : step;
      ck_product(precision, rows, n, k, alpha, a, o.lda, o.transposed_a, panels, c + i * o.ldc, o.ldc, o.accumulate);
    }
    same("by rows", c, whole, size);
  }
  float *c = result(&o), *parts = floats(ck_panels_count(precision, k, n));
  for (size_t p = 0; p < panel_count; p++) {
    size_t column = p * width, cols = n - column < width ? n - column : width;
    ck_pack_panels(precision, o.b, o.ldb, o.transposed_b, k, n, p, 1, parts);
    ck_product(precision, m, cols, k, alpha, o.a, o.lda, o.transposed_a, parts + p * width * ck_panel_rows(precision, k), c + column, o.ldc,
               o.accumulate);
  }
  same("packed in parts", parts, panels, ck_panels_count(precision, k, n) * sizeof *parts);
  same("by panels", c, whole, size);
  for (size_t fewer = n - 1; fewer > 0 && fewer + 2 * width > n; fewer--) {
    float *less = result(&o);
    ck_gemm(precision, m, fewer, k, alpha, o.a, o.lda, o.transposed_a, o.b, o.ldb, o.transposed_b, less, o.ldc,
            o.accumulate);
    for (size_t i = 0; i < m; i++) {
      char what[40];
      snprintf(what, sizeof what, "with %zu columns, row %zu", fewer, i);
      same(what, less + i * o.ldc, whole + i * o.ldc, fewer * sizeof *less);
    }
  }
}

static void partitions(size_t m, size_t n, size_t k, int kind, float alpha) {
  EACH(precision, CK_FLOAT32, CK_BFLOAT16) partitions_of((int)precision, m, n, k, kind, alpha);
}

// What rounding has to get right: ties, overflow, values that are not numbers, those too small to be normal.
static void rounding(void) {
  release("bfloat16 of single values");
  if (strcmp(ck_product_kernels(), "avx512f")) require(!ck_has_bfloat16(), "kernels without AVX-512 have AVX512-BF16");
  const float values[] = {1.00390625f, 1.01171875f, -1.00390625f, 1.0039064f, 3.3895e38f, 3.4e38f, 1e-39f, -1e-40f,
                          1.1754944e-38f, INFINITY, -INFINITY, NAN, 0, 65280, 1.5f};
  const float wants[] = {1, 1.015625f, -1, 1.0078125f, 3.3895314e38f, INFINITY, 0, 0,
                         1.1754944e-38f, INFINITY, -INFINITY, NAN, 0, 65280, 1.5f};
  EACH(precision, CK_BFLOAT16, CK_BFLOAT16_EMULATED)
  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    for (size_t k = 1; k <= 2; k++) {
      float a[2] = {0, 0}, b[2] = {1, 1}, c;
      a[k - 1] = values[i];
      require(ck_gemm((int)precision, 1, 1, k, 1, a, k, 0, b, 1, 0, &c, 1, 0), "no memory");
      if (isnan(wants[i]))
        require(isnan(c), "a value that is no number became one");
      else if (isinf(wants[i]))
        require(c == wants[i], "an infinity was lost");
      else
        near(i, c, wants[i], 0);
    }
}

static void gram(size_t n, size_t k, size_t gap, double mean, double size) {
  release("add_centred_gram [%zu, %zu] gap %zu about %g of size %g", n, k, gap, mean, size);
  size_t ld = k + gap;
  float *x = random_floats(extent(n, k, ld), size * (mean - 1), size * (mean + 1));
  double *sum = random_doubles(n * n, -size, size), *before = copy_doubles(sum, n * n);
  for (size_t i = 0; i < n * n; i++) before[i] = sum[i] *= size;
  require(ck_add_centred_gram(x, ld, n, k, sum), "no memory");
  float *y = floats(n * k);
  for (size_t p = 0; p < k; p++) {
    double total = 0;
    for (size_t i = 0; i < n; i++) total += x[i * ld + p];
    for (size_t i = 0; i < n; i++) y[i * k + p] = x[i * ld + p] - (float)(total / (double)n);
  }
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) {
      double want = before[i * n + j], magnitudes = 0;
      for (size_t p = 0; j <= i && p < k; p++) {
        double v = (double)y[i * k + p] * y[j * k + p];
        want += v, magnitudes += fabs(v);
      }
      near(i * n + j, sum[i * n + j], want, U * ((double)k + 2) * magnitudes + 2 * UD * fabs(want));
    }
}

void test_products(void) {
  EACH(m, 0, 1, 2, 5, 8, 13)
  EACH(n, 0, 1, 3, 8, 17, 21, 41, 70)
  EACH(k, 0, 1, 2, 7, 33)
  for (int kind = 0; kind < 8; kind++) products(m, n, k, (m + n) % 3, kind, kind % 3 ? 1 : 0.37f);
  // Each number of rows of a tile.
  for (size_t m = 1; m <= 26; m++)
    for (int kind = 0; kind < 2; kind++) products(m, 37, 19, 1, kind, 1);
  // More than one block of rows, of the inner extent, of packed panels; rows that fall into few sets.
  for (int kind = 0; kind < 8; kind++) products(150, 19, 800, 0, kind, kind % 2 ? 1 : 0.37f);
  products(37, 290, 460, 2, 2, 1);
  products(3, 140, 1024, 0, 0, 1);
  for (int kind = 2; kind < 8; kind++) products(13, 140, 1700, 1, kind, 0.37f);
  products(40, 75, 1024, 0, 0, 1);
  products(40, 75, 2048, 0, 4, 0.37f);
  for (int kind = 0; kind < 8; kind++) {
    partitions(31, 77, 40, kind, 1);
    partitions(31, 77, 40, kind, 0.37f);
    partitions(3, 77, 1700, kind, 1);
    partitions(40, 45, 900, kind, 0.37f);
  }
  partitions(31, 77, 1024 - 3, 0, 1);
  rounding();
  EACH(n, 0, 1, 2, 7, 23, 24, 25, 49, 70)
  EACH(k, 0, 1, 5, 64, 514, 800) gram(n, k, n % 2, n % 3 ? 0 : 100, 1);
  const double sizes[] = {1e-42, 1e-38, 1e-36, 1e-20, 1e-12, 1e-8, 1e8, 1e14, 1e25, 1.6e38};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) gram(21, 37, 1, 0, sizes[i]);
}
