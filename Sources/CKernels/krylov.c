#include "krylov.h"
#include "clones.h"

// Four basis vectors at a time: the working vector is loaded once for the four.
#define BASIS_KERNELS(SUFFIX, TYPE)                                                              \
  CLONES void ck_basis_dots_##SUFFIX(const TYPE *const *basis, size_t count, const double *w,    \
                                     size_t n, double *out) {                                    \
    REASSOCIATE                                                                                  \
    size_t j = 0;                                                                                \
    for (; j + 4 <= count; j += 4) {                                                             \
      const TYPE *a = basis[j], *b = basis[j + 1], *c = basis[j + 2], *d = basis[j + 3];         \
      double sa = 0, sb = 0, sc = 0, sd = 0;                                                     \
      for (size_t i = 0; i < n; i++) {                                                           \
        sa += a[i] * w[i];                                                                       \
        sb += b[i] * w[i];                                                                       \
        sc += c[i] * w[i];                                                                       \
        sd += d[i] * w[i];                                                                       \
      }                                                                                          \
      out[j] = sa;                                                                               \
      out[j + 1] = sb;                                                                           \
      out[j + 2] = sc;                                                                           \
      out[j + 3] = sd;                                                                           \
    }                                                                                            \
    for (; j < count; j++) {                                                                     \
      const TYPE *a = basis[j];                                                                  \
      double s = 0;                                                                              \
      for (size_t i = 0; i < n; i++) s += a[i] * w[i];                                           \
      out[j] = s;                                                                                \
    }                                                                                            \
  }                                                                                              \
                                                                                                 \
  CLONES void ck_basis_add_##SUFFIX(const TYPE *const *basis, const double *coefficients,        \
                                    size_t count, double *restrict w, size_t n) {                \
    size_t j = 0;                                                                                \
    for (; j + 4 <= count; j += 4) {                                                             \
      const TYPE *restrict a = basis[j], *restrict b = basis[j + 1], *restrict c = basis[j + 2], \
                          *restrict d = basis[j + 3];                                            \
      const double ka = coefficients[j], kb = coefficients[j + 1], kc = coefficients[j + 2],     \
                   kd = coefficients[j + 3];                                                     \
      for (size_t i = 0; i < n; i++)                                                             \
        w[i] += (ka * a[i] + kb * b[i]) + (kc * c[i] + kd * d[i]);                               \
    }                                                                                            \
    for (; j < count; j++) {                                                                     \
      const TYPE *restrict a = basis[j];                                                         \
      const double k = coefficients[j];                                                          \
      for (size_t i = 0; i < n; i++) w[i] += k * a[i];                                           \
    }                                                                                            \
  }

BASIS_KERNELS(f32, float)
BASIS_KERNELS(f64, double)

CLONES double ck_dot_f64(const double *x, const double *y, size_t n) {
  REASSOCIATE
  double s = 0;
  for (size_t i = 0; i < n; i++) s += x[i] * y[i];
  return s;
}

CLONES void ck_round_f32(double *restrict w, float *restrict v, size_t n) {
  for (size_t i = 0; i < n; i++) {
    v[i] = (float)w[i];
    w[i] = v[i];
  }
}

CLONES void ck_narrow_f64(const double *restrict w, float *restrict v, size_t n) {
  for (size_t i = 0; i < n; i++) v[i] = (float)w[i];
}

CLONES void ck_scale_f64(double a, double *restrict x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] *= a;
}
