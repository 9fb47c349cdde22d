// Loops whose indices run on several threads, which are kept between them. Waking a thread that sleeps takes
// tens of microseconds, as long as many of the loops here run: idle threads look out for work for a moment
// before they sleep.

#ifndef CKERNELS_PARALLEL_H
#define CKERNELS_PARALLEL_H

#include <stddef.h>

// Processors that this process may use.
size_t ck_processors(void);

// Runs body(context, index) once for each index below `count`, in any order, on the calling thread and up
// to `width` - 1 others, and returns when all are done. Inside of a body, indices run one after the other
// on its thread. Several threads may call at the same time.
void ck_parallel(size_t count, size_t width, void (*body)(void *context, size_t index),
                 void *context);

// The precision of products (see products.h) that this thread was set to, CK_FLOAT32 at first; bodies of a loop run with
// that of its caller.
int ck_precision(void);
void ck_set_precision(int precision);

#endif
