#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CImageCodecs.h"

// PBM, PGM and PPM, plain (P1 to P3) and binary (P4 to P6), to the samples that Pillow gives.

struct cic_netpbm {
  const uint8_t *bytes;
  size_t size;
  size_t at;  // the next byte
  int kind;   // 1 to 6
  uint32_t width, height;
  uint32_t largest;
};

static int is_space(uint8_t byte) { return byte == ' ' || (byte >= 9 && byte <= 13); }

// A number of the header, which a blank ends; comments are passed over. -1 if there is none.
static int64_t header_number(cic_netpbm *d) {
  int64_t number = -1;
  int digits = 0;
  while (d->at < d->size) {
    const uint8_t byte = d->bytes[d->at++];
    if (is_space(byte)) {
      if (digits) break;
    } else if (byte == '#') {
      while (d->at < d->size && d->bytes[d->at] != '\n' && d->bytes[d->at] != '\r') ++d->at;
      if (d->at < d->size) ++d->at;
    } else if (byte >= '0' && byte <= '9' && ++digits <= 10) {
      number = (digits == 1 ? 0 : 10 * number) + (byte - '0');
    } else {
      return -1;
    }
  }
  return digits ? number : -1;
}

int cic_netpbm_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                    cic_netpbm **decoder) {
  *decoder = NULL;
  memset(info, 0, sizeof *info);
  if (size < 3) return CIC_DAMAGED;
  cic_netpbm *d = calloc(1, sizeof *d);
  if (!d) return CIC_NO_MEMORY;
  d->bytes = bytes;
  d->size = size;
  d->at = 3;
  d->kind = bytes[1] - '0';
  const int is_bitmap = d->kind == 1 || d->kind == 4;
  const int64_t width = header_number(d), height = header_number(d);
  const int64_t largest = is_bitmap ? 1 : header_number(d);
  int status = CIC_OK;
  if (width <= 0 || height <= 0 || width > UINT32_MAX || height > UINT32_MAX || largest <= 0 ||
      largest > 65535) {
    snprintf(info->message, sizeof info->message,
             "its header has no size, or no largest value of 1 to 65535");
    status = CIC_DAMAGED;
  } else if ((uint64_t)width * (uint64_t)height > limits->max_pixels) {
    snprintf(info->message, sizeof info->message, "%lld x %lld pixels", (long long)width,
             (long long)height);
    status = CIC_TOO_LARGE;
  }
  if (status != CIC_OK) {
    free(d);
    return status;
  }
  d->width = (uint32_t)width;
  d->height = (uint32_t)height;
  d->largest = (uint32_t)largest;
  info->width = d->width;
  info->height = d->height;
  info->channels = d->kind == 3 || d->kind == 6 ? 3 : 1;
  if (info->channels == 1 && largest > 255) info->notes |= CIC_NOTE_GREY16;
  const uint64_t count = (uint64_t)width * (uint64_t)height * info->channels;
  const uint64_t least = d->kind == 4   ? ((uint64_t)width + 7) / 8 * (uint64_t)height
                         : d->kind <= 3 ? count
                                        : count * (largest > 255 ? 2 : 1);
  if (least > size - d->at) {
    snprintf(info->message, sizeof info->message, "%zu bytes cannot hold %u x %u pixels", size,
             d->width, d->height);
    free(d);
    return CIC_DAMAGED;
  }
  *decoder = d;
  return CIC_OK;
}

// Grey of more than 8 bits is stretched to 16 and saturates at 255, as other 16-bit grey.
static uint8_t scaled(const cic_netpbm *d, uint32_t value, uint32_t channels) {
  const double range = channels == 1 && d->largest > 255 ? 65535 : 255;
  const double stretched = nearbyint((double)value / d->largest * range);
  return stretched > 255 ? 255 : (uint8_t)stretched;
}

// Passes over blanks and comments; false at the end.
static int skip_blanks(cic_netpbm *d) {
  while (d->at < d->size) {
    const uint8_t byte = d->bytes[d->at];
    if (byte == '#') {
      while (d->at < d->size && d->bytes[d->at] != '\n' && d->bytes[d->at] != '\r') ++d->at;
    } else if (!is_space(byte)) {
      return 1;
    }
    if (d->at < d->size) ++d->at;
  }
  return 0;
}

// A value of a plain file; -1 if there is none.
static int64_t plain_number(cic_netpbm *d) {
  if (!skip_blanks(d)) return -1;
  int64_t number = 0;
  int digits = 0;
  while (d->at < d->size && !is_space(d->bytes[d->at]) && d->bytes[d->at] != '#') {
    const uint8_t byte = d->bytes[d->at++];
    if (byte < '0' || byte > '9' || ++digits > 10) return -1;
    number = 10 * number + (byte - '0');
  }
  return number;
}

int cic_netpbm_read(cic_netpbm *d, uint8_t *pixels, cic_info *info) {
  const size_t width = d->width, count = width * d->height * info->channels;
  const uint8_t *source = d->bytes + d->at;
  switch (d->kind) {
    case 1:
      for (size_t i = 0; i < count; ++i) {
        if (!skip_blanks(d) || (d->bytes[d->at] & 0xFE) != '0') {
          snprintf(info->message, sizeof info->message, "pixel %zu is neither 0 nor 1", i);
          return CIC_DAMAGED;
        }
        pixels[i] = d->bytes[d->at++] == '0' ? 255 : 0;
      }
      return CIC_OK;
    case 4:
      for (size_t i = 0; i < count; ++i) {
        const size_t x = i % width;
        const uint8_t byte = source[i / width * ((width + 7) / 8) + x / 8];
        pixels[i] = byte >> (7 - x % 8) & 1 ? 0 : 255;
      }
      return CIC_OK;
    case 2:
    case 3:
      for (size_t i = 0; i < count; ++i) {
        const int64_t value = plain_number(d);
        if (value < 0 || value > d->largest) {
          snprintf(info->message, sizeof info->message, "value %zu is not one of 0 to %u", i,
                   d->largest);
          return CIC_DAMAGED;
        }
        pixels[i] = scaled(d, (uint32_t)value, info->channels);
      }
      return CIC_OK;
    default:
      for (size_t i = 0; i < count; ++i) {
        const uint32_t value =
            d->largest > 255 ? (uint32_t)source[2 * i] << 8 | source[2 * i + 1] : source[i];
        pixels[i] = d->largest == 255 ? (uint8_t)value : scaled(d, value, info->channels);
      }
      return CIC_OK;
  }
}

void cic_netpbm_close(cic_netpbm *d) { free(d); }
