#include "threads.h"

static size_t limit = 1;

size_t mg_num_threads(void) { return limit; }

void mg_set_num_threads(size_t threads) { limit = threads; }

void mg_parallel(void (*task)(void *context, size_t index), void *context, size_t tasks) {
    for (size_t i = 0; i < tasks; i++)
        task(context, i);
}
