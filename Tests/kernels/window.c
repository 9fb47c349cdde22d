#include "check.h"

// One tap of the window at one of the results: where its input, its result and its weight lie, for the
// channel 0; the input may be outside of the map.
struct tap {
  size_t in, out, weight;
  int inside;
};
static size_t tap_count(const struct ck_window *g) { return g->n * g->oh * g->ow * g->kh * g->kw; }
static struct tap tap_at(const struct ck_window *g, size_t i) {
  size_t kx = i % g->kw, ky = i / g->kw % g->kh, result = i / g->kw / g->kh;
  size_t ox = result % g->ow, oy = result / g->ow % g->oh, image = result / g->ow / g->oh;
  long y = (long)(oy * g->stride_h + ky * g->dilation_h) - g->pad_top;
  long x = (long)(ox * g->stride_w + kx * g->dilation_w) - g->pad_left;
  int inside = y >= 0 && x >= 0 && y < (long)g->h && x < (long)g->w;
  size_t in = inside ? ((image * g->h + (size_t)y) * g->w + (size_t)x) * g->c : 0;
  return (struct tap){in, result * g->c, (ky * g->kw + kx) * g->c, inside};
}

static void patches(const struct ck_window *g) {
  size_t c = g->c, taps = g->kh * g->kw, patch = taps * c, rows = g->n * g->oh * g->ow;
  size_t inputs = g->n * g->h * g->w * c;
  float *x = random_floats(inputs, -2, 2), *p = floats(rows * patch);
  ck_im2col(x, p, g, 0, rows);
  for (size_t t = 0; t < tap_count(g); t++) {
    struct tap at = tap_at(g, t);
    for (size_t i = 0; i < c; i++)
      near(at.out + i, p[at.out / c * patch + at.weight + i], at.inside ? (double)x[at.in + i] : 0, 0);
  }
  size_t first = rows / 3, some = rows - first > 5 ? 5 : rows - first;
  float *part = floats(some * patch);
  ck_im2col(x, part, g, first, some);
  same("of some rows", part, p + first * patch, some * patch * sizeof *p);

  float *q = random_floats(rows * patch, -2, 2), *back = floats(inputs);
  double *want = calloc(inputs + 1, sizeof *want), *sizes = calloc(inputs + 1, sizeof *sizes);
  ck_col2im(q, back, g, 0, g->n);
  for (size_t t = 0; t < tap_count(g); t++) {
    struct tap at = tap_at(g, t);
    for (size_t i = 0; at.inside && i < c; i++) {
      double v = q[at.out / c * patch + at.weight + i];
      want[at.in + i] += v, sizes[at.in + i] += fabs(v);
    }
  }
  for (size_t i = 0; i < inputs; i++) near(i, back[i], want[i], U * (double)taps * sizes[i]);
  free(want), free(sizes);
  if (g->n < 2) return;
  size_t image = g->h * g->w * c;
  float *last = floats(inputs);
  ck_col2im(q + g->oh * g->ow * patch, last, g, 1, g->n - 1);
  same("of the last images", last + image, back + image, (inputs - image) * sizeof *back);
  for (size_t i = 0; i < image; i++) untouched(i, last[i]);
}

static void max_pool(const struct ck_window *g) {
  size_t c = g->c, inputs = g->n * g->h * g->w * c, outputs = g->n * g->oh * g->ow * c;
  size_t map = g->h * g->w * c, one = g->oh * g->ow * c;
  float *x = floats(inputs), *y = floats(outputs);
  int32_t *index = integers(outputs);
  // Few values, so that many are equal.
  for (size_t i = 0; i < inputs; i++) x[i] = below(40) == 0 ? NAN : (float)below(5) - 2;
  ck_max_pool(x, y, index, g, 0, g->n);
  double *want = malloc((outputs + 1) * sizeof *want);
  size_t *where = calloc(outputs + 1, sizeof *where);
  for (size_t i = 0; i < outputs; i++) want[i] = -INFINITY;
  for (size_t t = 0; t < tap_count(g); t++) {
    struct tap at = tap_at(g, t);
    for (size_t i = 0; at.inside && i < c; i++) {
      double v = x[at.in + i];
      if (!(v > want[at.out + i] || isnan(v))) continue;
      want[at.out + i] = v, where[at.out + i] = (at.in + i) % map;
    }
  }
  for (size_t i = 0; i < outputs; i++) {
    near(i, y[i], want[i], 0);
    equal(i, (size_t)index[i], where[i]);
  }
  if (g->n > 1) {
    float *y1 = floats(outputs);
    int32_t *index1 = integers(outputs);
    ck_max_pool(x, y1, index1, g, 1, g->n - 1);
    same("of the last images", y1 + one, y + one, (outputs - one) * sizeof *y);
    same("of the last images", index1 + one, index + one, (outputs - one) * sizeof *index);
  }
  float *alone = floats(outputs);
  ck_max_pool(x, alone, NULL, g, 0, g->n);
  same("without places", alone, y, outputs * sizeof *y);

  float *gathered = floats(outputs), *dx = floats(inputs), *dy = random_floats(outputs, -2, 2);
  float *values = random_floats(inputs, -2, 2);
  ck_gather_indexed(values, index, gathered, map, one, g->n);
  ck_scatter_indexed(dy, index, dx, map, one, g->n);
  double *sums = calloc(inputs + 1, sizeof *sums), *sizes = calloc(inputs + 1, sizeof *sizes);
  for (size_t i = 0; i < outputs; i++) {
    size_t from = i / one * map + where[i];
    near(i, gathered[i], values[from], 0);
    sums[from] += dy[i], sizes[from] += fabs((double)dy[i]);
  }
  for (size_t i = 0; i < inputs; i++) near(i, dx[i], sums[i], U * 30 * sizes[i]);
  free(want), free(where), free(sums), free(sizes);
}

static void rows(size_t images, size_t in, size_t out, size_t cols) {
  release("gather_rows, scatter_rows %zu times %zu of %zu by %zu", images, out, in, cols);
  float *x = random_floats(images * in * cols, -2, 2), *y = floats(images * out * cols);
  float *dy = random_floats(images * out * cols, -2, 2), *dx = floats(images * in * cols);
  int32_t *index = integers(out);
  for (size_t r = 0; r < out; r++) index[r] = (int32_t)below(in + 1) - 1;
  ck_gather_rows(x, index, y, images, in, out, cols);
  ck_scatter_rows(dy, index, dx, images, in, out, cols);
  for (size_t n = 0; n < images; n++) {
    for (size_t r = 0; r < out; r++)
      for (size_t i = 0; i < cols; i++) {
        double want = index[r] < 0 ? 0 : (double)x[(n * in + (size_t)index[r]) * cols + i];
        near(r, y[(n * out + r) * cols + i], want, 0);
      }
    for (size_t s = 0; s < in; s++)
      for (size_t i = 0; i < cols; i++) {
        double want = 0, size = 0;
        for (size_t r = 0; r < out; r++)
          if (index[r] == (int32_t)s)
            want += dy[(n * out + r) * cols + i], size += fabs((double)dy[(n * out + r) * cols + i]);
        near(s, dx[(n * in + s) * cols + i], want, U * (double)out * size);
      }
  }
}

static void resample(size_t outer, size_t count, size_t rows, size_t inner) {
  release("resample_axis [%zu, %zu, %zu] to %zu", outer, count, inner, rows);
  int32_t *starts = integers(rows + 1);
  starts[0] = 0;
  for (size_t r = 0; r < rows; r++) starts[r + 1] = starts[r] + (int32_t)below(4);
  size_t entries = (size_t)starts[rows];
  int32_t *places = integers(entries);
  for (size_t p = 0; p < entries; p++) places[p] = (int32_t)below(count);
  float *x = random_floats(outer * count * inner, -2, 2), *weights = random_floats(entries, -2, 2);
  float *y = floats(outer * rows * inner);
  ck_resample_axis(x, y, outer, count, rows, inner, starts, places, weights);
  for (size_t o = 0; o < outer; o++)
    for (size_t r = 0; r < rows; r++)
      for (size_t i = 0; i < inner; i++) {
        double want = 0, size = 0;
        for (size_t p = (size_t)starts[r]; p < (size_t)starts[r + 1]; p++) {
          double v = (double)weights[p] * x[(o * count + (size_t)places[p]) * inner + i];
          want += v, size += fabs(v);
        }
        near(r, y[(o * rows + r) * inner + i], want, 1.001 * U * fabs(want) + 4 * UD * size);
      }
}

static void permute(int rank, const size_t *shape, const int32_t *axes) {
  release("permute rank %d, the first axis is %d", rank, axes[0]);
  size_t total = 1, extent[8], stride[8];
  for (int i = rank - 1; i >= 0; i--) stride[i] = total, total *= shape[i];
  for (int i = 0; i < rank; i++) extent[i] = shape[axes[i]];
  float *x = random_floats(total, -2, 2), *y = floats(total);
  ck_permute(x, y, rank, shape, axes, extent[0]);
  for (size_t i = 0; i < total; i++) {
    size_t rest = i, from = 0;
    for (int d = rank - 1; d >= 0; d--) from += rest % extent[d] * stride[axes[d]], rest /= extent[d];
    near(i, y[i], x[from], 0);
  }
  // Half of the first axis.
  size_t lead = extent[0] / 2, skip = extent[0] - lead, inner = extent[0] ? total / extent[0] : 0;
  float *part = floats(lead * inner);
  ck_permute(lead ? x + skip * stride[axes[0]] : x, part, rank, shape, axes, lead);
  same("of some places", part, y + skip * inner, lead * inner * sizeof *y);
}

// n, h, w, c, oh, ow, kh, kw, strides, pads, dilations
const struct ck_window windows[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1}, {2, 5, 4, 3, 5, 4, 3, 3, 1, 1, 1, 1, 1, 1},
    {3, 7, 6, 17, 4, 3, 3, 3, 2, 2, 1, 1, 1, 1}, {2, 9, 5, 8, 3, 2, 2, 3, 3, 2, 0, 0, 1, 1},
    {1, 4, 4, 33, 4, 4, 4, 4, 1, 1, 1, 1, 1, 1}, {2, 3, 3, 5, 5, 6, 5, 7, 1, 1, 3, 5, 1, 1},
    {1, 8, 8, 16, 2, 2, 4, 4, 4, 4, 0, 0, 1, 1}, {0, 4, 4, 3, 4, 4, 3, 3, 1, 1, 1, 1, 1, 1},
    {1, 2, 3, 7, 4, 5, 2, 2, 1, 1, 2, 2, 1, 1}, {2, 6, 6, 35, 3, 3, 2, 2, 2, 2, 0, 0, 1, 1},
    {1, 13, 11, 2, 5, 4, 3, 5, 3, 3, 2, 3, 1, 1}, {1, 3, 3, 0, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1},
    {2, 9, 8, 5, 5, 2, 3, 2, 1, 3, 0, 0, 2, 4}, {1, 5, 6, 16, 5, 6, 3, 3, 1, 1, 2, 2, 2, 2},
    {1, 2, 3, 5, 6, 7, 1, 1, 1, 1, 2, 2, 1, 1}, {2, 4, 7, 9, 2, 5, 2, 2, 2, 1, 0, 1, 3, 4},
    {2, 9, 17, 40, 9, 17, 7, 7, 1, 1, 3, 3, 1, 1}, {1, 5, 15, 16, 5, 15, 5, 9, 1, 1, 2, 4, 1, 1},
    {2, 7, 19, 19, 4, 10, 3, 5, 2, 2, 1, 2, 1, 1}, {1, 6, 21, 33, 6, 19, 3, 3, 1, 1, 2, 1, 2, 2},
};
const size_t window_count = sizeof windows / sizeof *windows;

void test_window(void) {
  for (size_t i = 0; i < window_count; i++) {
    release("im2col, col2im, map %zu", i);
    patches(&windows[i]);
    release("max_pool, gather_indexed, scatter_indexed, map %zu", i);
    max_pool(&windows[i]);
  }
  EACH(outer, 0, 1, 3)
  EACH(count, 1, 6)
  EACH(rows, 0, 1, 9)
  EACH(inner, 1, 3, 16, 255, 257) resample(outer, count, rows, inner);
  EACH(images, 0, 1, 3)
  EACH(in, 1, 5)
  EACH(out, 0, 1, 9)
  EACH(cols, 1, 3, 16, 21) rows(images, in, out, cols);
  permute(1, (size_t[]){5}, (int32_t[]){0});
  permute(2, (size_t[]){5, 17}, (int32_t[]){1, 0});
  permute(2, (size_t[]){33, 8}, (int32_t[]){0, 1});
  permute(3, (size_t[]){4, 3, 9}, (int32_t[]){2, 0, 1});
  permute(3, (size_t[]){4, 3, 9}, (int32_t[]){1, 0, 2});
  permute(4, (size_t[]){2, 3, 5, 7}, (int32_t[]){3, 1, 0, 2});
  permute(5, (size_t[]){3, 2, 1, 4, 5}, (int32_t[]){4, 2, 0, 3, 1});
  permute(8, (size_t[]){2, 1, 3, 2, 2, 1, 2, 3}, (int32_t[]){7, 6, 5, 4, 3, 2, 1, 0});
  permute(3, (size_t[]){4, 0, 9}, (int32_t[]){2, 0, 1});
}
