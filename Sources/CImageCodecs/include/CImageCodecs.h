// Decoding and resampling of 8-bit images in C.
//
// libpng and libjpeg report errors through longjmp, which must not cross Swift frames: every setjmp
// and every longjmp is inside this target. No function here keeps global state; different decoders
// may be used from different threads at the same time.
#ifndef CIMAGECODECS_H
#define CIMAGECODECS_H

#include <stddef.h>
#include <stdint.h>

enum {
  CIC_OK = 0,
  CIC_DAMAGED = 1,      // the bytes are not what the format allows, or end early
  CIC_UNSUPPORTED = 2,  // legal, but a variant that is refused
  CIC_TOO_LARGE = 3,    // a limit below would be exceeded
  CIC_NO_MEMORY = 4,
};

enum {
  CIC_NOTE_GREY16 = 1,    // 16-bit grey, saturated at 255
  CIC_NOTE_WARNINGS = 2,  // the codec met damage that it could step over
};

enum { CIC_MESSAGE_SIZE = 256 };

typedef struct {
  uint64_t max_pixels;  // width x height, checked before any pixel is allocated
  int32_t max_scans;    // of a progressive JPEG
} cic_limits;

typedef struct {
  uint32_t width;
  uint32_t height;
  uint32_t channels;                // of the output: 1 (grey) or 3 (RGB)
  uint32_t notes;                   // CIC_NOTE_...; complete once the pixels have been read
  char message[CIC_MESSAGE_SIZE];   // what went wrong, or the first warning; NUL-terminated
} cic_info;

typedef struct cic_png cic_png;
typedef struct cic_jpeg cic_jpeg;

// Reads the header of the PNG in `bytes`, which must stay in place until cic_png_close.
// On success `*decoder` is set and `info` describes the output; otherwise `*decoder` is NULL and
// `info->message` says why.
int cic_png_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                 cic_png **decoder);
// Writes height x width x channels bytes, rows top to bottom, channels last. To be called once.
//
// Colour as in Pillow's convert("RGB"): alpha and tRNS are dropped, not composited; palettes are
// expanded, with black for an index beyond the palette; 1, 2 and 4 bits are scaled to 0..255; of
// 16-bit colour and of 16-bit grey with alpha the high byte is kept; 16-bit grey without alpha
// saturates at 255. Gamma, ICC and EXIF are ignored. Of an APNG the default image is read.
int cic_png_read(cic_png *decoder, uint8_t *pixels, cic_info *info);
void cic_png_close(cic_png *decoder);

// As for PNG. Accurate integer DCT and smooth chroma upsampling, as in Pillow; EXIF rotation and
// ICC are ignored. Four components are taken as inverted CMYK (Adobe's habit) and turned into RGB.
// Arithmetic coding is refused, as are 12-bit and lossless files.
int cic_jpeg_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                  cic_jpeg **decoder);
int cic_jpeg_read(cic_jpeg *decoder, uint8_t *pixels, cic_info *info);
void cic_jpeg_close(cic_jpeg *decoder);

typedef enum {
  CIC_BOX = 0,
  CIC_BILINEAR = 1,
  CIC_HAMMING = 2,
  CIC_BICUBIC = 3,  // a = -0.5
  CIC_LANCZOS = 4,
} cic_filter;

// The number of taps that a pass from `in` to `out` samples needs for each output sample.
size_t cic_tap_count(cic_filter filter, size_t in, size_t out);

// Weights of output samples `first` ..< `first + count` of a pass from `in` to `out` samples, in
// fixed point with 22 fractional bits. `starts[i]` is the first input sample of output `first + i`,
// `lengths[i]` the number of taps in use, `weights` has `taps` (from cic_tap_count) entries a sample.
// Returns CIC_OK or CIC_NO_MEMORY.
int cic_tap_weights(cic_filter filter, size_t in, size_t out, size_t first, size_t count,
                    size_t taps, int32_t *starts, int32_t *lengths, int32_t *weights);

// Resamples along x: `rows` rows of `channels` interleaved samples.
void cic_resample_x(const uint8_t *source, size_t source_stride, size_t rows, size_t channels,
                    size_t count, size_t taps, const int32_t *starts, const int32_t *lengths,
                    const int32_t *weights, uint8_t *target, size_t target_stride);

// Resamples along y: `count` output rows of `width` bytes. `starts` are relative to `source`.
void cic_resample_y(const uint8_t *source, size_t source_stride, size_t width, size_t count,
                    size_t taps, const int32_t *starts, const int32_t *lengths,
                    const int32_t *weights, uint8_t *target, size_t target_stride);

// Luma of RGB pixels as in Pillow's convert("L"): (19595 R + 38470 G + 7471 B + 32768) >> 16.
void cic_luma(const uint8_t *rgb, size_t pixels, uint8_t *grey);

// One row of `pixels` pixels through a table of 256 floats a channel. `channels` (1 or 3) are
// written; of a grey source (`source_channels` 1) each is a copy.
void cic_map_row(const uint8_t *source, size_t pixels, size_t source_channels, size_t channels,
                 const float *table, float *target);

#endif
