// What the files of products share: the tiles of the processor's kind of vector registers, and how products are cut.

#ifndef CKERNELS_PRODUCT_KERNELS_H
#define CKERNELS_PRODUCT_KERNELS_H

#include <stddef.h>

// A tile of some number of rows: see product_tile.h.
typedef void tile_function(int vectors, int transposed, size_t k, float alpha, const float *a,
                           size_t lda, const float *panel, size_t ldp, float *c, size_t ldc,
                           int accumulate);

// Rounds values to words of two: see words_along and words_across.
typedef void words_function(const float *x, size_t ldx, size_t n, size_t k, float *words, size_t ldw);

enum { MOST_LANES = 16, MOST_ROWS = 12 };

struct product_kernels {
  const char *name;
  size_t lanes;
  // Of the largest tile.
  size_t rows;
  // Values of the inner extent in each word of the operands, and where these are two, who makes words.
  size_t depth;
  words_function *along, *across;
  // Those of 1 to `rows` rows.
  tile_function *tiles[MOST_ROWS];
};

// Those that products of a precision run on; their lanes are the same for all.
__attribute__((visibility("hidden"))) const struct product_kernels *product_kernels(int precision);

// Words of two values that follow each other along the inner extent, rounded to bfloat16 (ties to even); the first is in
// the low half. Where their number is odd, the last word's other half is zero. Values below 2^-126 are zeros, as for
// the processors that multiply such words.
// words[i * ldw + p] of x[i * ldx + 2 p] and x[i * ldx + 2 p + 1], for i < rows.
__attribute__((visibility("hidden"))) words_function words_along;
// words[p * ldw + i] of x[2 p * ldx + i] and x[(2 p + 1) * ldx + i], for i < columns.
__attribute__((visibility("hidden"))) words_function words_across;
// The same by AVX512-BF16.
__attribute__((visibility("hidden"))) words_function words_along_bf16, words_across_bf16;

typedef float four __attribute__((ext_vector_type(4), aligned(4)));

// Writes four rows of four values as columns: y[j * ldy + i] is value j of row i.
static inline __attribute__((always_inline)) void transpose_four(four a, four b, four c, four d,
                                                                 float *y, size_t ldy) {
  four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  four ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  four cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  four cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  *(four *)y = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  *(four *)(y + ldy) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  *(four *)(y + 2 * ldy) = __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5);
  *(four *)(y + 3 * ldy) = __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7);
}

// Where one of the blocks begins that the inner extent is cut into; each is a chain of multiply-adds.
enum { INNER = 768 };
static inline size_t inner_blocks(size_t k) { return (k + INNER - 1) / INNER; }
static inline size_t inner_start(size_t k, size_t block) {
  size_t blocks = inner_blocks(k);
  return blocks ? k * block / blocks : 0;
}

#endif
