#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "CImageCodecs.h"

struct cic_webp {
  WebPAnimDecoder *decoder;
};

int cic_webp_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                  cic_webp **decoder) {
  *decoder = NULL;
  memset(info, 0, sizeof *info);
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(bytes, size, &features);
  if (status != VP8_STATUS_OK) {
    snprintf(info->message, sizeof info->message, "%s",
             status == VP8_STATUS_NOT_ENOUGH_DATA ? "the file ends early" : "no header");
    return CIC_DAMAGED;
  }
  if ((uint64_t)features.width * (uint64_t)features.height > limits->max_pixels) {
    snprintf(info->message, sizeof info->message, "%d x %d pixels", features.width,
             features.height);
    return CIC_TOO_LARGE;
  }
  // What Pillow reads with: the canvas of the first frame.
  WebPAnimDecoderOptions options;
  WebPAnimInfo canvas;
  if (!WebPAnimDecoderOptionsInit(&options)) return CIC_UNSUPPORTED;
  options.color_mode = MODE_RGBA;
  options.use_threads = 0;
  const WebPData data = {bytes, size};
  cic_webp *d = calloc(1, sizeof *d);
  if (!d) return CIC_NO_MEMORY;
  d->decoder = WebPAnimDecoderNew(&data, &options);
  if (!d->decoder || !WebPAnimDecoderGetInfo(d->decoder, &canvas)) {
    snprintf(info->message, sizeof info->message, "its chunks are cut or contradict each other");
    cic_webp_close(d);
    return CIC_DAMAGED;
  }
  if ((uint64_t)canvas.canvas_width * canvas.canvas_height > limits->max_pixels) {
    snprintf(info->message, sizeof info->message, "%u x %u pixels", canvas.canvas_width,
             canvas.canvas_height);
    cic_webp_close(d);
    return CIC_TOO_LARGE;
  }
  info->width = canvas.canvas_width;
  info->height = canvas.canvas_height;
  info->channels = 3;
  if (canvas.frame_count > 1) info->notes |= CIC_NOTE_FIRST_PAGE;
  *decoder = d;
  return CIC_OK;
}

int cic_webp_read(cic_webp *d, uint8_t *pixels, cic_info *info) {
  uint8_t *rgba = NULL;
  int time = 0;
  if (!WebPAnimDecoderGetNext(d->decoder, &rgba, &time)) {
    snprintf(info->message, sizeof info->message, "its pixels cannot be decoded");
    return CIC_DAMAGED;
  }
  const size_t count = (size_t)info->width * info->height;
  for (size_t i = 0; i < count; ++i) memcpy(pixels + 3 * i, rgba + 4 * i, 3);
  return CIC_OK;
}

void cic_webp_close(cic_webp *d) {
  if (!d) return;
  if (d->decoder) WebPAnimDecoderDelete(d->decoder);
  free(d);
}
