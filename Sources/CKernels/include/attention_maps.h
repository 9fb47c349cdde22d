// Sums over tokens and attention maps of one image; all sums are carried in double.
#ifndef CKERNELS_ATTENTION_MAPS_H
#define CKERNELS_ATTENTION_MAPS_H

#include <stddef.h>

// sum[c] (overwritten) = the sum over tokens of x[tokens, c] divided by their lengths; tokens of
// length zero are left out. Returns how many were not.
size_t ck_sum_of_directions(const float *x, size_t tokens, size_t c, double *sum);

// For each row of a[rows, ld], of which the first `cols` values are looked at, with p = |a| / sum |a|:
// adds the sum of p * d to *distance (d[rows, cols]; may be NULL), that of -p log p to *entropy, and p
// to column[cols]. Rows without any weight are left out. Returns how many were not; *negative becomes
// 1 if a value is below zero.
size_t ck_attention_rows(const float *a, size_t ld, size_t rows, size_t cols, const float *d,
                         double *distance, double *entropy, double *column, int *negative);

// For each row of a[rows, ld], as above: adds to moments[5] the sums of p x, p y, p x^2, p x y, p y^2 over the
// `cols` keys, where x and y lead from the query to the key.
void ck_map_offsets(const float *a, size_t ld, size_t rows, size_t cols, const double *query_y,
                    const double *query_x, const double *key_y, const double *key_x, double *moments);

// Windows of kh x kw taps on a grid of h x w places, for oh x ow results; rows of weights lie place_step apart.
typedef struct {
  size_t h, w, oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, place_step;
} ck_taps;

// The same as both for the rows of a local layer, one for each result: taps outside of the grid are left out.
// d, y and x are those of the taps, d may be NULL; column[h * w].
size_t ck_tap_rows(const float *a, const ck_taps *taps, const float *d, const double *y, const double *x,
                   double *distance, double *entropy, double *column, double *moments, int *negative);

// -sum p log p over x >= 0, p = x / sum x; 0 if all are zero.
double ck_entropy(const double *x, size_t n);

#endif
