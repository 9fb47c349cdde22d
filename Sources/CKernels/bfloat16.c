#include "clones.h"
#include "product_kernels.h"

#include <stdint.h>
#include <string.h>

// The bits of a value, rounded to those of a bfloat16 in the upper half.
static inline __attribute__((always_inline)) uint32_t rounded(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  uint32_t magnitude = bits & 0x7fffffff;
  uint32_t near = bits + 0x7fff + (bits >> 16 & 1);
  // A quiet NaN stays one.
  near = magnitude > 0x7f800000 ? bits | 0x400000 : near;
  return magnitude < 0x800000 ? bits & 0x80000000 : near;
}

CLONES void words_along(const float *x, size_t ldx, size_t rows, size_t k, float *words, size_t ldw) {
  for (size_t i = 0; i < rows; i++) {
    const float *in = x + i * ldx;
    uint16_t *out = (uint16_t *)(words + i * ldw);
    for (size_t p = 0; p < k; p++) out[p] = (uint16_t)(rounded(in[p]) >> 16);
    if (k % 2) out[k] = 0;
  }
}

CLONES void words_across(const float *x, size_t ldx, size_t columns, size_t k, float *words, size_t ldw) {
  for (size_t p = 0; p < k; p += 2) {
    const float *low = x + p * ldx;
    uint32_t *out = (uint32_t *)(words + p / 2 * ldw);
    if (p + 1 < k) {
      const float *high = low + ldx;
      for (size_t i = 0; i < columns; i++) out[i] = rounded(low[i]) >> 16 | (rounded(high[i]) & 0xffff0000);
    } else {
      for (size_t i = 0; i < columns; i++) out[i] = rounded(low[i]) >> 16;
    }
  }
}

#if defined(__x86_64__)
#include <immintrin.h>

#define BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

BF16 void words_along_bf16(const float *x, size_t ldx, size_t rows, size_t k, float *words, size_t ldw) {
  for (size_t i = 0; i < rows; i++) {
    const float *in = x + i * ldx;
    uint16_t *out = (uint16_t *)(words + i * ldw);
    size_t p = 0;
    for (; p + 32 <= k; p += 32)
      _mm512_storeu_si512(out + p, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(in + p + 16), _mm512_loadu_ps(in + p)));
    if (p == k) continue;
    size_t left = k - p;
    __m512 low = _mm512_maskz_loadu_ps(left < 16 ? (1u << left) - 1 : 0xffff, in + p);
    __m512 high = left > 16 ? _mm512_maskz_loadu_ps((1u << (left - 16)) - 1, in + p + 16) : _mm512_setzero_ps();
    // Whole words, of which the last may have a half that is zero.
    _mm512_mask_storeu_epi16(out + p, (__mmask32)((1ull << (left + left % 2)) - 1),
                             (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
}

BF16 void words_across_bf16(const float *x, size_t ldx, size_t columns, size_t k, float *words, size_t ldw) {
  // From the halves of two rows to words of both.
  const __m512i turn = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                        21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  for (size_t p = 0; p < k; p += 2) {
    const float *low = x + p * ldx, *high = low + ldx;
    float *out = words + p / 2 * ldw;
    for (size_t i = 0; i < columns; i += 16) {
      __mmask16 there = columns - i < 16 ? (__mmask16)((1u << (columns - i)) - 1) : 0xffff;
      __m512 second = p + 1 < k ? _mm512_maskz_loadu_ps(there, high + i) : _mm512_setzero_ps();
      __m512bh both = _mm512_cvtne2ps_pbh(second, _mm512_maskz_loadu_ps(there, low + i));
      _mm512_mask_storeu_epi32(out + i, there, _mm512_permutexvar_epi16(turn, (__m512i)both));
    }
  }
}
#endif
