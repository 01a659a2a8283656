/* Memory for the kernels, counted, and failing when a test asks for it. */
#define _GNU_SOURCE /* madvise */
#include "memory.h"
#include <stdatomic.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

static atomic_size_t failing; /* allocations up to the one that fails; 0: none does */
static atomic_size_t live;

void mg_fail_allocation(size_t k) { atomic_store(&failing, k); }

size_t mg_live_allocations(void) { return atomic_load(&live); }

enum { HUGE_PAGE = 1 << 21, HUGE_FROM = 1 << 23 }; /* bytes; of a block that is to lie in them */

/* Weights of 32 MB, packed, are 8192 pages of 4 KB, each of which is faulted in, and more than a
 * processor keeps the addresses of: in huge pages an LSTM of H = 1024 is 1.1 times as fast. */
static void *get(size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    void *block = NULL;
    if (bytes >= HUGE_FROM) {
        if (posix_memalign(&block, HUGE_PAGE, bytes) != 0)
            return NULL;
        madvise(block, bytes, MADV_HUGEPAGE); /* a wish: refused, it does no harm */
        return block;
    }
#endif
    return malloc(bytes);
}

void *mg_allocate(size_t bytes) {
    size_t left = atomic_load(&failing);
    while (left > 0 && !atomic_compare_exchange_weak(&failing, &left, left - 1))
        ;
    void *block = left == 1 ? NULL : get(bytes);
    if (block)
        atomic_fetch_add(&live, 1);
    return block;
}

void mg_release(void *block) {
    if (block)
        atomic_fetch_sub(&live, 1);
    free(block);
}
