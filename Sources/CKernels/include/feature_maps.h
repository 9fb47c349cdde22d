// Sums over feature maps of one image: x[positions, c], channels last. Spectra are made of projected
// sums; moments are carried in double about the map's first value, so that neither a large mean nor a
// large outlier costs digits.
#ifndef CKERNELS_FEATURE_MAPS_H
#define CKERNELS_FEATURE_MAPS_H

#include <stddef.h>
#include <stdint.h>

// s[bins, c] (overwritten): s[bin[p]][k] = sum over positions p of x[p][k] - x[0][k].
void ck_project(const float *x, size_t positions, size_t c, const int32_t *bin, size_t bins,
                float *s);
// Removes the mean of each map from its projection: s[b][k] -= size[b] * (sum_b s[b][k]) / positions.
void ck_centre_projection(float *s, size_t bins, size_t c, const int32_t *size, size_t positions);
// y[p][k] = x[p][k] - x[0][k].
void ck_shift_map(const float *x, size_t positions, size_t c, float *y);
// The sum over channels of log(|F0| + floor), F0[k] the sum of a map given its projection and its
// first value; adds the number of channels with |F0| < faint to `dead`, and F0^2 to `power`.
double ck_log_sum(const float *s, size_t bins, size_t c, const float *first, size_t positions,
                  double floor, double faint, size_t *dead, double *power);
// The sum over n complex numbers (re, im interleaved) of log(|z| + floor), and of |z|^2. The first
// does not overflow for finite z. floor >= 1e-12.
double ck_log_amplitude(const float *z, size_t n, float floor);
double ck_power(const float *z, size_t n);

// Sums over the c maps of one image of their variance over positions (divisor positions - 1; 0 for a
// single position) and of their mean square.
void ck_map_moments(const float *x, size_t positions, size_t c, double *variance,
                    double *mean_square);
// The sum over `count` neighbouring elements of their variance over `images` rows of stride ld
// (divisor images - 1).
double ck_row_variance(const float *x, size_t images, size_t ld, size_t count);

#endif
