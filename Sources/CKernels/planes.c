#include "CKernels.h"
#include "clones.h"
#include "vector_math.h"

#include <string.h>

// One row of the result, any kernel: taps outside the plane are skipped.
static inline __attribute__((always_inline)) void row_any(
    const float *x, size_t x_first, const float *w, int flipped, float *y, size_t row, size_t rows,
    size_t cols, size_t k, size_t before) {
  CONTRACT
  memset(y, 0, cols * sizeof(float));
  for (size_t p = 0; p < k; p++) {
    ptrdiff_t at = (ptrdiff_t)(row + p) - (ptrdiff_t)before;
    if (at < 0 || at >= (ptrdiff_t)rows) continue;
    const float *in = x + ((size_t)at - x_first) * cols;
    for (size_t q = 0; q < k; q++) {
      float v = w[flipped ? (k - 1 - p) * k + (k - 1 - q) : p * k + q];
      ptrdiff_t shift = (ptrdiff_t)q - (ptrdiff_t)before;
      size_t first = shift < 0 ? (size_t)-shift : 0;
      size_t last = shift > 0 ? (cols > (size_t)shift ? cols - (size_t)shift : 0) : cols;
      for (size_t j = first; j < last; j++) y[j] += v * in[(ptrdiff_t)j + shift];
    }
  }
}

// An inner row under a 3 x 3 kernel, in one sweep.
static inline __attribute__((always_inline)) void row_three(const float *above, size_t cols,
                                                            const float *v, float *y) {
  CONTRACT
  const float *a = above, *b = above + cols, *c = above + 2 * cols;
  float v0 = v[0], v1 = v[1], v2 = v[2], v3 = v[3], v4 = v[4], v5 = v[5], v6 = v[6], v7 = v[7],
        v8 = v[8];
  size_t last = cols - 1;
  y[0] = v1 * a[0] + v2 * a[1] + v4 * b[0] + v5 * b[1] + v7 * c[0] + v8 * c[1];
  for (size_t j = 1; j < last; j++)
    y[j] = (v0 * a[j - 1] + v1 * a[j] + v2 * a[j + 1]) + (v3 * b[j - 1] + v4 * b[j] + v5 * b[j + 1]) +
           (v6 * c[j - 1] + v7 * c[j] + v8 * c[j + 1]);
  y[last] = v0 * a[last - 1] + v1 * a[last] + v3 * b[last - 1] + v4 * b[last] + v6 * c[last - 1] +
            v7 * c[last];
}

CLONES void ck_plane_depthwise(const float *x, size_t x_stride, size_t x_first, const float *weight,
                               int flipped, float *y, size_t y_stride, size_t y_first,
                               size_t y_rows, size_t planes, size_t rows, size_t cols, size_t k) {
  size_t before = flipped ? k / 2 : (k - 1) / 2;
  for (size_t plane = 0; plane < planes; plane++) {
    const float *in = x + plane * x_stride, *w = weight + plane * k * k;
    float *out = y + plane * y_stride;
    float v[9];
    if (k == 3)
      for (int i = 0; i < 9; i++) v[i] = w[flipped ? 8 - i : i];
    for (size_t r = 0; r < y_rows; r++, out += cols) {
      size_t row = y_first + r;
      if (k == 3 && cols > 2 && row > 0 && row + 1 < rows)
        row_three(in + (row - 1 - x_first) * cols, cols, v, out);
      else
        row_any(in, x_first, w, flipped, out, row, rows, cols, k, before);
    }
  }
}

CLONES void ck_plane_depthwise_weight_gradient(const float *x, const float *dy, float *dw,
                                               size_t planes, size_t rows, size_t cols, size_t k) {
  REASSOCIATE
  size_t before = (k - 1) / 2;
  for (size_t plane = 0; plane < planes; plane++, x += rows * cols, dy += rows * cols, dw += k * k)
    for (size_t p = 0; p < k; p++)
      for (size_t q = 0; q < k; q++) {
        ptrdiff_t shift = (ptrdiff_t)q - (ptrdiff_t)before;
        size_t first = shift < 0 ? (size_t)-shift : 0;
        size_t last = shift > 0 ? (cols > (size_t)shift ? cols - (size_t)shift : 0) : cols;
        double sum = 0;
        for (size_t r = 0; r < rows; r++) {
          ptrdiff_t at = (ptrdiff_t)(r + p) - (ptrdiff_t)before;
          if (at < 0 || at >= (ptrdiff_t)rows) continue;
          const float *in = x + (size_t)at * cols, *g = dy + r * cols;
          float partial = 0;
          for (size_t j = first; j < last; j++) partial += g[j] * in[(ptrdiff_t)j + shift];
          sum += (double)partial;
        }
        dw[p * k + q] = (float)sum;
      }
}

CLONES void ck_plane_epilogue(float *y, size_t y_stride, size_t planes, size_t count,
                              const float *shift, int activation, const float *residual,
                              size_t residual_stride, const float *post_scale,
                              const float *post_shift) {
  for (size_t plane = 0; plane < planes; plane++) {
    float *out = y + plane * y_stride;
    float add = shift ? shift[plane] : 0.0f;
    switch (activation) { // one loop each: the code is a constant in it
      case CK_ACTIVATION_GELU:
        for (size_t i = 0; i < count; i++) out[i] = vm_activate(out[i] + add, CK_ACTIVATION_GELU);
        break;
      case CK_ACTIVATION_RELU:
        for (size_t i = 0; i < count; i++) out[i] = vm_activate(out[i] + add, CK_ACTIVATION_RELU);
        break;
      case CK_ACTIVATION_RELU6:
        for (size_t i = 0; i < count; i++) out[i] = vm_activate(out[i] + add, CK_ACTIVATION_RELU6);
        break;
      case CK_ACTIVATION_GELU_TANH:
      case CK_ACTIVATION_QUICK_GELU:
      case CK_ACTIVATION_SILU:
        for (size_t i = 0; i < count; i++) out[i] = vm_activate(out[i] + add, activation);
        break;
      default:
        if (shift)
          for (size_t i = 0; i < count; i++) out[i] = out[i] + add;
    }
    if (residual) {
      const float *more = residual + plane * residual_stride;
      for (size_t i = 0; i < count; i++) out[i] = out[i] + more[i];
    }
    if (post_scale) {
      float a = post_scale[plane], b = post_shift[plane];
      for (size_t i = 0; i < count; i++) out[i] = out[i] * a + b;
    }
  }
}
