#include "CKernels.h"
#include "clones.h"
#include "product_kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PASTE(a, b) a##_##b
#define SUFFIXED(a, b) PASTE(a, b)

#if defined(__x86_64__)
#define NAME(x) SUFFIXED(x, avx512)
#define TARGET __attribute__((target("avx512f,avx512vl,avx2,fma")))
#define LANES 16
#define ROWS 12
#define KERNELS "avx512f"
#include "product_tile.h"

#define NAME(x) SUFFIXED(x, avx2)
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#define ROWS 6
#define KERNELS "avx2"
#include "product_tile.h"
#endif

#define NAME(x) SUFFIXED(x, base)
#define TARGET
#define LANES 4
#if defined(__aarch64__)
#define ROWS 8
#define KERNELS "neon"
#else
#define ROWS 4
#define KERNELS "sse2"
#endif
#include "product_tile.h"

static const struct product_kernels *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void choose(void) {
  const char *wanted = getenv("VITPROBE_KERNELS");
  const struct product_kernels *available[3];
  int count = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
    available[count++] = &kernels_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    available[count++] = &kernels_avx2;
#endif
  available[count++] = &kernels_base;
  chosen = available[0];
  for (int i = 0; wanted && i < count; i++)
    if (strcmp(wanted, available[i]->name) == 0) chosen = available[i];
}

const struct product_kernels *product_kernels(void) {
  pthread_once(&once, choose);
  return chosen;
}

const char *ck_product_kernels(void) { return product_kernels()->name; }

size_t ck_panel_width(void) { return 2 * product_kernels()->lanes; }

size_t ck_panels_count(size_t k, size_t n) {
  size_t width = ck_panel_width();
  return (n + width - 1) / width * width * k;
}

typedef float two __attribute__((ext_vector_type(2), aligned(4)));

// y[p * ldy + i] = x[i * ldx + p] for i < rows, or where `transposed` x[p * ldx + i], for p < k.
static inline __attribute__((always_inline)) void interleave_rows(const float *x, size_t ldx,
                                                                  int transposed, size_t rows,
                                                                  size_t k, float *y, size_t ldy) {
  // A line of each of four rows is used up before the next four rows, which may fall into the same set.
  enum { LINE = 16 };
  if (transposed) {
    for (size_t p = 0; p < k; p++, x += ldx, y += ldy) {
      size_t i = 0;
      for (; i + 4 <= rows; i += 4) *(four *)(y + i) = *(const four *)(x + i);
      for (; i + 2 <= rows; i += 2) *(two *)(y + i) = *(const two *)(x + i);
      for (; i < rows; i++) y[i] = x[i];
    }
    return;
  }
  for (size_t start = 0; start < k; start += LINE) {
    size_t end = k - start < LINE ? k : start + LINE, whole = start + (end - start) / 4 * 4, i = 0;
    for (; i + 4 <= rows; i += 4)
      for (size_t p = start; p < whole; p += 4) {
        const float *in = x + i * ldx + p;
        transpose_four(*(const four *)in, *(const four *)(in + ldx), *(const four *)(in + 2 * ldx),
                       *(const four *)(in + 3 * ldx), y + p * ldy + i, ldy);
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
static void interleave(const float *x, size_t ldx, int transposed, size_t rows, size_t k, float *y,
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

void ck_pack_panels(const float *b, size_t ldb, int transposed, size_t k, size_t n, size_t first,
                    size_t count, float *panels) {
  size_t width = ck_panel_width();
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

// A block of op(A) as tiles read it: each tile's values for one k side by side.
static void pack_rows(const struct product_kernels *kind, const float *a, size_t lda, int transposed,
                      size_t m, size_t k, float *packed) {
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

// Whether a copy of a block of A is worth its while: one stream is read from memory ahead of time, several rows are not;
// rows that are a multiple of 1 KiB apart fall into few sets of the first cache; columns touch a line for each k.
static int pays_to_pack(int transposed, size_t lda, size_t n) {
  int conflicts = lda % 256 == 0;
  return n >= (transposed ? conflicts ? 64 : 128 : conflicts ? 128 : 384);
}

// C (+)= alpha * op(A) * B for one block of rows and of the inner extent.
static void multiply_block(const struct product_kernels *kind, size_t m, size_t n, size_t k,
                           float alpha, const float *a, size_t lda, int transposed, struct panels b,
                           float *c, size_t ldc, int accumulate) {
  size_t width = 2 * kind->lanes;
  // Without memory for the copy, rows are read where they are.
  float *packed = NULL;
  if (pays_to_pack(transposed, lda, n)) packed = ck_scratch(CK_SCRATCH_PRODUCT, m * k);
  if (packed) pack_rows(kind, a, lda, transposed, m, k, packed);
  float edge[MOST_ROWS * 2 * MOST_LANES];
  for (size_t column = 0; column < n; column += width, b.first += b.step) {
    size_t cols = n - column < width ? n - column : width;
    int vectors = cols > kind->lanes ? 2 : 1;
    int whole = cols == (size_t)vectors * kind->lanes;
    for (size_t row = 0; row < m; row += kind->rows) {
      size_t rows = m - row < kind->rows ? m - row : kind->rows;
      tile_function *tile = kind->tiles[rows - 1];
      const float *left = packed ? packed + row * k : transposed ? a + row : a + row * lda;
      size_t ld = packed ? rows : lda;
      float *out = c + row * ldc + column;
      if (whole) {
        tile(vectors, packed || transposed, k, alpha, left, ld, b.first, b.ld, out, ldc, accumulate);
      } else {
        // The last columns: a whole tile beside, of which those that exist are taken.
        tile(vectors, packed || transposed, k, alpha, left, ld, b.first, b.ld, edge, width, 0);
        for (size_t i = 0; i < rows; i++)
          for (size_t j = 0; j < cols; j++)
            out[i * ldc + j] =
                accumulate ? out[i * ldc + j] + edge[i * width + j] : edge[i * width + j];
      }
    }
  }
}

static void multiply(const struct product_kernels *kind, size_t m, size_t n, size_t k, float alpha,
                     const float *a, size_t lda, int transposed, struct panels b, float *c,
                     size_t ldc, int accumulate) {
  if (k == 0 && !accumulate)
    for (size_t i = 0; i < m; i++) memset(c + i * ldc, 0, n * sizeof(float));
  for (size_t top = 0; top < m; top += ROW_BLOCK)
    for (size_t block = 0; block < inner_blocks(k); block++) {
      size_t k0 = inner_start(k, block), depth = inner_start(k, block + 1) - k0;
      multiply_block(kind, m - top < ROW_BLOCK ? m - top : ROW_BLOCK, n, depth, alpha,
                     transposed ? a + k0 * lda + top : a + top * lda + k0, lda, transposed,
                     (struct panels){b.first + k0 * b.ld, b.step, b.ld}, c + top * ldc, ldc,
                     accumulate || block > 0);
    }
}

void ck_product(size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
                int transposed, const float *panels, float *c, size_t ldc, int accumulate) {
  const struct product_kernels *kind = product_kernels();
  size_t width = 2 * kind->lanes;
  multiply(kind, m, n, k, alpha, a, lda, transposed, (struct panels){panels, width * k, width}, c,
           ldc, accumulate);
}

// Below so many rows, packing B costs more than it saves; panels of about so many floats are packed at
// once.
enum { FEW_ROWS = 72, PACKED_AT_ONCE = 1 << 17 };

int ck_gemm(size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, int transposed_a,
            const float *b, size_t ldb, int transposed_b, float *c, size_t ldc, int accumulate) {
  const struct product_kernels *kind = product_kernels();
  size_t width = 2 * kind->lanes, start = 0;
  if (m == 0 || n == 0) return 1;
  if (m <= FEW_ROWS && !transposed_b) {
    start = n / width * width;
    multiply(kind, m, start, k, alpha, a, lda, transposed_a, (struct panels){b, width, ldb}, c, ldc,
             accumulate);
  }
  size_t group = PACKED_AT_ONCE / (k < 1 ? 1 : k) / width * width;
  if (group < width) group = width;
  for (size_t column = start; column < n; column += group) {
    size_t cols = n - column < group ? n - column : group;
    float *panels = ck_scratch(CK_SCRATCH_PANELS, ck_panels_count(k, cols));
    if (!panels) return 0;
    ck_pack_panels(b + (transposed_b ? column * ldb : column), ldb, transposed_b, k, cols, 0,
                   (cols + width - 1) / width, panels);
    multiply(kind, m, cols, k, alpha, a, lda, transposed_a,
             (struct panels){panels, width * k, width}, c + column, ldc, accumulate);
  }
  return 1;
}
