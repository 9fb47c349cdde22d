#include "CKernels.h"

#include <pthread.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define CK_SEES_HAND_OVERS 1
#endif
#endif

void ck_hand_over(void *address) {
#ifdef CK_SEES_HAND_OVERS
  __tsan_release(address);
#else
  (void)address;
#endif
}

void ck_take_over(void *address) {
#ifdef CK_SEES_HAND_OVERS
  __tsan_acquire(address);
#else
  (void)address;
#endif
}

struct scratch {
  float *data[CK_SCRATCH_COUNT];
  size_t count[CK_SCRATCH_COUNT];
};

static _Thread_local struct scratch *mine = NULL;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void release(void *pointer) {
  struct scratch *s = pointer;
  for (int i = 0; i < CK_SCRATCH_COUNT; i++) free(s->data[i]);
  free(s);
}
static void make_key(void) { pthread_key_create(&key, release); }

float *ck_scratch(int slot, size_t count) {
  if (!mine) {
    pthread_once(&once, make_key);
    mine = calloc(1, sizeof *mine);
    if (!mine) return NULL;
    pthread_setspecific(key, mine);
  }
  if (mine->count[slot] < count || !mine->data[slot]) {
    if (count < 1) count = 1;
    size_t bytes = (count * sizeof(float) + 4095) / 4096 * 4096;
    free(mine->data[slot]);
    mine->data[slot] = aligned_alloc(64, bytes);
    mine->count[slot] = mine->data[slot] ? bytes / sizeof(float) : 0;
  }
  return mine->data[slot];
}

static _Thread_local unsigned claimed = 0;

int ck_scratch_claim(int slot) {
  if (claimed >> slot & 1) return 0;
  claimed |= 1u << slot;
  return 1;
}

void ck_scratch_release(int slot) { claimed &= ~(1u << slot); }
