/* The thread pool: lazy, small, safe across fork.
 *
 * One word says all: `open` holds a job's number and how many of its tasks nobody has taken yet. A
 * thread takes a task by lowering that count with a compare-and-swap, and so can never take one of
 * a job that is over; a worker that wakes late finds nothing and does no harm. The job's fields
 * stay as they are until its last task is done. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "threads.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 256, SPIN_NS = 20000 };
#define COUNT 0xffffffffu /* the low half of `open`; the job's number is above it */

static atomic_size_t limit;      /* threads a job may use; 0: not asked for yet */
static atomic_flag busy;         /* held by the caller whose job runs */
static atomic_ullong open;       /* job << 32 | tasks left to take */
static atomic_size_t unfinished; /* tasks of the job not done yet */
static void (*job_task)(void *, size_t);
static void *job_context;

static size_t workers; /* started so far; only the holder of `busy` changes it */
static atomic_int sleepers;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;

static size_t processors(void) {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (size_t)CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

size_t mg_num_threads(void) {
    size_t n = atomic_load(&limit);
    if (n == 0)
        mg_set_num_threads(n = processors());
    return n < MAX_THREADS ? n : MAX_THREADS;
}

void mg_set_num_threads(size_t threads) {
    atomic_store(&limit, threads < MAX_THREADS ? threads : MAX_THREADS);
}

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Takes a task of the job that is open and runs it; 0 where there is none. */
static int run_one(void) {
    unsigned long long seen = atomic_load(&open);
    while (seen & COUNT)
        if (atomic_compare_exchange_weak(&open, &seen, seen - 1)) {
            job_task(job_context, (size_t)(seen & COUNT) - 1);
            atomic_fetch_sub(&unfinished, 1);
            return 1;
        }
    return 0;
}

/* A worker with this number helps only while the limit is above it: set_num_threads can lower it */
static int has_work(size_t number) {
    return (atomic_load(&open) & COUNT) && number < atomic_load(&limit);
}

static void *worker(void *number_) {
    size_t number = (size_t)number_;
    for (;;) {
        while (has_work(number))
            run_one();
        for (long long end = now_ns() + SPIN_NS; !has_work(number) && now_ns() < end;)
            for (int i = 0; i < 16 && !has_work(number); i++)
                pause_briefly();
        if (has_work(number))
            continue;
        pthread_mutex_lock(&mutex);
        atomic_fetch_add(&sleepers, 1);
        while (!has_work(number))
            pthread_cond_wait(&wake, &mutex);
        atomic_fetch_sub(&sleepers, 1);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

/* In the child of a fork there are no workers, and nobody who would give the locks back. */
static void after_fork(void) {
    workers = 0;
    atomic_store(&sleepers, 0);
    atomic_store(&open, 0);
    pthread_mutex_init(&mutex, NULL);
    pthread_cond_init(&wake, NULL);
    atomic_flag_clear(&busy);
}

/* Workers 1 .. threads - 1 (the caller is 0); fewer where the system gives no more. They leave
 * every signal to the threads that Python started. */
static void start_workers(size_t threads) {
    static int registered;
    sigset_t all, old;
    pthread_t thread;
    if (!registered)
        registered = pthread_atfork(NULL, NULL, after_fork) == 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (workers + 1 < threads &&
           pthread_create(&thread, NULL, worker, (void *)(workers + 1)) == 0) {
        pthread_detach(thread);
        workers++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void mg_parallel(void (*task)(void *context, size_t index), void *context, size_t tasks) {
    size_t threads = tasks < mg_num_threads() ? tasks : mg_num_threads();
    if (threads <= 1 || tasks > COUNT || atomic_flag_test_and_set(&busy)) {
        for (size_t i = 0; i < tasks; i++)
            task(context, i);
        return;
    }
    if (workers + 1 < threads)
        start_workers(threads);
    job_task = task;
    job_context = context;
    atomic_store(&unfinished, tasks);
    atomic_store(&open, ((atomic_load(&open) >> 32) + 1) << 32 | tasks);
    if (atomic_load(&sleepers)) {
        pthread_mutex_lock(&mutex);
        pthread_cond_broadcast(&wake);
        pthread_mutex_unlock(&mutex);
    }
    while (run_one())
        ;
    for (size_t spins = 0; atomic_load(&unfinished); spins++)
        spins < 1000 ? pause_briefly() : (void)sched_yield();
    atomic_flag_clear(&busy);
}
