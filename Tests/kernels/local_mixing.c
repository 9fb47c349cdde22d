#include "check.h"

// The three sums over the same triples of a place, a tap and a channel, for one way of sharing weights.
static void local(const struct ck_window *g, size_t groups, int by_image, int by_place) {
  release("local mixing [%zu, %zu, %zu, %zu] window %zu x %zu, %zu groups, by image %d, by place %d", g->n, g->h,
          g->w, g->c, g->kh, g->kw, groups, by_image, by_place);
  size_t c = g->c, share = c / groups, taps = g->kh * g->kw, places = g->oh * g->ow;
  struct ck_local_weights l = {groups, by_image ? (by_place ? places : 1) * taps * groups : 0,
                               by_place ? taps * groups : 0};
  size_t inputs = g->n * g->h * g->w * c, outputs = g->n * places * c;
  size_t weights = (by_image ? g->n : 1) * (by_place ? places : 1) * taps * groups;
  float *x = random_floats(inputs, -2, 2), *w = random_floats(weights, -2, 2), *dy = random_floats(outputs, -2, 2);
  float *y = floats(outputs), *dx = floats(inputs), *dw = floats(weights);
  ck_local_mix(x, w, y, g, &l, 0, g->n * g->oh);
  ck_local_spread(dy, w, dx, g, &l, 0, g->n * g->h);
  // Images that share weights would each begin anew.
  int correlates = by_image || g->n == 1;
  if (correlates) ck_local_correlate(x, dy, dw, g, &l, 0, g->n * g->oh);

  size_t all = outputs + inputs + weights;
  double *want = calloc(all + 1, sizeof *want), *sizes = calloc(all + 1, sizeof *sizes);
  for (size_t image = 0; image < g->n; image++)
    for (size_t p = 0; p < places; p++)
      for (size_t u = 0; u < taps; u++) {
        long iy = (long)(p / g->ow * g->stride_h + u / g->kw * g->dilation_h) - g->pad_top;
        long ix = (long)(p % g->ow * g->stride_w + u % g->kw * g->dilation_w) - g->pad_left;
        if (iy < 0 || ix < 0 || iy >= (long)g->h || ix >= (long)g->w) continue;
        for (size_t i = 0; i < c; i++) {
          size_t in = ((image * g->h + (size_t)iy) * g->w + (size_t)ix) * c + i, out = (image * places + p) * c + i;
          size_t at = image * l.image_step + p * l.place_step + u * groups + i / share;
          double a = (double)x[in] * w[at], b = (double)dy[out] * w[at], d = (double)x[in] * dy[out];
          want[out] += a, sizes[out] += fabs(a);
          want[outputs + in] += b, sizes[outputs + in] += fabs(b);
          want[outputs + inputs + at] += d, sizes[outputs + inputs + at] += fabs(d);
        }
      }
  double terms = (double)taps + 1;
  for (size_t i = 0; i < outputs; i++) near(i, y[i], want[i], U * terms * sizes[i]);
  for (size_t i = 0; i < inputs; i++) near(i, dx[i], want[outputs + i], U * terms * sizes[outputs + i]);
  size_t skip = outputs + inputs;
  double summed = (double)(share * (by_place ? 1 : places)) + 1;
  for (size_t i = 0; correlates && i < weights; i++) near(i, dw[i], want[skip + i], U * summed * sizes[skip + i]);
  free(want), free(sizes);

  // Some rows at a time.
  size_t rows = g->n * g->oh, first = rows / 3, some = (rows - first + 1) / 2, row = g->ow * c;
  float *part = floats(outputs), *back = floats(inputs);
  ck_local_mix(x, w, part, g, &l, first, some);
  for (size_t i = 0; i < outputs; i++) {
    if (i / (row ? row : 1) < first || i / (row ? row : 1) >= first + some) untouched(i, part[i]);
  }
  same("some rows", part + first * row, y + first * row, some * row * sizeof *y);
  rows = g->n * g->h, first = rows / 2, row = g->w * c;
  ck_local_spread(dy, w, back, g, &l, first, rows - first);
  same("the last rows", back + first * row, dx + first * row, (rows - first) * row * sizeof *dx);
  if (!by_place || !by_image) return;
  float *piece = floats(weights);
  rows = g->n * g->oh, first = rows / 2, row = g->ow * taps * groups;
  ck_local_correlate(x, dy, piece, g, &l, first, rows - first);
  same("the last rows", piece + first * row, dw + first * row, (rows - first) * row * sizeof *dw);
}

static void relative(size_t places, size_t taps, size_t c, size_t groups) {
  release("local_add_relative [%zu, %zu] of %zu channels in %zu groups", places, taps, c, groups);
  size_t count = places * taps * groups, share = c / groups;
  float *q = random_floats(places * c, -2, 2), *r = random_floats(taps * c, -2, 2), *w = random_floats(count, -2, 2);
  const float *before = copy_floats(w, count);
  ck_local_add_relative(q, r, w, places, taps, c, groups);
  for (size_t p = 0; p < places; p++)
    for (size_t u = 0; u < taps; u++)
      for (size_t group = 0; group < groups; group++) {
        size_t at = (p * taps + u) * groups + group;
        double want = before[at], size = fabs((double)before[at]);
        for (size_t i = group * share; i < (group + 1) * share; i++) {
          double v = (double)q[p * c + i] * r[u * c + i];
          want += v, size += fabs(v);
        }
        near(at, w[at], want, U * (double)(share + 1) * size);
      }
}

// Each tap's weight shared out over sets of values, and the sets' results added up.
static void mixtures(size_t places, size_t taps, size_t sets, size_t groups) {
  release("local_share and sum_mixtures [%zu, %zu] of %zu sets in %zu groups", places, taps, sets, groups);
  size_t rows = places * taps, count = rows * sets * groups;
  float *w = random_floats(rows * groups, -2, 2), *shares = random_floats(taps * sets, -2, 2), *y = floats(count);
  ck_local_share(w, shares, y, rows, taps, sets, groups);
  for (size_t r = 0; r < rows; r++)
    for (size_t m = 0; m < sets; m++)
      for (size_t group = 0; group < groups; group++) {
        double want = (double)w[r * groups + group] * shares[r % taps * sets + m];
        near(r, y[(r * sets + m) * groups + group], want, U * fabs(want));
      }
  float *x = random_floats(count, -2, 2), *sum = floats(rows * groups);
  ck_sum_mixtures(x, sum, rows, sets, groups);
  for (size_t i = 0; i < rows * groups; i++) {
    double want = 0, size = 0;
    for (size_t m = 0; m < sets; m++) {
      double v = x[(i / groups * sets + m) * groups + i % groups];
      want += v, size += fabs(v);
    }
    near(i, sum[i], want, U * (double)sets * size);
  }
}

void test_local_mixing(void) {
  EACH(places, 0, 1, 5)
  EACH(taps, 1, 9)
  EACH(sets, 1, 2, 4)
  EACH(groups, 1, 4, 17, 64) mixtures(places, taps, sets, groups);
  EACH(places, 0, 1, 5)
  EACH(taps, 1, 9)
  EACH(groups, 1, 4, 24) relative(places, taps, 24, groups);
  // n, h, w, c, oh, ow, kh, kw, strides, pads, dilations
  static const struct ck_window maps[] = {
      {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1},    {2, 5, 4, 6, 5, 4, 3, 3, 1, 1, 1, 1, 1, 1},
      {2, 7, 6, 68, 4, 3, 3, 3, 2, 2, 1, 1, 1, 1},   {1, 9, 5, 130, 3, 2, 2, 3, 3, 2, 0, 0, 1, 1},
      {2, 3, 3, 12, 3, 3, 7, 7, 1, 1, 3, 3, 1, 1},   {0, 4, 4, 4, 4, 4, 3, 3, 1, 1, 1, 1, 1, 1},
      {1, 6, 6, 64, 6, 6, 5, 5, 1, 1, 2, 2, 1, 1},   {3, 4, 3, 8, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1},
      {2, 5, 16, 48, 5, 16, 7, 7, 1, 1, 3, 3, 1, 1}, {1, 9, 23, 64, 5, 12, 3, 3, 2, 2, 1, 1, 1, 1},
      {1, 6, 22, 32, 6, 22, 3, 3, 1, 1, 2, 2, 2, 2},
  };
  size_t own = sizeof maps / sizeof *maps;
  for (size_t i = 0; i < own + window_count; i++) {
    const struct ck_window *map = i < own ? &maps[i] : &windows[i - own];
    EACH(groups, 1, 2, 3, 4, 5, 16, 32, 33, 40, 48, 64, 68, 130)
      for (int kind = 0; kind < 4; kind++)
        if (groups <= map->c && map->c % groups == 0) local(map, groups, kind & 1, kind >> 1);
  }
}
