#include "check.h"

static void grouped(const struct ck_window *window, size_t groups, size_t in, size_t out) {
  struct ck_window map = *window, *g = &map;
  g->c = groups * in;
  struct ck_groups s = {groups, g->c, groups * out};
  release("grouped convolution [%zu, %zu, %zu, %zu] window %zu x %zu, %zu groups of %zu to %zu", g->n, g->h, g->w,
          g->c, g->kh, g->kw, groups, in, out);
  if (!ck_groups_fit(&s)) return;
  size_t taps = g->kh * g->kw, places = g->oh * g->ow, inputs = g->n * g->h * g->w * g->c;
  size_t weights = s.out * taps * in, outputs = g->n * places * s.out, rows = g->n * g->oh, row = g->ow * s.out;
  float *x = random_floats(inputs, -2, 2), *w = random_floats(weights, -2, 2), *y = floats(outputs);
  float *packed = floats(ck_groups_count(&s, taps));
  ck_pack_groups(w, &s, taps, packed);
  ck_convolve_groups(x, packed, y, g, &s, 0, rows);
  for (size_t i = 0; i < outputs; i++) {
    size_t k = i % s.out, p = i / s.out % places, image = i / s.out / places;
    double want = 0, size = 0;
    for (size_t u = 0; u < taps; u++) {
      long iy = (long)(p / g->ow * g->stride_h + u / g->kw * g->dilation_h) - g->pad_top;
      long ix = (long)(p % g->ow * g->stride_w + u % g->kw * g->dilation_w) - g->pad_left;
      if (iy < 0 || ix < 0 || iy >= (long)g->h || ix >= (long)g->w) continue;
      const float *at = x + ((image * g->h + (size_t)iy) * g->w + (size_t)ix) * g->c + k / out * in;
      for (size_t c = 0; c < in; c++) {
        double v = (double)at[c] * w[(k * taps + u) * in + c];
        want += v, size += fabs(v);
      }
    }
    near(i, y[i], want, U * (double)(taps * in + 1) * size);
  }
  // Some rows at a time.
  size_t first = rows / 3, some = (rows - first + 1) / 2;
  float *part = floats(outputs);
  ck_convolve_groups(x, packed, part, g, &s, first, some);
  for (size_t i = 0; i < outputs; i++)
    if (i / (row ? row : 1) < first || i / (row ? row : 1) >= first + some) untouched(i, part[i]);
  same("some rows", part + first * row, y + first * row, some * row * sizeof *y);
}

void test_grouped_convolution(void) {
  // n, h, w, c, oh, ow, kh, kw, strides, pads, dilations
  static const struct ck_window maps[] = {
      {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1},   {2, 5, 4, 1, 5, 4, 3, 3, 1, 1, 1, 1, 1, 1},
      {2, 7, 6, 1, 4, 3, 3, 3, 2, 2, 1, 1, 1, 1},   {0, 4, 4, 1, 4, 4, 3, 3, 1, 1, 1, 1, 1, 1},
      {1, 9, 23, 1, 5, 12, 3, 3, 2, 2, 1, 1, 1, 1}, {1, 6, 22, 1, 6, 22, 3, 3, 1, 1, 2, 2, 2, 2},
      {1, 1, 1, 1, 1, 1, 16, 16, 1, 1, 7, 8, 1, 1}, {2, 19, 21, 1, 19, 21, 3, 3, 1, 1, 1, 1, 1, 1},
  };
  size_t own = sizeof maps / sizeof *maps;
  for (size_t i = 0; i < own + window_count; i++) {
    const struct ck_window *map = i < own ? &maps[i] : &windows[i - own];
    EACH(groups, 1, 2, 3, 5)
    EACH(in, 1, 4, 16, 24)
    EACH(out, 1, 3, 16, 24) grouped(map, groups, in, out);
  }
  // Wider than is read together.
  grouped(&maps[1], 2, CK_GROUPS_CHANNELS, 16);
  grouped(&maps[1], 2, CK_GROUPS_CHANNELS + 1, 16);
  struct ck_groups wide = {2, 2 * CK_GROUPS_CHANNELS + 2, 32}, spanned = {4, 4 * CK_GROUPS_CHANNELS, 32};
  require(!ck_groups_fit(&wide) && !ck_groups_fit(&spanned), "fits wide groups");
}
