#include "CKernels.h"
#include "clones.h"
#include "product_kernels.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PASTE(a, b) a##_##b
#define SUFFIXED(a, b) PASTE(a, b)

// Of two bfloat16 in a word each, the second half's product is added first and both sums are rounded: what AVX512-BF16
// does. Products of bfloat16 are exact in Float32.
#define FLOATS(x) ((NAME(vector))(x))
#define BITS(x) ((NAME(bits))(x))
#define HIGH(x) FLOATS(BITS(x) & 0xffff0000)
#define LOW(x) FLOATS(BITS(x) << 16)
#define PAIRS_ADD(s, x, y) (((s) + HIGH(x) * HIGH(y)) + LOW(x) * LOW(y))
#define FLOAT_ADD(s, x, y) ((s) + (x) * (y))

#if defined(__x86_64__)
#include <immintrin.h>

#define NAME(x) SUFFIXED(x, avx512)
#define TARGET __attribute__((target("avx512f,avx512vl,avx2,fma")))
#define LANES 16
#define ROWS 12
#define KERNELS "avx512f"
#define DEPTH 1
#define MULTIPLY_ADD FLOAT_ADD
#include "product_tile.h"

#define NAME(x) SUFFIXED(x, avx512_pairs)
#define TARGET __attribute__((target("avx512f,avx512vl,avx2,fma")))
#define LANES 16
#define ROWS 12
#define KERNELS "avx512f"
#define DEPTH 2
#define ALONG words_along
#define ACROSS words_across
#define MULTIPLY_ADD PAIRS_ADD
#include "product_tile.h"

#define NAME(x) SUFFIXED(x, avx512_bf16)
#define TARGET __attribute__((target("avx512f,avx512vl,avx512bf16,avx2,fma")))
#define LANES 16
#define ROWS 12
#define KERNELS "avx512_bf16"
#define DEPTH 2
#define ALONG words_along_bf16
#define ACROSS words_across_bf16
#define MULTIPLY_ADD(s, x, y) _mm512_dpbf16_ps(s, (__m512bh)(x), (__m512bh)(y))
#include "product_tile.h"

#define NAME(x) SUFFIXED(x, avx2)
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#define ROWS 6
#define KERNELS "avx2"
#define DEPTH 1
#define MULTIPLY_ADD FLOAT_ADD
#include "product_tile.h"

#define NAME(x) SUFFIXED(x, avx2_pairs)
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#define ROWS 6
#define KERNELS "avx2"
#define DEPTH 2
#define ALONG words_along
#define ACROSS words_across
#define MULTIPLY_ADD PAIRS_ADD
#include "product_tile.h"
#endif

#if defined(__aarch64__)
#define BASE_ROWS 8
#define BASE "neon"
#else
#define BASE_ROWS 4
#define BASE "sse2"
#endif

#define NAME(x) SUFFIXED(x, base)
#define TARGET
#define LANES 4
#define ROWS BASE_ROWS
#define KERNELS BASE
#define DEPTH 1
#define MULTIPLY_ADD FLOAT_ADD
#include "product_tile.h"

#define NAME(x) SUFFIXED(x, base_pairs)
#define TARGET
#define LANES 4
#define ROWS BASE_ROWS
#define KERNELS BASE
#define DEPTH 2
#define ALONG words_along
#define ACROSS words_across
#define MULTIPLY_ADD PAIRS_ADD
#include "product_tile.h"

// The kernels of one set of instructions; `bfloat16` is NULL where it has none for them.
struct product_set {
  const struct product_kernels *float32, *emulated, *bfloat16;
};

static struct product_set chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void choose(void) {
  const char *wanted = getenv("VITPROBE_KERNELS");
  struct product_set available[3];
  int count = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
    available[count++] =
        (struct product_set){&kernels_avx512, &kernels_avx512_pairs,
                             __builtin_cpu_supports("avx512bf16") ? &kernels_avx512_bf16 : NULL};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    available[count++] = (struct product_set){&kernels_avx2, &kernels_avx2_pairs, NULL};
#endif
  available[count++] = (struct product_set){&kernels_base, &kernels_base_pairs, NULL};
  chosen = available[0];
  for (int i = 0; wanted && i < count; i++)
    if (strcmp(wanted, available[i].float32->name) == 0) chosen = available[i];
}

const struct product_kernels *product_kernels(int precision) {
  pthread_once(&once, choose);
  if (precision == CK_FLOAT32) return chosen.float32;
  return precision == CK_BFLOAT16 && chosen.bfloat16 ? chosen.bfloat16 : chosen.emulated;
}

const char *ck_product_kernels(void) { return product_kernels(CK_FLOAT32)->name; }

int ck_has_bfloat16(void) {
  pthread_once(&once, choose);
  return chosen.bfloat16 != NULL;
}

size_t ck_panel_width(void) { return 2 * product_kernels(CK_FLOAT32)->lanes; }

// Words that k values of the inner extent take.
static size_t words(const struct product_kernels *kind, size_t k) { return (k + kind->depth - 1) / kind->depth; }

size_t ck_panel_rows(int precision, size_t k) { return words(product_kernels(precision), k); }

size_t ck_panels_count(int precision, size_t k, size_t n) {
  size_t width = ck_panel_width();
  return (n + width - 1) / width * width * ck_panel_rows(precision, k);
}

typedef float two __attribute__((ext_vector_type(2), aligned(4)));
typedef float eight __attribute__((ext_vector_type(8), aligned(4)));
typedef float sixteen __attribute__((ext_vector_type(16), aligned(4)));

// A line of each of four rows is used up before the next four rows, which may fall into the same set.
enum { LINE = 16 };

// Writes a line of each of four rows as columns: y[p * ldy + i] is value p of row i.
static inline __attribute__((always_inline)) void transpose_line(const float *x, size_t ldx, float *y, size_t ldy) {
  sixteen a = *(const sixteen *)x, b = *(const sixteen *)(x + ldx);
  sixteen c = *(const sixteen *)(x + 2 * ldx), d = *(const sixteen *)(x + 3 * ldx);
  // Within each four values, as `transpose_four`.
#define LOW_HALVES(a, b)                                                                           \
  __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH_HALVES(a, b)                                                                          \
  __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define FIRST_PAIRS(a, b)                                                                          \
  __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define SECOND_PAIRS(a, b)                                                                         \
  __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
  sixteen ab = LOW_HALVES(a, b), cd = LOW_HALVES(c, d), ab2 = HIGH_HALVES(a, b), cd2 = HIGH_HALVES(c, d);
  sixteen columns[4] = {FIRST_PAIRS(ab, cd), SECOND_PAIRS(ab, cd), FIRST_PAIRS(ab2, cd2), SECOND_PAIRS(ab2, cd2)};
#undef LOW_HALVES
#undef HIGH_HALVES
#undef FIRST_PAIRS
#undef SECOND_PAIRS
#pragma unroll
  for (int j = 0; j < 4; j++) {
    *(four *)(y + j * ldy) = columns[j].s0123;
    *(four *)(y + (4 + j) * ldy) = columns[j].s4567;
    *(four *)(y + (8 + j) * ldy) = columns[j].s89ab;
    *(four *)(y + (12 + j) * ldy) = columns[j].scdef;
  }
}

// y[p * ldy + i] = x[i * ldx + p] for i < rows, or where `transposed` x[p * ldx + i], for p < k.
static inline __attribute__((always_inline)) void interleave_rows(const float *x, size_t ldx,
                                                                  int transposed, size_t rows,
                                                                  size_t k, float *y, size_t ldy) {
  if (transposed) {
    for (size_t p = 0; p < k; p++, x += ldx, y += ldy) {
      size_t i = 0;
      for (; i + 16 <= rows; i += 16) *(sixteen *)(y + i) = *(const sixteen *)(x + i);
      for (; i + 8 <= rows; i += 8) *(eight *)(y + i) = *(const eight *)(x + i);
      for (; i + 4 <= rows; i += 4) *(four *)(y + i) = *(const four *)(x + i);
      for (; i + 2 <= rows; i += 2) *(two *)(y + i) = *(const two *)(x + i);
      for (; i < rows; i++) y[i] = x[i];
    }
    return;
  }
  for (size_t start = 0; start < k; start += LINE) {
    size_t end = k - start < LINE ? k : start + LINE, whole = start + (end - start) / 4 * 4, i = 0;
    if (end - start == LINE) {
      for (; i + 4 <= rows; i += 4) transpose_line(x + i * ldx + start, ldx, y + start * ldy + i, ldy);
    } else {
      for (; i + 4 <= rows; i += 4)
        for (size_t p = start; p < whole; p += 4) {
          const float *in = x + i * ldx + p;
          transpose_four(*(const four *)in, *(const four *)(in + ldx), *(const four *)(in + 2 * ldx),
                         *(const four *)(in + 3 * ldx), y + p * ldy + i, ldy);
        }
    }
    for (; i + 2 <= rows; i += 2)
      for (size_t p = start; p < whole; p += 4) {
        four a = *(const four *)(x + i * ldx + p), b = *(const four *)(x + (i + 1) * ldx + p);
        float *out = y + p * ldy + i;
        *(two *)out = __builtin_shufflevector(a, b, 0, 4);
        *(two *)(out + ldy) = __builtin_shufflevector(a, b, 1, 5);
        *(two *)(out + 2 * ldy) = __builtin_shufflevector(a, b, 2, 6);
        *(two *)(out + 3 * ldy) = __builtin_shufflevector(a, b, 3, 7);
      }
    for (; i < rows; i++)
      for (size_t p = start; p < whole; p++) y[p * ldy + i] = x[i * ldx + p];
    for (size_t p = whole; p < end; p++)
      for (size_t j = 0; j < rows; j++) y[p * ldy + j] = x[j * ldx + p];
  }
}

// The same, with the numbers of rows that whole tiles and panels have known to the compiler.
CLONES static void interleave(const float *x, size_t ldx, int transposed, size_t rows, size_t k, float *y,
                              size_t ldy) {
#define ROWS_OF(N)                                                                                 \
  if (rows == N && ldy == N) {                                                                     \
    interleave_rows(x, ldx, transposed, N, k, y, N);                                               \
    return;                                                                                        \
  }
  ROWS_OF(6)
  ROWS_OF(12)
  ROWS_OF(16)
  ROWS_OF(32)
#undef ROWS_OF
  interleave_rows(x, ldx, transposed, rows, k, y, ldy);
}

// Rows of the inner extent that are read while they are in the first cache.
enum { AT_ONCE = 16 };

// Words of a panel's columns that are rounded before they are interleaved, in the first cache.
enum { WORDS_AT_ONCE = 64 };

// Words of two values, `width` for each place of the inner extent, for columns of B[k, n] or, where `transposed`, rows of
// B[n, k].
static void pack_words(const struct product_kernels *kind, const float *b, size_t ldb, int transposed, size_t k,
                       size_t cols, size_t width, float *out) {
  size_t depth = (k + 1) / 2;
  if (cols < width) memset(out, 0, width * depth * sizeof(float));
  if (!transposed) {
    kind->across(b, ldb, cols, k, out, width);
    return;
  }
  float some[2 * MOST_LANES * WORDS_AT_ONCE];
  for (size_t p = 0; p < depth; p += WORDS_AT_ONCE) {
    size_t count = depth - p < WORDS_AT_ONCE ? depth - p : WORDS_AT_ONCE;
    kind->along(b + 2 * p, ldb, cols, k - 2 * p < 2 * count ? k - 2 * p : 2 * count, some, WORDS_AT_ONCE);
    interleave(some, WORDS_AT_ONCE, 0, cols, count, out + p * width, width);
  }
}

void ck_pack_panels(int precision, const float *b, size_t ldb, int transposed, size_t k, size_t n, size_t first,
                    size_t count, float *panels) {
  size_t width = ck_panel_width();
  const struct product_kernels *kind = product_kernels(precision);
  if (kind->depth == 2) {
    for (size_t panel = first; panel < first + count; panel++) {
      size_t column = panel * width, cols = n - column < width ? n - column : width;
      pack_words(kind, b + (transposed ? column * ldb : column), ldb, transposed, k, cols, width,
                 panels + panel * width * ((k + 1) / 2));
    }
    return;
  }
  for (size_t p = 0; p < k; p += transposed ? k : AT_ONCE) {
    size_t depth = transposed || k - p < AT_ONCE ? k - p : AT_ONCE;
    for (size_t panel = first; panel < first + count; panel++) {
      size_t column = panel * width, cols = n - column < width ? n - column : width;
      float *out = panels + panel * width * k + p * width;
      if (cols < width) memset(out, 0, width * depth * sizeof(float));
      interleave(b + (transposed ? column * ldb : p * ldb + column), ldb, !transposed, cols, depth,
                 out, width);
    }
  }
}

// Blocks of the rows: what a panel's block multiplies stays in the second cache.
enum { ROW_BLOCK = 144 };

// A block of op(A) as tiles read it: each tile's words for one place of the inner extent side by side.
static void pack_rows(const struct product_kernels *kind, const float *a, size_t lda, int transposed,
                      size_t m, size_t k, float *packed) {
  if (kind->depth == 2) {
    for (size_t row = 0; row < m; row += kind->rows) {
      size_t rows = m - row < kind->rows ? m - row : kind->rows;
      pack_words(kind, transposed ? a + row : a + row * lda, lda, !transposed, k, rows, rows,
                 packed + row * words(kind, k));
    }
    return;
  }
  for (size_t p = 0; p < k; p += transposed ? AT_ONCE : k) {
    size_t depth = !transposed || k - p < AT_ONCE ? k - p : AT_ONCE;
    for (size_t row = 0; row < m; row += kind->rows) {
      size_t rows = m - row < kind->rows ? m - row : kind->rows;
      interleave(a + (transposed ? p * lda + row : row * lda + p), lda, transposed, rows, depth,
                 packed + row * k + p * rows, rows);
    }
  }
}

// One operand's panels: where the first begins, how far apart they begin, and how far apart their rows.
struct panels {
  const float *first;
  size_t step, ld;
};

// Whether a copy of a block of A is worth its while. Of twelve rows the addresses do not fit into registers, while twelve
// columns fill most of a line. With fewer, one stream is read from memory ahead of time, several rows are not; rows that
// are a multiple of 1 KiB apart fall into few sets of the first cache; columns touch a line for each k.
static int pays_to_pack(const struct product_kernels *kind, int transposed, size_t lda, size_t n) {
  if (kind->rows > 8) return !transposed && n > kind->lanes;
  int conflicts = lda % 256 == 0;
  return n >= (transposed ? conflicts ? 64 : 128 : conflicts ? 128 : 384);
}

// C (+)= alpha * op(A) * B for one block of rows and of the inner extent. 0 without memory for what has to be copied.
static int multiply_block(const struct product_kernels *kind, size_t m, size_t n, size_t k,
                          float alpha, const float *a, size_t lda, int transposed, struct panels b,
                          float *c, size_t ldc, int accumulate) {
  size_t width = 2 * kind->lanes, depth = words(kind, k);
  int rounds = kind->depth > 1;
  // Without memory for the copy, rows that need no rounding are read where they are.
  float *packed = NULL;
  if (rounds || pays_to_pack(kind, transposed, lda, n)) packed = ck_scratch(CK_SCRATCH_PRODUCT, m * depth);
  if (packed) pack_rows(kind, a, lda, transposed, m, k, packed);
  if (rounds && !packed) return 0;
  float edge[MOST_ROWS * 2 * MOST_LANES];
  for (size_t column = 0; column < n; column += width, b.first += b.step) {
    size_t cols = n - column < width ? n - column : width;
    int vectors = cols > kind->lanes ? 2 : 1;
    int whole = cols == (size_t)vectors * kind->lanes;
    for (size_t row = 0; row < m; row += kind->rows) {
      size_t rows = m - row < kind->rows ? m - row : kind->rows;
      tile_function *tile = kind->tiles[rows - 1];
      const float *left = packed ? packed + row * depth : transposed ? a + row : a + row * lda;
      size_t ld = packed ? rows : lda;
      float *out = c + row * ldc + column;
      if (whole) {
        tile(vectors, packed || transposed, depth, alpha, left, ld, b.first, b.ld, out, ldc, accumulate);
      } else {
        // The last columns: a whole tile beside, of which those that exist are taken.
        tile(vectors, packed || transposed, depth, alpha, left, ld, b.first, b.ld, edge, width, 0);
        for (size_t i = 0; i < rows; i++)
          for (size_t j = 0; j < cols; j++)
            out[i * ldc + j] =
                accumulate ? out[i * ldc + j] + edge[i * width + j] : edge[i * width + j];
      }
    }
  }
  return 1;
}

static int multiply(const struct product_kernels *kind, size_t m, size_t n, size_t k, float alpha,
                    const float *a, size_t lda, int transposed, struct panels b, float *c,
                    size_t ldc, int accumulate) {
  size_t all = words(kind, k);
  if (k == 0 && !accumulate)
    for (size_t i = 0; i < m; i++) memset(c + i * ldc, 0, n * sizeof(float));
  for (size_t top = 0; top < m; top += ROW_BLOCK)
    for (size_t block = 0; block < inner_blocks(all); block++) {
      size_t w0 = inner_start(all, block), depth = inner_start(all, block + 1) - w0;
      size_t k0 = w0 * kind->depth, most = depth * kind->depth;
      if (!multiply_block(kind, m - top < ROW_BLOCK ? m - top : ROW_BLOCK, n, k - k0 < most ? k - k0 : most, alpha,
                          transposed ? a + k0 * lda + top : a + top * lda + k0, lda, transposed,
                          (struct panels){b.first + w0 * b.ld, b.step, b.ld}, c + top * ldc, ldc,
                          accumulate || block > 0))
        return 0;
    }
  return 1;
}

int ck_product(int precision, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
               int transposed, const float *panels, float *c, size_t ldc, int accumulate) {
  const struct product_kernels *kind = product_kernels(precision);
  size_t width = 2 * kind->lanes;
  return multiply(kind, m, n, k, alpha, a, lda, transposed, (struct panels){panels, width * words(kind, k), width},
                  c, ldc, accumulate);
}

// C (+)= alpha * op(A) * B' for a few rows of A, as the transpose of B * op(A)': rows of B are read once, where they are.
// The sums are the same, term by term. 0 without memory.
static int multiply_turned(const struct product_kernels *kind, size_t m, size_t n, size_t k, float alpha,
                           const float *a, size_t lda, int transposed, const float *b, size_t ldb, float *c,
                           size_t ldc, int accumulate) {
  size_t width = 2 * kind->lanes;
  float *panel = ck_scratch(CK_SCRATCH_PANELS, ck_panels_count(CK_FLOAT32, k, m));
  if (!panel) return 0;
  ck_pack_panels(CK_FLOAT32, a, lda, !transposed, k, m, 0, 1, panel);
  // Columns beyond the rows of A are summed, too, and thrown away.
  float tile[MOST_ROWS * 2 * MOST_LANES] = {0};
  for (size_t column = 0; column < n; column += kind->rows) {
    size_t columns = n - column < kind->rows ? n - column : kind->rows;
    for (size_t j = 0; accumulate && j < columns; j++)
      for (size_t i = 0; i < m; i++) tile[j * width + i] = c[i * ldc + column + j];
    for (size_t block = 0; block < inner_blocks(k); block++) {
      size_t k0 = inner_start(k, block);
      kind->tiles[columns - 1](m > kind->lanes ? 2 : 1, 0, inner_start(k, block + 1) - k0, alpha,
                               b + column * ldb + k0, ldb, panel + k0 * width, width, tile, width,
                               accumulate || block > 0);
    }
    for (size_t i = 0; i < m; i++)
      for (size_t j = 0; j < columns; j++) c[i * ldc + column + j] = tile[j * width + i];
  }
  return 1;
}

// Below so many rows, packing B costs more than it saves; panels of about so many floats are packed at
// once.
enum { FEW_ROWS = 72, PACKED_AT_ONCE = 1 << 17 };

// Whether B is read where it is even if its rows are the columns: of few rows, and a B that leaves the first cache.
static int pays_to_turn(const struct product_kernels *kind, size_t m, size_t n, size_t k) {
  return m <= 16 && m <= 2 * kind->lanes && kind->depth == 1 && n * k >= 1 << 15;
}

int ck_gemm(int precision, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
            int transposed_a, const float *b, size_t ldb, int transposed_b, float *c, size_t ldc,
            int accumulate) {
  const struct product_kernels *kind = product_kernels(precision);
  size_t width = 2 * kind->lanes, start = 0;
  if (m == 0 || n == 0) return 1;
  if (m <= FEW_ROWS && !transposed_b && kind->depth == 1) {
    start = n / width * width;
    multiply(kind, m, start, k, alpha, a, lda, transposed_a, (struct panels){b, width, ldb}, c, ldc,
             accumulate);
  }
  if (transposed_b && pays_to_turn(kind, m, n, k))
    return multiply_turned(kind, m, n, k, alpha, a, lda, transposed_a, b, ldb, c, ldc, accumulate);
  size_t group = PACKED_AT_ONCE / (k < 1 ? 1 : words(kind, k)) / width * width;
  if (group < width) group = width;
  for (size_t column = start; column < n; column += group) {
    size_t cols = n - column < group ? n - column : group;
    float *panels = ck_scratch(CK_SCRATCH_PANELS, ck_panels_count(precision, k, cols));
    if (!panels) return 0;
    ck_pack_panels(precision, b + (transposed_b ? column * ldb : column), ldb, transposed_b, k, cols, 0,
                   (cols + width - 1) / width, panels);
    if (!multiply(kind, m, cols, k, alpha, a, lda, transposed_a,
                  (struct panels){panels, width * words(kind, k), width}, c + column, ldc, accumulate))
      return 0;
  }
  return 1;
}
