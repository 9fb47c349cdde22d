#include "check.h"

static void binary(size_t outer, size_t cols, int mode) {
  release("add, multiply, multiply_add, equal, keep [%zu, %zu] mode %d", outer, cols, mode);
  size_t n = outer * cols, m = mode == CK_SAME ? n : mode == CK_SUFFIX ? cols : outer;
  float *a = random_floats(n, -3, 3), *b = random_floats(m, -3, 3), *y = floats(n);
  float *start = random_floats(n, -3, 3);
#define B(I) b[mode == CK_SAME ? I : mode == CK_SUFFIX ? I % cols : I / cols]
  ck_add(a, b, y, outer, cols, mode);
  for (size_t i = 0; i < n; i++) near(i, y[i], (float)((double)a[i] + B(i)), 0);
  float *in_place = copy_floats(a, n);
  ck_add(in_place, b, in_place, outer, cols, mode);
  same("in place", in_place, y, n * sizeof *y);
  ck_multiply(a, b, y, outer, cols, mode);
  for (size_t i = 0; i < n; i++) near(i, y[i], (float)((double)a[i] * B(i)), 0);
  in_place = copy_floats(a, n);
  ck_multiply(in_place, b, in_place, outer, cols, mode);
  same("in place", in_place, y, n * sizeof *y);
  if (mode == CK_SAME) {
    in_place = copy_floats(b, n);
    ck_multiply(a, in_place, in_place, outer, cols, mode);
    same("in the second operand's place", in_place, y, n * sizeof *y);
  }
  if (n) memcpy(y, start, n * sizeof *y);
  ck_multiply_add(a, b, y, outer, cols, mode);
  for (size_t i = 0; i < n; i++) {
    double product = (double)a[i] * B(i), want = start[i] + product;
    near(i, y[i], want, U * (fabs(product) + 1.01 * fabs(want)));
  }
  // Few values, so that many are equal or 0; what is left out may be anything.
  for (size_t i = 0; i < n; i++) a[i] = below(5) ? (float)below(3) - 1 : NAN;
  for (size_t i = 0; i < m; i++) b[i] = (float)below(3) - 1;
  ck_equal(a, b, y, outer, cols, mode);
  for (size_t i = 0; i < n; i++) near(i, y[i], a[i] == B(i), 0);
  ck_keep(a, b, y, outer, cols, mode);
  for (size_t i = 0; i < n; i++) near(i, y[i], B(i) != 0 ? (double)a[i] : 0, 0);
  ck_keep(a, b, a, outer, cols, mode);
  same("in place", a, y, n * sizeof *y);
#undef B
}

static void affine(size_t n) {
  release("affine_scalar, axpy [%zu]", n);
  float *x = random_floats(n, -3, 3), *y = floats(n);
  ck_affine_scalar(x, 0.7f, -1.3f, y, n);
  for (size_t i = 0; i < n; i++) {
    double product = (double)0.7f * x[i], want = product + (double)-1.3f;
    near(i, y[i], want, U * (fabs(product) + 1.01 * fabs(want)));
  }
  float *in_place = copy_floats(x, n);
  ck_affine_scalar(in_place, 0.7f, -1.3f, in_place, n);
  same("in place", in_place, y, n * sizeof *y);
  float *sum = copy_floats(y, n);
  ck_axpy(1.7f, x, sum, n);
  for (size_t i = 0; i < n; i++) {
    double product = (double)1.7f * x[i], want = product + y[i];
    near(i, sum[i], want, U * (fabs(product) + 1.01 * fabs(want)));
  }
}

// The constants of functions that have some.
static const float map_a = 0.7f, map_b = 5.0f;

static double mapped(double v, int function) {
  switch (function) {
    case CK_FN_RELU: return v < 0 ? 0 : v;
    case CK_FN_RELU_STEP: return v > 0;
    case CK_FN_RELU6: return v < 0 ? 0 : v > 6 ? 6 : v;
    case CK_FN_RELU6_STEP: return v > 0 && v < 6;
    case CK_FN_SIGMOID: return 1 / (1 + exp(-v));
    case CK_FN_EXP: return v < -87.3f ? 0 : (float)exp(v) == INFINITY ? INFINITY : exp(v);
    case CK_FN_RECIPROCAL: return (float)(1 / v);
    case CK_FN_RSQRT: return 1 / sqrt(v);
    case CK_FN_TANH: return tanh(v);
    case CK_FN_SQRT: return sqrt(v);
    case CK_FN_SIN: return sin(v);
    case CK_FN_COS: return cos(v);
    case CK_FN_ABS: return fabs(v);
    case CK_FN_SIGN: return (v > 0) - (v < 0);
    case CK_FN_ERF: return erf(v);
    case CK_FN_SOFTPLUS: return v > 0 ? v + log1p(exp(-v)) : log1p(exp(v));
    case CK_FN_RECIPROCAL_OR_ZERO: return v == 0 ? 0 : (float)(1 / v);
    case CK_FN_POWER: return pow(v, map_a);
    case CK_FN_LEAKY_RELU: return v > 0 ? v : (float)(map_a * v);
    case CK_FN_LEAKY_STEP: return v > 0 ? 1 : map_a;
    case CK_FN_CLAMP: return v < map_a ? map_a : v > map_b ? map_b : v;
    case CK_FN_CLAMP_STEP: return v >= map_a && v <= map_b;
    default: return log(v);
  }
}

// Of |want|, in units of U: exp is good to 1.01 units in the last place, that is twice as much.
static const double map_bounds[] = {0, 0, 0, 0, 5, 2.5, 0, 2.1, 2, 5, 1.01, 2, 2, 0, 0, 9, 7, 0, 2.1, 0, 0, 0, 0};

static void maps(size_t n, int function, double low, double high) {
  release("map %d [%zu] in %g ... %g", function, n, low, high);
  float *x = random_floats(n, low, high), *y = floats(n);
  // Every lane sees what is special.
  const float special[] = {0.0f, -0.0f, 6.0f, 1.0f, INFINITY, -INFINITY, NAN, 0x1p-126f, 3e38f, -3e38f};
  for (size_t i = 0; i < n; i++)
    if (below(3) == 0) x[i] = special[below(10)];
  ck_map(x, y, n, function, map_a, map_b);
  for (size_t i = 0; i < n; i++) {
    double want = mapped(x[i], function);
    near(i, y[i], want, U * map_bounds[function] * fabs(want) + 0x1p-126 * (map_bounds[function] > 0));
  }
  ck_map(x, x, n, function, map_a, map_b);
  same("in place", x, y, n * sizeof *y);
}

static void gelus(size_t n, int order) {
  release("gelu, gelu_product [%zu] order %d", n, order);
  float *x = random_floats(n, -8, 8), *a = random_floats(n, -2, 2), *b = random_floats(n, -2, 2);
  float *y = floats(n), *z = floats(n);
  if (n > 1) x[n / 2] = NAN;
  ck_gelu(x, y, n, order);
  // Beyond the second order polynomials of x multiply what the density has as error.
  double error = 3e-7 * pow(2, order > 2 ? order - 2 : 0);
  for (size_t i = 0; i < n; i++) {
    double bound = error * (order ? 1 : fmax(1, fabs((double)x[i])));
    near(i, y[i], gelu(x[i], order), bound);
  }
  for (int with = 0; with < 2; with++) {
    ck_gelu_product(x, a, with ? b : NULL, z, n, order);
    for (size_t i = 0; i < n; i++) {
      double factor = a[i] * (with ? (double)b[i] : 1), want = gelu(x[i], order) * factor;
      double bound = error * (order ? 1 : fmax(1, fabs((double)x[i])));
      near(i, z[i], want, bound * fabs(factor) + 2.1 * U * fabs(want));
    }
  }
}

static void linear_epilogue(size_t rows, size_t cols, size_t ld, int activation, int which) {
  release("linear_epilogue [%zu, %zu] stride %zu, activation %d, %d", rows, cols, ld, activation, which);
  float *bias = which & 1 ? random_floats(cols, -3, 3) : NULL;
  float *gain = which & 2 ? random_floats(cols, -3, 3) : NULL;
  float *residual = which & 4 ? random_floats(rows * cols, -3, 3) : NULL;
  size_t n = rows ? (rows - 1) * ld + cols : 0;
  float *y = floats(n), *start = random_floats(n, -6, 6);
  for (size_t i = 0; i < n; i++)
    if (i % ld < cols) y[i] = start[i];
  ck_linear_epilogue(y, rows, cols, ld, bias, activation, gain, residual);
  for (size_t i = 0; i < n; i++) {
    size_t r = i / ld, c = i % ld;
    if (c >= cols) {
      untouched(i, y[i]);
      continue;
    }
    double v = start[i] + (bias ? (double)bias[c] : 0), act = activated(v, activation);
    double factor = gain ? (double)gain[c] : 1, want = act * factor;
    double bound = (activation_bound(v, activation) + 1.2 * U * fabs(v)) * fabs(factor);
    bound += gain ? U * 1.01 * fabs(want) : 0;
    if (residual) want += (double)residual[r * cols + c], bound += U * 1.01 * fabs(want);
    near(i, y[i], want, bound);
  }
}

static void affine_epilogue(size_t rows, size_t cols, int activation, int with) {
  release("affine_epilogue [%zu, %zu], activation %d, residual %d", rows, cols, activation, with);
  size_t n = rows * cols;
  float *x = random_floats(n, -4, 4), *y = floats(n), *add = with ? random_floats(n, -2, 2) : NULL;
  float *scale = random_floats(cols, -2, 2), *shift = random_floats(cols, -2, 2);
  ck_affine_epilogue(x, y, rows, cols, scale, shift, add, activation);
  for (size_t i = 0; i < n; i++) {
    double a = (double)x[i] * scale[i % cols], b = a + shift[i % cols];
    double c = b + (add ? (double)add[i] : 0);
    double rounding = U * 1.01 * (fabs(a) + fabs(b) + fabs(c));
    near(i, y[i], activated(c, activation), activation_bound(c, activation) + 1.2 * rounding);
  }
  ck_affine_epilogue(x, x, rows, cols, scale, shift, add, activation);
  same("in place", x, y, n * sizeof *y);
}

void test_elementwise(void) {
  EACH(outer, 0, 1, 3, 5)
  EACH(cols, 0, 1, 3, 8, 17, 35, 64, 131)
  for (int mode = CK_SAME; mode <= CK_ROW; mode++) binary(outer, cols, mode);
  EACH(n, 0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 67, 255, 1027) {
    affine(n);
    for (int function = CK_FN_RELU; function <= CK_FN_CLAMP_STEP; function++) {
      maps(n, function, -100, 100);
      maps(n, function, -2, 8);
      maps(n, function, 0, 1e-3);
    }
    for (int order = 0; order <= 7; order++) gelus(n, order);
  }
  EACH(rows, 0, 1, 3)
  EACH(cols, 1, 4, 7, 16, 37)
  EACH(gap, 0, 5)
  for (int activation = CK_ACTIVATION_NONE; activation <= CK_ACTIVATION_RELU6; activation++) {
    for (int which = 0; which < 8; which++) linear_epilogue(rows, cols, cols + gap, activation, which);
    for (int with = 0; with < 2; with++) affine_epilogue(rows, cols, activation, with);
  }
}
