// Writes JPEG variants that Pillow cannot: chroma sampled 4:4:0 and 4:1:1, YCCK, plain CMYK,
// arithmetic coding. Arguments: raw RGB file, width, height, output folder.
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>

static unsigned char *rgb;
static int width, height;

static void encode(const char *path, int components, J_COLOR_SPACE in, J_COLOR_SPACE out, int h,
                   int v, int arithmetic, int progressive) {
  struct jpeg_compress_struct codec;
  struct jpeg_error_mgr errors;
  FILE *file = fopen(path, "wb");
  codec.err = jpeg_std_error(&errors);
  jpeg_create_compress(&codec);
  jpeg_stdio_dest(&codec, file);
  codec.image_width = width;
  codec.image_height = height;
  codec.input_components = components;
  codec.in_color_space = in;
  jpeg_set_defaults(&codec);
  jpeg_set_colorspace(&codec, out);
  jpeg_set_quality(&codec, 85, TRUE);
  codec.comp_info[0].h_samp_factor = h;
  codec.comp_info[0].v_samp_factor = v;
  codec.arith_code = arithmetic;
  if (progressive) jpeg_simple_progression(&codec);
  jpeg_start_compress(&codec, TRUE);
  unsigned char *line = malloc(4 * width);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const unsigned char *p = rgb + 3 * (y * width + x);
      for (int c = 0; c < 3; ++c) line[components * x + c] = p[c];
      if (components == 4) line[4 * x + 3] = 255 - (x * 7 + y * 3) % 180;
    }
    jpeg_write_scanlines(&codec, &line, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  fclose(file);
  free(line);
}

int main(int argc, char **argv) {
  char path[4096];
  (void)argc;
  width = atoi(argv[2]);
  height = atoi(argv[3]);
  rgb = malloc(3 * width * height);
  FILE *file = fopen(argv[1], "rb");
  if (fread(rgb, 3, width * height, file) != (size_t)(width * height)) return 1;
#define OUT(name) (snprintf(path, sizeof path, "%s/%s.jpg", argv[4], name), path)
  encode(OUT("440"), 3, JCS_RGB, JCS_YCbCr, 1, 2, 0, 0);
  encode(OUT("411"), 3, JCS_RGB, JCS_YCbCr, 4, 1, 0, 0);
  encode(OUT("410-progressive"), 3, JCS_RGB, JCS_YCbCr, 4, 2, 0, 1);
  encode(OUT("ycck"), 4, JCS_CMYK, JCS_YCCK, 2, 2, 0, 0);
  encode(OUT("cmyk-no-adobe"), 4, JCS_CMYK, JCS_CMYK, 1, 1, 0, 0);
  encode(OUT("arithmetic"), 3, JCS_RGB, JCS_YCbCr, 1, 1, 1, 0);
  return 0;
}
