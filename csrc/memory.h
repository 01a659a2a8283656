/* The kernels' memory. They ask for it here and nowhere else: so every request can be counted, and
 * made to fail (mg_fail_allocation, minigrad.h). */
#pragma once
#include "minigrad.h"

/* As malloc and free are. */
void *mg_allocate(size_t bytes);
void mg_release(void *block);
