// SPDX-License-Identifier: Apache-2.0

// Tells ThreadSanitizer what Swift's Mutex does on Linux when it has to wait.
//
// The uncontended path of Synchronization.Mutex is inlined into our code and so instrumented. The contended one is a
// futex call in libswiftSynchronization.so, which is not: without these two functions every Mutex that two threads
// ever fought for is reported as a race. The linker takes them in place of the library's; each calls the real one.
// The names are part of the standard library's stable ABI. scripts/test --tsan links this file, nothing else does.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self

void __tsan_acquire(void *address);
void __tsan_release(void *address);

SWIFT void lock_slow(uint32_t thread, SELF) __asm__(LOCK_SLOW);
SWIFT void unlock_slow(SELF) __asm__(UNLOCK_SLOW);

SWIFT void lock_slow(uint32_t thread, SELF) {
    SWIFT void (*lock)(uint32_t, SELF) = dlsym(RTLD_NEXT, LOCK_SLOW);
    lock(thread, self);
    __tsan_acquire(self);
}

SWIFT void unlock_slow(SELF) {
    SWIFT void (*unlock)(SELF) = dlsym(RTLD_NEXT, UNLOCK_SLOW);
    __tsan_release(self);
    unlock(self);
}
