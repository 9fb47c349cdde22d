// What the machine gives right now: multiply-adds on all given threads for a quarter of a second.
// Prints GFLOP/s. Usage: calibrate THREADS
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
enum { BYTES = 64, CHAINS = 16 };
#elif defined(__AVX__)
enum { BYTES = 32, CHAINS = 12 };
#else
enum { BYTES = 16, CHAINS = 12 };
#endif
enum { LANES = BYTES / 4 };
typedef float vector __attribute__((vector_size(BYTES)));

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *work(void *result) {
  vector sum[CHAINS], a = {0}, b = {0};
  for (int i = 0; i < LANES; i++) {
    a[i] = 0.999f;
    b[i] = 0.001f;
  }
  for (int c = 0; c < CHAINS; c++) sum[c] = b * (float)c;
  double start = now(), end, steps = 0;
  do {
    for (int k = 0; k < 100000; k++)
      for (int c = 0; c < CHAINS; c++) sum[c] = sum[c] * a + b;
    steps += 100000;
    end = now();
  } while (end - start < 0.25);
  volatile float sink = 0;
  for (int c = 0; c < CHAINS; c++) sink += sum[c][0];
  *(double *)result = steps * CHAINS * LANES * 2 / (end - start) * 1e-9;
  return NULL;
}

int main(int count, char **words) {
  int threads = count > 1 ? atoi(words[1]) : 2;
  if (threads < 1 || threads > 256) return 64;
  pthread_t handles[256];
  double rates[256], total = 0;
  for (int i = 0; i < threads; i++)
    if (pthread_create(&handles[i], NULL, work, &rates[i])) return 1;
  for (int i = 0; i < threads; i++) {
    pthread_join(handles[i], NULL);
    total += rates[i];
  }
  printf("%.0f\n", total);
  return 0;
}
