#define _GNU_SOURCE
#include "check.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNTOUCHED 0x7fc0dead  // a NaN
enum { WATCHED = 512, MOST_ARRAYS = 256, MOST_MESSAGES = 5 };

struct array {
  char *pages;
  // Of the `whole` bytes that may be touched, start ..< end are the array's, those from `watched` on known.
  size_t whole, watched, start, end;
};

static _Thread_local struct array arrays[MOST_ARRAYS];
static _Thread_local int array_count;
static _Thread_local char name[200];
static _Thread_local uint64_t state, digest;
static _Thread_local size_t values, failures;
static _Thread_local double largest;
static size_t page;
static size_t slack;  // values between an array's end and the end of memory: moves it

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fail(const char *format, ...) {
  if (failures++ >= MOST_MESSAGES) return;
  char text[400];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  fprintf(stderr, "%s: %s: %s\n", ck_product_kernels(), name, text);
}

static void crashed(int signal) {
  char text[300];
  int n = snprintf(text, sizeof text, "%s: signal %d, outside of an array?\n", name, signal);
  _exit(write(2, text, (size_t)n) == n ? 1 : 2);
}

static int is_untouched(const char *from, const char *to) {
  // Whole words, as `take` wrote them.
  const uint32_t word = UNTOUCHED;
  for (; to - from >= 4; from += 4)
    if (memcmp(from, &word, 4)) return 0;
  return 1;
}

void release(const char *format, ...) {
  for (int i = 0; i < array_count; i++) {
    struct array *a = &arrays[i];
    size_t before = a->start & ~(size_t)3, after = (a->end + 3) & ~(size_t)3;
    if (!is_untouched(a->pages + a->watched, a->pages + before)) fail("array %d: written before its first value", i);
    if (!is_untouched(a->pages + after, a->pages + a->whole)) fail("array %d: written behind its end", i);
    munmap(a->pages, a->whole + page);
  }
  array_count = 0;
  va_list list;
  va_start(list, format);
  vsnprintf(name, sizeof name, format, list);
  va_end(list);
}

static void *take(size_t count, size_t size) {
  size_t extra = slack * size, whole = (WATCHED + count * size + extra + page - 1) / page * page;
  char *pages =
      array_count < MOST_ARRAYS
          ? mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
          : MAP_FAILED;
  if (pages == MAP_FAILED || mprotect(pages + whole, page, PROT_NONE)) {
    fprintf(stderr, "%s: no memory for an array\n", name);
    _exit(2);
  }
  size_t end = whole - extra, start = end - count * size, watched = (start - WATCHED) & ~(size_t)3;
  const uint32_t word = UNTOUCHED;
  for (size_t i = watched; i < whole; i += 4) memcpy(pages + i, &word, 4);
  arrays[array_count++] = (struct array){pages, whole, watched, start, end};
  return pages + start;
}

float *floats(size_t count) { return take(count, sizeof(float)); }
double *doubles(size_t count) { return take(count, sizeof(double)); }
int32_t *integers(size_t count) { return take(count, sizeof(int32_t)); }
uint8_t *bytes(size_t count) { return take(count, 1); }

// splitmix64 (Steele, Lea & Flood 2014)
static uint64_t next(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

double uniform(double low, double high) {
  return low + (high - low) * ((double)(next() >> 11) * 0x1p-53);
}
size_t below(size_t bound) { return (size_t)(next() >> 33) % bound; }

float *random_floats(size_t count, double low, double high) {
  float *x = floats(count);
  for (size_t i = 0; i < count; i++) x[i] = (float)uniform(low, high);
  return x;
}
double *random_doubles(size_t count, double low, double high) {
  double *x = doubles(count);
  for (size_t i = 0; i < count; i++) x[i] = uniform(low, high);
  return x;
}
float *copy_floats(const float *x, size_t count) {
  float *y = floats(count);
  if (count) memcpy(y, x, count * sizeof *y);
  return y;
}
double *copy_doubles(const double *x, size_t count) {
  double *y = doubles(count);
  if (count) memcpy(y, x, count * sizeof *y);
  return y;
}

static void record(uint64_t bits) {
  digest = (digest ^ bits) * 0x100000001b3;
  digest ^= digest >> 29;
  values++;
}

void near(size_t at, double got, double want, double bound) {
  uint64_t bits;
  memcpy(&bits, &got, sizeof bits);
  record(bits);
  if (isnan(want) ? isnan(got) : got == want) return;
  double error = fabs(got - want);
  if (!(error <= bound))
    fail("value %zu is %.9g, not %.9g (error %.2g, bound %.2g)", at, got, want, error, bound);
  else if (error / bound > largest)
    largest = error / bound;
}

void equal(size_t at, size_t got, size_t want) {
  record(got);
  if (got != want) fail("value %zu is %zu, not %zu", at, got, want);
}

void same(const char *what, const void *a, const void *b, size_t count) {
  if (count && memcmp(a, b, count)) fail("other bits %s", what);
}

void untouched(size_t at, float value) {
  if (memcmp(&value, &(uint32_t){UNTOUCHED}, 4)) fail("value %zu is written", at);
}

void require(int condition, const char *what) {
  if (!condition) fail("%s", what);
}

double gelu(double x, int order) {
  // With D(m) the m-th derivative of Phi: the n-th of x Phi(x) is n D(n - 1) + x D(n).
  double density = 0.39894228040143267794 * exp(-0.5 * x * x);
  double derivative[12] = {0.5 * erfc(-x * 0.70710678118654752440), density, -x * density};
  for (int m = 3; m <= order; m++)  // phi'' = -x phi' - phi, and so on
    derivative[m] = -x * derivative[m - 1] - (m - 2) * derivative[m - 2];
  return (order ? order * derivative[order - 1] : 0.0) + x * derivative[order];
}

double activated(double x, int activation) {
  switch (activation) {
    case CK_ACTIVATION_GELU: return gelu(x, 0);
    case CK_ACTIVATION_RELU: return x < 0 ? 0 : x;
    case CK_ACTIVATION_RELU6: return x < 0 ? 0 : x > 6 ? 6 : x;
    default: return x;
  }
}
double activation_bound(double x, int activation) {
  return activation == CK_ACTIVATION_GELU ? 3e-7 * fmax(1, fabs(x)) : 0;
}

static const struct {
  const char *name;
  void (*run)(void);
} tests[] = {
    {"elementwise", test_elementwise},
    {"normalise", test_normalise},
    {"softmax", test_softmax},
    {"reduce", test_reduce},
    {"window", test_window},
    {"planes", test_planes},
    {"feature_maps", test_feature_maps},
    {"attention_maps", test_attention_maps},
    {"connections", test_connections},
    {"krylov", test_krylov},
    {"products", test_products},
    {"local_mixing", test_local_mixing},
    {"grouped_convolution", test_grouped_convolution},
    {"winograd", test_winograd},
};
enum { TESTS = sizeof tests / sizeof *tests };

struct outcome {
  uint64_t digest;
  size_t values, failures;
  double largest;
};

static void run(void *context, size_t index) {
  state = index + 1;
  digest = 0;
  values = failures = 0;
  largest = 0;
  tests[index].run();
  release("after %s", tests[index].name);
  ((struct outcome *)context)[index] = (struct outcome){digest, values, failures, largest};
}

// check KERNELS: fails unless products run on these. Without an argument, says which they are.
int main(int count, char **arguments) {
  const char *kernels = ck_product_kernels();
  if (count < 2) return puts(kernels) < 0;
  if (strcmp(kernels, arguments[1])) {
    fprintf(stderr, "products run on %s, not on %s\n", kernels, arguments[1]);
    return 1;
  }
  signal(SIGSEGV, crashed);
  signal(SIGBUS, crashed);
  signal(SIGILL, crashed);
  page = (size_t)sysconf(_SC_PAGESIZE);
  // The bits depend on arguments alone: not on where memory lies, nor on threads that run beside.
  struct outcome outcomes[2][TESTS];
  ck_parallel(TESTS, 1, run, outcomes[0]);
  slack = 1;
  ck_parallel(TESTS, 4, run, outcomes[1]);
  int bad = 0;
  for (int i = 0; i < TESTS; i++) {
    struct outcome a = outcomes[0][i], b = outcomes[1][i];
    int others = a.digest != b.digest || a.values != b.values;
    int failed = others || a.failures || b.failures || a.values == 0;
    printf("  %-15s %8zu values, largest error %.2f of its bound%s%s\n", tests[i].name, a.values, a.largest,
           others ? "; other bits elsewhere in memory or on another thread" : "", failed ? ": FAILED" : "");
    bad |= failed;
  }
  failures = values = 0;
  test_threads();
  printf("  %-15s %8zu values%s\n", "threads", values, failures ? ": FAILED" : "");
  return bad || failures > 0;
}
