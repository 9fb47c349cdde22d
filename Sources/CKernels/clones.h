// One body for each CPU generation, chosen when the program is loaded. Clang's thread sanitizer
// instruments the chooser itself and would crash before main. A build for one generation alone defines
// CLONES as nothing.
#if !defined(CLONES) && defined(__x86_64__) && defined(__has_feature)
#if !__has_feature(thread_sanitizer)
#define CLONES \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#endif
#endif
#ifndef CLONES
#define CLONES
#endif

// Reductions may be reassociated (vectorised); the order is fixed by the code that results.
#define REASSOCIATE _Pragma("clang fp reassociate(on)")
// Multiply-adds may be fused. Only inside functions that no other spelling must equal bit for bit.
#define CONTRACT _Pragma("clang fp contract(fast)")
// A block within such a function that rounds every step after all.
#define APART _Pragma("clang fp contract(off)")
// Before a loop whose output may be one of its inputs, value for value: without the promise that a
// step touches only its own values, in-place calls would run the scalar fallback.
#define IN_PLACE _Pragma("clang loop vectorize(assume_safety)")
