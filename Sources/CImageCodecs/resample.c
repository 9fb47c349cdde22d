#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "CImageCodecs.h"

// Several bodies, chosen when the program is loaded. The resolver itself must not be instrumented.
#if defined(__x86_64__) && defined(__has_feature)
#if !__has_feature(thread_sanitizer)
#define CLONES __attribute__((target_clones("default", "arch=x86-64-v3")))
#endif
#endif
#ifndef CLONES
#define CLONES
#endif

#pragma STDC FP_CONTRACT OFF

enum { FRACTION_BITS = 22 };  // 32 bits, less 8 of the sample and 2 for overshoot

static double sinc(double x) { return x == 0 ? 1 : sin(x * M_PI) / (x * M_PI); }

static double filter_support(cic_filter filter) {
  switch (filter) {
    case CIC_BOX: return 0.5;
    case CIC_BILINEAR: return 1;
    case CIC_HAMMING: return 1;
    case CIC_BICUBIC: return 2;
    case CIC_LANCZOS: return 3;
  }
  return 1;
}

static double filter_value(cic_filter filter, double x) {
  const double a = -0.5;
  switch (filter) {
    case CIC_BOX: return x > -0.5 && x <= 0.5 ? 1 : 0;
    case CIC_BILINEAR: x = fabs(x); return x < 1 ? 1 - x : 0;
    case CIC_HAMMING:
      x = fabs(x);
      if (x == 0) return 1;
      if (x >= 1) return 0;
      x *= M_PI;
      return sin(x) / x * (0.54f + 0.46f * cos(x));  // Pillow's constants are floats
    case CIC_BICUBIC:
      x = fabs(x);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
      return 0;
    case CIC_LANCZOS: return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
  return 0;
}

// Shrinking widens the filter (antialiasing); growing does not narrow it.
static double filter_scale(size_t in, size_t out) {
  const double scale = (double)in / (double)out;
  return scale < 1 ? 1 : scale;
}

size_t cic_tap_count(cic_filter filter, size_t in, size_t out) {
  return (size_t)ceil(filter_support(filter) * filter_scale(in, out)) * 2 + 1;
}

int cic_tap_weights(cic_filter filter, size_t in, size_t out, size_t first, size_t count,
                    size_t taps, int32_t *starts, int32_t *lengths, int32_t *weights) {
  double *exact = malloc(taps * sizeof *exact);
  if (!exact) return CIC_NO_MEMORY;
  const double scale = (double)in / (double)out;
  const double widening = filter_scale(in, out);
  const double support = filter_support(filter) * widening, narrow = 1.0 / widening;
  for (size_t i = 0; i < count; ++i) {
    const double center = ((double)(first + i) + 0.5) * scale;
    double low = center - support + 0.5, high = center + support + 0.5;
    if (low < 0) low = 0;
    if (high > (double)in) high = (double)in;
    const size_t start = (size_t)low, end = (size_t)high;
    size_t length = end > start ? end - start : 0;
    if (length > taps) length = taps;
    double sum = 0;
    for (size_t t = 0; t < length; ++t) {
      exact[t] = filter_value(filter, ((double)(t + start) - center + 0.5) * narrow);
      sum += exact[t];
    }
    int32_t *row = weights + i * taps;
    memset(row, 0, taps * sizeof *row);
    for (size_t t = 0; t < length; ++t) {
      const double weight = (sum != 0 ? exact[t] / sum : exact[t]) * (1 << FRACTION_BITS);
      row[t] = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    starts[i] = (int32_t)start;
    lengths[i] = (int32_t)length;
  }
  free(exact);
  return CIC_OK;
}

static inline uint8_t round_sample(int32_t sum) {
  const int32_t value = sum >> FRACTION_BITS;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static const int32_t half = 1 << (FRACTION_BITS - 1);

CLONES
void cic_resample_x(const uint8_t *source, size_t source_stride, size_t rows, size_t channels,
                    size_t count, size_t taps, const int32_t *starts, const int32_t *lengths,
                    const int32_t *weights, uint8_t *target, size_t target_stride) {
  for (size_t y = 0; y < rows; ++y) {
    const uint8_t *in = source + y * source_stride;
    uint8_t *out = target + y * target_stride;
    for (size_t x = 0; x < count; ++x) {
      const int32_t *w = weights + x * taps;
      const size_t length = (size_t)lengths[x];
      if (channels == 3) {
        const uint8_t *p = in + 3 * (size_t)starts[x];
        int32_t r = half, g = half, b = half;
        for (size_t t = 0; t < length; ++t) {
          r += p[3 * t] * w[t];
          g += p[3 * t + 1] * w[t];
          b += p[3 * t + 2] * w[t];
        }
        out[3 * x] = round_sample(r);
        out[3 * x + 1] = round_sample(g);
        out[3 * x + 2] = round_sample(b);
      } else {
        const uint8_t *p = in + (size_t)starts[x];
        int32_t grey = half;
        for (size_t t = 0; t < length; ++t) grey += p[t] * w[t];
        out[x] = round_sample(grey);
      }
    }
  }
}

CLONES
void cic_resample_y(const uint8_t *source, size_t source_stride, size_t width, size_t count,
                    size_t taps, const int32_t *starts, const int32_t *lengths,
                    const int32_t *weights, uint8_t *target, size_t target_stride) {
  enum { SPAN = 1024 };
  int32_t sums[SPAN];
  for (size_t y = 0; y < count; ++y) {
    const int32_t *w = weights + y * taps;
    const size_t length = (size_t)lengths[y];
    for (size_t x = 0; x < width; x += SPAN) {
      const size_t span = width - x < SPAN ? width - x : SPAN;
      for (size_t i = 0; i < span; ++i) sums[i] = half;
      for (size_t t = 0; t < length; ++t) {
        const uint8_t *in = source + ((size_t)starts[y] + t) * source_stride + x;
        const int32_t weight = w[t];
        for (size_t i = 0; i < span; ++i) sums[i] += in[i] * weight;
      }
      uint8_t *out = target + y * target_stride + x;
      for (size_t i = 0; i < span; ++i) out[i] = round_sample(sums[i]);
    }
  }
}

void cic_luma(const uint8_t *rgb, size_t pixels, uint8_t *grey) {
  for (size_t i = 0; i < pixels; ++i) {
    const uint32_t sum = rgb[3 * i] * 19595u + rgb[3 * i + 1] * 38470u + rgb[3 * i + 2] * 7471u;
    grey[i] = (uint8_t)((sum + 0x8000u) >> 16);
  }
}

void cic_map_row(const uint8_t *source, size_t pixels, size_t source_channels, size_t channels,
                 const float *table, float *target) {
  if (channels == 1) {
    for (size_t i = 0; i < pixels; ++i) target[i] = table[source[i]];
    return;
  }
  const size_t step = source_channels == 3 ? 3 : 1, green = step == 3 ? 1 : 0, blue = 2 * green;
  for (size_t i = 0; i < pixels; ++i) {
    const uint8_t *p = source + i * step;
    target[3 * i] = table[p[0]];
    target[3 * i + 1] = table[256 + p[green]];
    target[3 * i + 2] = table[512 + p[blue]];
  }
}
