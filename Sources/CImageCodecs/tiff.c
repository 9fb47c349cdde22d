#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#include "CImageCodecs.h"

// How the samples of a pixel become grey or RGB.
typedef enum { GREY, PALETTE, RGB, PREMULTIPLIED, CMYK } layout;

struct cic_tiff {
  TIFF *tiff;
  const uint8_t *bytes;
  size_t size;
  uint64_t position;
  cic_info *info;  // of the call under way
  uint32_t width, height;
  uint16_t bits, samples, orientation, planar;
  layout layout;
  int is_inverted;
  int as_rgba;  // the library converts
  int used;     // samples of a pixel that are looked at
  uint8_t colors[256][3];
};

static tmsize_t on_read(thandle_t handle, void *target, tmsize_t count) {
  cic_tiff *d = handle;
  if (count < 0 || d->position >= d->size) return 0;
  const uint64_t rest = d->size - d->position;
  const size_t length = (uint64_t)count < rest ? (size_t)count : (size_t)rest;
  memcpy(target, d->bytes + d->position, length);
  d->position += length;
  return (tmsize_t)length;
}

static tmsize_t on_write(thandle_t handle, void *source, tmsize_t count) {
  (void)handle, (void)source, (void)count;
  return -1;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
  cic_tiff *d = handle;
  if (whence == SEEK_CUR) offset += d->position;
  if (whence == SEEK_END) offset += d->size;
  return d->position = offset;
}

static int on_close(thandle_t handle) {
  (void)handle;
  return 0;
}

static toff_t on_size(thandle_t handle) { return ((cic_tiff *)handle)->size; }

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list list) {
  (void)tiff, (void)module;
  cic_tiff *d = user;
  if (!d->info->message[0]) vsnprintf(d->info->message, sizeof d->info->message, format, list);
  return 1;  // nothing is printed
}

// Unknown tags and the like, which change no sample.
static int on_warning(TIFF *tiff, void *user, const char *module, const char *format,
                      va_list list) {
  (void)tiff, (void)user, (void)module, (void)format, (void)list;
  return 1;
}

static int refuse(cic_tiff *d, int status, const char *text) {
  if (text) snprintf(d->info->message, sizeof d->info->message, "%s", text);
  if (!d->info->message[0]) snprintf(d->info->message, sizeof d->info->message, "its structure");
  cic_tiff_close(d);
  return status;
}

// Whether the pixels are of a kind whose colours are defined, as in Pillow's table of modes.
static int understand(cic_tiff *d) {
  uint16_t photometric = PHOTOMETRIC_MINISWHITE, format = SAMPLEFORMAT_UINT, compression = 1;
  uint16_t extra_count = 0, *extra = NULL;
  TIFFGetFieldDefaulted(d->tiff, TIFFTAG_BITSPERSAMPLE, &d->bits);
  TIFFGetFieldDefaulted(d->tiff, TIFFTAG_SAMPLESPERPIXEL, &d->samples);
  TIFFGetFieldDefaulted(d->tiff, TIFFTAG_PLANARCONFIG, &d->planar);
  TIFFGetFieldDefaulted(d->tiff, TIFFTAG_SAMPLEFORMAT, &format);
  TIFFGetFieldDefaulted(d->tiff, TIFFTAG_COMPRESSION, &compression);
  TIFFGetFieldDefaulted(d->tiff, TIFFTAG_ORIENTATION, &d->orientation);
  TIFFGetFieldDefaulted(d->tiff, TIFFTAG_EXTRASAMPLES, &extra_count, &extra);
  TIFFGetField(d->tiff, TIFFTAG_PHOTOMETRIC, &photometric);
  snprintf(d->info->message, sizeof d->info->message,
           "photometric %u, %u samples of %u bits, sample format %u, compression %u", photometric,
           d->samples, d->bits, format, compression);
  if (d->orientation < 1 || d->orientation > 8) d->orientation = 1;
  if (format != SAMPLEFORMAT_UINT || compression == COMPRESSION_OJPEG) return 0;
  int base = 1;
  switch (photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
      d->layout = GREY;
      d->is_inverted = photometric == PHOTOMETRIC_MINISWHITE;
      if (d->bits == 16 && !d->is_inverted) d->info->notes |= CIC_NOTE_GREY16;
      if (d->bits == 16 && (d->is_inverted || d->samples > 1)) return 0;
      break;
    case PHOTOMETRIC_PALETTE:
      d->layout = PALETTE;
      if (d->bits > 8) return 0;
      break;
    case PHOTOMETRIC_RGB:
      d->layout = RGB;
      base = 3;
      break;
    case PHOTOMETRIC_SEPARATED:
      d->layout = CMYK;
      base = 4;
      break;
    case PHOTOMETRIC_YCBCR:
      d->layout = RGB;
      base = 3;
      if (d->bits != 8 || d->samples != 3) return 0;
      if (compression == COMPRESSION_JPEG && d->planar == PLANARCONFIG_CONTIG) {
        TIFFSetField(d->tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
      } else {
        d->as_rgba = 1;
        if (d->orientation != 1) return 0;
      }
      break;
    default: return 0;
  }
  const int is_small = d->layout == GREY || d->layout == PALETTE;
  if (d->bits != 8 && d->bits != 16 &&
      !(is_small && d->samples == 1 && (d->bits == 1 || d->bits == 2 || d->bits == 4))) {
    return 0;
  }
  const int further = d->samples - base;
  if (further < 0 || further > (base == 3 ? 3 : is_small ? 1 : 2)) return 0;
  if (extra_count != further && !(base == 3 && extra_count == 0 && further == 1)) return 0;
  for (int i = 1; i < extra_count; ++i) {
    if (extra[i] != EXTRASAMPLE_UNSPECIFIED) return 0;
  }
  if (further > 0 && d->layout == CMYK && extra[0] != EXTRASAMPLE_UNSPECIFIED) return 0;
  d->used = base;
  if (extra_count > 0 && extra[0] == EXTRASAMPLE_ASSOCALPHA) {
    if (d->layout != RGB || (d->bits == 16 && d->samples > 4)) return 0;
    d->layout = PREMULTIPLIED;
    d->used = 4;
  }
  if (d->bits == 16 && d->samples > 4) return 0;
  if (d->layout == PALETTE) {
    uint16_t *map[3];
    if (!TIFFGetField(d->tiff, TIFFTAG_COLORMAP, &map[0], &map[1], &map[2])) return 0;
    for (int i = 0; i < 1 << d->bits; ++i) {
      for (int c = 0; c < 3; ++c) d->colors[i][c] = (uint8_t)(map[c][i] >> 8);
    }
  }
  d->info->message[0] = 0;
  return 1;
}

int cic_tiff_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                  cic_tiff **decoder) {
  *decoder = NULL;
  memset(info, 0, sizeof *info);
  cic_tiff *d = calloc(1, sizeof *d);
  TIFFOpenOptions *options = d ? TIFFOpenOptionsAlloc() : NULL;
  if (!options) {
    free(d);
    return CIC_NO_MEMORY;
  }
  d->bytes = bytes;
  d->size = size;
  d->info = info;
  TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, d);
  TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, d);
  const uint64_t most = 4 * limits->max_pixels;
  TIFFOpenOptionsSetMaxSingleMemAlloc(
      options, most < (uint64_t)1 << 26 ? (tmsize_t)1 << 26 : (tmsize_t)most);
  d->tiff = TIFFClientOpenExt("image", "rm", d, on_read, on_write, on_seek, on_close, on_size,
                              NULL, NULL, options);
  TIFFOpenOptionsFree(options);
  if (!d->tiff) return refuse(d, CIC_DAMAGED, NULL);
  if (!TIFFGetField(d->tiff, TIFFTAG_IMAGEWIDTH, &d->width) ||
      !TIFFGetField(d->tiff, TIFFTAG_IMAGELENGTH, &d->height) || d->width == 0 || d->height == 0) {
    return refuse(d, CIC_DAMAGED, "no width or height");
  }
  if ((uint64_t)d->width * d->height > limits->max_pixels) {
    snprintf(info->message, sizeof info->message, "%u x %u pixels", d->width, d->height);
    return refuse(d, CIC_TOO_LARGE, NULL);
  }
  if (!understand(d)) return refuse(d, CIC_UNSUPPORTED, NULL);
  const int is_turned = d->orientation >= 5;
  info->width = is_turned ? d->height : d->width;
  info->height = is_turned ? d->width : d->height;
  info->channels = d->layout == GREY ? 1 : 3;
  if (!TIFFLastDirectory(d->tiff)) info->notes |= CIC_NOTE_FIRST_PAGE;
  *decoder = d;
  return CIC_OK;
}

// `count` samples of a row, one in `step`, from the `first`; of 16 bits the high byte, or for grey
// what saturates at 255.
static void take_samples(const cic_tiff *d, const uint8_t *row, size_t count, size_t step,
                         size_t first, uint8_t *target, size_t target_step) {
  for (size_t x = 0; x < count; ++x) {
    const size_t at = x * step + first;
    uint8_t value;
    if (d->bits == 8) {
      value = row[at];
    } else if (d->bits == 16) {
      uint16_t wide;
      memcpy(&wide, row + 2 * at, 2);
      value = d->layout == GREY ? (wide > 255 ? 255 : (uint8_t)wide) : (uint8_t)(wide >> 8);
    } else {
      const size_t bit = at * d->bits;
      value = (uint8_t)(row[bit / 8] >> (8 - d->bits - bit % 8)) & (uint8_t)((1 << d->bits) - 1);
    }
    target[x * target_step] = value;
  }
}

// The samples in use of every pixel, `used` a pixel.
static int read_samples(cic_tiff *d, uint8_t *samples) {
  const int is_tiled = TIFFIsTiled(d->tiff);
  uint32_t columns = d->width, rows = d->height;
  if (is_tiled) {
    if (!TIFFGetField(d->tiff, TIFFTAG_TILEWIDTH, &columns) ||
        !TIFFGetField(d->tiff, TIFFTAG_TILELENGTH, &rows)) {
      return CIC_DAMAGED;
    }
  } else {
    TIFFGetFieldDefaulted(d->tiff, TIFFTAG_ROWSPERSTRIP, &rows);
    if (rows > d->height) rows = d->height;
  }
  if (columns == 0 || rows == 0) return CIC_DAMAGED;
  // A tile may be larger than its image, within reason.
  if ((uint64_t)columns * rows > 4 * ((uint64_t)d->width * d->height + ((uint64_t)1 << 20))) {
    snprintf(d->info->message, sizeof d->info->message, "tiles of %u x %u pixels", columns, rows);
    return CIC_TOO_LARGE;
  }
  const int is_apart = d->planar == PLANARCONFIG_SEPARATE && d->samples > 1;
  const size_t step = is_apart ? 1 : d->samples;
  const uint64_t row_bytes = ((uint64_t)columns * step * d->bits + 7) / 8;
  const tmsize_t expected = is_tiled ? TIFFTileSize(d->tiff) : TIFFStripSize(d->tiff);
  if (expected <= 0 || row_bytes > (uint64_t)1 << 32 || (uint64_t)expected != row_bytes * rows) {
    return CIC_DAMAGED;
  }
  uint8_t *buffer = calloc(1, (size_t)expected);
  if (!buffer) return CIC_NO_MEMORY;
  int status = CIC_OK;
  for (int plane = 0; plane < (is_apart ? d->used : 1) && status == CIC_OK; ++plane) {
    for (uint64_t top = 0; top < d->height && status == CIC_OK; top += rows) {
      for (uint64_t left = 0; left < d->width && status == CIC_OK; left += columns) {
        const size_t height = d->height - top < rows ? (size_t)(d->height - top) : rows;
        const size_t width = d->width - left < columns ? (size_t)(d->width - left) : columns;
        const tmsize_t needed = is_tiled ? expected : (tmsize_t)(row_bytes * height);
        const tmsize_t found =
            is_tiled
                ? TIFFReadEncodedTile(
                      d->tiff,
                      TIFFComputeTile(d->tiff, (uint32_t)left, (uint32_t)top, 0, (uint16_t)plane),
                      buffer, needed)
                : TIFFReadEncodedStrip(
                      d->tiff, TIFFComputeStrip(d->tiff, (uint32_t)top, (uint16_t)plane), buffer,
                      needed);
        if (found < needed) status = CIC_DAMAGED;
        for (size_t y = 0; y < height && status == CIC_OK; ++y) {
          uint8_t *target = samples + ((top + y) * d->width + left) * (size_t)d->used;
          for (int s = is_apart ? plane : 0; s < (is_apart ? plane + 1 : d->used); ++s) {
            take_samples(d, buffer + y * row_bytes, width, step, is_apart ? 0 : (size_t)s,
                         target + s, (size_t)d->used);
          }
        }
      }
    }
  }
  free(buffer);
  return status;
}

static uint8_t scale_by(uint32_t a, uint32_t b) {
  const uint32_t t = a * b + 128;  // a b / 255, rounded
  return (uint8_t)(((t >> 8) + t) >> 8);
}

// One pixel.
static void convert(const cic_tiff *d, const uint8_t *in, uint8_t *out) {
  switch (d->layout) {
    case GREY: {
      const uint8_t largest = d->bits < 8 ? (uint8_t)((1 << d->bits) - 1) : 255;
      const uint8_t value = (uint8_t)(in[0] * (255 / largest));
      out[0] = d->is_inverted ? 255 - value : value;
      return;
    }
    case PALETTE: memcpy(out, d->colors[in[0]], 3); return;
    case RGB: memcpy(out, in, 3); return;
    case PREMULTIPLIED:
      for (int c = 0; c < 3; ++c) {
        const uint32_t value = in[3] ? 255u * in[c] / in[3] : 0;
        out[c] = value > 255 ? 255 : (uint8_t)value;
      }
      return;
    case CMYK:
      for (int c = 0; c < 3; ++c) {
        const uint32_t light = 255u - in[3];
        out[c] = (uint8_t)(light - scale_by(in[c], light));
      }
      return;
  }
}

int cic_tiff_read(cic_tiff *d, uint8_t *pixels, cic_info *info) {
  d->info = info;
  const size_t width = d->width, height = d->height, channels = info->channels;
  if (d->as_rgba) {
    uint32_t *rgba = malloc(width * height * sizeof *rgba);
    if (!rgba) return CIC_NO_MEMORY;
    const int is_read = TIFFReadRGBAImageOriented(d->tiff, d->width, d->height, rgba,
                                                  ORIENTATION_TOPLEFT, 1);
    for (size_t i = 0; is_read && i < width * height; ++i) {
      pixels[3 * i] = (uint8_t)TIFFGetR(rgba[i]);
      pixels[3 * i + 1] = (uint8_t)TIFFGetG(rgba[i]);
      pixels[3 * i + 2] = (uint8_t)TIFFGetB(rgba[i]);
    }
    free(rgba);
    return is_read ? CIC_OK : CIC_DAMAGED;
  }
  uint8_t *samples = malloc(width * height * (size_t)d->used);
  if (!samples) return CIC_NO_MEMORY;
  const int status = read_samples(d, samples);
  if (status == CIC_OK) {
    const int is_turned = d->orientation >= 5;
    const size_t stride = is_turned ? height : width;
    for (size_t y = 0; y < height; ++y) {
      for (size_t x = 0; x < width; ++x) {
        // Where the first row and column of the file are shown.
        size_t row = y, column = x;
        switch (d->orientation) {
          case 2: column = width - 1 - x; break;
          case 3: row = height - 1 - y, column = width - 1 - x; break;
          case 4: row = height - 1 - y; break;
          case 5: row = x, column = y; break;
          case 6: row = x, column = height - 1 - y; break;
          case 7: row = width - 1 - x, column = height - 1 - y; break;
          case 8: row = width - 1 - x, column = y; break;
          default: break;
        }
        convert(d, samples + (y * width + x) * (size_t)d->used,
                pixels + (row * stride + column) * channels);
      }
    }
  } else if (!info->message[0]) {
    snprintf(info->message, sizeof info->message, "its strips or tiles cannot be read");
  }
  free(samples);
  return status;
}

void cic_tiff_close(cic_tiff *d) {
  if (!d) return;
  if (d->tiff) TIFFClose(d->tiff);
  free(d);
}
