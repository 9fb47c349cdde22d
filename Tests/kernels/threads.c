#define _GNU_SOURCE  // cpu_set_t
#include "check.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

enum { MOST = 1000 };

static atomic_int times[MOST];
static double sums[MOST];

static atomic_int wanted;  // the precision of the loop's caller

static void nested(void *context, size_t index) {
  atomic_fetch_add((atomic_size_t *)context, index + 1);
}

static void body(void *context, size_t index) {
  atomic_fetch_add(&times[index], 1);
  // What a body writes is there when the loop returns.
  sums[index] = (double)index * *(double *)context;
  if (ck_precision() != atomic_load(&wanted)) atomic_fetch_add(&times[index], 1000);
  // On the body's thread if this loop has several, else on several.
  atomic_size_t inner = 0;
  ck_parallel(5, 4, nested, &inner);
  if (atomic_load(&inner) != 15) atomic_fetch_add(&times[index], 100);
  float *mine = ck_scratch(CK_SCRATCH_MAPS, 100 + index);
  for (size_t i = 0; mine && i < 100 + index; i++) mine[i] = (float)index;
  for (size_t i = 0; mine && i < 100 + index; i++)
    if (mine[i] != (float)index) atomic_fetch_add(&times[index], 10000);
}

static void loops(size_t count, size_t width) {
  release("parallel: %zu indices on %zu threads", count, width);
  for (size_t i = 0; i < MOST; i++) atomic_store(&times[i], 0), sums[i] = 0;
  double factor = 3;
  atomic_store(&wanted, (int)(count % 3));
  ck_set_precision((int)(count % 3));
  ck_parallel(count, width, body, &factor);
  equal(0, (size_t)ck_precision(), count % 3);
  ck_set_precision(CK_FLOAT32);
  for (size_t i = 0; i < MOST; i++) {
    equal(i, (size_t)atomic_load(&times[i]), i < count);
    near(i, sums[i], i < count ? 3.0 * (double)i : 0, 0);
  }
}

// The pool, and memory of threads.
void test_threads(void) {
  EACH(width, 0, 1, 2, 3, 7)
  EACH(count, 0, 1, 2, 5, 64, MOST) loops(count, width);
  release("processors");
  cpu_set_t all, one;
  CPU_ZERO(&one);
  require(sched_getaffinity(0, sizeof all, &all) == 0, "no set of processors");
  equal(0, ck_processors(), (size_t)CPU_COUNT(&all));
  for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
    if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
  if (sched_setaffinity(0, sizeof one, &one) == 0) {
    equal(1, ck_processors(), 1);
    sched_setaffinity(0, sizeof all, &all);
  }
  release("scratch");
  float *slots[CK_SCRATCH_COUNT];
  for (int slot = 0; slot < CK_SCRATCH_COUNT; slot++) {
    slots[slot] = ck_scratch(slot, 3000);
    require(slots[slot] && (uintptr_t)slots[slot] % 64 == 0, "not aligned");
    for (size_t i = 0; slots[slot] && i < 3000; i++) slots[slot][i] = (float)slot;
    ck_hand_over(slots[slot]);
    ck_take_over(slots[slot]);
  }
  for (int slot = 0; slot < CK_SCRATCH_COUNT; slot++) {
    for (size_t i = 0; slots[slot] && i < 3000; i++) near(i, slots[slot][i], slot, 0);
    require(ck_scratch(slot, 0) && ck_scratch(slot, 100000), "no memory");
  }
  release("claims of scratch");
  require(ck_scratch_claim(CK_SCRATCH_RESULT), "not free");
  require(!ck_scratch_claim(CK_SCRATCH_RESULT), "claimed twice");
  require(ck_scratch_claim(CK_SCRATCH_OPERAND), "not free beside another");
  ck_scratch_release(CK_SCRATCH_RESULT), ck_scratch_release(CK_SCRATCH_OPERAND);
  require(ck_scratch_claim(CK_SCRATCH_RESULT), "not free again");
  ck_scratch_release(CK_SCRATCH_RESULT);
  release("after threads");
}
