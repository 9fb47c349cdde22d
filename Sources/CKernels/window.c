#include "CKernels.h"
#include "clones.h"

#include <math.h>
#include <string.h>

CLONES void ck_im2col(const float *x, float *patches, const struct ck_window *g, size_t row0,
                      size_t rows) {
  size_t c = g->c, row_length = g->kw * c, patch = g->kh * row_length;
  for (size_t r = 0; r < rows; r++) {
    size_t row = row0 + r, ox = row % g->ow, rest = row / g->ow;
    size_t oy = rest % g->oh, image = rest / g->oh;
    const float *in = x + image * g->h * g->w * c;
    float *out = patches + r * patch;
    ptrdiff_t y0 = (ptrdiff_t)(oy * g->stride_h) - g->pad_top;
    ptrdiff_t x0 = (ptrdiff_t)(ox * g->stride_w) - g->pad_left;
    // Columns of the window inside the image; one contiguous run a row in channels-last layout.
    ptrdiff_t first = x0 >= 0 ? 0 : -x0 < (ptrdiff_t)g->kw ? -x0 : (ptrdiff_t)g->kw;
    ptrdiff_t last = x0 + (ptrdiff_t)g->kw > (ptrdiff_t)g->w ? (ptrdiff_t)g->w - x0
                                                             : (ptrdiff_t)g->kw;
    if (last < first) last = first;
    for (size_t ky = 0; ky < g->kh; ky++, out += row_length) {
      ptrdiff_t iy = y0 + (ptrdiff_t)(ky * g->dilation_h);
      if (iy < 0 || iy >= (ptrdiff_t)g->h) {
        memset(out, 0, row_length * sizeof(float));
        continue;
      }
      if (g->dilation_w != 1) {
        for (size_t kx = 0; kx < g->kw; kx++) {
          ptrdiff_t ix = x0 + (ptrdiff_t)(kx * g->dilation_w);
          if (ix < 0 || ix >= (ptrdiff_t)g->w)
            memset(out + kx * c, 0, c * sizeof(float));
          else
            memcpy(out + kx * c, in + ((size_t)iy * g->w + (size_t)ix) * c, c * sizeof(float));
        }
        continue;
      }
      if (first > 0) memset(out, 0, (size_t)first * c * sizeof(float));
      const float *run = in + ((size_t)iy * g->w + (size_t)(x0 + first)) * c;
      size_t length = (size_t)(last - first) * c;
      for (size_t i = 0; i < length; i++) out[(size_t)first * c + i] = run[i];
      if (last < (ptrdiff_t)g->kw)
        memset(out + (size_t)last * c, 0, (g->kw - (size_t)last) * c * sizeof(float));
    }
  }
}

CLONES void ck_col2im(const float *patches, float *x, const struct ck_window *g, size_t image0,
                      size_t images) {
  size_t c = g->c, patch = g->kh * g->kw * c;
  for (size_t image = image0; image < image0 + images; image++) {
    float *out = x + image * g->h * g->w * c;
    const float *in = patches + (image - image0) * g->oh * g->ow * patch;
    memset(out, 0, g->h * g->w * c * sizeof(float));
    for (size_t oy = 0; oy < g->oh; oy++)
      for (size_t ox = 0; ox < g->ow; ox++, in += patch)
        for (size_t ky = 0; ky < g->kh; ky++) {
          ptrdiff_t iy = (ptrdiff_t)(oy * g->stride_h + ky * g->dilation_h) - g->pad_top;
          if (iy < 0 || iy >= (ptrdiff_t)g->h) continue;
          for (size_t kx = 0; kx < g->kw; kx++) {
            ptrdiff_t ix = (ptrdiff_t)(ox * g->stride_w + kx * g->dilation_w) - g->pad_left;
            if (ix < 0 || ix >= (ptrdiff_t)g->w) continue;
            float *to = out + ((size_t)iy * g->w + (size_t)ix) * c;
            const float *from = in + (ky * g->kw + kx) * c;
            for (size_t i = 0; i < c; i++) to[i] += from[i];
          }
        }
  }
}

CLONES void ck_max_pool(const float *x, float *y, int32_t *index, const struct ck_window *g,
                        size_t image0, size_t images) {
  size_t c = g->c;
  for (size_t image = image0; image < image0 + images; image++) {
    const float *in = x + image * g->h * g->w * c;
    for (size_t oy = 0; oy < g->oh; oy++)
      for (size_t ox = 0; ox < g->ow; ox++) {
        size_t at = ((image * g->oh + oy) * g->ow + ox) * c;
        for (size_t i = 0; i < c; i++) {
          y[at + i] = -INFINITY;
          if (index) index[at + i] = 0;
        }
        for (size_t ky = 0; ky < g->kh; ky++)
          for (size_t kx = 0; kx < g->kw; kx++) {
            ptrdiff_t iy = (ptrdiff_t)(oy * g->stride_h + ky * g->dilation_h) - g->pad_top;
            ptrdiff_t ix = (ptrdiff_t)(ox * g->stride_w + kx * g->dilation_w) - g->pad_left;
            if (iy < 0 || ix < 0 || iy >= (ptrdiff_t)g->h || ix >= (ptrdiff_t)g->w) continue;
            size_t from = ((size_t)iy * g->w + (size_t)ix) * c;
            for (size_t i = 0; i < c; i++) {
              // A NaN wins and stays, as in PyTorch.
              int take = in[from + i] > y[at + i] || in[from + i] != in[from + i];
              y[at + i] = take ? in[from + i] : y[at + i];
              if (index) index[at + i] = take ? (int32_t)(from + i) : index[at + i];
            }
          }
      }
  }
}

CLONES void ck_gather_indexed(const float *x, const int32_t *index, float *y, size_t image_in,
                              size_t image_out, size_t images) {
  for (size_t n = 0; n < images; n++)
    for (size_t i = 0; i < image_out; i++)
      y[n * image_out + i] = x[n * image_in + (size_t)index[n * image_out + i]];
}

CLONES void ck_scatter_indexed(const float *dy, const int32_t *index, float *dx, size_t image_in,
                               size_t image_out, size_t images) {
  memset(dx, 0, images * image_in * sizeof(float));
  for (size_t n = 0; n < images; n++)
    for (size_t i = 0; i < image_out; i++)
      dx[n * image_in + (size_t)index[n * image_out + i]] += dy[n * image_out + i];
}

CLONES void ck_gather_rows(const float *x, const int32_t *index, float *y, size_t images,
                           size_t rows_in, size_t rows_out, size_t cols) {
  for (size_t n = 0; n < images; n++)
    for (size_t r = 0; r < rows_out; r++) {
      float *out = y + (n * rows_out + r) * cols;
      if (index[r] < 0)
        memset(out, 0, cols * sizeof(float));
      else
        memcpy(out, x + (n * rows_in + (size_t)index[r]) * cols, cols * sizeof(float));
    }
}

CLONES void ck_scatter_rows(const float *dy, const int32_t *index, float *x, size_t images,
                            size_t rows_in, size_t rows_out, size_t cols) {
  memset(x, 0, images * rows_in * cols * sizeof(float));
  for (size_t n = 0; n < images; n++)
    for (size_t r = 0; r < rows_out; r++) {
      if (index[r] < 0) continue;
      float *to = x + (n * rows_in + (size_t)index[r]) * cols;
      const float *from = dy + (n * rows_out + r) * cols;
      for (size_t i = 0; i < cols; i++) to[i] += from[i];
    }
}

CLONES void ck_resample_axis(const float *x, float *y, size_t outer, size_t count, size_t rows,
                             size_t inner, const int32_t *starts, const int32_t *places,
                             const float *weights) {
  enum { BLOCK = 256 };
  for (size_t o = 0; o < outer; o++)
    for (size_t r = 0; r < rows; r++)
      for (size_t start = 0; start < inner; start += BLOCK) {
        size_t block = inner - start < BLOCK ? inner - start : BLOCK;
        double sums[BLOCK] = {0};
        for (int32_t p = starts[r]; p < starts[r + 1]; p++) {
          const float *from = x + (o * count + (size_t)places[p]) * inner + start;
          double weight = (double)weights[p];
          for (size_t i = 0; i < block; i++) sums[i] += weight * (double)from[i];
        }
        float *to = y + (o * rows + r) * inner + start;
        for (size_t i = 0; i < block; i++) to[i] = (float)sums[i];
      }
}

CLONES void ck_permute(const float *x, float *y, int rank, const size_t *shape,
                       const int32_t *axes, size_t lead) {
  size_t in_stride[8], stride[8], extent[8], at[8] = {0};
  size_t s = 1, total = 1;
  for (int i = rank - 1; i >= 0; i--) {
    in_stride[i] = s;
    s *= shape[i];
  }
  for (int i = 0; i < rank; i++) {
    stride[i] = in_stride[axes[i]];
    extent[i] = i == 0 ? lead : shape[axes[i]];
    total *= extent[i];
  }
  if (total == 0) return;
  size_t inner = extent[rank - 1], inner_stride = stride[rank - 1], from = 0;
  for (size_t done = 0; done < total; done += inner) {
    if (inner_stride == 1)
      memcpy(y + done, x + from, inner * sizeof(float));
    else
      for (size_t i = 0; i < inner; i++) y[done + i] = x[from + i * inner_stride];
    for (int d = rank - 2; d >= 0; d--) {
      from += stride[d];
      if (++at[d] < extent[d]) break;
      from -= stride[d] * extent[d];
      at[d] = 0;
    }
  }
}
