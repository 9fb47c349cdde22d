#include "CKernels.h"
#include "clones.h"
#include "product_kernels.h"

#include <math.h>

static inline four magnitudes(four x) { return x < 0.0f ? -x : x; }
static inline four larger(four x, four y) { return x > y ? x : y; }

// Columns whose rows are read twice while they are in cache, and how many rows ahead memory is asked for: the rows of a
// minibatch of features lie far apart.
enum { COLUMNS = 512, AHEAD = 16 };

// The columns of x[n, k], less their means (Float64 sums), as the right operand of a product with n columns, see
// products.h; columns beyond n are zeros. Returns the largest magnitude.
CLONES static float centre_into_panels(const float *x, size_t ldx, size_t n, size_t k, size_t width,
                                       float *panels) {
  float top = 0.0f;
  four tops = 0.0f;
  for (size_t start = 0; start < k; start += COLUMNS) {
    size_t columns = k - start < COLUMNS ? k - start : COLUMNS;
    const float *block = x + start;
    double sums[COLUMNS] = {0};
    float means[COLUMNS];
    for (size_t r = 0; r < n; r++) {
      if (r + AHEAD < n)
        for (size_t j = 0; j < columns; j += 16)
          __builtin_prefetch(block + (r + AHEAD) * ldx + j);
      for (size_t j = 0; j < columns; j++) sums[j] += (double)block[r * ldx + j];
    }
    for (size_t j = 0; j < columns; j++) means[j] = (float)(sums[j] / (double)n);
    size_t r = 0;
    for (; r + 4 <= n; r += 4) {
      const float *in = block + r * ldx;
      float *out = panels + r / width * width * k + start * width + r % width;
      size_t j = 0;
      for (; j + 4 <= columns; j += 4) {
        four mean = *(const four *)(means + j);
        four a = *(const four *)(in + j) - mean, b = *(const four *)(in + ldx + j) - mean;
        four c = *(const four *)(in + 2 * ldx + j) - mean;
        four d = *(const four *)(in + 3 * ldx + j) - mean;
        tops = larger(larger(larger(magnitudes(a), magnitudes(b)),
                             larger(magnitudes(c), magnitudes(d))), tops);
        transpose_four(a, b, c, d, out + j * width, width);
      }
      for (; j < columns; j++)
        for (size_t i = 0; i < 4; i++) {
          float v = in[i * ldx + j] - means[j];
          out[j * width + i] = v;
          top = fabsf(v) > top ? fabsf(v) : top;
        }
    }
    // The last rows, and what no image is in.
    for (; r < n || r % width; r++) {
      float *out = panels + r / width * width * k + start * width + r % width;
      for (size_t j = 0; j < columns; j++) {
        float v = r < n ? block[r * ldx + j] - means[j] : 0.0f;
        out[j * width] = v;
        top = fabsf(v) > top ? fabsf(v) : top;
      }
    }
  }
  for (int i = 0; i < 4; i++) top = tops[i] > top ? tops[i] : top;
  return top;
}

// Multiplies x by the power of two 2^-e that brings its largest magnitude, which is given, into [0.5, 1) where squares
// could overflow or vanish; returns e (0 where x stays as it is).
CLONES static int scale_to_unit(float *x, size_t n, float top) {
  if (!(top > 0.0f) || !(top <= 3.402823466e38f)) return 0;
  int exponent;
  frexpf(top, &exponent);
  // Sums of squares of these neither overflow nor vanish as they are.
  if (exponent > -30 && exponent < 40) return 0;
  // Values near the smallest normal number would need a factor beyond the range of floats.
  if (exponent < -120) exponent = -120;
  float factor = ldexpf(1.0f, -exponent);
  for (size_t i = 0; i < n; i++) x[i] *= factor;
  return exponent;
}

// Adds a tile of rows r ... and columns l ... times a factor to sum[n, n], up to the diagonal.
CLONES static void add_tile(const float *tile, size_t ld, size_t rows, size_t cols, double factor,
                            double *sum, size_t n, size_t r, size_t l) {
  for (size_t i = 0; i < rows; i++) {
    double *to = sum + (r + i) * n + l;
    size_t end = r + i + 1 - l < cols ? r + i + 1 - l : cols;
    for (size_t j = 0; j < end; j++) to[j] += (double)tile[i * ld + j] * factor;
  }
}

int ck_add_centred_gram(const float *x, size_t ldx, size_t n, size_t k, double *sum) {
  const struct product_kernels *kind = product_kernels(CK_FLOAT32);
  size_t width = 2 * kind->lanes, count = ck_panels_count(CK_FLOAT32, k, n);
  float *panels = ck_scratch(CK_SCRATCH_PANELS, count);
  if (!panels) return 0;
  float top = centre_into_panels(x, ldx, n, k, width, panels);
  double factor = ldexp(1.0, 2 * scale_to_unit(panels, count, top));
  float tile[MOST_ROWS * 2 * MOST_LANES];
  for (size_t left = 0; left < n; left += width)
    for (size_t row = left, rows; row < n; row += rows) {
      // Rows of one panel; of the panel on the diagonal, columns up to the last row's.
      rows = width - row % width;
      if (rows > n - row) rows = n - row;
      if (rows > kind->rows) rows = kind->rows;
      size_t cols = row + rows - left < width ? row + rows - left : width;
      const float *a = panels + row / width * width * k + row % width, *b = panels + left * k;
      for (size_t block = 0; block < inner_blocks(k); block++) {
        size_t k0 = inner_start(k, block);
        kind->tiles[rows - 1](cols > kind->lanes ? 2 : 1, 1, inner_start(k, block + 1) - k0, 1,
                              a + k0 * width, width, b + k0 * width, width, tile, width, block > 0);
      }
      if (k > 0) add_tile(tile, width, rows, cols, factor, sum, n, row, left);
    }
  return 1;
}
