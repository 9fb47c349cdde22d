// Products of a few long basis vectors with one working vector, in tiles. A basis is stored in
// float or double; the working vector, the coefficients and all sums are double. `basis` points
// to `count` vectors of `n` entries each; no argument overlaps another. The order of the sums
// depends on `n` and `count` alone.
#ifndef CKERNELS_KRYLOV_H
#define CKERNELS_KRYLOV_H

#include <stddef.h>

/// out[j] = sum_i basis[j][i] * w[i]
void ck_basis_dots_f32(const float *const *basis, size_t count, const double *w, size_t n,
                       double *out);
void ck_basis_dots_f64(const double *const *basis, size_t count, const double *w, size_t n,
                       double *out);

/// w[i] += sum_j c[j] * basis[j][i]
void ck_basis_add_f32(const float *const *basis, const double *c, size_t count, double *w,
                      size_t n);
void ck_basis_add_f64(const double *const *basis, const double *c, size_t count, double *w,
                      size_t n);

/// sum_i x[i] * y[i]
double ck_dot_f64(const double *x, const double *y, size_t n);

/// v[i] = (float)w[i] in nearest rounding, and w[i] = v[i].
void ck_round_f32(double *w, float *v, size_t n);

/// v[i] = (float)w[i] in nearest rounding.
void ck_narrow_f64(const double *w, float *v, size_t n);

/// x[i] *= a
void ck_scale_f64(double a, double *x, size_t n);

#endif
