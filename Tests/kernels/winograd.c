#include "check.h"

enum { SIDE = 6, EXTENT = CK_WINOGRAD_EXTENT, PRODUCTS = CK_WINOGRAD_PRODUCTS };

// The matrices of Toom and Cook for the points 0, 3/4, -3/4, 3/2, -3/2 and infinity, from the
// polynomials that define them: results, filters, maps.
static double results[EXTENT][SIDE], filters[SIDE][3], maps[SIDE][SIDE];

static void make_matrices(void) {
  static const double points[5] = {0, 0.75, -0.75, 1.5, -1.5};
  for (int j = 0; j < SIDE; j++) {
    // Of the product of (x - point), without the j-th; with all for infinity.
    double coefficients[SIDE + 1] = {1}, scale = 1;
    int degree = 0;
    for (int l = 0; l < 5; l++) {
      if (l == j) continue;
      for (int i = ++degree; i > 0; i--)
        coefficients[i] = coefficients[i - 1] - points[l] * coefficients[i];
      coefficients[0] *= -points[l];
      if (j < 5) scale *= points[j] - points[l];
    }
    for (int i = 0; i < SIDE; i++) maps[j][i] = i <= degree ? coefficients[i] : 0;
    for (int i = 0; i < EXTENT; i++) results[i][j] = j < 5 ? pow(points[j], i) : i == EXTENT - 1;
    for (int i = 0; i < 3; i++) filters[j][i] = j < 5 ? pow(points[j], i) / scale : i == 2;
  }
}

// What a two-dimensional transform makes of `in`, and of the magnitudes of all its terms.
struct value {
  double want, magnitudes;
};
static struct value transformed(const double *rows, const double *columns, const double *in,
                                size_t count, size_t stride) {
  struct value v = {0, 0};
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < count; j++) {
      double term = rows[i * stride] * columns[j * stride] * in[i * count + j];
      v.want += term, v.magnitudes += fabs(term);
    }
  return v;
}
static const double bound = 12 * U;  // of the magnitudes: six terms along either axis

static void filter_panels(size_t out, size_t in, int adjoint) {
  release("winograd_filters [%zu, %zu] adjoint %d", out, in, adjoint);
  size_t k = adjoint ? out : in, n = adjoint ? in : out, width = ck_panel_width();
  size_t operand = ck_panels_count(CK_FLOAT32, k, n), columns = ck_winograd_columns();
  float *weight = random_floats(out * 9 * in, -1, 1), *panels = floats(PRODUCTS * operand);
  require(ck_winograd_filters(weight, out, in, adjoint, 0, n, panels), "no memory");
  for (size_t i = 0; i < PRODUCTS * operand; i++) {
    size_t f = i / operand, at = i % operand;
    size_t column = at / (width * k) * width + at % width, row = at % (width * k) / width;
    double taps[9];
    for (size_t t = 0; t < 9; t++)
      taps[t] = column >= n ? 0
                : adjoint   ? (double)weight[(row * 9 + 8 - t) * in + column]
                            : (double)weight[(column * 9 + t) * in + row];
    struct value v = transformed(filters[f / SIDE], filters[f % SIDE], taps, 3, 1);
    near(i, panels[i], v.want, bound * v.magnitudes);
  }
  require(columns % width == 0 && columns % CK_WINOGRAD_CHANNELS == 0, "columns that cut panels");
  float *parts = floats(PRODUCTS * operand);
  for (size_t first = 0; first < n; first += columns)
    ck_winograd_filters(weight, out, in, adjoint, first, n - first < columns ? n - first : columns, parts);
  same("in parts", parts, panels, PRODUCTS * operand * sizeof *panels);
}

static size_t tile_count(const struct ck_winograd *g) {
  return g->n * ((g->oh + EXTENT - 1) / EXTENT) * ((g->ow + EXTENT - 1) / EXTENT);
}
// Where tile `tile` begins in the results.
static void place(const struct ck_winograd *g, size_t tile, size_t *image, size_t *y, size_t *x) {
  size_t across = (g->ow + EXTENT - 1) / EXTENT, down = (g->oh + EXTENT - 1) / EXTENT;
  *x = tile % across * EXTENT, *y = tile / across % down * EXTENT, *image = tile / across / down;
}

static void transforms(const struct ck_winograd *g, size_t c) {
  size_t tiles = tile_count(g), rows = tiles + 1, image, y, x;
  float *in = random_floats(g->n * g->h * g->w * c, -1, 1), *v = floats(PRODUCTS * rows * c);
  float *dy = random_floats(g->n * g->oh * g->ow * c, -1, 1), *z = floats(PRODUCTS * rows * c);
  ck_winograd_input(in, g, c, 0, tiles, v, rows);
  ck_winograd_cotangent(dy, g, c, 0, tiles, z, rows);
  for (size_t tile = 0; tile < tiles; tile++)
    for (size_t k = 0; k < c; k++) {
      place(g, tile, &image, &y, &x);
      double patch[SIDE * SIDE], block[EXTENT * EXTENT];
      for (long i = 0; i < SIDE * SIDE; i++) {
        long r = (long)y + i / SIDE - g->pad_top, s = (long)x + i % SIDE - g->pad_left;
        int inside = r >= 0 && s >= 0 && r < (long)g->h && s < (long)g->w;
        patch[i] = inside ? (double)in[((image * g->h + (size_t)r) * g->w + (size_t)s) * c + k] : 0;
      }
      for (size_t i = 0; i < EXTENT * EXTENT; i++) {
        size_t r = y + i / EXTENT, s = x + i % EXTENT;
        block[i] = r < g->oh && s < g->ow ? (double)dy[((image * g->oh + r) * g->ow + s) * c + k] : 0;
      }
      for (size_t f = 0; f < PRODUCTS; f++) {
        size_t at = (f * rows + tile) * c + k;
        struct value a = transformed(maps[f / SIDE], maps[f % SIDE], patch, SIDE, 1);
        near(at, v[at], a.want, bound * a.magnitudes);
        struct value b =
            transformed(&results[0][f / SIDE], &results[0][f % SIDE], block, EXTENT, SIDE);
        near(at, z[at], b.want, bound * b.magnitudes);
      }
    }
  for (size_t f = 0; f < PRODUCTS; f++)
    for (size_t k = 0; k < c; k++) {
      untouched(k, v[(f * rows + tiles) * c + k]);
      untouched(k, z[(f * rows + tiles) * c + k]);
    }
  size_t first = tiles / 2, some = tiles - first;
  float *part = floats(PRODUCTS * some * c), *other = floats(PRODUCTS * some * c);
  ck_winograd_input(in, g, c, first, some, part, some);
  ck_winograd_cotangent(dy, g, c, first, some, other, some);
  for (size_t f = 0; f < PRODUCTS; f++) {
    same("of some tiles", part + f * some * c, v + (f * rows + first) * c, some * c * sizeof *v);
    same("of some tiles", other + f * some * c, z + (f * rows + first) * c, some * c * sizeof *z);
  }
}

static void outputs(const struct ck_winograd *g, size_t c, int activation, int which) {
  size_t tiles = tile_count(g), n = g->n * g->oh * g->ow * c, image, y, x;
  float *m = random_floats(PRODUCTS * tiles * c, -1, 1), *out = floats(n);
  float *scale = which & 1 ? random_floats(c, -2, 2) : NULL;
  float *shift = which & 1 ? random_floats(c, -2, 2) : NULL;
  float *residual = which & 2 ? random_floats(n, -2, 2) : NULL;
  ck_winograd_output(m, g, c, 0, tiles, out, scale, shift, residual, activation);
  for (size_t tile = 0; tile < tiles; tile++)
    for (size_t i = 0; i < EXTENT * EXTENT; i++)
      for (size_t k = 0; k < c; k++) {
        place(g, tile, &image, &y, &x);
        size_t r = y + i / EXTENT, s = x + i % EXTENT, at = ((image * g->oh + r) * g->ow + s) * c + k;
        if (r >= g->oh || s >= g->ow) continue;
        double terms[PRODUCTS];
        for (size_t f = 0; f < PRODUCTS; f++) terms[f] = m[(f * tiles + tile) * c + k];
        struct value v = transformed(results[i / EXTENT], results[i % EXTENT], terms, SIDE, 1);
        double want = v.want, error = bound * v.magnitudes;
        if (scale) {
          error = error * fabs((double)scale[k]) + 1.1 * U * fabs(want * scale[k]);
          want = want * scale[k] + shift[k];
          error += 1.1 * U * fabs(want);
        }
        if (residual) want += (double)residual[at], error += 1.1 * U * fabs(want);
        near(at, out[at], activated(want, activation), activation_bound(want, activation) + 1.2 * error);
      }
  if (tiles < 2) return;
  float *part = floats(n), *some = floats(PRODUCTS * (tiles - 1) * c);
  for (size_t f = 0; f < PRODUCTS; f++)
    memcpy(some + f * (tiles - 1) * c, m + (f * tiles + 1) * c, (tiles - 1) * c * sizeof *m);
  ck_winograd_output(some, g, c, 1, tiles - 1, part, scale, shift, residual, activation);
  for (size_t i = 0; i < n; i++) {
    size_t s = i / c % g->ow, r = i / c / g->ow;  // r counts the rows of all images
    if (r < EXTENT && r < g->oh && s < EXTENT)
      untouched(i, part[i]);
    else
      same("of some tiles", part + i, out + i, sizeof *out);
  }
}

static void weight_gradient(size_t out, size_t in) {
  release("winograd_weight_gradient [%zu, %zu]", out, in);
  float *m = random_floats(PRODUCTS * out * in, -1, 1), *dw = floats(out * 9 * in);
  ck_winograd_weight_gradient(m, out, in, 0, out, dw);
  for (size_t i = 0; i < out * 9 * in; i++) {
    size_t o = i / (9 * in), t = i / in % 9, c = i % in;
    double terms[PRODUCTS];
    for (size_t f = 0; f < PRODUCTS; f++) terms[f] = m[(f * out + o) * in + c];
    struct value v = transformed(&filters[0][t / 3], &filters[0][t % 3], terms, SIDE, 3);
    near(i, dw[i], v.want, bound * v.magnitudes);
  }
  float *parts = floats(out * 9 * in);
  for (size_t o = 0; o < out; o += 5)
    ck_winograd_weight_gradient(m, out, in, o, out - o < 5 ? out - o : 5, parts);
  same("in parts", parts, dw, out * 9 * in * sizeof *dw);
}

// All steps, against the sums that define them: a convolution, and its gradient by the filters.
static void convolution(const struct ck_winograd *g, size_t in, size_t out) {
  size_t tiles = tile_count(g), operand = ck_panels_count(CK_FLOAT32, in, out);
  float *x = random_floats(g->n * g->h * g->w * in, -1, 1), *weight = random_floats(out * 9 * in, -1, 1);
  float *panels = floats(PRODUCTS * operand), *v = floats(PRODUCTS * tiles * in);
  float *m = floats(PRODUCTS * tiles * out), *y = floats(g->n * g->oh * g->ow * out);
  ck_winograd_filters(weight, out, in, 0, 0, out, panels);
  ck_winograd_input(x, g, in, 0, tiles, v, tiles);
  for (size_t f = 0; f < PRODUCTS; f++)
    ck_product(CK_FLOAT32, tiles, out, in, 1, v + f * tiles * in, in, 0, panels + f * operand, m + f * tiles * out,
               out, 0);
  ck_winograd_output(m, g, out, 0, tiles, y, NULL, NULL, NULL, CK_ACTIVATION_NONE);

  float *dy = random_floats(g->n * g->oh * g->ow * out, -1, 1), *z = floats(PRODUCTS * tiles * out);
  float *u = floats(PRODUCTS * out * in), *dw = floats(out * 9 * in);
  ck_winograd_cotangent(dy, g, out, 0, tiles, z, tiles);
  for (size_t f = 0; f < PRODUCTS; f++)
    ck_gemm(CK_FLOAT32, out, in, tiles, 1, z + f * tiles * out, out, 1, v + f * tiles * in, in, 0, u + f * out * in,
            in, 0);
  ck_winograd_weight_gradient(u, out, in, 0, out, dw);

  double *gradient = calloc(out * 9 * in, sizeof *gradient);
  for (size_t at = 0; at < g->n * g->oh * g->ow * out; at++) {
    size_t o = at % out, ox = at / out % g->ow, oy = at / out / g->ow % g->oh;
    size_t image = at / out / g->ow / g->oh;
    double want = 0;
    for (size_t t = 0; t < 9; t++) {
      long r = (long)(oy + t / 3) - g->pad_top, s = (long)(ox + t % 3) - g->pad_left;
      if (r < 0 || s < 0 || r >= (long)g->h || s >= (long)g->w) continue;
      for (size_t i = 0; i < in; i++) {
        double value = x[((image * g->h + (size_t)r) * g->w + (size_t)s) * in + i];
        want += value * weight[(o * 9 + t) * in + i];
        gradient[(o * 9 + t) * in + i] += value * dy[at];
      }
    }
    // Terms of size 1, whose rounding adds up as chance has it; tiles have about four times that.
    near(at, y[at], want, U * 64 * sqrt(9 * (double)in));
  }
  double terms = (double)(g->n * g->oh * g->ow);
  for (size_t i = 0; i < out * 9 * in; i++) near(i, dw[i], gradient[i], U * 64 * sqrt(terms));
  free(gradient);
}

void test_winograd(void) {
  make_matrices();
  EACH(out, 16, 48)
  EACH(in, 16, 64) {
    filter_panels(out, in, 0);
    filter_panels(out, in, 1);
    weight_gradient(out, in);
  }
  static const struct ck_winograd all[] = {
      {1, 1, 1, 1, 1, 1, 1},   {2, 4, 4, 4, 4, 1, 1},   {1, 6, 6, 4, 4, 0, 0},   {2, 7, 5, 7, 5, 1, 1},
      {1, 9, 13, 9, 13, 1, 1}, {3, 3, 10, 5, 12, 2, 2}, {1, 14, 14, 12, 12, 0, 0}, {0, 4, 4, 4, 4, 1, 1},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    size_t c = i % 2 ? 48 : 16;
    release("winograd_input, winograd_cotangent, map %zu, %zu channels", i, c);
    transforms(&all[i], c);
    for (int activation = CK_ACTIVATION_NONE; activation <= CK_ACTIVATION_RELU6; activation++)
      for (int which = c == 16 ? 0 : 3; which < 4; which++) {
        release("winograd_output, map %zu, %zu channels, activation %d, %d", i, c, activation, which);
        outputs(&all[i], c, activation, which);
      }
    release("a convolution by winograd, map %zu, %zu channels", i, c);
    convolution(&all[i], c, 32);
  }
}
