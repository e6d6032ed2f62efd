// SPDX-License-Identifier: Apache-2.0

// Counts a program's allocations by the object file that asks for them. Preloaded:
//     LD_PRELOAD=libAllocationCounter.so ALLOCATION_COUNTS=FILE PROGRAM ...
// writes a line "COUNT BYTES OBJECT" for each place that allocates into FILE when PROGRAM ends. The object is that of
// the return address: Swift's own allocations come from libswiftCore.so and libswift_Concurrency.so, libmosquitto's
// from libmosquitto.so. For glibc, which exports its allocator under names of its own; so none of this needs dlsym(3),
// which allocates. Elsewhere it counts nothing.

#define _GNU_SOURCE
#include <stdlib.h>

#ifdef __GLIBC__
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

// Return addresses and what was asked for there: an open hash table that only grows, for any thread.
enum { SLOTS = 1 << 14 };
static struct {
    _Atomic uintptr_t caller;
    atomic_ullong count;
    atomic_ullong bytes;
} slots[SLOTS];

static void count(void *return_address, size_t size)
{
    uintptr_t caller = (uintptr_t)return_address;
    size_t index = (caller * 0x9E3779B97F4A7C15u) >> 50;
    for (size_t probes = 0; probes < SLOTS; probes++, index = (index + 1) % SLOTS) {
        uintptr_t found = atomic_load_explicit(&slots[index].caller, memory_order_relaxed);
        if (found == 0 && atomic_compare_exchange_strong(&slots[index].caller, &found, caller)) found = caller;
        if (found == caller) {
            atomic_fetch_add_explicit(&slots[index].count, 1, memory_order_relaxed);
            atomic_fetch_add_explicit(&slots[index].bytes, size, memory_order_relaxed);
            return;
        }
    }
}

#define COUNT(size) count(__builtin_return_address(0), (size))

void *malloc(size_t size)
{
    COUNT(size);
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    COUNT(number * size);
    return __libc_calloc(number, size);
}

// One that grows counts as well: it may be a new allocation.
void *realloc(void *old, size_t size)
{
    COUNT(size);
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
    COUNT(size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    COUNT(size);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size)
{
    COUNT(size);
    *result = __libc_memalign(alignment, size);
    return *result ? 0 : ENOMEM;
}

// glibc's own would be counted as an allocation of glibc's, and not of who copies the string.
char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    COUNT(size);
    char *copy = __libc_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("ALLOCATION_COUNTS");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    for (size_t index = 0; index < SLOTS; index++) {
        uintptr_t caller = atomic_load(&slots[index].caller);
        Dl_info info;
        if (caller == 0) continue;
        const char *object = dladdr((void *)caller, &info) && info.dli_fname ? info.dli_fname : "?";
        fprintf(file, "%llu %llu %s\n", atomic_load(&slots[index].count), atomic_load(&slots[index].bytes), object);
    }
    fclose(file);
}

#endif
