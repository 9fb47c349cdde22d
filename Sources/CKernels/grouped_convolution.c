#include "CKernels.h"
#include "clones.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

// Channels of the result, and its places, that are worked on together.
enum { LANES = 16, PLACES = 7 };
typedef float lanes __attribute__((ext_vector_type(LANES), aligned(4)));

// The channels of the map that some of the result are made of: those of all their groups.
struct channels {
  size_t first, count;
};

INLINE struct channels channels_read(const struct ck_groups *s, size_t out) {
  size_t last = out + LANES < s->out ? out + LANES : s->out, share = s->out / s->groups, own = s->in / s->groups;
  size_t group = out / share, end = (last - 1) / share + 1;
  return (struct channels){group * own, (end - group) * own};
}

size_t ck_groups_count(const struct ck_groups *s, size_t taps) {
  size_t count = 0;
  for (size_t out = 0; out < s->out; out += LANES) count += channels_read(s, out).count;
  return count * taps * LANES;
}

int ck_groups_fit(const struct ck_groups *s) {
  for (size_t out = 0; out < s->out; out += LANES)
    if (channels_read(s, out).count > CK_GROUPS_CHANNELS) return 0;
  return 1;
}

void ck_pack_groups(const float *weight, const struct ck_groups *s, size_t taps, float *packed) {
  size_t share = s->out / s->groups, own = s->in / s->groups;
  memset(packed, 0, ck_groups_count(s, taps) * sizeof(float));
  for (size_t out = 0; out < s->out; out += LANES) {
    struct channels read = channels_read(s, out);
    for (size_t k = 0; k < LANES && out + k < s->out; k++) {
      float *to = packed + ((out + k) / share * own - read.first) * LANES + k;
      for (size_t tap = 0; tap < taps; tap++, to += read.count * LANES)
        for (size_t c = 0; c < own; c++) to[c * LANES] = *weight++;
    }
    packed += taps * read.count * LANES;
  }
}

static const float zeros[CK_GROUPS_CHANNELS];

// Places whose windows are worked on before the next channels are: so many taps of them.
enum { ENTRIES = 2048 };

// Where each tap of the windows of `count` places from `first` on lies: at[places / PLACES][taps][PLACES], -1 outside
// of the map. Behind the last place, it comes once more.
INLINE void find_taps(const struct ck_window *g, size_t first, size_t count, ptrdiff_t *at) {
  size_t taps = g->kh * g->kw;
  for (size_t i = 0; i < (count + PLACES - 1) / PLACES * PLACES; i++) {
    size_t place = first + (i < count ? i : count - 1), row = place / g->ow;
    ptrdiff_t y0 = (ptrdiff_t)(row % g->oh * g->stride_h) - g->pad_top;
    ptrdiff_t x0 = (ptrdiff_t)(place % g->ow * g->stride_w) - g->pad_left;
    size_t image = row / g->oh * g->h * g->w;
    ptrdiff_t *to = at + i / PLACES * taps * PLACES + i % PLACES;
    for (size_t ky = 0; ky < g->kh; ky++)
      for (size_t kx = 0; kx < g->kw; kx++, to += PLACES) {
        // Before the map, a place is a large number.
        size_t y = (size_t)(y0 + (ptrdiff_t)(ky * g->dilation_h)), x = (size_t)(x0 + (ptrdiff_t)(kx * g->dilation_w));
        *to = y < g->h && x < g->w ? (ptrdiff_t)((image + y * g->w + x) * g->c) : -1;
      }
  }
}

// LANES channels of PLACES places, of which `width` of the first `left` are written. Taps outside of the map are read
// where there are zeros. x begins at the first of the channels that are read.
INLINE void convolve_places(const float *x, const ptrdiff_t *at, size_t taps, size_t count, const float *w, float *y,
                            size_t out, size_t left, size_t width) {
  CONTRACT
  lanes sum[PLACES];
#pragma unroll
  for (size_t p = 0; p < PLACES; p++) sum[p] = (lanes)(0.0f);
  for (size_t tap = 0; tap < taps; tap++, at += PLACES) {
    const float *in[PLACES];
#pragma unroll
    for (size_t p = 0; p < PLACES; p++) in[p] = at[p] < 0 ? zeros : x + at[p];
#pragma unroll 4
    for (size_t c = 0; c < count; c++, w += LANES) {
      lanes weight = *(const lanes *)w;
#pragma unroll
      for (size_t p = 0; p < PLACES; p++) sum[p] += weight * (lanes)(in[p][c]);
    }
  }
#pragma unroll
  for (size_t p = 0; p < PLACES; p++)
    if (p < left) {
      // A copy, so that the sums themselves stay in registers.
      lanes whole = sum[p];
      if (width == LANES)
        *(lanes *)(y + p * out) = whole;
      else
        memcpy(y + p * out, &whole, width * sizeof(float));
    }
}

CLONES void ck_convolve_groups(const float *x, const float *packed, float *y, const struct ck_window *g,
                               const struct ck_groups *s, size_t row0, size_t rows) {
  size_t taps = g->kh * g->kw, end = (row0 + rows) * g->ow, step = ENTRIES / (taps * PLACES) * PLACES;
  ptrdiff_t at[ENTRIES];
  for (size_t first = row0 * g->ow; first < end; first += step) {
    size_t count = end - first < step ? end - first : step;
    find_taps(g, first, count, at);
    const float *w = packed;
    for (size_t out = 0; out < s->out; out += LANES) {
      struct channels read = channels_read(s, out);
      size_t width = out + LANES < s->out ? LANES : s->out - out;
      for (size_t i = 0; i < count; i += PLACES)
        convolve_places(x + read.first, at + i * taps, taps, read.count, w, y + (first + i) * s->out + out, s->out,
                        count - i, width);
      w += taps * read.count * LANES;
    }
  }
}
