#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CImageCodecs.h"

// The Windows bitmap, in the variants that Pillow reads, to the samples that Pillow gives.

enum { RAW = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3 };

struct cic_bmp {
  const uint8_t *bytes;
  size_t size;
  size_t offset;  // of the pixels
  uint32_t width, height;
  int top_down;
  int bits;
  uint32_t compression;
  uint8_t colors[256][3];  // black beyond the palette
  int place[3];            // the byte of red, green and blue in a pixel of 24 or 32 bits
  int green_bits;          // of 16-bit pixels: 5 or 6
};

static uint32_t u16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t u32(const uint8_t *p) { return u16(p) | u16(p + 2) << 16; }

static int refuse(cic_bmp *d, cic_bmp **decoder, int status) {
  free(d);
  *decoder = NULL;
  return status;
}

// Which byte a mask selects; -1 if it is none.
static int byte_of(uint32_t mask) {
  for (int i = 0; i < 4; ++i) {
    if (mask == (uint32_t)0xFF << (8 * i)) return i;
  }
  return -1;
}

// Whether the masks are among those that are in use.
static int take_masks(cic_bmp *d, const uint32_t mask[4]) {
  static const uint32_t known[][4] = {
      {0xFF0000, 0xFF00, 0xFF, 0},          {0xFF000000, 0xFF0000, 0xFF00, 0},
      {0xFF000000, 0xFF00, 0xFF, 0},        {0xFF000000, 0xFF0000, 0xFF00, 0xFF},
      {0xFF, 0xFF00, 0xFF0000, 0xFF000000}, {0xFF0000, 0xFF00, 0xFF, 0xFF000000},
      {0xFF000000, 0xFF00, 0xFF, 0xFF0000}, {0, 0, 0, 0},
  };
  if (d->bits == 16) {
    if (mask[2] != 0x1F) return 0;
    d->green_bits = mask[1] == 0x7E0 ? 6 : 5;
    return (mask[0] == 0xF800 && mask[1] == 0x7E0) || (mask[0] == 0x7C00 && mask[1] == 0x3E0);
  }
  if (d->bits == 24) return mask[0] == 0xFF0000 && mask[1] == 0xFF00 && mask[2] == 0xFF;
  if (d->bits != 32) return 0;
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
    if (memcmp(mask, known[i], sizeof *known) != 0) continue;
    for (int c = 0; c < 3 && mask[0]; ++c) d->place[c] = byte_of(mask[c]);
    return 1;
  }
  return 0;
}

int cic_bmp_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                 cic_bmp **decoder) {
  *decoder = NULL;
  memset(info, 0, sizeof *info);
  cic_bmp *d = calloc(1, sizeof *d);
  if (!d) return CIC_NO_MEMORY;
  d->bytes = bytes;
  d->size = size;
  d->place[0] = 2;
  d->place[1] = 1;
  const uint32_t header = size >= 18 ? u32(bytes + 14) : 0;
  const int is_core = header == 12;
  if (!(is_core || header == 40 || header == 52 || header == 56 || header == 64 || header == 108 ||
        header == 124)) {
    snprintf(info->message, sizeof info->message, "a header of %u bytes", header);
    return refuse(d, decoder, size < 18 ? CIC_DAMAGED : CIC_UNSUPPORTED);
  }
  size_t at = 14 + (size_t)header;
  if (size < at) {
    snprintf(info->message, sizeof info->message, "the file ends early, at byte %zu", size);
    return refuse(d, decoder, CIC_DAMAGED);
  }
  d->offset = u32(bytes + 10);
  uint64_t colors = 0;
  if (is_core) {
    d->width = u16(bytes + 18);
    d->height = u16(bytes + 20);
    d->bits = (int)u16(bytes + 24);
  } else {
    d->width = u32(bytes + 18);
    d->height = u32(bytes + 22);
    d->top_down = d->height >> 24 == 0xFF;
    if (d->top_down) d->height = 0u - d->height;
    d->bits = (int)u16(bytes + 28);
    d->compression = u32(bytes + 30);
    colors = u32(bytes + 46);
  }
  if (d->width == 0 || d->height == 0) {
    snprintf(info->message, sizeof info->message, "%u x %u pixels", d->width, d->height);
    return refuse(d, decoder, CIC_DAMAGED);
  }
  if ((uint64_t)d->width * d->height > limits->max_pixels) {
    snprintf(info->message, sizeof info->message, "%u x %u pixels", d->width, d->height);
    return refuse(d, decoder, CIC_TOO_LARGE);
  }
  const int is_indexed = d->bits == 1 || d->bits == 4 || d->bits == 8;
  if (!is_indexed && d->bits != 16 && d->bits != 24 && d->bits != 32) {
    snprintf(info->message, sizeof info->message, "%d bits a pixel", d->bits);
    return refuse(d, decoder, CIC_UNSUPPORTED);
  }
  d->green_bits = 5;
  int is_known = d->compression == RAW;
  if (d->compression == BITFIELDS) {
    uint32_t mask[4] = {0};
    const int inside = header >= 52;
    const size_t first = inside ? 54 : at, count = header >= 56 ? 4 : 3;
    if (size < first + 4 * count) {
      snprintf(info->message, sizeof info->message, "the file ends early, at byte %zu", size);
      return refuse(d, decoder, CIC_DAMAGED);
    }
    for (size_t i = 0; i < count; ++i) mask[i] = u32(bytes + first + 4 * i);
    is_known = take_masks(d, mask);
    if (!inside) at += 12;
  } else if (d->compression == RLE8 || d->compression == RLE4) {
    is_known = is_indexed;
  }
  if (!is_known) {
    snprintf(info->message, sizeof info->message, "compression %u at %d bits", d->compression,
             d->bits);
    return refuse(d, decoder, CIC_UNSUPPORTED);
  }
  info->channels = 3;
  if (is_indexed) {
    const size_t step = is_core ? 3 : 4;
    if (colors == 0) colors = (uint64_t)1 << d->bits;
    if (colors > 65536) {
      snprintf(info->message, sizeof info->message, "a palette of %llu colours",
               (unsigned long long)colors);
      return refuse(d, decoder, CIC_DAMAGED);
    }
    if (d->offset == 14 + (size_t)header) d->offset += step * colors;
    // Pillow takes a palette of greys in order for none; then an index beyond it is grey as well.
    int is_ramp = 1;
    for (size_t i = 0; i < colors; ++i) {
      const size_t entry = at + step * i;
      if (entry + 3 > size) {
        is_ramp = 0;
        break;
      }
      const uint8_t *bgr = bytes + entry;
      const uint8_t grey = colors == 2 ? (uint8_t)(255 * i) : (uint8_t)i;
      if (i > 255 || bgr[0] != grey || bgr[1] != grey || bgr[2] != grey) is_ramp = 0;
      if (i > 255) continue;
      for (int c = 0; c < 3; ++c) d->colors[i][c] = bgr[2 - c];
    }
    at += step * colors;
    if (is_ramp) {
      info->channels = 1;
      const int is_run = d->compression != RAW;
      if (!is_run && !(d->bits == 1 && colors == 2) && !(d->bits == 8 && colors > 2)) {
        snprintf(info->message, sizeof info->message, "%llu greys at %d bits",
                 (unsigned long long)colors, d->bits);
        return refuse(d, decoder, CIC_UNSUPPORTED);
      }
      if (is_run || d->bits == 8) {
        for (int i = 0; i < 256; ++i) d->colors[i][0] = (uint8_t)i;
      }
    }
  }
  if (d->offset == 0) d->offset = at;
  const uint64_t stride = (((uint64_t)d->width * (uint64_t)d->bits + 31) >> 3) & ~(uint64_t)3;
  const int is_run = d->compression == RLE8 || d->compression == RLE4;
  if (d->offset > size || (!is_run && stride * d->height > size - d->offset)) {
    snprintf(info->message, sizeof info->message, "%zu bytes cannot hold %u x %u pixels", size,
             d->width, d->height);
    return refuse(d, decoder, CIC_DAMAGED);
  }
  info->width = d->width;
  info->height = d->height;
  *decoder = d;
  return CIC_OK;
}

static uint8_t *output_row(const cic_bmp *d, uint8_t *pixels, size_t row, size_t stride) {
  return pixels + (d->top_down ? row : d->height - 1 - row) * stride;
}

// Colours of `count` indices.
static void look_up(const cic_bmp *d, const uint8_t *indices, size_t count, uint32_t channels,
                    uint8_t *target) {
  for (size_t x = 0; x < count; ++x) {
    for (uint32_t c = 0; c < channels; ++c) target[channels * x + c] = d->colors[indices[x]][c];
  }
}

// Runs of indices; what is not written is 0. False if the end comes early.
static int unpack_runs(const cic_bmp *d, uint8_t *indices) {
  const size_t count = (size_t)d->width * d->height;
  size_t at = d->offset, done = 0, x = 0;
  while (done < count) {
    if (at + 2 > d->size) return 0;
    const size_t run = d->bytes[at], value = d->bytes[at + 1];
    at += 2;
    if (run > 0) {
      const size_t room = x < d->width ? d->width - x : 0, length = run < room ? run : room;
      for (size_t i = 0; i < length && done < count; ++i) {
        indices[done++] = d->compression == RLE8 ? (uint8_t)value
                          : i % 2 == 0           ? (uint8_t)(value >> 4)
                                                 : (uint8_t)(value & 15);
      }
      x += length;
    } else if (value == 0) {
      while (done % d->width != 0) ++done;
      x = 0;
    } else if (value == 1) {
      return 0;
    } else if (value == 2) {
      if (at + 2 > d->size) return 0;
      const size_t step = d->bytes[at] + (size_t)d->bytes[at + 1] * d->width;
      at += 2;
      done += step < count - done ? step : count - done;
      x = done % d->width;
    } else {
      const size_t length = value < count - done ? value : count - done;
      const size_t width = d->compression == RLE8 ? length : (length + 1) / 2;
      if (width > d->size - at) return 0;
      for (size_t i = 0; i < length; ++i) {
        const uint8_t byte = d->bytes[at + (d->compression == RLE8 ? i : i / 2)];
        indices[done++] = d->compression == RLE8 ? byte : i % 2 == 0 ? byte >> 4 : byte & 15;
      }
      at += width;
      x += value;
      at += at % 2;
    }
  }
  return 1;
}

int cic_bmp_read(cic_bmp *d, uint8_t *pixels, cic_info *info) {
  const size_t width = d->width, out = width * info->channels;
  if (d->compression == RLE8 || d->compression == RLE4) {
    uint8_t *indices = calloc(width, d->height);
    if (!indices) return CIC_NO_MEMORY;
    const int is_whole = unpack_runs(d, indices);
    for (size_t y = 0; is_whole && y < d->height; ++y) {
      look_up(d, indices + y * width, width, info->channels, output_row(d, pixels, y, out));
    }
    free(indices);
    if (is_whole) return CIC_OK;
    snprintf(info->message, sizeof info->message, "its runs end early");
    return CIC_DAMAGED;
  }
  const size_t stride = ((width * (size_t)d->bits + 31) >> 3) & ~(size_t)3;
  for (size_t y = 0; y < d->height; ++y) {
    const uint8_t *row = d->bytes + d->offset + y * stride;
    uint8_t *target = output_row(d, pixels, y, out);
    for (size_t x = 0; x < width; ++x) {
      if (d->bits <= 8) {
        const size_t bit = x * (size_t)d->bits;
        const uint8_t index =
            (uint8_t)(row[bit / 8] >> (8 - d->bits - (int)(bit % 8))) & (uint8_t)((1 << d->bits) - 1);
        look_up(d, &index, 1, info->channels, target + x * info->channels);
      } else if (d->bits == 16) {
        const uint32_t pixel = u16(row + 2 * x), green = (1u << d->green_bits) - 1;
        target[3 * x] = (uint8_t)((pixel >> (5 + d->green_bits) & 31) * 255 / 31);
        target[3 * x + 1] = (uint8_t)((pixel >> 5 & green) * 255 / green);
        target[3 * x + 2] = (uint8_t)((pixel & 31) * 255 / 31);
      } else {
        const uint8_t *pixel = row + x * (size_t)d->bits / 8;
        for (int c = 0; c < 3; ++c) target[3 * x + c] = pixel[d->place[c]];
      }
    }
  }
  return CIC_OK;
}

void cic_bmp_close(cic_bmp *d) { free(d); }
