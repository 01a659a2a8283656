/* A small pool of threads. */
#pragma once
#include "minigrad.h"

/* Runs task(context, 0) ... task(context, tasks - 1), in any order, some at the same time, and
 * returns when all are done. No task may wait for another. */
void mg_parallel(void (*task)(void *context, size_t index), void *context, size_t tasks);
