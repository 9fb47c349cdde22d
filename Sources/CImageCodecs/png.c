#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CImageCodecs.h"

struct cic_png {
  png_structp png;
  png_infop header;
  const uint8_t *bytes;
  size_t size;
  size_t position;
  int truncated;
  int color_type;
  int depth;
  uint32_t width, height;
  uint8_t *scratch;
  png_bytep *rows;
  cic_info *info;  // of the call under way
};

static void copy_message(cic_info *info, const char *text) {
  snprintf(info->message, sizeof info->message, "%s", text);
}

static void on_error(png_structp png, png_const_charp text) {
  cic_png *d = png_get_error_ptr(png);
  if (!d->truncated) copy_message(d->info, text);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
  cic_png *d = png_get_error_ptr(png);
  if (!(d->info->notes & CIC_NOTE_WARNINGS)) copy_message(d->info, text);
  d->info->notes |= CIC_NOTE_WARNINGS;
}

static void on_read(png_structp png, png_bytep target, size_t count) {
  cic_png *d = png_get_io_ptr(png);
  if (count > d->size - d->position) {
    d->truncated = 1;
    snprintf(d->info->message, sizeof d->info->message, "the file ends early, at byte %zu", d->size);
    png_error(png, "truncated");
  }
  memcpy(target, d->bytes + d->position, count);
  d->position += count;
}

int cic_png_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                 cic_png **decoder) {
  *decoder = NULL;
  memset(info, 0, sizeof *info);
  cic_png *d = calloc(1, sizeof *d);
  if (!d) return CIC_NO_MEMORY;
  d->bytes = bytes;
  d->size = size;
  d->info = info;
  d->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, d, on_error, on_warning);
  if (d->png) d->header = png_create_info_struct(d->png);
  if (!d->header) {
    cic_png_close(d);
    return CIC_NO_MEMORY;
  }
  if (setjmp(png_jmpbuf(d->png))) {
    cic_png_close(d);
    return CIC_DAMAGED;
  }
  png_set_read_fn(d->png, d, on_read);
  png_set_user_limits(d->png, 0x7fffffff, 0x7fffffff);
  png_set_chunk_malloc_max(d->png, 1 << 20);
  // Skip every ancillary chunk: none changes a pixel here, and compressed ones can be bombs.
  png_set_keep_unknown_chunks(d->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_set_check_for_invalid_index(d->png, 0);
  png_read_info(d->png, d->header);
  d->width = png_get_image_width(d->png, d->header);
  d->height = png_get_image_height(d->png, d->header);
  d->color_type = png_get_color_type(d->png, d->header);
  d->depth = png_get_bit_depth(d->png, d->header);

  const uint64_t pixels = (uint64_t)d->width * d->height;
  if (pixels > limits->max_pixels) {
    snprintf(info->message, sizeof info->message, "%u x %u pixels", d->width, d->height);
    cic_png_close(d);
    return CIC_TOO_LARGE;
  }
  // Deflate shrinks by 1032 at most: a shorter file cannot hold its pixels, whatever it says.
  const uint64_t samples = pixels * png_get_channels(d->png, d->header);
  if (samples / 8 * (uint64_t)d->depth / 1033 > size) {
    snprintf(info->message, sizeof info->message, "%zu bytes cannot hold %u x %u pixels", size,
             d->width, d->height);
    cic_png_close(d);
    return CIC_DAMAGED;
  }

  if (d->color_type == PNG_COLOR_TYPE_PALETTE) {
    png_set_packing(d->png);
  } else if (d->depth < 8) {
    png_set_expand_gray_1_2_4_to_8(d->png);
  }
  if (d->color_type & PNG_COLOR_MASK_ALPHA) png_set_strip_alpha(d->png);
  if (d->depth == 16) {
    if (d->color_type == PNG_COLOR_TYPE_GRAY) {
      info->notes |= CIC_NOTE_GREY16;
    } else {
      png_set_strip_16(d->png);
    }
  }
  png_set_interlace_handling(d->png);
  png_read_update_info(d->png, d->header);
  info->width = d->width;
  info->height = d->height;
  info->channels = (d->color_type & PNG_COLOR_MASK_COLOR) ? 3 : 1;
  *decoder = d;
  return CIC_OK;
}

int cic_png_read(cic_png *d, uint8_t *pixels, cic_info *info) {
  const size_t width = d->width, height = d->height, count = width * height;
  const int palette = d->color_type == PNG_COLOR_TYPE_PALETTE;
  const int grey16 = d->color_type == PNG_COLOR_TYPE_GRAY && d->depth == 16;
  const size_t row_bytes = palette ? width : grey16 ? 2 * width : width * info->channels;
  d->info = info;
  if (png_get_rowbytes(d->png, d->header) != row_bytes) {
    copy_message(info, "unexpected row size");
    return CIC_UNSUPPORTED;
  }
  d->rows = malloc(height * sizeof *d->rows);
  if (grey16) d->scratch = malloc(2 * count);
  if (!d->rows || (grey16 && !d->scratch)) return CIC_NO_MEMORY;
  // Palette indices wait in the last third of the output and are expanded in place, front to back.
  uint8_t *const base = grey16 ? d->scratch : palette ? pixels + 2 * count : pixels;
  for (size_t y = 0; y < height; ++y) d->rows[y] = base + y * row_bytes;

  if (setjmp(png_jmpbuf(d->png))) return CIC_DAMAGED;
  png_read_image(d->png, d->rows);
  png_read_end(d->png, NULL);

  if (palette) {
    uint8_t colors[256][3] = {{0}};
    png_colorp entries = NULL;
    int entry_count = 0;
    png_get_PLTE(d->png, d->header, &entries, &entry_count);
    for (int i = 0; i < entry_count && i < 256; ++i) {
      colors[i][0] = entries[i].red;
      colors[i][1] = entries[i].green;
      colors[i][2] = entries[i].blue;
    }
    for (size_t i = 0; i < count; ++i) {
      const uint8_t *color = colors[base[i]];
      pixels[3 * i] = color[0];
      pixels[3 * i + 1] = color[1];
      pixels[3 * i + 2] = color[2];
    }
  } else if (grey16) {
    for (size_t i = 0; i < count; ++i) pixels[i] = base[2 * i] ? 255 : base[2 * i + 1];
  }
  return CIC_OK;
}

void cic_png_close(cic_png *d) {
  if (!d) return;
  if (d->png) png_destroy_read_struct(&d->png, d->header ? &d->header : NULL, NULL);
  free(d->rows);
  free(d->scratch);
  free(d);
}
