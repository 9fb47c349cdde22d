// Products of Float32 matrices, row-major, on the calling thread.
//
// Every value of a product is one chain of fused multiply-adds over each block of the inner extent,
// and the blocks' sums are added in order: it depends on its row of A and its column of B alone, not
// on how the product was cut into tiles. CPU generations may round differently.

#ifndef CKERNELS_PRODUCTS_H
#define CKERNELS_PRODUCTS_H

#include <stddef.h>

// The instructions that products run on: "avx512f", "avx2", "neon" or "sse2"; the best that the processor
// has, or those that the environment names in VITPROBE_KERNELS.
const char *ck_product_kernels(void);

// Panels: the right operand of a product, op(B)[k, n], cut into panels of so many columns, each of them
// stored row after row. Columns beyond n are zeros.
size_t ck_panel_width(void);
// How many floats the panels of op(B)[k, n] take.
size_t ck_panels_count(size_t k, size_t n);
// Packs panels first ..< first + count of B[k, n], or where `transposed` of B[n, k], with row stride ldb.
void ck_pack_panels(const float *b, size_t ldb, int transposed, size_t k, size_t n, size_t first,
                    size_t count, float *panels);

// C[m, n] = alpha * op(A) * B, or C += that where `accumulate`; op(A)[m, k] is A[m, k], or where
// `transposed` the transpose of A[k, m]; lda and ldc are row strides.
void ck_product(size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
                int transposed, const float *panels, float *c, size_t ldc, int accumulate);

// The same for a B that is not packed yet: B[k, n], or where `transposed_b` B[n, k], with row stride ldb.
// 0 when memory is exhausted.
int ck_gemm(size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, int transposed_a,
            const float *b, size_t ldb, int transposed_b, float *c, size_t ldc, int accumulate);

// Adds the lower triangle of y * y' to sum[n, n], in Float64: y is x[n, k] with row stride ldx, less each column's mean
// (Float64 sums). Where squares could overflow or vanish, y is multiplied by a power of two for the product. 0 when
// memory is exhausted.
int ck_add_centred_gram(const float *x, size_t ldx, size_t n, size_t k, double *sum);

#endif
