// The hot loops. Plain C over contiguous Float32, compiled once for each CPU generation and chosen
// at load time. No allocation, no threads but those of parallel.h. A result depends on the
// arguments alone, except that CPU generations may round differently.
//
// Conventions: matrices are row-major; `rows` x `cols` unless said otherwise; output may alias an
// input of the same extent where the comment says "in place".

#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "attention_maps.h"
#include "connections.h"
#include "feature_maps.h"
#include "krylov.h"
#include "parallel.h"
#include "products.h"
#include "winograd.h"

// Tell ThreadSanitizer that memory passes from one thread to another under a lock of the Swift
// standard library, which it does not see. Nothing without it.
void ck_hand_over(void *address);
void ck_take_over(void *address);

// A per-thread scratch buffer of at least `count` floats, 64-byte aligned, for each of these purposes; the
// last two are those of products and transforms here. Contents are undefined at each call. NULL when
// memory is exhausted.
enum {
  CK_SCRATCH_MAPS,
  CK_SCRATCH_OPERAND,
  CK_SCRATCH_RESULT,
  CK_SCRATCH_PANELS,
  CK_SCRATCH_PRODUCT,
  CK_SCRATCH_COUNT,
};
float *ck_scratch(int slot, size_t count);
// Marks this thread's buffer as in use; 0 if it was. And ends that.
int ck_scratch_claim(int slot);
void ck_scratch_release(int slot);

// MARK: elementwise.c

enum {
  CK_ACTIVATION_NONE = 0,
  CK_ACTIVATION_GELU = 1,
  CK_ACTIVATION_RELU = 2,
  CK_ACTIVATION_RELU6 = 3,
  CK_ACTIVATION_GELU_TANH = 4,
  CK_ACTIVATION_QUICK_GELU = 5,
  CK_ACTIVATION_SILU = 6,
};

// How the second operand of a binary operation repeats over the first, seen as [outer, cols].
enum {
  CK_SAME = 0,    // b[outer, cols]
  CK_SUFFIX = 1,  // b[cols], the same for every outer index
  CK_ROW = 2,     // b[outer], one value a row
};

// y may be a or b of the same extent.
void ck_add(const float *a, const float *b, float *y, size_t outer, size_t cols, int mode);
void ck_multiply(const float *a, const float *b, float *y, size_t outer, size_t cols, int mode);
// y += a * b
void ck_multiply_add(const float *a, const float *b, float *y, size_t outer, size_t cols, int mode);
// y = 1 where a and b are equal, 0 elsewhere
void ck_equal(const float *a, const float *b, float *y, size_t outer, size_t cols, int mode);
// y = a where b is not 0, 0 elsewhere
void ck_keep(const float *a, const float *b, float *y, size_t outer, size_t cols, int mode);
// y = a * x + b
void ck_affine_scalar(const float *x, float a, float b, float *y, size_t n);
// y += a * x
void ck_axpy(float a, const float *x, float *y, size_t n);

enum {
  CK_FN_RELU = 0,
  CK_FN_RELU_STEP = 1,
  CK_FN_RELU6 = 2,
  CK_FN_RELU6_STEP = 3,
  CK_FN_SIGMOID = 4,
  CK_FN_EXP = 5,
  CK_FN_RECIPROCAL = 6,
  CK_FN_RSQRT = 7,
  CK_FN_LOG = 8,
  CK_FN_TANH = 9,
  CK_FN_SQRT = 10,
  CK_FN_SIN = 11,
  CK_FN_COS = 12,
  CK_FN_ABS = 13,
  CK_FN_SIGN = 14,
  CK_FN_ERF = 15,
  CK_FN_SOFTPLUS = 16,
  CK_FN_RECIPROCAL_OR_ZERO = 17,
  CK_FN_POWER = 18,       // x to the power of a
  CK_FN_LEAKY_RELU = 19,  // x above 0, a x elsewhere
  CK_FN_LEAKY_STEP = 20,  // 1 above 0, a elsewhere
  CK_FN_CLAMP = 21,       // min(max(x, a), b)
  CK_FN_CLAMP_STEP = 22,  // 1 within a ... b, 0 elsewhere
};
// y = function(x), with constants a and b for those functions that have them.
void ck_map(const float *x, float *y, size_t n, int function, float a, float b);

// The derivative of GELU(x) = x * Phi(x) of the given order (0: GELU itself).
void ck_gelu(const float *x, float *y, size_t n, int order);

// y = GELU's derivative of the given order, times a, times b (b may be NULL).
void ck_gelu_product(const float *x, const float *a, const float *b, float *y, size_t n, int order);

// What follows a product, in place on y with row stride ld:
//   y = act(y + bias), then y * gain, then y + residual (row stride = cols); NULL skips a step.
void ck_linear_epilogue(float *y, size_t rows, size_t cols, size_t ld, const float *bias,
                        int activation, const float *gain, const float *residual);
// y = act(y * scale + shift + residual): a folded batch normalisation. In place; x may equal y.
void ck_affine_epilogue(const float *x, float *y, size_t rows, size_t cols, const float *scale,
                        const float *shift, const float *residual, int activation);

// MARK: normalise.c

// y = (x - mean) / sqrt(var + eps) * gamma + beta over each row; gamma/beta may be NULL.
void ck_layer_norm(const float *x, const float *gamma, const float *beta, float *y, size_t rows,
                   size_t cols, float eps);
// out[row] = 1 / sqrt(var + eps)
void ck_row_rstd(const float *x, float *out, size_t rows, size_t cols, float eps);
// y = (h - mean(h) - n * mean(n * h)) / sigma, n the normalised row of x: J(x) h, J symmetric.
void ck_normalise_gradient(const float *x, const float *h, float *y, size_t rows, size_t cols,
                           float eps);
// With J = J(x) symmetric as above, the cotangents of (x, h) in J(x) h, given that of the result, u:
// ch = J u and cx = -(n <u, J h> + <n, h> J u + <n, u> J h) / (cols * sigma).
void ck_normalise_curvature(const float *x, const float *h, const float *u, float *cx, float *ch,
                            size_t rows, size_t cols, float eps);

// MARK: softmax.c

// Softmax over each row of scale * x. In place allowed.
void ck_softmax(const float *x, float *y, size_t rows, size_t cols, float scale);
// Softmax of scale * x along the middle axis of [outer, count, inner]. In place allowed.
void ck_softmax_axis(const float *x, float *y, size_t outer, size_t count, size_t inner, float scale);
// y = p * (g - <p, g>) over each row. y may be g.
void ck_softmax_gradient(const float *p, const float *g, float *y, size_t rows, size_t cols);
// For a softmax p of s, a cotangent dp of p, a tangent ds of s, and e: in place,
//   dp becomes p * (dp - <p, dp>), ds becomes p * (ds - <p, ds>),
//   e becomes p * (g - <p, g>) with g = ds * dp - <p, ds> dp - <p, dp> ds + e.
void ck_softmax_curvature(const float *p, float *dp, float *ds, float *e, size_t rows, size_t cols);
// out[row] = log(sum(exp(x)))
void ck_log_sum_exp(const float *x, float *out, size_t rows, size_t cols);

// MARK: reduce.c

// y[outer, inner] = sum over the middle axis of x[outer, count, inner], accumulated in Float64.
void ck_sum_axis(const float *x, float *y, size_t outer, size_t count, size_t inner);
// y[width] = sum over rows of x[count, stride], first `width` columns, accumulated in Float64.
void ck_sum_columns(const float *x, float *y, size_t count, size_t width, size_t stride);
// The largest over the middle axis of x[outer, count, inner], with count > 0; a NaN is larger than all else.
void ck_largest_of_axis(const float *x, float *y, size_t outer, size_t count, size_t inner);
// y[o, k, i] = the sum of x[o, j, i] over j <= k, or where `backward` over j >= k, accumulated in Float64.
void ck_cumulative_sum(const float *x, float *y, size_t outer, size_t count, size_t inner, int backward);
// The same sums of the products a * b, which are exact.
void ck_dot_rows(const float *a, const float *b, float *y, size_t rows, size_t cols);
void ck_dot_columns(const float *a, const float *b, float *y, size_t count, size_t width,
                    size_t stride);
// y[outer, count, inner] = x[outer, inner]
void ck_expand_axis(const float *x, float *y, size_t outer, size_t count, size_t inner);
// Float64 sums of x * y and of squares.
double ck_dot(const float *x, const float *y, size_t n);
// Index of the first value that is NaN or infinite, or n.
size_t ck_first_nonfinite(const float *x, size_t n);

// The CRC-32 of ZIP files, carried on from *crc (0 at first) over a first part of the bytes, whose
// length is returned: whole sixteens, or 0 where the CPU or the length does not suit.
size_t ck_crc32(uint32_t *crc, const uint8_t *bytes, size_t n);
// exp in Float64.
double ck_exp(double x);

// MARK: window.c

// The geometry of a channels-last window operation on x[n, h, w, c] -> y[n, oh, ow, ...].
struct ck_window {
  size_t n, h, w, c;
  size_t oh, ow;
  size_t kh, kw, stride_h, stride_w;
  ptrdiff_t pad_top, pad_left;
  // Places from one tap to the next.
  size_t dilation_h, dilation_w;
};

// Rows row0 ..< row0 + rows of the patch matrix [n * oh * ow, kh * kw * c], zero outside.
void ck_im2col(const float *x, float *patches, const struct ck_window *g, size_t row0, size_t rows);
// Adds the patch matrix of images image0 ..< image0 + images back into x (its adjoint).
void ck_col2im(const float *patches, float *x, const struct ck_window *g, size_t image0,
               size_t images);
// Max pooling; index[n, oh, ow, c] is the flat offset within the image of the (first) largest value, and
// may be NULL.
void ck_max_pool(const float *x, float *y, int32_t *index, const struct ck_window *g, size_t image0,
                 size_t images);
// y[row] = x[row's image][index[row]] and its adjoint, x[image][index] += dy.
void ck_gather_indexed(const float *x, const int32_t *index, float *y, size_t image_in,
                       size_t image_out, size_t images);
void ck_scatter_indexed(const float *dy, const int32_t *index, float *dx, size_t image_in,
                        size_t image_out, size_t images);

// y[r] = x[index[r]] for rows of `cols` floats within each of `images` images; -1 gives zeros.
void ck_gather_rows(const float *x, const int32_t *index, float *y, size_t images, size_t rows_in,
                    size_t rows_out, size_t cols);
// x[index[r]] += dy[r] (x overwritten; -1 is skipped).
void ck_scatter_rows(const float *dy, const int32_t *index, float *x, size_t images, size_t rows_in,
                     size_t rows_out, size_t cols);
// y[o, r, i] = the sum of weights[p] x[o, places[p], i] over p in starts[r] ..< starts[r + 1], accumulated in
// Float64: a sparse matrix along the middle axis of x[outer, count, inner], y[outer, rows, inner].
void ck_resample_axis(const float *x, float *y, size_t outer, size_t count, size_t rows, size_t inner,
                      const int32_t *starts, const int32_t *places, const float *weights);
// y = x with axes permuted (result axis i is axis axes[i] of `shape`; rank <= 8), for `lead` places of
// the result's first axis; x and y point at the first of them.
void ck_permute(const float *x, float *y, int rank, const size_t *shape, const int32_t *axes,
                size_t lead);

// MARK: local_mixing.c

// Where the weights of a local mixing lie: w[image][place][kh * kw][groups], each group's for its
// neighbouring channels. A step of 0: the same for all images, or all places.
struct ck_local_weights {
  size_t groups, image_step, place_step;
};

// y[n, p, c] = sum_u w[n, p, u, group of c] x[n, stride * p + dilation * u - pad, c], zero outside; rows row0 ..<
// row0 + rows of the n * oh rows of y. With a group a channel and steps of 0: a depth-wise convolution.
void ck_local_mix(const float *x, const float *w, float *y, const struct ck_window *g,
                  const struct ck_local_weights *l, size_t row0, size_t rows);
// Its adjoint in x: rows row0 ..< row0 + rows of the n * h rows of x.
void ck_local_spread(const float *y, const float *w, float *x, const struct ck_window *g,
                     const struct ck_local_weights *l, size_t row0, size_t rows);
// Its adjoint in w, from rows row0 ..< row0 + rows of y. Weights of all places of an image are overwritten at
// its first place and summed from there on: such an image has to be given whole.
void ck_local_correlate(const float *x, const float *y, float *w, const struct ck_window *g,
                        const struct ck_local_weights *l, size_t row0, size_t rows);

// w[p, u, group] += the group's channels of q[p, c] times those of the tap's own vector r[u, c].
void ck_local_add_relative(const float *q, const float *r, float *w, size_t places, size_t taps, size_t c,
                           size_t groups);

// y[r, m, group] = w[r, group] shares[r mod taps, m] for rows of places and taps, mixtures m.
void ck_local_share(const float *w, const float *shares, float *y, size_t rows, size_t taps, size_t mixtures,
                    size_t groups);
// y[r, c] = the sum of x[r, m, c] over m, from the first on.
void ck_sum_mixtures(const float *x, float *y, size_t rows, size_t mixtures, size_t c);

// MARK: grouped_convolution.c

// A convolution in groups of channels: each of the `out` of the result sees those of its group alone, of `in`.
struct ck_groups {
  size_t groups, in, out;
};
enum {
  // The most channels of a map that are read together, and the most taps.
  CK_GROUPS_CHANNELS = 256,
  CK_GROUPS_TAPS = 256
};
// Whether groups are that narrow.
int ck_groups_fit(const struct ck_groups *s);
// weight[out][taps][in / groups] as the convolution reads it: so many values.
size_t ck_groups_count(const struct ck_groups *s, size_t taps);
void ck_pack_groups(const float *weight, const struct ck_groups *s, size_t taps, float *packed);
// Rows row0 ..< row0 + rows of the n * oh rows of y[n, oh, ow, out] of a map x[n, h, w, in], read where it lies. A
// value depends on its place and channel alone.
void ck_convolve_groups(const float *x, const float *packed, float *y, const struct ck_window *g,
                        const struct ck_groups *s, size_t row0, size_t rows);

// MARK: planes.c

// Planes x[planes, rows, cols] under one k x k kernel each, weight[planes, k, k], zeros outside (the
// smaller half of the padding first). `flipped`: the adjoint. Computes rows y_first ..< y_first + y_rows;
// x and y hold, for each plane, rows from x_first and y_first on, planes x_stride and y_stride apart.
void ck_plane_depthwise(const float *x, size_t x_stride, size_t x_first, const float *weight,
                        int flipped, float *y, size_t y_stride, size_t y_first, size_t y_rows,
                        size_t planes, size_t rows, size_t cols, size_t k);
// dw[planes, k, k] (overwritten) of one image.
void ck_plane_depthwise_weight_gradient(const float *x, const float *dy, float *dw, size_t planes,
                                        size_t rows, size_t cols, size_t k);
// y = (act(y + shift) + residual) * post_scale + post_shift over `count` values of each plane, one
// shift and scale a plane; NULL skips a step. Activations: none and ReLU6. In place.
void ck_plane_epilogue(float *y, size_t y_stride, size_t planes, size_t count, const float *shift,
                       int activation, const float *residual, size_t residual_stride,
                       const float *post_scale, const float *post_shift);

#endif
