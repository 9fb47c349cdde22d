// Every kernel of CKernels.h against plain loops in Float64. What a test calls: arrays that end where
// memory ends, and comparisons that name the case.
#ifndef CHECK_H
#define CHECK_H

#include "CKernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Half a unit in the last place of 1, in Float32 and Float64.
#define U 0x1p-24
#define UD 0x1p-53

// Runs the statement that follows for each of these sizes.
#define EACH(NAME, ...)                                                                         \
  for (size_t NAME, *NAME##_at = (size_t[]){__VA_ARGS__, SIZE_MAX}; (NAME = *NAME##_at) != SIZE_MAX; \
       NAME##_at++)

// Arrays behind whose last value there is no memory, nor any that may be written before the first.
// They hold `UNTOUCHED` and live until `release`, which starts a case.
void release(const char *format, ...) __attribute__((format(printf, 1, 2)));
float *floats(size_t count);
double *doubles(size_t count);
int32_t *integers(size_t count);
uint8_t *bytes(size_t count);
// Uniform values.
float *random_floats(size_t count, double low, double high);
double *random_doubles(size_t count, double low, double high);
double uniform(double low, double high);
size_t below(size_t bound);
float *copy_floats(const float *x, size_t count);
double *copy_doubles(const double *x, size_t count);

// Fails the case unless |got - want| <= bound, or both are the same infinity or NaN.
void near(size_t at, double got, double want, double bound);
void equal(size_t at, size_t got, size_t want);
void same(const char *what, const void *a, const void *b, size_t bytes);
// Fails where a value is not what `floats` had put there.
void untouched(size_t at, float value);
void require(int condition, const char *what);

double gelu(double x, int order);
double activated(double x, int activation);
// What the kernels say of their own error.
double activation_bound(double x, int activation);

void test_elementwise(void);
void test_normalise(void);
void test_softmax(void);
void test_reduce(void);
void test_window(void);
void test_local_mixing(void);
void test_grouped_convolution(void);
void test_planes(void);
void test_feature_maps(void);
void test_attention_maps(void);
void test_connections(void);
void test_krylov(void);
void test_products(void);
void test_winograd(void);
void test_threads(void);

// Windows on maps of all kinds, of which some hold nothing.
extern const struct ck_window windows[];
extern const size_t window_count;

#endif
