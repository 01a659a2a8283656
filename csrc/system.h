/* Every header a template needs: included before a source chooses its target, so that nothing of
 * the system's is compiled for instructions the processor may lack. */
#pragma once
#include "kernels.h"
#include "memory.h"
#include "threads.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison malloc calloc realloc free /* memory.h has what counts */
