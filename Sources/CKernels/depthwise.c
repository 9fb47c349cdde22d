#include "CKernels.h"
#include "clones.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

// Channels, and results of a row, that are worked on together. Most maps have multiples of 7 places.
enum { LANES = 16, PLACES = 7 };
typedef float lanes __attribute__((ext_vector_type(LANES), aligned(4)));

// What windows at one row of results read: rows, columns and taps of the map are `first ..< end`.
struct span {
  size_t first, end;
};

// The taps of a window at `place`, along one axis, that lie inside of `size` places.
INLINE struct span inside(size_t place, size_t stride, ptrdiff_t pad, size_t dilation, size_t taps,
                          size_t size) {
  ptrdiff_t start = (ptrdiff_t)(place * stride) - pad, step = (ptrdiff_t)dilation;
  struct span span = {0, taps};
  while (span.first < taps && start + (ptrdiff_t)span.first * step < 0) span.first++;
  while (span.end > span.first && start + (ptrdiff_t)(span.end - 1) * step >= (ptrdiff_t)size)
    span.end--;
  return span;
}

// Up to PLACES results of a row for LANES channels: all, whose windows lie inside, or where `checked` the
// first `left` of them, with what lies inside of their windows.
INLINE void depthwise_places(const int checked, size_t left, const float *in, const float *weight,
                             int flipped, float *out, const struct ck_window *g, size_t oy, size_t ox,
                             struct span rows) {
  CONTRACT
  size_t c = g->c, taps = g->kh * g->kw, stride = g->stride_w;
  lanes sum[PLACES];
#pragma unroll
  for (size_t p = 0; p < PLACES; p++) sum[p] = (lanes)(0.0f);
  ptrdiff_t y0 = (ptrdiff_t)(oy * g->stride_h) - g->pad_top;
  ptrdiff_t x0 = (ptrdiff_t)(ox * stride) - g->pad_left;
  for (size_t ky = rows.first; ky < rows.end; ky++) {
    const float *row = in + (size_t)(y0 + (ptrdiff_t)(ky * g->dilation_h)) * g->w * c;
    for (size_t kx = 0; kx < g->kw; kx++) {
      size_t tap = ky * g->kw + kx;
      lanes w = *(const lanes *)(weight + (flipped ? taps - 1 - tap : tap) * c);
      // Before the map, a place is a large number.
      size_t ix = (size_t)(x0 + (ptrdiff_t)(kx * g->dilation_w));
#pragma unroll
      for (size_t p = 0; p < PLACES; p++)
        if (!checked || (p < left && ix + p * stride < g->w))
          sum[p] += *(const lanes *)(row + (ix + p * stride) * c) * w;
    }
  }
#pragma unroll
  for (size_t p = 0; p < PLACES; p++)
    if (!checked || p < left) *(lanes *)(out + (ox + p) * c) = sum[p];
}

// One row of results; in and out begin at the first value of the image and of the row.
INLINE void depthwise_row(const float *in, const float *weight, int flipped, float *out,
                          const struct ck_window *g, size_t oy) {
  CONTRACT
  size_t c = g->c, taps = g->kh * g->kw;
  struct span rows = inside(oy, g->stride_h, g->pad_top, g->dilation_h, g->kh, g->h);
  if (c < LANES) {
    memset(out, 0, g->ow * c * sizeof(float));
    for (size_t ox = 0; ox < g->ow; ox++) {
      struct span columns = inside(ox, g->stride_w, g->pad_left, g->dilation_w, g->kw, g->w);
      for (size_t ky = rows.first; ky < rows.end; ky++)
        for (size_t kx = columns.first; kx < columns.end; kx++) {
          size_t tap = ky * g->kw + kx;
          size_t iy = oy * g->stride_h + ky * g->dilation_h - (size_t)g->pad_top;
          size_t ix = ox * g->stride_w + kx * g->dilation_w - (size_t)g->pad_left;
          const float *w = weight + (flipped ? taps - 1 - tap : tap) * c;
          const float *from = in + (iy * g->w + ix) * c;
          for (size_t i = 0; i < c; i++) out[ox * c + i] += from[i] * w[i];
        }
    }
    return;
  }
  for (size_t first = 0; first < c; first += LANES) {
    // The last channels are worked on together with some before, which get their values once more.
    size_t i = first + LANES <= c ? first : c - LANES;
    for (size_t ox = 0; ox < g->ow; ox += PLACES) {
      ptrdiff_t start = (ptrdiff_t)(ox * g->stride_w) - g->pad_left;
      size_t last = (PLACES - 1) * g->stride_w + (g->kw - 1) * g->dilation_w;
      if (ox + PLACES <= g->ow && start >= 0 && (size_t)start + last < g->w)
        depthwise_places(0, PLACES, in + i, weight + i, flipped, out + i, g, oy, ox, rows);
      else
        depthwise_places(1, g->ow - ox, in + i, weight + i, flipped, out + i, g, oy, ox, rows);
    }
  }
}

CLONES void ck_depthwise(const float *x, const float *weight, float *y, const struct ck_window *g,
                         size_t row0, size_t rows) {
  for (size_t row = row0; row < row0 + rows; row++)
    depthwise_row(x + row / g->oh * g->h * g->w * g->c, weight, 0, y + row * g->ow * g->c, g,
                  row % g->oh);
}

CLONES void ck_depthwise_input_gradient(const float *dy, const float *weight, float *dx,
                                        const struct ck_window *g, size_t row0, size_t rows) {
  CONTRACT
  size_t c = g->c;
  if (g->stride_h == 1 && g->stride_w == 1) {
    // The window turned around, over the results.
    struct ck_window adjoint = *g;
    adjoint.h = g->oh, adjoint.w = g->ow, adjoint.oh = g->h, adjoint.ow = g->w;
    adjoint.pad_top = (ptrdiff_t)((g->kh - 1) * g->dilation_h) - g->pad_top;
    adjoint.pad_left = (ptrdiff_t)((g->kw - 1) * g->dilation_w) - g->pad_left;
    for (size_t row = row0; row < row0 + rows; row++)
      depthwise_row(dy + row / g->h * g->oh * g->ow * c, weight, 1, dx + row * g->w * c, &adjoint,
                    row % g->h);
    return;
  }
  for (size_t row = row0; row < row0 + rows; row++) {
    const float *image = dy + row / g->h * g->oh * g->ow * c;
    float *out = dx + row * g->w * c;
    memset(out, 0, g->w * c * sizeof(float));
    for (size_t oy = 0; oy < g->oh; oy++) {
      ptrdiff_t way = (ptrdiff_t)(row % g->h) + g->pad_top - (ptrdiff_t)(oy * g->stride_h);
      if (way < 0 || way % (ptrdiff_t)g->dilation_h) continue;
      size_t ky = (size_t)way / g->dilation_h;
      if (ky >= g->kh) continue;
      for (size_t ox = 0; ox < g->ow; ox++) {
        struct span columns = inside(ox, g->stride_w, g->pad_left, g->dilation_w, g->kw, g->w);
        for (size_t kx = columns.first; kx < columns.end; kx++) {
          size_t ix = ox * g->stride_w + kx * g->dilation_w - (size_t)g->pad_left;
          const float *from = image + (oy * g->ow + ox) * c, *w = weight + (ky * g->kw + kx) * c;
          float *to = out + ix * c;
          for (size_t i = 0; i < c; i++) to[i] += from[i] * w[i];
        }
      }
    }
  }
}

// The sums of `count` taps of a row of the window from kx0 on, for LANES channels of one image.
INLINE void depthwise_taps(const int count, const float *in, const float *out, float *dw,
                           const struct ck_window *g, size_t ky, size_t kx0) {
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
  for (int k = 0; k < count; k++)
    *(lanes *)(dw + (ky * g->kw + kx0 + (size_t)k) * c) = sum[k];
}

CLONES void ck_depthwise_weight_gradient(const float *x, const float *dy, float *dw,
                                         const struct ck_window *g, size_t image) {
  CONTRACT
  size_t c = g->c;
  const float *in = x + image * g->h * g->w * c, *out = dy + image * g->oh * g->ow * c;
  if (c < LANES) {
    memset(dw, 0, g->kh * g->kw * c * sizeof(float));
    for (size_t oy = 0; oy < g->oh; oy++) {
      struct span rows = inside(oy, g->stride_h, g->pad_top, g->dilation_h, g->kh, g->h);
      for (size_t ox = 0; ox < g->ow; ox++) {
        struct span columns = inside(ox, g->stride_w, g->pad_left, g->dilation_w, g->kw, g->w);
        for (size_t ky = rows.first; ky < rows.end; ky++)
          for (size_t kx = columns.first; kx < columns.end; kx++) {
            size_t iy = oy * g->stride_h + ky * g->dilation_h - (size_t)g->pad_top;
            size_t ix = ox * g->stride_w + kx * g->dilation_w - (size_t)g->pad_left;
            const float *a = in + (iy * g->w + ix) * c, *b = out + (oy * g->ow + ox) * c;
            float *to = dw + (ky * g->kw + kx) * c;
            for (size_t i = 0; i < c; i++) to[i] += a[i] * b[i];
          }
      }
    }
    return;
  }
  for (size_t first = 0; first < c; first += LANES) {
    size_t i = first + LANES <= c ? first : c - LANES;
    for (size_t ky = 0; ky < g->kh; ky++)
      for (size_t kx = 0; kx < g->kw;) {
        size_t left = g->kw - kx;
        if (left >= 7) {
          depthwise_taps(7, in + i, out + i, dw + i, g, ky, kx);
          kx += 7;
        } else if (left >= 5) {
          depthwise_taps(5, in + i, out + i, dw + i, g, ky, kx);
          kx += 5;
        } else if (left >= 3) {
          depthwise_taps(3, in + i, out + i, dw + i, g, ky, kx);
          kx += 3;
        } else {
          depthwise_taps(1, in + i, out + i, dw + i, g, ky, kx);
          kx++;
        }
      }
  }
}
