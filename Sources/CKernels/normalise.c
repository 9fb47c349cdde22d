#include "CKernels.h"
#include "clones.h"
#include "vector_math.h"

#include <math.h>

// Two passes over a row that stays in cache: the mean first, then the variance about it. A Float32
// mean far from 0 is itself rounded: what is left over goes into `rest`, so that a row is normalised
// as ((x - mean) - rest) * rstd.
struct statistics {
  float mean, rest, rstd;
};

static inline __attribute__((always_inline)) struct statistics row_statistics(const float *x,
                                                                              size_t cols,
                                                                              float eps) {
  REASSOCIATE
  float sum = 0.0f;
  for (size_t i = 0; i < cols; i++) sum += x[i];
  float mean = sum / (float)cols;
  float rest = 0.0f, squares = 0.0f;
  for (size_t i = 0; i < cols; i++) {
    float d = x[i] - mean;
    rest += d;
    squares += d * d;
  }
  rest /= (float)cols;
  float variance = squares / (float)cols - rest * rest;
  return (struct statistics){mean, rest, 1.0f / sqrtf(variance + eps)};
}

INLINE float normalised(float x, struct statistics s) {
  return ((x - s.mean) - s.rest) * s.rstd;
}

CLONES void ck_layer_norm(const float *x, const float *gamma, const float *beta, float *y,
                          size_t rows, size_t cols, float eps) {
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * cols;
    float *out = y + r * cols;
    struct statistics s = row_statistics(in, cols, eps);
    if (gamma && beta)
      for (size_t i = 0; i < cols; i++) out[i] = normalised(in[i], s) * gamma[i] + beta[i];
    else
      for (size_t i = 0; i < cols; i++) out[i] = normalised(in[i], s);
  }
}

CLONES void ck_row_rstd(const float *x, float *out, size_t rows, size_t cols, float eps) {
  for (size_t r = 0; r < rows; r++) out[r] = row_statistics(x + r * cols, cols, eps).rstd;
}

CLONES void ck_normalise_gradient(const float *x, const float *h, float *y, size_t rows,
                                  size_t cols, float eps) {
  REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    const float *in = x + r * cols, *up = h + r * cols;
    float *out = y + r * cols;
    struct statistics s = row_statistics(in, cols, eps);
    float sum = 0.0f, dot = 0.0f;
    for (size_t i = 0; i < cols; i++) {
      sum += up[i];
      dot += up[i] * normalised(in[i], s);
    }
    float a = sum / (float)cols, b = dot / (float)cols;
    for (size_t i = 0; i < cols; i++)
      out[i] = (up[i] - a - normalised(in[i], s) * b) * s.rstd;
  }
}

CLONES void ck_normalise_curvature(const float *x, const float *h, const float *u, float *cx,
                                   float *ch, size_t rows, size_t cols, float eps) {
  REASSOCIATE
  float count = (float)cols;
  for (size_t r = 0; r < rows; r++) {
    const float *xr = x + r * cols, *hr = h + r * cols, *ur = u + r * cols;
    float *cxr = cx + r * cols, *chr = ch + r * cols;
    struct statistics s = row_statistics(xr, cols, eps);
    float su = 0.0f, sh = 0.0f;
    for (size_t i = 0; i < cols; i++) {
      su += ur[i];
      sh += hr[i];
    }
    float mu = su / count, mh = sh / count, nu = 0.0f, nh = 0.0f, uh = 0.0f;
    for (size_t i = 0; i < cols; i++) {
      float n = normalised(xr[i], s);
      nu += n * (ur[i] - mu);
      nh += n * (hr[i] - mh);
      uh += (ur[i] - mu) * (hr[i] - mh);
    }
    // <u, J h>, and the factors of n in J u and J h.
    float along = (uh - nu * nh / count) * s.rstd, bu = nu / count, bh = nh / count;
    float factor = -s.rstd / count;
    for (size_t i = 0; i < cols; i++) {
      float n = normalised(xr[i], s);
      float ju = ((ur[i] - mu) - n * bu) * s.rstd, jh = ((hr[i] - mh) - n * bh) * s.rstd;
      chr[i] = ju;
      cxr[i] = (n * along + nh * ju + nu * jh) * factor;
    }
  }
}
