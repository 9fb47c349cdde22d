#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE  // cpu_set_t
#endif
#include "parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

// How long an idle thread looks out before it sleeps, in nanoseconds; and for how long of that it leaves
// the processor to nobody else.
enum { LOOK_OUT = 200000, KEEP = 20000 };

struct loop {
  void (*body)(void *, size_t);
  void *context;
  size_t count;
  int precision;        // the caller's
  atomic_size_t next;   // the index to be taken next
  int open;             // places for helpers; under the lock
  atomic_int helpers;   // at work on it; falls under the lock only
  struct loop *others;  // under the lock
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;    // there are places for helpers
static pthread_cond_t finished = PTHREAD_COND_INITIALIZER;  // a helper is done
static struct loop *loops;      // those that run; under the lock
static atomic_int open_places;  // of all loops; changes under the lock only
static size_t helpers;          // threads made; under the lock
static size_t sleeping;         // of them, those that wait for `opened`; under the lock
static size_t waiting;          // callers that wait for `finished`; under the lock
static _Thread_local int is_inside = 0;
static _Thread_local int precision = 0;

int ck_precision(void) { return precision; }

void ck_set_precision(int wanted) { precision = wanted; }

static long long nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

size_t ck_processors(void) {
  cpu_set_t set;
  // More processors than the set has room for are all counted.
  long count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (size_t)count : 1;
}

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Returns once `value` is zero (or, with `wanted`, is not), or after a while.
static void look_out(const atomic_int *value, int wanted) {
  long long start = 0;
  for (unsigned i = 1; (atomic_load_explicit(value, memory_order_acquire) != 0) != wanted; i++) {
    pause_briefly();
    if (i % 32) continue;
    long long now = nanoseconds();
    if (!start) start = now;
    if (now - start > LOOK_OUT) return;
    if (now - start > KEEP) sched_yield();
  }
}

static void run(struct loop *loop) {
  int own = precision;
  precision = loop->precision;
  is_inside = 1;
  for (;;) {
    size_t index = atomic_fetch_add_explicit(&loop->next, 1, memory_order_relaxed);
    if (index >= loop->count) break;
    loop->body(loop->context, index);
  }
  is_inside = 0;
  precision = own;
}

static struct loop *loop_with_place(void) {
  for (struct loop *loop = loops; loop; loop = loop->others)
    if (loop->open > 0) return loop;
  return NULL;
}

static void *help(void *unused) {
  (void)unused;
  for (;;) {
    look_out(&open_places, 1);
    pthread_mutex_lock(&lock);
    struct loop *loop;
    while (!(loop = loop_with_place())) {
      sleeping++;
      pthread_cond_wait(&opened, &lock);
      sleeping--;
    }
    loop->open--;
    atomic_fetch_sub(&open_places, 1);
    atomic_fetch_add(&loop->helpers, 1);
    pthread_mutex_unlock(&lock);
    run(loop);
    pthread_mutex_lock(&lock);
    // The caller may go on from here, and the loop be gone.
    atomic_fetch_sub_explicit(&loop->helpers, 1, memory_order_release);
    if (waiting) pthread_cond_broadcast(&finished);
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

// Makes threads until there are `wanted` helpers, or no more can be had: the caller does what is left.
static void make_helpers(size_t wanted) {
  if (helpers >= wanted) return;
  // Signals are for the threads that were there before.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  // As much as the first thread of a process has.
  pthread_attr_setstacksize(&attributes, 8 << 20);
  pthread_t thread;
  while (helpers < wanted && pthread_create(&thread, &attributes, help, NULL) == 0) helpers++;
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void ck_parallel(size_t count, size_t width, void (*body)(void *context, size_t index),
                 void *context) {
  if (width > count) width = count;
  if (width <= 1 || is_inside) {
    for (size_t index = 0; index < count; index++) body(context, index);
    return;
  }
  struct loop loop = {.body = body, .context = context, .count = count, .precision = precision, .open = (int)width - 1};
  pthread_mutex_lock(&lock);
  make_helpers(width - 1);
  loop.others = loops;
  loops = &loop;
  atomic_fetch_add(&open_places, loop.open);
  if (sleeping) pthread_cond_broadcast(&opened);
  pthread_mutex_unlock(&lock);

  run(&loop);

  pthread_mutex_lock(&lock);
  atomic_fetch_sub(&open_places, loop.open);
  struct loop **place = &loops;
  while (*place != &loop) place = &(*place)->others;
  *place = loop.others;
  pthread_mutex_unlock(&lock);
  look_out(&loop.helpers, 0);
  if (atomic_load_explicit(&loop.helpers, memory_order_acquire) == 0) return;
  pthread_mutex_lock(&lock);
  waiting++;
  while (atomic_load(&loop.helpers) != 0) pthread_cond_wait(&finished, &lock);
  waiting--;
  pthread_mutex_unlock(&lock);
}
