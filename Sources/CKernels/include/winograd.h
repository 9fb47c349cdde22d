// 3 x 3 cross-correlation with stride 1 by tiles of 4 x 4 results (Winograd 1980; Lavin & Gray 2016): 36
// products in place of 144. The interpolation points 0, 3/4, -3/4, 3/2, -3/2 and infinity keep the
// rounding near that of plain sums (Barabasz et al. 2020), and are exact in Float32.
//
// Maps are channels-last with numbers of channels that are multiples of CK_WINOGRAD_CHANNELS.

#ifndef CKERNELS_WINOGRAD_H
#define CKERNELS_WINOGRAD_H

#include <stddef.h>

enum {
  CK_WINOGRAD_PRODUCTS = 36,  // products a tile, each over the channels
  CK_WINOGRAD_EXTENT = 4,     // results of a tile along one axis
  CK_WINOGRAD_CHANNELS = 16,
};

// Tiles of the map y[n, oh, ow] = x[n, h, w] under a 3 x 3 window with zeros outside.
struct ck_winograd {
  size_t n, h, w, oh, ow;
  ptrdiff_t pad_top, pad_left;
};

// Transformed filters as panels, CK_WINOGRAD_PRODUCTS operands [k, n] one after the other, from
// weight[out, 3, 3, in]: k = in and n = out, or where `adjoint` (filters turned by half a turn) k = out
// and n = in. Makes columns first ..< first + count of every operand; both are multiples of
// ck_winograd_columns(), but for the last. 0 when memory is exhausted.
size_t ck_winograd_columns(void);
int ck_winograd_filters(const float *weight, size_t out, size_t in, int adjoint, size_t first,
                        size_t count, float *panels);
// v[CK_WINOGRAD_PRODUCTS, rows, channels], the first `tiles` of the rows: the transformed map at tiles
// first ..< first + tiles.
void ck_winograd_input(const float *x, const struct ck_winograd *g, size_t channels, size_t first,
                       size_t tiles, float *v, size_t rows);
// The results at these tiles from m[CK_WINOGRAD_PRODUCTS, tiles, channels]:
// y = act(y * scale + shift + residual); NULL skips scale and shift, or the residual.
void ck_winograd_output(const float *m, const struct ck_winograd *g, size_t channels, size_t first,
                        size_t tiles, float *y, const float *scale, const float *shift,
                        const float *residual, int activation);

// The gradient by the filters, by the adjoints of these steps: first the results' cotangents dy become
// z[CK_WINOGRAD_PRODUCTS, rows, channels], as the map does, ...
void ck_winograd_cotangent(const float *dy, const struct ck_winograd *g, size_t channels,
                           size_t first, size_t tiles, float *z, size_t rows);
// ... and then the products m[CK_WINOGRAD_PRODUCTS, out, in] of z (transposed) and the transformed map
// become dw[out, 3, 3, in], outputs first ..< first + count of it.
void ck_winograd_weight_gradient(const float *m, size_t out, size_t in, size_t first, size_t count,
                                 float *dw);

#endif
