// Products of Float32 matrices, row-major, on the calling thread.
//
// A product has a precision. Of CK_FLOAT32 nothing is rounded but sums. Of CK_BFLOAT16 both operands are first rounded
// to bfloat16 (8 significant bits, ties to even); their products are exact, the sums are of Float32, and of two
// neighbours along the inner extent the second is added first: the arithmetic of AVX512-BF16. CK_BFLOAT16_EMULATED has
// the same values on every processor (sums below 2^-126 alone are kept) and is no faster than CK_FLOAT32, which
// CK_BFLOAT16 is, too, where ck_has_bfloat16() is 0.
//
// Every value of a product is one chain of multiply-adds over each block of the inner extent,
// and the blocks' sums are added in order: it depends on its row of A and its column of B alone, not
// on how the product was cut into tiles. CPU generations may round differently.

#ifndef CKERNELS_PRODUCTS_H
#define CKERNELS_PRODUCTS_H

#include <stddef.h>

// The instructions that products run on: "avx512f", "avx2", "neon" or "sse2"; the best that the processor
// has, or those that the environment names in VITPROBE_KERNELS.
const char *ck_product_kernels(void);

enum { CK_FLOAT32, CK_BFLOAT16, CK_BFLOAT16_EMULATED };

// Whether the processor multiplies bfloat16, and the environment wishes for no other kernels.
int ck_has_bfloat16(void);

// Panels: the right operand of a product, op(B)[k, n], cut into panels of so many columns, each of them
// stored row after row. Columns beyond n are zeros.
size_t ck_panel_width(void);
// How many rows of words a panel of inner extent k has: k, or one for each two values of bfloat16.
size_t ck_panel_rows(int precision, size_t k);
// How many floats' memory the panels of op(B)[k, n] take.
size_t ck_panels_count(int precision, size_t k, size_t n);
// Packs panels first ..< first + count of B[k, n], or where `transposed` of B[n, k], with row stride ldb.
void ck_pack_panels(int precision, const float *b, size_t ldb, int transposed, size_t k, size_t n,
                    size_t first, size_t count, float *panels);

// C[m, n] = alpha * op(A) * B, or C += that where `accumulate`; op(A)[m, k] is A[m, k], or where
// `transposed` the transpose of A[k, m]; lda and ldc are row strides. Panels are of the same precision. 0 when memory is
// exhausted, which CK_FLOAT32 asks for none of.
int ck_product(int precision, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
               int transposed, const float *panels, float *c, size_t ldc, int accumulate);

// The same for a B that is not packed yet: B[k, n], or where `transposed_b` B[n, k], with row stride ldb.
// 0 when memory is exhausted.
int ck_gemm(int precision, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
            int transposed_a, const float *b, size_t ldb, int transposed_b, float *c, size_t ldc,
            int accumulate);

// Adds the lower triangle of y * y' to sum[n, n], in Float64: y is x[n, k] with row stride ldx, less each column's mean
// (Float64 sums). Where squares could overflow or vanish, y is multiplied by a power of two for the product. 0 when
// memory is exhausted.
int ck_add_centred_gram(const float *x, size_t ldx, size_t n, size_t k, double *sum);

#endif
