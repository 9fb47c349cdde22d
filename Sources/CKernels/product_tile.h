// The innermost tiles of a product for one kind of vector registers. Included once for each, with
//   NAME(x)  x with the kind's suffix
//   TARGET   the attribute that makes the compiler use it
//   LANES    floats a vector; tiles are one or two vectors wide
//   ROWS     rows of the largest tile: as many as leave registers for a row of B
//   DEPTH    values of the inner extent in a word: 1, or 2 of bfloat16
//   ALONG, ACROSS  who makes words of two, if they are
//   MULTIPLY_ADD(s, x, y)  s plus the product of the words x and y, or the sum of their two products

typedef float NAME(vector) __attribute__((ext_vector_type(LANES), aligned(4)));
typedef uint32_t NAME(bits) __attribute__((ext_vector_type(LANES), aligned(4)));

// C[m, vectors * LANES] = alpha * A * panel, or C += that; A[m, k], or A[k, m] where `transposed`, for k words; the
// panel's rows are ldp apart.
static inline __attribute__((always_inline)) TARGET void NAME(tile)(
    const int m, const int vectors, const int transposed, size_t k, float alpha, const float *a,
    size_t lda, const float *panel, size_t ldp, float *c, size_t ldc, int accumulate) {
  CONTRACT
  // Memory of the result is asked for while sums are taken.
#pragma unroll
  for (int i = 0; i < m; i++) {
    __builtin_prefetch(c + i * ldc, 1);
    if (vectors == 2) __builtin_prefetch(c + i * ldc + 2 * LANES - 1, 1);
  }
  NAME(vector) sum[ROWS][2];
#pragma unroll
  for (int i = 0; i < m; i++)
#pragma unroll
    for (int j = 0; j < vectors; j++) sum[i][j] = (NAME(vector))(0.0f);
  // Addresses of rows cost as many steps as multiply-adds otherwise.
#pragma clang loop unroll_count(4)
  for (size_t p = 0; p < k; p++) {
    const float *row = panel + p * ldp;
    NAME(vector) b[2];
#pragma unroll
    for (int j = 0; j < vectors; j++) b[j] = *(const NAME(vector) *)(row + j * LANES);
#pragma unroll
    for (int i = 0; i < m; i++) {
      NAME(vector) x = (NAME(vector))(transposed ? a[p * lda + i] : a[i * lda + p]);
#pragma unroll
      for (int j = 0; j < vectors; j++) sum[i][j] = MULTIPLY_ADD(sum[i][j], x, b[j]);
    }
  }
#pragma unroll
  for (int i = 0; i < m; i++)
#pragma unroll
    for (int j = 0; j < vectors; j++) {
      // Not fused: tiles of other sizes would not all be, nor what is added from a tile beside.
      APART
      NAME(vector) *y = (NAME(vector) *)(c + i * ldc + j * LANES);
      NAME(vector) value = alpha * sum[i][j];
      *y = accumulate ? *y + value : value;
    }
}

#define TILE(M)                                                                                    \
  static TARGET void NAME(tile_##M)(int vectors, int transposed, size_t k, float alpha,            \
                                    const float *a, size_t lda, const float *panel, size_t ldp,    \
                                    float *c, size_t ldc, int accumulate) {                        \
    if (vectors == 2 && transposed)                                                                \
      NAME(tile)(M, 2, 1, k, alpha, a, lda, panel, ldp, c, ldc, accumulate);                       \
    else if (vectors == 2)                                                                         \
      NAME(tile)(M, 2, 0, k, alpha, a, lda, panel, ldp, c, ldc, accumulate);                       \
    else if (transposed)                                                                           \
      NAME(tile)(M, 1, 1, k, alpha, a, lda, panel, ldp, c, ldc, accumulate);                       \
    else                                                                                           \
      NAME(tile)(M, 1, 0, k, alpha, a, lda, panel, ldp, c, ldc, accumulate);                       \
  }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
#if ROWS >= 6
TILE(5)
TILE(6)
#endif
#if ROWS >= 8
TILE(7)
TILE(8)
#endif
#if ROWS >= 12
TILE(9)
TILE(10)
TILE(11)
TILE(12)
#endif
#undef TILE

static const struct product_kernels NAME(kernels) = {
    .name = KERNELS,
    .lanes = LANES,
    .rows = ROWS,
    .depth = DEPTH,
#if DEPTH == 2
    .along = ALONG,
    .across = ACROSS,
#endif
    .tiles =
        {
            NAME(tile_1),
            NAME(tile_2),
            NAME(tile_3),
            NAME(tile_4),
#if ROWS >= 6
            NAME(tile_5),
            NAME(tile_6),
#endif
#if ROWS >= 8
            NAME(tile_7),
            NAME(tile_8),
#endif
#if ROWS >= 12
            NAME(tile_9),
            NAME(tile_10),
            NAME(tile_11),
            NAME(tile_12),
#endif
        },
};

#undef NAME
#undef TARGET
#undef LANES
#undef ROWS
#undef KERNELS
#undef DEPTH
#undef MULTIPLY_ADD
#undef ALONG
#undef ACROSS
