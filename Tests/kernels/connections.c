#include "check.h"

static void classes(size_t rows, size_t cols, size_t gap, int own) {
  release("class_sums [%zu, %zu] gap %zu, classes of rows %d", rows, cols, gap, own);
  enum { CLASSES = 5 };
  size_t ld = cols + gap, step = own ? cols : 0;
  float *a = random_floats(rows ? (rows - 1) * ld + cols : 0, -1, 1);
  int32_t *of = integers(own ? rows * cols : cols);
  for (size_t i = 0; i < (own ? rows * cols : cols); i++) of[i] = (int32_t)below(CLASSES);
  double *sum = random_doubles(CLASSES, -1, 1), *magnitude = random_doubles(CLASSES, 0, 1);
  double *want = copy_doubles(sum, CLASSES), *most = copy_doubles(magnitude, CLASSES), squares = 2, all = 2;
  ck_class_sums(a, ld, rows, cols, of, step, sum, magnitude, &squares);
  for (size_t r = 0; r < rows; r++)
    for (size_t k = 0; k < cols; k++) {
      double w = a[r * ld + k];
      want[of[r * step + k]] += w;
      most[of[r * step + k]] += fabs(w);
      all += w * w;
    }
  double bound = 4 * UD * (double)(rows * cols + 4);
  for (size_t c = 0; c < CLASSES; c++) {
    near(c, sum[c], want[c], bound * (most[c] + 1));
    near(c, magnitude[c], most[c], bound * most[c]);
  }
  near(0, squares, all, bound * all);
}

static void heads(size_t heads, size_t rows, size_t cols, size_t gap) {
  release("head_sums %zu of [%zu, %zu] gap %zu", heads, rows, cols, gap);
  size_t ld = cols + gap, step = rows * ld + gap;
  float *a = random_floats(heads && rows ? (heads - 1) * step + (rows - 1) * ld + cols : 0, -1, 1);
  double *scratch = doubles(cols), want = 0;
  double got = ck_head_sums(a, step, heads, ld, rows, cols, scratch);
  for (size_t r = 0; r < rows; r++)
    for (size_t k = 0; k < cols; k++) {
      double sum = 0;
      for (size_t h = 0; h < heads; h++) sum += a[h * step + r * ld + k];
      want += sum * sum;
    }
  near(0, got, want, 8 * UD * (double)(rows * cols + heads + 4) * (want + 1));
}

static void deviations(size_t images, size_t n, size_t gap) {
  release("image_deviations %zu of %zu gap %zu", images, n, gap);
  size_t step = n + gap;
  float *a = random_floats(images ? (images - 1) * step + n : 0, 1, 2);
  double *got = random_doubles(images, 0, 1), *want = copy_doubles(got, images);
  ck_image_deviations(a, step, images, n, got);
  for (size_t k = 0; k < n; k++) {
    double mean = 0;
    for (size_t i = 0; i < images; i++) mean += a[i * step + k];
    mean /= (double)images;
    for (size_t i = 0; i < images; i++) want[i] += (a[i * step + k] - mean) * (a[i * step + k] - mean);
  }
  for (size_t i = 0; i < images; i++)
    near(i, got[i], want[i], 8 * UD * (double)(n + images + 4) * (want[i] + 1));
}

void test_connections(void) {
  EACH(rows, 0, 1, 3, 17)
  EACH(cols, 1, 3, 8, 50)
  EACH(gap, 0, 4)
  for (int own = 0; own < 2; own++) classes(rows, cols, gap, own);
  EACH(count, 1, 2, 6)
  EACH(rows, 0, 1, 5)
  EACH(cols, 1, 3, 16, 49)
  EACH(gap, 0, 3) heads(count, rows, cols, gap);
  EACH(images, 1, 2, 7)
  EACH(n, 1, 16, 511, 512, 513, 1500)
  EACH(gap, 0, 3) deviations(images, n, gap);
}
