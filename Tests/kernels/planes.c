#include "check.h"

static void depthwise(size_t planes, size_t rows, size_t cols, size_t k) {
  release("plane_depthwise and its gradients [%zu, %zu, %zu] kernel %zu", planes, rows, cols, k);
  size_t plane = rows * cols, n = planes * plane, before = (k - 1) / 2;
  float *x = random_floats(n, -2, 2), *w = random_floats(planes * k * k, -2, 2);
  float *dy = random_floats(n, -2, 2), *y = floats(n), *dx = floats(n), *dw = floats(planes * k * k);
  ck_plane_depthwise(x, plane, 0, w, 0, y, plane, 0, rows, planes, rows, cols, k);
  ck_plane_depthwise(dy, plane, 0, w, 1, dx, plane, 0, rows, planes, rows, cols, k);
  ck_plane_depthwise_weight_gradient(x, dy, dw, planes, rows, cols, k);
  double *want[3], *sizes[3];
  for (int i = 0; i < 3; i++) {
    want[i] = calloc(n + planes * k * k + 1, sizeof(double));
    sizes[i] = calloc(n + planes * k * k + 1, sizeof(double));
  }
  for (size_t i = 0; i < n; i++)
    for (size_t p = 0; p < k; p++)
      for (size_t q = 0; q < k; q++) {
        long r = (long)(i % plane / cols + p) - (long)before, c = (long)(i % cols + q) - (long)before;
        if (r < 0 || c < 0 || r >= (long)rows || c >= (long)cols) continue;
        size_t from = i / plane * plane + (size_t)r * cols + (size_t)c, tap = (i / plane * k + p) * k + q;
        double a = (double)x[from] * w[tap], b = (double)dy[i] * w[tap], d = (double)x[from] * dy[i];
        want[0][i] += a, sizes[0][i] += fabs(a);
        want[1][from] += b, sizes[1][from] += fabs(b);
        want[2][tap] += d, sizes[2][tap] += fabs(d);
      }
  double terms = (double)(k * k) + 1;
  for (size_t i = 0; i < n; i++) {
    near(i, y[i], want[0][i], U * terms * sizes[0][i]);
    near(i, dx[i], want[1][i], U * terms * sizes[1][i]);
  }
  for (size_t i = 0; i < planes * k * k; i++)
    near(i, dw[i], want[2][i], U * ((double)cols + 2) * sizes[2][i]);
  for (int i = 0; i < 3; i++) free(want[i]), free(sizes[i]);
}

// Some rows at a time, of which the kernel sees only what it needs.
static void pieces(size_t planes, size_t rows, size_t cols, size_t k, int flipped, size_t first,
                   size_t some) {
  release("plane_depthwise [%zu, %zu, %zu] kernel %zu, rows %zu + %zu, flipped %d", planes, rows, cols, k,
          first, some, flipped);
  size_t plane = rows * cols, above = flipped ? k / 2 : (k - 1) / 2, below = k - 1 - above;
  size_t from = first < above ? 0 : first - above;
  size_t held = (first + some + below < rows ? first + some + below : rows) - from;
  size_t x_stride = held * cols + 1, y_stride = some * cols + 3;
  float *x = random_floats(planes * plane, -2, 2), *w = random_floats(planes * k * k, -2, 2);
  float *y = floats(planes * plane);
  float *piece = floats(planes * x_stride - 1), *part = floats(planes * y_stride - 3);
  for (size_t p = 0; p < planes; p++)
    memcpy(piece + p * x_stride, x + p * plane + from * cols, held * cols * sizeof *x);
  ck_plane_depthwise(x, plane, 0, w, flipped, y, plane, 0, rows, planes, rows, cols, k);
  ck_plane_depthwise(piece, x_stride, from, w, flipped, part, y_stride, first, some, planes, rows, cols, k);
  for (size_t p = 0; p < planes; p++) {
    same("of some rows", part + p * y_stride, y + p * plane + first * cols, some * cols * sizeof *y);
    for (size_t i = some * cols; p + 1 < planes && i < y_stride; i++) untouched(i, part[p * y_stride + i]);
  }
}

static void epilogue(size_t planes, size_t count, size_t gap, int activation, int which) {
  release("plane_epilogue [%zu, %zu] gap %zu, activation %d, %d", planes, count, gap, activation, which);
  size_t stride = count + gap, more = count + gap / 2;
  size_t n = planes ? (planes - 1) * stride + count : 0;
  float *start = random_floats(n, -6, 6), *y = floats(n);
  float *shift = which & 1 ? random_floats(planes, -2, 2) : NULL;
  float *residual = which & 2 ? random_floats(planes ? (planes - 1) * more + count : 0, -2, 2) : NULL;
  float *scale = which & 4 ? random_floats(planes, -2, 2) : NULL;
  float *last = which & 4 ? random_floats(planes, -2, 2) : NULL;
  for (size_t i = 0; i < n; i++)
    if (i % stride < count) y[i] = start[i];
  ck_plane_epilogue(y, stride, planes, count, shift, activation, residual, more, scale, last);
  for (size_t i = 0; i < n; i++) {
    size_t p = i / stride, at = i % stride;
    if (at >= count) {
      untouched(i, y[i]);
      continue;
    }
    double v = start[i] + (shift ? (double)shift[p] : 0), want = activated(v, activation);
    double bound = activation_bound(v, activation) + 1.2 * U * fabs(v);
    if (residual) want += (double)residual[p * more + at], bound += 1.01 * U * fabs(want);
    if (scale) {
      bound = bound * fabs((double)scale[p]) + 1.01 * U * fabs(want * scale[p]);
      want = want * scale[p] + last[p];
      bound += 1.01 * U * fabs(want);
    }
    near(i, y[i], want, bound);
  }
}

void test_planes(void) {
  EACH(planes, 0, 1, 3)
  EACH(rows, 1, 2, 3, 7)
  EACH(cols, 1, 2, 3, 5, 9, 18, 35)
  EACH(k, 1, 2, 3, 4, 5, 7) depthwise(planes, rows, cols, k);
  EACH(cols, 1, 3, 18, 35)
  EACH(k, 2, 3, 5, 7)
  EACH(first, 0, 1, 3, 8)
  for (int flipped = 0; flipped < 2; flipped++) {
    pieces(2, 9, cols, k, flipped, first, 1);
    if (first + 3 <= 9) pieces(2, 9, cols, k, flipped, first, 3);
  }
  EACH(planes, 0, 1, 3)
  EACH(count, 0, 1, 7, 16, 37)
  EACH(gap, 0, 5)
  for (int activation = CK_ACTIVATION_NONE; activation <= CK_ACTIVATION_RELU6; activation++)
    for (int which = 0; which < 8; which++) epilogue(planes, count, gap, activation, which);
}
