// Decoding and resampling of 8-bit images in C.
//
// libpng and libjpeg report errors through longjmp, which must not cross Swift frames: every setjmp
// and every longjmp is inside this target. No function here keeps global state; different decoders
// may be used from different threads at the same time.
//
// Every decoder has the same three functions. `open` reads the header of the file in `bytes`, which
// must stay in place until `close`: on success `*decoder` is set and `info` describes the output;
// otherwise `*decoder` is NULL and `info->message` says why. `read` writes height x width x channels
// bytes, rows top to bottom, channels last; to be called once.
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
  CIC_NOTE_FIRST_PAGE = 4,  // of several pages or frames the first is read
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
typedef struct cic_webp cic_webp;
typedef struct cic_tiff cic_tiff;
typedef struct cic_bmp cic_bmp;
typedef struct cic_netpbm cic_netpbm;

int cic_png_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                 cic_png **decoder);
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

// Compresses width x height pixels of 1 (grey) or 3 (RGB) channels at a quality from 1 to 100, as Pillow
// does unless told otherwise (baseline, the standard's Huffman tables, colour at half the resolution),
// and decodes them again in place.
int cic_jpeg_round_trip(uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels,
                        int quality, cic_info *info);

// WebP, lossy and lossless; alpha is dropped, of an animation the first frame is read.
int cic_webp_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                  cic_webp **decoder);
int cic_webp_read(cic_webp *decoder, uint8_t *pixels, cic_info *info);
void cic_webp_close(cic_webp *decoder);

// TIFF of grey (1, 2, 4, 8, 16 bits), palettes, RGB, CMYK (8, 16 bits) and YCbCr, in strips or tiles,
// with whatever compression libtiff has but old-style JPEG. As Pillow: of 16-bit colour the high byte
// is kept, 16-bit grey saturates at 255, alpha is dropped after colours that were multiplied by it
// are divided, orientation is followed, the first page is read. Floats, signed and 32-bit samples,
// L*a*b* and logarithmic colour are refused.
int cic_tiff_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                  cic_tiff **decoder);
int cic_tiff_read(cic_tiff *decoder, uint8_t *pixels, cic_info *info);
void cic_tiff_close(cic_tiff *decoder);

// Windows bitmaps of 1, 4, 8, 16, 24 and 32 bits, plain or run-length encoded. The fourth byte of
// 32-bit pixels is dropped.
int cic_bmp_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                 cic_bmp **decoder);
int cic_bmp_read(cic_bmp *decoder, uint8_t *pixels, cic_info *info);
void cic_bmp_close(cic_bmp *decoder);

// PBM, PGM and PPM: P1 to P6. Values are scaled to 0..255 by the largest value of the header; grey
// with a larger one than 255 to 0..65535, which saturates at 255.
int cic_netpbm_open(const uint8_t *bytes, size_t size, const cic_limits *limits, cic_info *info,
                    cic_netpbm **decoder);
int cic_netpbm_read(cic_netpbm *decoder, uint8_t *pixels, cic_info *info);
void cic_netpbm_close(cic_netpbm *decoder);

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
