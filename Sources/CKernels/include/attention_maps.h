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

// -sum p log p over x >= 0, p = x / sum x; 0 if all are zero.
double ck_entropy(const double *x, size_t n);

#endif
