#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// libjpeg's header needs FILE and size_t.
#include <jpeglib.h>

#include "CImageCodecs.h"

struct cic_jpeg {
  struct jpeg_decompress_struct codec;
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
  jmp_buf escape;
  int failure;  // the status to return after a jump
  int max_scans;
  size_t size;
  uint8_t *cmyk_row;
  cic_info *info;  // of the call under way
};

static void on_error(j_common_ptr codec) {
  cic_jpeg *d = codec->client_data;
  if (d->failure == CIC_OK) {
    char text[JMSG_LENGTH_MAX];
    codec->err->format_message(codec, text);
    snprintf(d->info->message, sizeof d->info->message, "%s", text);
    d->failure = CIC_DAMAGED;
  }
  longjmp(d->escape, 1);
}

static void on_message(j_common_ptr codec, int level) {
  cic_jpeg *d = codec->client_data;
  if (level >= 0) return;
  if (codec->err->num_warnings++ == 0) {
    char text[JMSG_LENGTH_MAX];
    codec->err->format_message(codec, text);
    snprintf(d->info->message, sizeof d->info->message, "%s", text);
    d->info->notes |= CIC_NOTE_WARNINGS;
  }
}

static void fail(cic_jpeg *d, int status) {
  d->failure = status;
  longjmp(d->escape, 1);
}

static void on_progress(j_common_ptr codec) {
  cic_jpeg *d = codec->client_data;
  if (d->codec.input_scan_number > d->max_scans) {
    snprintf(d->info->message, sizeof d->info->message, "more than %d scans", d->max_scans);
    fail(d, CIC_TOO_LARGE);
  }
}

static void start_source(j_decompress_ptr codec) { (void)codec; }

static boolean fill_source(j_decompress_ptr codec) {
  cic_jpeg *d = codec->client_data;
  snprintf(d->info->message, sizeof d->info->message, "the file ends early, at byte %zu", d->size);
  fail(d, CIC_DAMAGED);
  return FALSE;
}

static void skip_source(j_decompress_ptr codec, long count) {
  if (count <= 0) return;
  if ((size_t)count > codec->src->bytes_in_buffer) fill_source(codec);
  codec->src->next_input_byte += count;
  codec->src->bytes_in_buffer -= (size_t)count;
}

int cic_jpeg_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                  cic_jpeg **decoder) {
  *decoder = NULL;
  memset(info, 0, sizeof *info);
  cic_jpeg *d = calloc(1, sizeof *d);
  if (!d) return CIC_NO_MEMORY;
  d->info = info;
  d->size = size;
  d->max_scans = limits->max_scans;
  d->codec.err = jpeg_std_error(&d->errors);
  d->errors.error_exit = on_error;
  d->errors.emit_message = on_message;
  d->codec.client_data = d;
  if (setjmp(d->escape)) {
    const int failure = d->failure;
    cic_jpeg_close(d);
    return failure;
  }
  jpeg_create_decompress(&d->codec);
  d->codec.client_data = d;
  d->source.init_source = start_source;
  d->source.fill_input_buffer = fill_source;
  d->source.skip_input_data = skip_source;
  d->source.resync_to_restart = jpeg_resync_to_restart;
  d->source.term_source = start_source;
  d->source.next_input_byte = bytes;
  d->source.bytes_in_buffer = size;
  d->codec.src = &d->source;
  d->progress.progress_monitor = on_progress;
  d->codec.progress = &d->progress;
  jpeg_read_header(&d->codec, TRUE);

  const uint32_t width = d->codec.image_width, height = d->codec.image_height;
  if ((uint64_t)width * height > limits->max_pixels) {
    snprintf(info->message, sizeof info->message, "%u x %u pixels", width, height);
    fail(d, CIC_TOO_LARGE);
  }
  if (d->codec.arith_code) {
    snprintf(info->message, sizeof info->message, "arithmetic coding");
    fail(d, CIC_UNSUPPORTED);
  }
  // Each block has at least one bit in the file: refuse what cannot be there before allocating it.
  uint64_t blocks = 0;
  for (int c = 0; c < d->codec.num_components; ++c) {
    const jpeg_component_info *component = &d->codec.comp_info[c];
    blocks += (uint64_t)component->width_in_blocks * component->height_in_blocks;
  }
  if (blocks / 8 > size) {
    snprintf(info->message, sizeof info->message, "%zu bytes cannot hold %u x %u pixels", size,
             width, height);
    fail(d, CIC_DAMAGED);
  }
  switch (d->codec.num_components) {
    case 1: d->codec.out_color_space = JCS_GRAYSCALE; break;
    case 3: d->codec.out_color_space = JCS_RGB; break;
    case 4: d->codec.out_color_space = JCS_CMYK; break;
    default:
      snprintf(info->message, sizeof info->message, "%d colour components",
               d->codec.num_components);
      fail(d, CIC_UNSUPPORTED);
  }
  d->codec.dct_method = JDCT_ISLOW;
  d->codec.do_fancy_upsampling = TRUE;
  info->width = width;
  info->height = height;
  info->channels = d->codec.num_components == 1 ? 1 : 3;
  *decoder = d;
  return CIC_OK;
}

static inline uint8_t scale_by(uint32_t a, uint32_t b) {
  const uint32_t t = a * b + 128;  // a b / 255, rounded
  return (uint8_t)(((t >> 8) + t) >> 8);
}

int cic_jpeg_read(cic_jpeg *d, uint8_t *pixels, cic_info *info) {
  d->info = info;
  const size_t width = d->codec.image_width, stride = width * info->channels;
  const int cmyk = d->codec.num_components == 4;
  if (cmyk && !(d->cmyk_row = malloc(4 * width))) return CIC_NO_MEMORY;
  if (setjmp(d->escape)) return d->failure;
  jpeg_start_decompress(&d->codec);
  while (d->codec.output_scanline < d->codec.output_height) {
    uint8_t *const target = pixels + (size_t)d->codec.output_scanline * stride;
    JSAMPROW row = cmyk ? d->cmyk_row : target;
    jpeg_read_scanlines(&d->codec, &row, 1);
    if (!cmyk) continue;
    // The samples are inverted inks, so the inks are 255 - sample; R = K' - C K' / 255.
    for (size_t x = 0; x < width; ++x) {
      const uint8_t *ink = d->cmyk_row + 4 * x;
      const uint32_t light = ink[3];
      for (int c = 0; c < 3; ++c) {
        target[3 * x + c] = (uint8_t)(light - scale_by(255u - ink[c], light));
      }
    }
  }
  jpeg_finish_decompress(&d->codec);
  return CIC_OK;
}

void cic_jpeg_close(cic_jpeg *d) {
  if (!d) return;
  // Destroying only frees: it raises no error, and is safe after a failed creation.
  jpeg_destroy_decompress(&d->codec);
  free(d->cmyk_row);
  free(d);
}

typedef struct {
  struct jpeg_error_mgr errors;
  jmp_buf escape;
  cic_info *info;
} encoder_errors;

static void on_encoder_error(j_common_ptr codec) {
  encoder_errors *errors = (encoder_errors *)codec->err;
  char text[JMSG_LENGTH_MAX];
  errors->errors.format_message(codec, text);
  snprintf(errors->info->message, sizeof errors->info->message, "%s", text);
  longjmp(errors->escape, 1);
}

// The compressed bytes, to be freed; NULL with a message on failure.
static uint8_t *encode(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels,
                       int quality, unsigned long *size, cic_info *info) {
  struct jpeg_compress_struct codec;
  encoder_errors errors;
  // Set by the codec as it goes, and read after a jump: memory of its own keeps it.
  unsigned char **bytes = calloc(1, sizeof *bytes);
  if (!bytes) return NULL;
  *size = 0;
  errors.info = info;
  codec.err = jpeg_std_error(&errors.errors);
  errors.errors.error_exit = on_encoder_error;
  if (setjmp(errors.escape)) {
    jpeg_destroy_compress(&codec);
    free(*bytes);
    free(bytes);
    return NULL;
  }
  jpeg_create_compress(&codec);
  jpeg_mem_dest(&codec, bytes, size);
  codec.image_width = width;
  codec.image_height = height;
  codec.input_components = (int)channels;
  codec.in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, quality, TRUE);
  jpeg_start_compress(&codec, TRUE);
  while (codec.next_scanline < height) {
    JSAMPROW row = (JSAMPROW)(pixels + (size_t)codec.next_scanline * width * channels);
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  unsigned char *result = *bytes;
  free(bytes);
  return result;
}

int cic_jpeg_round_trip(uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels,
                        int quality, cic_info *info) {
  memset(info, 0, sizeof *info);
  if (channels != 1 && channels != 3) return CIC_UNSUPPORTED;
  unsigned long size;
  uint8_t *bytes = encode(pixels, width, height, channels, quality, &size, info);
  if (!bytes) return CIC_UNSUPPORTED;
  const cic_limits limits = {(uint64_t)width * height, 1};
  cic_jpeg *decoder;
  int status = cic_jpeg_open(bytes, size, &limits, info, &decoder);
  if (status == CIC_OK) status = cic_jpeg_read(decoder, pixels, info);
  cic_jpeg_close(decoder);
  free(bytes);
  return status;
}
