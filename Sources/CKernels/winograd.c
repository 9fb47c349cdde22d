#include "CKernels.h"
#include "clones.h"
#include "vector_math.h"

#include <string.h>

enum {
  LANES = CK_WINOGRAD_CHANNELS,
  EXTENT = CK_WINOGRAD_EXTENT,
  SIDE = EXTENT + 2,
  PRODUCTS = CK_WINOGRAD_PRODUCTS,
};

typedef float vector __attribute__((ext_vector_type(CK_WINOGRAD_CHANNELS), aligned(4)));

// The interpolation points P and -P, Q and -Q (beside 0 and infinity), and their squares.
#define P 0.75f
#define Q 1.5f
#define PP (P * P)
#define QQ (Q * Q)

// Macros, since functions may not pass vectors that only some of the clones have registers for.
#define LOAD(X) (*(const vector *)(X))
#define STORE(Y, VALUE) (*(vector *)(Y) = (VALUE))

// One axis of the map: SIDE values to SIDE.
static inline __attribute__((always_inline)) void transform_input(const vector d[SIDE],
                                                                  vector t[SIDE]) {
  CONTRACT
  vector even = d[4] - QQ * d[2], odd = P * (d[3] - QQ * d[1]);
  vector even2 = d[4] - PP * d[2], odd2 = Q * (d[3] - PP * d[1]);
  t[0] = PP * QQ * d[0] - (PP + QQ) * d[2] + d[4];
  t[1] = even + odd;
  t[2] = even - odd;
  t[3] = even2 + odd2;
  t[4] = even2 - odd2;
  t[5] = PP * QQ * d[1] - (PP + QQ) * d[3] + d[5];
}

// One axis of the results: SIDE values to EXTENT.
static inline __attribute__((always_inline)) void transform_output(const vector m[SIDE],
                                                                   vector y[EXTENT]) {
  CONTRACT
  vector sum = m[1] + m[2], difference = m[1] - m[2];
  vector sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  y[0] = m[0] + sum + sum2;
  y[1] = P * difference + Q * difference2;
  y[2] = PP * sum + QQ * sum2;
  y[3] = (P * PP) * difference + (Q * QQ) * difference2 + m[5];
}

// One axis of the filters: 3 values to SIDE.
static inline __attribute__((always_inline)) void transform_filter(const vector g[3],
                                                                   vector u[SIDE]) {
  CONTRACT
  const float first = 1 / (2 * PP * (PP - QQ)), second = 1 / (2 * QQ * (QQ - PP));
  vector even = first * (g[0] + PP * g[2]), odd = first * P * g[1];
  vector even2 = second * (g[0] + QQ * g[2]), odd2 = second * Q * g[1];
  u[0] = (1 / (PP * QQ)) * g[0];
  u[1] = even + odd;
  u[2] = even - odd;
  u[3] = even2 + odd2;
  u[4] = even2 - odd2;
  u[5] = g[2];
}

// The adjoint of transform_output: EXTENT values to SIDE.
static inline __attribute__((always_inline)) void spread_output(const vector y[EXTENT],
                                                                vector m[SIDE]) {
  CONTRACT
  vector even = y[0] + PP * y[2], odd = P * (y[1] + PP * y[3]);
  vector even2 = y[0] + QQ * y[2], odd2 = Q * (y[1] + QQ * y[3]);
  m[0] = y[0];
  m[1] = even + odd;
  m[2] = even - odd;
  m[3] = even2 + odd2;
  m[4] = even2 - odd2;
  m[5] = y[3];
}

// The adjoint of transform_filter: SIDE values to 3.
static inline __attribute__((always_inline)) void gather_filter(const vector u[SIDE], vector g[3]) {
  CONTRACT
  const float first = 1 / (2 * PP * (PP - QQ)), second = 1 / (2 * QQ * (QQ - PP));
  vector sum = first * (u[1] + u[2]), sum2 = second * (u[3] + u[4]);
  g[0] = (1 / (PP * QQ)) * u[0] + sum + sum2;
  g[1] = (first * P) * (u[1] - u[2]) + (second * Q) * (u[3] - u[4]);
  g[2] = PP * sum + QQ * sum2 + u[5];
}

// u[SIDE * SIDE] of one filter at LANES inputs; taps are `step` floats apart (negative: turned around).
static inline __attribute__((always_inline)) void filter(const float *g, ptrdiff_t step,
                                                         vector u[SIDE][SIDE]) {
  vector columns[3][SIDE];
  for (int x = 0; x < 3; x++) {
    vector tap[3];
    for (int y = 0; y < 3; y++) tap[y] = LOAD(g + (3 * y + x) * step);
    transform_filter(tap, columns[x]);
  }
  for (int y = 0; y < SIDE; y++) {
    vector row[3] = {columns[0][y], columns[1][y], columns[2][y]};
    transform_filter(row, u[y]);
  }
}

size_t ck_winograd_columns(void) {
  size_t width = ck_panel_width();
  return width > LANES ? width : LANES;
}

// Columns column ..< column + LANES of row `row` of an operand of panels.
static inline void store_columns(float *operand, size_t k, size_t width, size_t row, size_t column,
                                 const float *values) {
  size_t run = width < LANES ? width : LANES;
  for (size_t j = 0; j < LANES; j += run) {
    size_t at = column + j;
    memcpy(operand + at / width * width * k + row * width + at % width, values + j,
           run * sizeof(float));
  }
}

CLONES int ck_winograd_filters(const float *weight, size_t out, size_t in, int adjoint,
                               size_t first, size_t count, float *panels) {
  size_t width = ck_panel_width();
  size_t k = adjoint ? out : in, n = adjoint ? in : out;
  size_t operand = ck_panels_count(CK_FLOAT32, k, n), padded = operand / k;
  vector u[SIDE][SIDE];
  if (adjoint) {
    // The last tap is the first of a filter that is turned around.
    const float *origin = weight + 8 * in;
    size_t end = first + count == n ? padded : first + count;
    for (size_t column = first; column < end; column += LANES)
      for (size_t o = 0; o < out; o++) {
        if (column < n)
          filter(origin + o * 9 * in + column, -(ptrdiff_t)in, u);
        else
          memset(u, 0, sizeof u);
        for (int f = 0; f < PRODUCTS; f++)
          store_columns(panels + f * operand, k, width, o, column,
                        (const float *)&u[f / SIDE][f % SIDE]);
      }
    return 1;
  }
  float *rows = ck_scratch(CK_SCRATCH_PRODUCT, PRODUCTS * width * in);
  if (!rows) return 0;
  for (size_t column = first; column < first + count; column += width) {
    size_t cols = n - column < width ? n - column : width;
    for (size_t o = 0; o < cols; o++)
      for (size_t i = 0; i < in; i += LANES) {
        filter(weight + (column + o) * 9 * in + i, (ptrdiff_t)in, u);
        for (int f = 0; f < PRODUCTS; f++)
          STORE(rows + ((size_t)f * width + o) * in + i, u[f / SIDE][f % SIDE]);
      }
    for (int f = 0; f < PRODUCTS; f++)
      ck_pack_panels(CK_FLOAT32, rows + (size_t)f * width * in, in, 1, in, cols, 0, 1,
                     panels + f * operand + column * k);
  }
  return 1;
}

// Transforms one tile of rows `row` floats and columns `channels` floats apart.
static inline __attribute__((always_inline)) void input_tile(const float *x, size_t row,
                                                             size_t channels, float *v,
                                                             size_t operand) {
  for (size_t c = 0; c < channels; c += LANES) {
    vector columns[SIDE][SIDE], t[SIDE];
    for (int j = 0; j < SIDE; j++) {
      vector d[SIDE];
      for (int i = 0; i < SIDE; i++) d[i] = LOAD(x + i * row + j * channels + c);
      transform_input(d, columns[j]);
    }
    for (int i = 0; i < SIDE; i++) {
      vector d[SIDE];
      for (int j = 0; j < SIDE; j++) d[j] = columns[j][i];
      transform_input(d, t);
      for (int j = 0; j < SIDE; j++) STORE(v + (i * SIDE + j) * operand + c, t[j]);
    }
  }
}

// Where a tile's results begin.
struct place {
  size_t image, y, x;
};
static struct place place(const struct ck_winograd *g, size_t tile) {
  size_t across = (g->ow + EXTENT - 1) / EXTENT, down = (g->oh + EXTENT - 1) / EXTENT;
  size_t rest = tile / across;
  return (struct place){rest / down, rest % down * EXTENT, tile % across * EXTENT};
}

CLONES void ck_winograd_input(const float *x, const struct ck_winograd *g, size_t channels,
                              size_t first, size_t tiles, float *v, size_t rows) {
  size_t operand = rows * channels;
  for (size_t tile = 0; tile < tiles; tile++) {
    struct place at = place(g, first + tile);
    const float *image = x + at.image * g->h * g->w * channels;
    ptrdiff_t top = (ptrdiff_t)at.y - g->pad_top, left = (ptrdiff_t)at.x - g->pad_left;
    if (top >= 0 && left >= 0 && top + SIDE <= (ptrdiff_t)g->h && left + SIDE <= (ptrdiff_t)g->w) {
      input_tile(image + ((size_t)top * g->w + (size_t)left) * channels, g->w * channels, channels,
                 v + tile * channels, operand);
      continue;
    }
    // At the border: a copy with zeros outside, some channels at a time.
    float copy[SIDE][SIDE][LANES];
    for (size_t c = 0; c < channels; c += LANES) {
      memset(copy, 0, sizeof copy);
      for (ptrdiff_t i = 0; i < SIDE; i++)
        for (ptrdiff_t j = 0; j < SIDE; j++) {
          ptrdiff_t row = top + i, column = left + j;
          if (row < 0 || column < 0 || row >= (ptrdiff_t)g->h || column >= (ptrdiff_t)g->w) continue;
          STORE(copy[i][j], LOAD(image + ((size_t)row * g->w + (size_t)column) * channels + c));
        }
      input_tile(&copy[0][0][0], SIDE * LANES, LANES, v + tile * channels + c, operand);
    }
  }
}

CLONES void ck_winograd_output(const float *m, const struct ck_winograd *g, size_t channels,
                               size_t first, size_t tiles, float *y, const float *scale,
                               const float *shift, const float *residual, int activation) {
  size_t operand = tiles * channels;
  for (size_t tile = 0; tile < tiles; tile++) {
    struct place at = place(g, first + tile);
    size_t height = g->oh - at.y < EXTENT ? g->oh - at.y : EXTENT;
    size_t width = g->ow - at.x < EXTENT ? g->ow - at.x : EXTENT;
    size_t origin = ((at.image * g->oh + at.y) * g->ow + at.x) * channels;
    for (size_t c = 0; c < channels; c += LANES) {
      const float *in = m + tile * channels + c;
      vector columns[SIDE][EXTENT];
      for (int j = 0; j < SIDE; j++) {
        vector d[SIDE];
        for (int i = 0; i < SIDE; i++) d[i] = LOAD(in + (i * SIDE + j) * operand);
        transform_output(d, columns[j]);
      }
      for (size_t i = 0; i < height; i++) {
        vector d[SIDE], row[EXTENT];
        for (int j = 0; j < SIDE; j++) d[j] = columns[j][i];
        transform_output(d, row);
        for (size_t j = 0; j < width; j++) {
          size_t to = origin + (i * g->ow + j) * channels + c;
          vector value = row[j];
          if (scale) value = value * LOAD(scale + c) + LOAD(shift + c);
          if (residual) value += LOAD(residual + to);
          if (activation == CK_ACTIVATION_RELU || activation == CK_ACTIVATION_RELU6)
            value = value < 0.0f ? (vector)0.0f : value;
          if (activation == CK_ACTIVATION_RELU6) value = value > 6.0f ? (vector)6.0f : value;
          if (activation == CK_ACTIVATION_GELU || activation > CK_ACTIVATION_RELU6)
            for (int lane = 0; lane < LANES; lane++)
              value[lane] = vm_activate(value[lane], activation);
          STORE(y + to, value);
        }
      }
    }
  }
}

CLONES void ck_winograd_cotangent(const float *dy, const struct ck_winograd *g, size_t channels,
                                  size_t first, size_t tiles, float *z, size_t rows) {
  size_t operand = rows * channels;
  for (size_t tile = 0; tile < tiles; tile++) {
    struct place at = place(g, first + tile);
    size_t height = g->oh - at.y < EXTENT ? g->oh - at.y : EXTENT;
    size_t width = g->ow - at.x < EXTENT ? g->ow - at.x : EXTENT;
    const float *origin = dy + ((at.image * g->oh + at.y) * g->ow + at.x) * channels;
    for (size_t c = 0; c < channels; c += LANES) {
      float *out = z + tile * channels + c;
      vector lines[EXTENT][SIDE], t[SIDE];
      for (size_t i = 0; i < EXTENT; i++) {
        vector d[EXTENT];
        for (size_t j = 0; j < EXTENT; j++)
          d[j] = i < height && j < width ? LOAD(origin + (i * g->ow + j) * channels + c)
                                         : (vector)0.0f;
        spread_output(d, lines[i]);
      }
      for (int j = 0; j < SIDE; j++) {
        vector d[EXTENT];
        for (int i = 0; i < EXTENT; i++) d[i] = lines[i][j];
        spread_output(d, t);
        for (int i = 0; i < SIDE; i++) STORE(out + (i * SIDE + j) * operand, t[i]);
      }
    }
  }
}

CLONES void ck_winograd_weight_gradient(const float *m, size_t out, size_t in, size_t first,
                                        size_t count, float *dw) {
  size_t operand = out * in;
  for (size_t o = first; o < first + count; o++)
    for (size_t c = 0; c < in; c += LANES) {
      const float *from = m + o * in + c;
      vector columns[SIDE][3], taps[3];
      for (int j = 0; j < SIDE; j++) {
        vector u[SIDE];
        for (int i = 0; i < SIDE; i++) u[i] = LOAD(from + (i * SIDE + j) * operand);
        gather_filter(u, columns[j]);
      }
      for (int y = 0; y < 3; y++) {
        vector u[SIDE];
        for (int j = 0; j < SIDE; j++) u[j] = columns[j][y];
        gather_filter(u, taps);
        for (int x = 0; x < 3; x++) STORE(dw + (o * 9 + 3 * y + x) * in + c, taps[x]);
      }
    }
}
