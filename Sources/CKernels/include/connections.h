// Sums over connection weights: what places, heads and images have in common.
#ifndef CKERNELS_CONNECTIONS_H
#define CKERNELS_CONNECTIONS_H

#include <stddef.h>
#include <stdint.h>

// Of a[rows, ld], of which the first `cols` values are looked at: adds each value to sum[class], its magnitude to
// magnitude[class] and its square to *squares. The class of a value is classes[row * class_step + column].
void ck_class_sums(const float *a, size_t ld, size_t rows, size_t cols, const int32_t *classes,
                   size_t class_step, double *sum, double *magnitude, double *squares);

// The sum over rows and columns of the square of the sum over `heads` matrices a[rows, ld], head_step apart.
// `scratch` holds cols values.
double ck_head_sums(const float *a, size_t head_step, size_t heads, size_t ld, size_t rows, size_t cols,
                    double *scratch);

// Adds to deviations[image], of each of `images` rows of n values, step apart, the sum of squared deviations from
// the mean row. Values are looked at a few at a time.
void ck_image_deviations(const float *a, size_t step, size_t images, size_t n, double *deviations);

#endif
