#include "CKernels.h"
#include "clones.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

// Channels, and results of a row, that are worked on together. Most maps have multiples of 7 places.
enum { LANES = 16, PLACES = 7 };
typedef float lanes __attribute__((ext_vector_type(LANES), aligned(4)));

// How LANES channels of a place read the weights of a tap.
enum reading {
  BY_CHANNEL,  // a vector, the same for all places
  BY_PLACE,    // a vector of the place
  BY_GROUP,    // a number of the place, or of all places, that they share
  BY_HALF,     // two of those, four, or one for each
  BY_QUARTER,
  BY_LANE,
  PLAIN  // one at a time
};

INLINE enum reading reading(const struct ck_window *g, const struct ck_local_weights *l) {
  size_t share = g->c / l->groups;
  if (g->c < LANES) return PLAIN;
  if (share == 1) return l->place_step ? BY_PLACE : BY_CHANNEL;
  if (share % 4) return BY_LANE;
  return share % LANES == 0 ? BY_GROUP : share % 8 == 0 ? BY_HALF : BY_QUARTER;
}

// The weights of LANES channels, of which some share one: at[i] is where that of channel i is.
INLINE void shared_weights(const enum reading how, const float *w, const unsigned char *at, lanes *out) {
#define W(i) w[at[i]]
  if (how == BY_GROUP) {
    *out = (lanes)(*w);
  } else if (how == BY_HALF) {
    float a = W(0), b = W(8);
    *out = (lanes){a, a, a, a, a, a, a, a, b, b, b, b, b, b, b, b};
  } else if (how == BY_QUARTER) {
    float a = W(0), b = W(4), c = W(8), d = W(12);
    *out = (lanes){a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d};
  } else {
    *out = (lanes){W(0), W(1), W(2),  W(3),  W(4),  W(5),  W(6),  W(7),
                   W(8), W(9), W(10), W(11), W(12), W(13), W(14), W(15)};
  }
#undef W
}

// What windows at one row of results read: rows, columns and taps of the map are `first ..< end`.
struct span {
  size_t first, end;
};

// The taps of a window at `place`, along one axis, that lie inside of `size` places.
INLINE struct span inside(size_t place, size_t stride, ptrdiff_t pad, size_t dilation, size_t taps, size_t size) {
  ptrdiff_t start = (ptrdiff_t)(place * stride) - pad, step = (ptrdiff_t)dilation;
  struct span span = {0, taps};
  while (span.first < taps && start + (ptrdiff_t)span.first * step < 0) span.first++;
  while (span.end > span.first && start + (ptrdiff_t)(span.end - 1) * step >= (ptrdiff_t)size) span.end--;
  return span;
}

INLINE struct span rows_inside(const struct ck_window *g, size_t oy) {
  return inside(oy, g->stride_h, g->pad_top, g->dilation_h, g->kh, g->h);
}

INLINE struct span columns_inside(const struct ck_window *g, size_t ox) {
  return inside(ox, g->stride_w, g->pad_left, g->dilation_w, g->kw, g->w);
}

// The first channel of the tap (ky, kx) of the window at (oy, ox), which lies inside of the map.
INLINE size_t tap_at(const struct ck_window *g, size_t oy, size_t ox, size_t ky, size_t kx) {
  size_t iy = oy * g->stride_h + ky * g->dilation_h - (size_t)g->pad_top;
  size_t ix = ox * g->stride_w + kx * g->dilation_w - (size_t)g->pad_left;
  return (iy * g->w + ix) * g->c;
}

// sum += x times the weight of each channel's group.
INLINE void add_tap(float *sum, const float *x, const float *w, size_t groups, size_t share) {
  CONTRACT
  if (share == 1) {
    for (size_t i = 0; i < groups; i++) sum[i] += x[i] * w[i];
    return;
  }
  for (size_t group = 0; group < groups; group++, x += share, sum += share)
    for (size_t i = 0; i < share; i++) sum[i] += x[i] * w[group];
}

// Up to PLACES results of a row for LANES channels: all, whose windows lie inside, or where `checked` the
// first `left` of them, with what lies inside of their windows. In the adjoint of a window of stride 1, itself a
// window on the results, taps are turned around and the weights are those of the place that is read.
INLINE void mix_places(const enum reading how, const int adjoint, const int checked, size_t left, const float *in,
                       const float *weight, const unsigned char *at, float *out, const struct ck_window *g,
                       const struct ck_local_weights *l, size_t oy, size_t ox, struct span rows) {
  CONTRACT
  size_t c = g->c, taps = g->kh * g->kw, stride = g->stride_w, step = stride * c;
  lanes sum[PLACES];
#pragma unroll
  for (size_t p = 0; p < PLACES; p++) sum[p] = (lanes)(0.0f);
  ptrdiff_t y0 = (ptrdiff_t)(oy * g->stride_h) - g->pad_top;
  ptrdiff_t x0 = (ptrdiff_t)(ox * stride) - g->pad_left;
  for (size_t ky = rows.first; ky < rows.end; ky++) {
    size_t iy = (size_t)(y0 + (ptrdiff_t)(ky * g->dilation_h));
    const float *row = in + iy * g->w * c;
    for (size_t kx = 0; kx < g->kw; kx++) {
      size_t tap = ky * g->kw + kx;
      const float *shared = weight + (adjoint ? taps - 1 - tap : tap) * l->groups;
      // Before the map, a place is a large number.
      size_t ix = (size_t)(x0 + (ptrdiff_t)(kx * g->dilation_w)), from = ix * c;
      size_t place = adjoint ? iy * g->w + ix : oy * g->ow + ox;
      lanes w = how == BY_CHANNEL ? *(const lanes *)shared : (lanes)(0.0f);
#pragma unroll
      for (size_t p = 0; p < PLACES; p++)
        if (!checked || (p < left && ix + p * stride < g->w)) {
          const float *own = shared + (place + p) * l->place_step;
          if (how == BY_PLACE)
            w = *(const lanes *)own;
          else if (how != BY_CHANNEL)
            shared_weights(how, own, at, &w);
          sum[p] += *(const lanes *)(row + (from + p * step)) * w;
        }
    }
  }
#pragma unroll
  for (size_t p = 0; p < PLACES; p++)
    if (!checked || p < left) *(lanes *)(out + (ox + p) * c) = sum[p];
}

// One row of results; in, weight and out begin at the first value of the image, of its weights and of the row.
INLINE void mix_row(const enum reading how, const int adjoint, const float *in, const float *weight, float *out,
                    const struct ck_window *g, const struct ck_local_weights *l, size_t oy) {
  size_t c = g->c, share = c / l->groups;
  struct span rows = rows_inside(g, oy);
  for (size_t first = 0; first < c; first += LANES) {
    // The last channels are worked on together with some before, which get their values once more.
    size_t i = first + LANES <= c ? first : c - LANES;
    const float *group = weight + i / share;
    unsigned char at[LANES];
    for (size_t k = 0; k < LANES; k++) at[k] = (unsigned char)((i + k) / share - i / share);
    for (size_t ox = 0; ox < g->ow; ox += PLACES) {
      ptrdiff_t start = (ptrdiff_t)(ox * g->stride_w) - g->pad_left;
      size_t last = (PLACES - 1) * g->stride_w + (g->kw - 1) * g->dilation_w;
      if (ox + PLACES <= g->ow && start >= 0 && (size_t)start + last < g->w)
        mix_places(how, adjoint, 0, PLACES, in + i, group, at, out + i, g, l, oy, ox, rows);
      else
        mix_places(how, adjoint, 1, g->ow - ox, in + i, group, at, out + i, g, l, oy, ox, rows);
    }
  }
}

INLINE void plain_row(const float *in, const float *weight, float *out, const struct ck_window *g,
                      const struct ck_local_weights *l, size_t oy) {
  size_t c = g->c;
  struct span rows = rows_inside(g, oy);
  memset(out, 0, g->ow * c * sizeof(float));
  for (size_t ox = 0; ox < g->ow; ox++) {
    struct span columns = columns_inside(g, ox);
    const float *own = weight + (oy * g->ow + ox) * l->place_step;
    for (size_t ky = rows.first; ky < rows.end; ky++)
      for (size_t kx = columns.first; kx < columns.end; kx++)
        add_tap(out + ox * c, in + tap_at(g, oy, ox, ky, kx), own + (ky * g->kw + kx) * l->groups, l->groups,
                c / l->groups);
  }
}

CLONES void ck_local_mix(const float *x, const float *w, float *y, const struct ck_window *g,
                         const struct ck_local_weights *l, size_t row0, size_t rows) {
  enum reading how = reading(g, l);
  for (size_t row = row0; row < row0 + rows; row++) {
    size_t image = row / g->oh, oy = row % g->oh;
    const float *in = x + image * g->h * g->w * g->c, *weight = w + image * l->image_step;
    float *out = y + row * g->ow * g->c;
    switch (how) {
      case BY_CHANNEL: mix_row(BY_CHANNEL, 0, in, weight, out, g, l, oy); break;
      case BY_PLACE: mix_row(BY_PLACE, 0, in, weight, out, g, l, oy); break;
      case BY_GROUP: mix_row(BY_GROUP, 0, in, weight, out, g, l, oy); break;
      case BY_HALF: mix_row(BY_HALF, 0, in, weight, out, g, l, oy); break;
      case BY_QUARTER: mix_row(BY_QUARTER, 0, in, weight, out, g, l, oy); break;
      case BY_LANE: mix_row(BY_LANE, 0, in, weight, out, g, l, oy); break;
      case PLAIN: plain_row(in, weight, out, g, l, oy); break;
    }
  }
}

// One row of the map: of every window, the taps that lie on it.
INLINE void plain_adjoint_row(const float *in, const float *weight, float *out, const struct ck_window *g,
                              const struct ck_local_weights *l, size_t iy) {
  size_t c = g->c;
  memset(out, 0, g->w * c * sizeof(float));
  for (size_t oy = 0; oy < g->oh; oy++) {
    ptrdiff_t way = (ptrdiff_t)iy + g->pad_top - (ptrdiff_t)(oy * g->stride_h);
    if (way < 0 || way % (ptrdiff_t)g->dilation_h) continue;
    size_t ky = (size_t)way / g->dilation_h;
    if (ky >= g->kh) continue;
    for (size_t ox = 0; ox < g->ow; ox++) {
      struct span columns = columns_inside(g, ox);
      const float *own = weight + (oy * g->ow + ox) * l->place_step;
      for (size_t kx = columns.first; kx < columns.end; kx++)
        add_tap(out + (ox * g->stride_w + kx * g->dilation_w - (size_t)g->pad_left) * c,
                in + (oy * g->ow + ox) * c, own + (ky * g->kw + kx) * l->groups, l->groups, c / l->groups);
    }
  }
}

CLONES void ck_local_spread(const float *y, const float *w, float *x, const struct ck_window *g,
                            const struct ck_local_weights *l, size_t row0, size_t rows) {
  enum reading how = g->stride_h == 1 && g->stride_w == 1 ? reading(g, l) : PLAIN;
  struct ck_window adjoint = *g;
  adjoint.h = g->oh, adjoint.w = g->ow, adjoint.oh = g->h, adjoint.ow = g->w;
  adjoint.pad_top = (ptrdiff_t)((g->kh - 1) * g->dilation_h) - g->pad_top;
  adjoint.pad_left = (ptrdiff_t)((g->kw - 1) * g->dilation_w) - g->pad_left;
  for (size_t row = row0; row < row0 + rows; row++) {
    size_t image = row / g->h, iy = row % g->h;
    const float *in = y + image * g->oh * g->ow * g->c, *weight = w + image * l->image_step;
    float *out = x + row * g->w * g->c;
    switch (how) {
      case BY_CHANNEL: mix_row(BY_CHANNEL, 1, in, weight, out, &adjoint, l, iy); break;
      case BY_PLACE: mix_row(BY_PLACE, 1, in, weight, out, &adjoint, l, iy); break;
      case BY_GROUP: mix_row(BY_GROUP, 1, in, weight, out, &adjoint, l, iy); break;
      case BY_HALF: mix_row(BY_HALF, 1, in, weight, out, &adjoint, l, iy); break;
      case BY_QUARTER: mix_row(BY_QUARTER, 1, in, weight, out, &adjoint, l, iy); break;
      case BY_LANE: mix_row(BY_LANE, 1, in, weight, out, &adjoint, l, iy); break;
      case PLAIN: plain_adjoint_row(in, weight, out, g, l, iy); break;
    }
  }
}

// The sums of `count` taps of a row of the window from kx0 on, for LANES channels of one image whose places share
// their weights.
INLINE void correlate_taps(const int count, const float *in, const float *out, float *dw, const struct ck_window *g,
                           size_t ky, size_t kx0) {
  CONTRACT
  size_t c = g->c;
  lanes sum[7];
#pragma unroll
  for (int k = 0; k < count; k++) sum[k] = (lanes)(0.0f);
  for (size_t oy = 0; oy < g->oh; oy++) {
    ptrdiff_t iy = (ptrdiff_t)(oy * g->stride_h + ky * g->dilation_h) - g->pad_top;
    if (iy < 0 || iy >= (ptrdiff_t)g->h) continue;
    const float *row = in + (size_t)iy * g->w * c, *from = out + oy * g->ow * c;
    for (size_t ox = 0; ox < g->ow; ox++) {
      lanes d = *(const lanes *)(from + ox * c);
      ptrdiff_t ix = (ptrdiff_t)(ox * g->stride_w + kx0 * g->dilation_w) - g->pad_left;
      ptrdiff_t end = ix + (ptrdiff_t)((size_t)(count - 1) * g->dilation_w);
      if (ix >= 0 && end < (ptrdiff_t)g->w) {
#pragma unroll
        for (int k = 0; k < count; k++)
          sum[k] += *(const lanes *)(row + ((size_t)ix + (size_t)k * g->dilation_w) * c) * d;
      } else {
#pragma unroll
        for (int k = 0; k < count; k++) {
          ptrdiff_t at = ix + (ptrdiff_t)((size_t)k * g->dilation_w);
          if (at >= 0 && at < (ptrdiff_t)g->w) sum[k] += *(const lanes *)(row + (size_t)at * c) * d;
        }
      }
    }
  }
#pragma unroll
  for (int k = 0; k < count; k++) *(lanes *)(dw + (ky * g->kw + kx0 + (size_t)k) * c) = sum[k];
}

INLINE void correlate_image(const float *in, const float *out, float *dw, const struct ck_window *g) {
  for (size_t first = 0; first < g->c; first += LANES) {
    size_t i = first + LANES <= g->c ? first : g->c - LANES;
    for (size_t ky = 0; ky < g->kh; ky++)
      for (size_t kx = 0; kx < g->kw;) {
        size_t left = g->kw - kx;
        if (left >= 7) {
          correlate_taps(7, in + i, out + i, dw + i, g, ky, kx);
          kx += 7;
        } else if (left >= 5) {
          correlate_taps(5, in + i, out + i, dw + i, g, ky, kx);
          kx += 5;
        } else if (left >= 3) {
          correlate_taps(3, in + i, out + i, dw + i, g, ky, kx);
          kx += 3;
        } else {
          correlate_taps(1, in + i, out + i, dw + i, g, ky, kx);
          kx++;
        }
      }
  }
}

// sum[group] += the group's channels of x times those of y.
INLINE void add_products(float *sum, const float *x, const float *y, size_t groups, size_t share) {
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
  size_t c = g->c, taps = g->kh * g->kw * l->groups;
  int isWhole = reading(g, l) == BY_CHANNEL;
  for (size_t row = row0; row < row0 + rows; row++) {
    size_t image = row / g->oh, oy = row % g->oh;
    const float *map = x + image * g->h * g->w * c;
    if (isWhole) {
      if (oy == 0) correlate_image(map, y + row * g->ow * c, w + image * l->image_step, g);
      continue;
    }
    struct span inner = rows_inside(g, oy);
    for (size_t ox = 0; ox < g->ow; ox++) {
      size_t place = oy * g->ow + ox;
      struct span columns = columns_inside(g, ox);
      float *weights = w + image * l->image_step + place * l->place_step;
      // Weights of several places are summed, others begin at nothing.
      if (l->place_step || place == 0) memset(weights, 0, taps * sizeof(float));
      for (size_t ky = inner.first; ky < inner.end; ky++)
        for (size_t kx = columns.first; kx < columns.end; kx++)
          add_products(weights + (ky * g->kw + kx) * l->groups, map + tap_at(g, oy, ox, ky, kx),
                       y + (row * g->ow + ox) * c, l->groups, c / l->groups);
    }
  }
}

CLONES void ck_local_add_relative(const float *q, const float *r, float *w, size_t places, size_t taps, size_t c,
                                  size_t groups) {
  for (size_t p = 0; p < places; p++)
    for (size_t u = 0; u < taps; u++)
      add_products(w + (p * taps + u) * groups, r + u * c, q + p * c, groups, c / groups);
}

CLONES void ck_local_share(const float *w, const float *shares, float *y, size_t rows, size_t taps, size_t mixtures,
                           size_t groups) {
  for (size_t r = 0; r < rows; r++, w += groups) {
    const float *own = shares + r % taps * mixtures;
    for (size_t m = 0; m < mixtures; m++, y += groups)
      for (size_t group = 0; group < groups; group++) y[group] = w[group] * own[m];
  }
}

CLONES void ck_sum_mixtures(const float *x, float *y, size_t rows, size_t mixtures, size_t c) {
  for (size_t r = 0; r < rows; r++, y += c) {
    memcpy(y, x, c * sizeof(float));
    x += c;
    for (size_t m = 1; m < mixtures; m++, x += c)
      for (size_t k = 0; k < c; k++) y[k] += x[k];
  }
}
