#include "CKernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

/// Folding by carry-less products: Gopal, Ozturk, Guilford and others, "Fast CRC Computation for
/// Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009. The constants are powers of x modulo
/// the polynomial of ZIP, bits reflected.
__attribute__((target("pclmul,sse4.1"))) static uint32_t fold(uint32_t state, const uint8_t *p,
                                                              size_t n) {
  const __m128i by64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
  const __m128i by16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
  const __m128i by8 = _mm_set_epi64x(0, 0x0163cd6124);
  const __m128i reduction = _mm_set_epi64x(0x01f7011641, 0x01db710641);
  const __m128i even = _mm_setr_epi32(-1, 0, -1, 0);
#define LOAD(i) _mm_loadu_si128((const __m128i *)(p + 16 * (i)))
#define FOLD(x, k, next)                                                                           \
  _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, k, 0x00), _mm_clmulepi64_si128(x, k, 0x11)), \
                next)
  __m128i a = _mm_xor_si128(LOAD(0), _mm_cvtsi32_si128((int)state));
  __m128i b = LOAD(1), c = LOAD(2), d = LOAD(3);
  for (p += 64, n -= 64; n >= 64; p += 64, n -= 64) {
    a = FOLD(a, by64, LOAD(0));
    b = FOLD(b, by64, LOAD(1));
    c = FOLD(c, by64, LOAD(2));
    d = FOLD(d, by64, LOAD(3));
  }
  b = FOLD(a, by16, b);
  c = FOLD(b, by16, c);
  d = FOLD(c, by16, d);
  for (; n >= 16; p += 16, n -= 16) d = FOLD(d, by16, LOAD(0));
  // From 128 bits to 64, to 32.
  d = _mm_xor_si128(_mm_srli_si128(d, 8), _mm_clmulepi64_si128(d, by16, 0x10));
  d = _mm_xor_si128(_mm_srli_si128(d, 4),
                    _mm_clmulepi64_si128(_mm_and_si128(d, even), by8, 0x00));
  __m128i q = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(d, even), reduction, 0x10), even);
  d = _mm_xor_si128(d, _mm_clmulepi64_si128(q, reduction, 0x00));
#undef FOLD
#undef LOAD
  return (uint32_t)_mm_extract_epi32(d, 1);
}

size_t ck_crc32(uint32_t *crc, const uint8_t *bytes, size_t n) {
  size_t whole = n & ~(size_t)15;
  if (whole < 64 || !__builtin_cpu_supports("pclmul") || !__builtin_cpu_supports("sse4.1")) return 0;
  *crc = ~fold(~*crc, bytes, whole);
  return whole;
}
#else
size_t ck_crc32(uint32_t *crc, const uint8_t *bytes, size_t n) {
  (void)crc, (void)bytes, (void)n;
  return 0;
}
#endif
