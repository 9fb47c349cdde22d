#include "CKernels.h"
#include "clones.h"

#include <string.h>

// The channels whose sums are held in registers at once.
#define BLOCK 64

// Taps of the window at (oy, ox) that lie on the map: rows and columns of the kernel.
struct span {
  size_t first_row, last_row, first_column, last_column;
};

static inline __attribute__((always_inline)) struct span taps_inside(const struct ck_window *g, size_t oy,
                                                                     size_t ox) {
  ptrdiff_t y = (ptrdiff_t)(oy * g->stride_h) - g->pad_top, x = (ptrdiff_t)(ox * g->stride_w) - g->pad_left;
  ptrdiff_t h = (ptrdiff_t)g->h - y, w = (ptrdiff_t)g->w - x;
  struct span s = {
      y < 0 ? (size_t)-y : 0,
      h < (ptrdiff_t)g->kh ? (h > 0 ? (size_t)h : 0) : g->kh,
      x < 0 ? (size_t)-x : 0,
      w < (ptrdiff_t)g->kw ? (w > 0 ? (size_t)w : 0) : g->kw,
  };
  return s;
}

// sum[0..<n] += x[i] * w of the channel's group, channels `first` and on.
static inline __attribute__((always_inline)) void add_tap(float *sum, const float *x, const float *w,
                                                          size_t first, size_t n, size_t share) {
  CONTRACT
  if (share == 1) {
    for (size_t i = 0; i < n; i++) sum[i] += x[i] * w[first + i];
    return;
  }
  for (size_t i = 0; i < n;) {
    size_t group = (first + i) / share, end = (group + 1) * share - first;
    float v = w[group];
    if (end > n) end = n;
    for (; i < end; i++) sum[i] += x[i] * v;
  }
}

CLONES void ck_local_mix(const float *x, const float *w, float *y, const struct ck_window *g,
                         const struct ck_local_weights *l, size_t row0, size_t rows) {
  size_t c = g->c, share = c / l->groups;
  for (size_t row = row0; row < row0 + rows; row++) {
    size_t image = row / g->oh, oy = row % g->oh;
    const float *map = x + image * g->h * g->w * c;
    for (size_t ox = 0; ox < g->ow; ox++) {
      size_t place = oy * g->ow + ox;
      struct span s = taps_inside(g, oy, ox);
      const float *weights = w + image * l->image_step + place * l->place_step;
      const float *window = map + (ptrdiff_t)c * (((ptrdiff_t)(oy * g->stride_h) - g->pad_top) * (ptrdiff_t)g->w +
                                                  (ptrdiff_t)(ox * g->stride_w) - g->pad_left);
      float *out = y + (row * g->ow + ox) * c;
      for (size_t first = 0; first < c; first += BLOCK) {
        float sum[BLOCK] = {0};
        size_t n = c - first < BLOCK ? c - first : BLOCK;
        for (size_t ky = s.first_row; ky < s.last_row; ky++)
          for (size_t kx = s.first_column; kx < s.last_column; kx++) {
            const float *in = window + (ky * g->w + kx) * c + first;
            const float *tap = weights + (ky * g->kw + kx) * l->groups;
            if (n == BLOCK)
              add_tap(sum, in, tap, first, BLOCK, share);
            else
              add_tap(sum, in, tap, first, n, share);
          }
        memcpy(out + first, sum, n * sizeof(float));
      }
    }
  }
}

CLONES void ck_local_spread(const float *y, const float *w, float *x, const struct ck_window *g,
                            const struct ck_local_weights *l, size_t row0, size_t rows) {
  size_t c = g->c, share = c / l->groups;
  for (size_t row = row0; row < row0 + rows; row++) {
    size_t image = row / g->h, iy = row % g->h;
    const float *map = y + image * g->oh * g->ow * c;
    const float *weights = w + image * l->image_step;
    for (size_t ix = 0; ix < g->w; ix++) {
      float *out = x + (row * g->w + ix) * c;
      for (size_t first = 0; first < c; first += BLOCK) {
        float sum[BLOCK] = {0};
        size_t n = c - first < BLOCK ? c - first : BLOCK;
        // The windows that reach this place: those whose tap (ky, kx) lies on it.
        for (size_t ky = 0; ky < g->kh; ky++) {
          ptrdiff_t down = (ptrdiff_t)iy + g->pad_top - (ptrdiff_t)ky;
          if (down < 0 || (size_t)down % g->stride_h || (size_t)down / g->stride_h >= g->oh) continue;
          for (size_t kx = 0; kx < g->kw; kx++) {
            ptrdiff_t across = (ptrdiff_t)ix + g->pad_left - (ptrdiff_t)kx;
            if (across < 0 || (size_t)across % g->stride_w || (size_t)across / g->stride_w >= g->ow) continue;
            size_t place = (size_t)down / g->stride_h * g->ow + (size_t)across / g->stride_w;
            const float *in = map + place * c + first;
            const float *tap = weights + place * l->place_step + (ky * g->kw + kx) * l->groups;
            if (n == BLOCK)
              add_tap(sum, in, tap, first, BLOCK, share);
            else
              add_tap(sum, in, tap, first, n, share);
          }
        }
        memcpy(out + first, sum, n * sizeof(float));
      }
    }
  }
}

// sum[group] += the group's channels of x times those of y.
static inline __attribute__((always_inline)) void add_products(float *sum, const float *x, const float *y,
                                                               size_t groups, size_t share) {
  REASSOCIATE
  CONTRACT
  if (share == 1) {
    for (size_t i = 0; i < groups; i++) sum[i] += x[i] * y[i];
    return;
  }
  for (size_t group = 0; group < groups; group++, x += share, y += share) {
    float dot = 0;
    for (size_t i = 0; i < share; i++) dot += x[i] * y[i];
    sum[group] += dot;
  }
}

CLONES void ck_local_correlate(const float *x, const float *y, float *w, const struct ck_window *g,
                               const struct ck_local_weights *l, size_t row0, size_t rows) {
  size_t c = g->c, share = c / l->groups, taps = g->kh * g->kw * l->groups;
  for (size_t row = row0; row < row0 + rows; row++) {
    size_t image = row / g->oh, oy = row % g->oh;
    const float *map = x + image * g->h * g->w * c;
    for (size_t ox = 0; ox < g->ow; ox++) {
      size_t place = oy * g->ow + ox;
      struct span s = taps_inside(g, oy, ox);
      float *weights = w + image * l->image_step + place * l->place_step;
      const float *window = map + (ptrdiff_t)c * (((ptrdiff_t)(oy * g->stride_h) - g->pad_top) * (ptrdiff_t)g->w +
                                                  (ptrdiff_t)(ox * g->stride_w) - g->pad_left);
      // Weights of several places are summed, others begin at nothing.
      if (l->place_step || place == 0) memset(weights, 0, taps * sizeof(float));
      for (size_t ky = s.first_row; ky < s.last_row; ky++)
        for (size_t kx = s.first_column; kx < s.last_column; kx++)
          add_products(weights + (ky * g->kw + kx) * l->groups, window + (ky * g->w + kx) * c,
                       y + (row * g->ow + ox) * c, l->groups, share);
    }
  }
}
