#include "check.h"

static void projections(size_t positions, size_t c, size_t bins, double size) {
  release("project, centre_projection, shift_map, log_sum [%zu, %zu] into %zu of %g", positions, c, bins,
          size);
  float *x = random_floats(positions * c, -size, 3 * size), *s = floats(bins * c);
  int32_t *bin = integers(positions), *sizes = integers(bins);
  for (size_t b = 0; b < bins; b++) sizes[b] = 0;
  for (size_t p = 0; p < positions; p++) sizes[bin[p] = (int32_t)below(bins)]++;
  ck_project(x, positions, c, bin, bins, s);
  for (size_t b = 0; b < bins; b++)
    for (size_t k = 0; k < c; k++) {
      double want = 0, magnitudes = 0;
      for (size_t p = 0; p < positions; p++)
        if (bin[p] == (int32_t)b) {
          double v = (double)x[p * c + k] - x[k];
          want += v, magnitudes += fabs(v);
        }
      near(b * c + k, s[b * c + k], want, U * ((double)sizes[b] + 1) * magnitudes);
    }

  float *shifted = floats(positions * c);
  ck_shift_map(x, positions, c, shifted);
  for (size_t i = 0; i < positions * c; i++) near(i, shifted[i], (float)((double)x[i] - x[i % c]), 0);

  double want = 0, bound = 0, squares = 3, faint = size * 0.3;
  size_t few = 2, dead = 2;
  double power = 3, got = ck_log_sum(s, bins, c, x, positions, 1e-12, faint, &dead, &power);
  for (size_t k = 0; k < c; k++) {
    double sum = (double)x[k] * (double)positions;
    for (size_t b = 0; b < bins; b++) sum += s[b * c + k];
    few += fabs(sum) < faint;
    squares += sum * sum;
    double logarithm = log(fabs(sum) + 1e-12);
    want += logarithm;
    // The argument, the polynomial, and what is taken out of large numbers.
    bound += U * (1.1 + 2 * fabs(logarithm) + (fabs(sum) > 0x1p40 ? 3 * 56 : 0));
  }
  near(0, got, want, bound);
  near(0, power, squares, 1e-13 * squares);
  equal(0, dead, few);

  float *centred = copy_floats(s, bins * c);
  ck_centre_projection(centred, bins, c, sizes, positions);
  for (size_t k = 0; k < c; k++) {
    double mean = 0, magnitudes = 0;
    for (size_t b = 0; b < bins; b++) {
      mean += s[b * c + k] / (double)positions;
      magnitudes += fabs((double)s[b * c + k]);
    }
    for (size_t b = 0; b < bins; b++) {
      double less = s[b * c + k] - sizes[b] * mean;
      near(b * c + k, centred[b * c + k], less, 1.001 * U * fabs(less) + 1e-14 * magnitudes);
    }
  }
}

static void amplitudes(size_t n, double size) {
  release("log_amplitude, power [%zu] of %g", n, size);
  float *z = random_floats(2 * n, -size, size);
  if (n > 2) z[2] = z[3] = 0;
  double want = 0, bound = 0, squares = 0;
  for (size_t i = 0; i < n; i++) {
    double re = z[2 * i], im = z[2 * i + 1], logarithm = log(hypot(re, im) + (double)1e-12f);
    want += logarithm, squares += re * re + im * im;
    bound += U * (4 + 2 * fabs(logarithm) + (size > 0x1p39 ? 3 * 56 : 0));
  }
  near(0, ck_log_amplitude(z, n, 1e-12f), want, bound);
  near(0, ck_power(z, n), squares, 1e-13 * squares);
}

// One at a time: what a sum would hide. A real number's amplitude is rounded three times.
static void logarithms(double low, double high) {
  release("log_amplitude of one number in %g ... %g", low, high);
  float *z = floats(2);
  for (int i = 0; i < 1000; i++) {
    z[0] = (float)uniform(low, high);
    z[1] = 0;
    double want = log(z[0] + (double)1e-12f);
    near((size_t)i, ck_log_amplitude(z, 1, 1e-12f), want, U * (2.5 + 1.7 * fabs(want)));
  }
}

static void moments(size_t positions, size_t c, double mean) {
  release("map_moments [%zu, %zu] about %g", positions, c, mean);
  float *x = random_floats(positions * c, mean - 1, mean + 1);
  double variance = NAN, mean_square = NAN, variances = 0, squares = 0, n = (double)positions;
  ck_map_moments(x, positions, c, &variance, &mean_square);
  for (size_t k = 0; k < c; k++) {
    double middle = 0, rest = 0;
    for (size_t p = 0; p < positions; p++) middle += x[p * c + k] / n;
    for (size_t p = 0; p < positions; p++) {
      double v = x[p * c + k];
      rest += (v - middle) * (v - middle), squares += v * v / n;
    }
    variances += positions > 1 ? rest / (n - 1) : 0;
  }
  near(0, variance, variances, 1e-13 * n * ((double)c + variances));
  near(1, mean_square, squares, 1e-14 * (n + (double)c) * squares);
}

static void row_variance(size_t images, size_t count, size_t gap) {
  release("row_variance [%zu, %zu] gap %zu", images, count, gap);
  size_t ld = count + gap;
  float *x = random_floats((images - 1) * ld + count, 5, 7);
  double want = 0, n = (double)images;
  for (size_t k = 0; k < count; k++) {
    double middle = 0;
    for (size_t i = 0; i < images; i++) middle += x[i * ld + k] / n;
    for (size_t i = 0; i < images; i++) {
      double d = x[i * ld + k] - middle;
      want += d * d / (n - 1);
    }
  }
  near(0, ck_row_variance(x, images, ld, count), want, 1e-13 * ((double)count + want));
}

void test_feature_maps(void) {
  EACH(positions, 1, 4, 49)
  EACH(c, 1, 3, 16, 37, 256, 300)
  EACH(bins, 1, 5) {
    projections(positions, c, bins, 1);
    projections(positions, c, bins, 1e-3);
    projections(positions, c, bins, 1e14);
  }
  EACH(n, 0, 1, 2, 3, 7, 8, 17, 33, 500) {
    const double sizes[] = {1, 1e-30, 1e-10, 1e6, 1e12, 1e13, 1e25, 3e38};
    for (int i = 0; i < 8; i++) amplitudes(n, sizes[i]);
  }
  logarithms(0.5, 2);
  logarithms(1e-3, 1000);
  EACH(positions, 1, 2, 3, 4, 5, 6, 8, 9, 50)
  EACH(c, 1, 2, 7, 16, 33, 256, 259) {
    moments(positions, c, 0);
    moments(positions, c, 100);
  }
  EACH(images, 2, 3, 17)
  EACH(count, 1, 7, 16, 256, 259)
  EACH(gap, 0, 3) row_variance(images, count, gap);
}
