/* The thread pool under load: several threads, and children of forks, compute at once what one
 * thread computed before, to the bit, while another thread changes the number of workers.
 *
 *     pool ROUNDS [ISA [race]]      race: its threads race on purpose, for ThreadSanitizer to see
 *
 * .ci/sanitize builds it with the kernels, under ThreadSanitizer and others; it prints nothing but
 * what went wrong, and a last line. */
#define _GNU_SOURCE
#include "minigrad.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, ELEMENTS = 70001, M = 120, N = 130, K = 110, MOST = 8192 };
/* By rows, by units, on one thread (see mg_plan); P below H: an LSTM with a projection, and a GRU
 * with the reset before, whose steps have two products. */
static const struct {
    size_t T, B, I, H, P;
} sizes[] = {{5, 17, 20, 42, 42},
             {3, 1, 20, 171, 171},
             {4, 3, 5, 7, 7},
             {5, 17, 20, 42, 30},
             {3, 2, 20, 171, 150}};
enum { NETS = sizeof sizes / sizeof *sizes };

/* Whether to fork while other threads work. AddressSanitizer's allocator cannot: a lock that
 * another thread holds stays locked in the child, for ever. */
#ifdef __SANITIZE_ADDRESS__
enum { BESIDE = 0 };
#else
enum { BESIDE = 1 };
#endif
/* 0 where an emulator cannot start threads in the child of a fork. */
#ifndef FORKS
#define FORKS 1
#endif

/* Everything that one pass computes. */
struct results {
    float product[M * N], activations[ELEMENTS];
    struct {
        float output[MOST], c_n[MOST], gx[MOST], gh0[MOST], gc0[MOST], gw_ih[4 * MOST];
        float gw_hh[4 * 171 * 171], gb[MOST], gw_hr[4 * MOST];
    } lstm[NETS];
    struct {
        float output[MOST], gx[MOST], gh0[MOST], gw_ih[4 * MOST], gw_hh[3 * 171 * 171];
        float gb_ih[MOST], gb_hh[MOST];
    } gru[NETS];
};

static float numbers[4 * 171 * 171 + ELEMENTS]; /* what all passes read */
static struct results wanted;
static atomic_int rounds, wrong, running;
static int planted, races;

static void *room(size_t n) {
    void *p = calloc(n ? n : 1, sizeof(float));
    if (!p)
        abort();
    return p;
}

static void lstm(struct results *r, size_t i) {
    size_t T = sizes[i].T, B = sizes[i].B, I = sizes[i].I, H = sizes[i].H, P = sizes[i].P;
    const float *v = numbers, *w_hr = P < H ? v + 8 : NULL;
    float *gates = room(T * B * 4 * H), *cells = room((T + 1) * B * H);
    int failed = mg_lstm_forward_f32(r->lstm[i].output, r->lstm[i].c_n, gates, cells, v, v + 1,
                                     v + 2, v + 3, v + 4, v + 5, NULL, w_hr, NULL, T, B, I, H, P);
    failed |= mg_lstm_backward_f32(r->lstm[i].gx, r->lstm[i].gh0, r->lstm[i].gc0, r->lstm[i].gw_ih,
                                   r->lstm[i].gw_hh, r->lstm[i].gb, w_hr ? r->lstm[i].gw_hr : NULL,
                                   v + 6, v + 7, NULL, v, v + 1, v + 3, v + 4, w_hr,
                                   r->lstm[i].output, gates, cells, NULL, T, B, I, H, P);
    if (failed)
        abort();
    free(gates);
    free(cells);
}

static void gru(struct results *r, size_t i) {
    size_t T = sizes[i].T, B = sizes[i].B, I = sizes[i].I, H = sizes[i].H;
    const float *v = numbers;
    float *gates = room(T * B * 3 * H);
    int failed = mg_gru_forward_f32(r->gru[i].output, gates, v, v + 1, v + 3, v + 4, v + 5, v + 6,
                                    0, NULL, T, B, I, H);
    failed |= mg_gru_backward_f32(r->gru[i].gx, r->gru[i].gh0, r->gru[i].gw_ih, r->gru[i].gw_hh,
                                  r->gru[i].gb_ih, r->gru[i].gb_hh, v + 6, v + 7, v, v + 1, v + 3,
                                  v + 4, r->gru[i].output, gates, 0, NULL, T, B, I, H);
    if (failed)
        abort();
    free(gates);
}

static void everything(struct results *r) {
    memset(r, 0, sizeof *r);
    if (mg_matmul_f32(r->product, numbers, 0, K, 1, numbers + 9, 0, 1, K, 1, M, N, K))
        abort();
    mg_tanh_f32(r->activations, numbers, ELEMENTS);
    for (size_t i = 0; i < NETS; i++) {
        lstm(r, i);
        if (sizes[i].P < sizes[i].H)
            gru(r, i);
    }
}

/* 1 where a pass did not give the bits that it should. */
static int pass_fails(void) {
    struct results *r = room(sizeof *r / sizeof(float) + 1);
    everything(r);
    int fails = memcmp(r, &wanted, sizeof *r) != 0;
    free(r);
    return fails;
}

static void *hammer(void *unused) {
    for (int i = 0; i < atomic_load(&rounds); i++) {
        atomic_fetch_add(&wrong, pass_fails());
        if (planted)
            races++;
    }
    atomic_fetch_sub(&running, 1);
    return unused;
}

static void *change_workers(void *unused) {
    for (size_t n = 1; atomic_load(&running) > 0; n = n % 4 + 1) {
        mg_set_num_threads(n);
        usleep(2000);
    }
    return unused;
}

/* A child computes the same, with a pool of its own. */
static void fork_once(void) {
    int status;
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        alarm(120); /* rather than hang */
#ifdef __SANITIZE_THREAD__
        mg_set_num_threads(1); /* it cannot follow threads that begin after a fork */
#else
        mg_set_num_threads(3);
#endif
        _exit(pass_fails());
    }
    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "a child of fork ended with status %d\n", status);
        atomic_fetch_add(&wrong, 1);
    }
}

int main(int arguments, char **argument) {
    pthread_t threads[THREADS], changer;
    atomic_store(&rounds, arguments > 1 ? atoi(argument[1]) : 1);
    if (arguments > 2 && mg_select_isa(argument[2])) {
        fprintf(stderr, "%s is not available here\n", argument[2]);
        return 2;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        numbers[i] = (float)(i * 2654435761u % 2001) / 4000 - 0.25f;
    planted = arguments > 3;
    mg_set_num_threads(1);
    everything(&wanted);
    mg_set_num_threads(4);
    atomic_fetch_add(&wrong, pass_fails());
    atomic_store(&running, THREADS);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, hammer, NULL))
            abort();
    if (pthread_create(&changer, NULL, change_workers, NULL))
        abort();
    for (int i = 0; FORKS && BESIDE && i < atomic_load(&rounds); i++)
        fork_once();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(changer, NULL);
    for (int i = 0; FORKS && !BESIDE && i < atomic_load(&rounds); i++)
        fork_once();
    size_t held = mg_live_allocations();
    printf("%s: %d rounds, %d wrong, %zu blocks not given back\n", mg_isa(), atomic_load(&rounds),
           atomic_load(&wrong), held);
    return atomic_load(&wrong) || held;
}
