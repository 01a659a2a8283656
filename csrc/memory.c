/* Memory for the kernels, counted, and failing when a test asks for it. */
#include "memory.h"
#include <stdatomic.h>
#include <stdlib.h>

static atomic_size_t failing; /* allocations up to the one that fails; 0: none does */
static atomic_size_t live;

void mg_fail_allocation(size_t k) { atomic_store(&failing, k); }

size_t mg_live_allocations(void) { return atomic_load(&live); }

void *mg_allocate(size_t bytes) {
    size_t left = atomic_load(&failing);
    while (left > 0 && !atomic_compare_exchange_weak(&failing, &left, left - 1))
        ;
    void *block = left == 1 ? NULL : malloc(bytes);
    if (block)
        atomic_fetch_add(&live, 1);
    return block;
}

void mg_release(void *block) {
    if (block)
        atomic_fetch_sub(&live, 1);
    free(block);
}
