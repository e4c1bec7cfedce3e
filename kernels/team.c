/* team.c - see team.h.
 *
 * Claims.  In phase e thread w owns tasks [tasks*w/size, tasks*(w+1)/size) and a counter of how many of them
 * are taken; a thread empties its own share, from its begin or from its end, and then takes one task at a time
 * from the next threads' shares.  Where some tasks are dealt out, a share begins with its own of those, w,
 * w + size, w + 2 size, ..., and the others are cut as above; where the last tasks come in parts, a share ends with
 * some of these.  There are two sets of counters: phase e uses set
 * e%2, and at the barrier that ends it each thread clears its counter of the other set, which nobody has touched
 * since the barrier before and which phase e+1 will use.
 *
 * Relaxed order is enough for counters: they only deal out tasks, and data passes between threads at gates
 * alone.
 *
 * Gates.  A waiting thread spins for about the length of a task, then for a millisecond more, and then sleeps in
 * the kernel (futex(2)), for to wake up may take longer than most waits.  It does not call sched_yield: since
 * Linux 6.6 a yield gives up a share of the time to come, and a thread that stays runnable keeps the scheduler
 * from moving the one that everybody waits for, which another program has pushed off its core, to this one.  So
 * where a barrier takes longer than that millisecond, waits have none for a while.  README.md has figures.
 *
 * Workers.  They live in one parallel region for the life of the team, so that they sleep at our gates
 * between runs too; libgomp's own waits spin for milliseconds.  Whoever opens such a region cannot leave it:
 * that is the host, a thread which does nothing else, while the caller of team_run is member 0 in its
 * place. */
#include "kernels/team.h"

#include "kernels/clock.h"

#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define LINE          64         /* bytes that travel between cores together */
#define SPINS         2000       /* pauses of a wait; one takes 10 to 140 cycles */
#define SPINS_CROWDED 16         /* the same when the threads outnumber the cores */
#define PATIENCE_NS   1000000u   /* of a wait that goes on, before it becomes sleep */
#define HASTE_NS      200000000u /* without patience, after a barrier that has outlasted it */
#define WATCH_PAUSES  16         /* between two looks at the clock */
#define SCRATCH_SKEW  192        /* bytes by which threads' scratch starts apart in a page */

typedef struct line_counter {
    _Alignas(LINE) atomic_long value;
} line_counter;

/* A number that one thread moves on and others wait for. */
typedef struct gate {
    _Alignas(LINE) atomic_uint value;
    atomic_int sleepers;
} gate;

struct team {
    _Alignas(LINE) atomic_int arrived; /* at the barrier */
    gate generation;                   /* of the barrier: how many have ended */
    gate run;                          /* how many runs there were */
    gate leave;                        /* 1: the host may */
    _Alignas(LINE) int threads;
    bool crowded;                 /* threads outnumber the cores */
    _Atomic uint64_t hasty_until; /* nobody has patience before that time, clock_ns() */
    atomic_long outlasted;        /* how often somebody had it in vain */
    const kernels *k;
    line_counter *taken[2]; /* one for each thread */
    char *scratch;
    size_t scratch_bytes; /* for each thread */
    pthread_t host;
    gate ready;                         /* how many threads the host got, once it knows */
    void (*body)(member *m, void *arg); /* of this run; NULL: the workers leave */
    void *arg;
    trace *trace;
    int members; /* of every run: the threads that OpenMP gave */
};

/* Denormals flushed, round to nearest, no traps; returns the state to restore. */
static unsigned float_state_enter(void)
{
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(0x1f80u | 0x8000u | 0x0040u);
    return before;
#elif defined(__aarch64__)
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)1 << 24));
    return (unsigned)before;
#else
    return 0;
#endif
}

static void float_state_leave(unsigned before)
{
#if defined(__x86_64__)
    _mm_setcsr(before);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)before));
#else
    (void)before;
#endif
}

static void spin_pause(void)
{
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* some tens of cycles; `yield` is no pause at all on most processors */
#endif
}

/* ---- gates ---- */

/* Whether the gate's value became another than `old` during so many pauses. */
static bool gate_spin(const gate *g, unsigned old, int pauses)
{
    for (int i = 0; i < pauses; i++) {
        if (atomic_load_explicit(&g->value, memory_order_acquire) != old)
            return true;
        spin_pause();
    }
    return false;
}

/* The same for another PATIENCE_NS.  Where members keep the others waiting for longer than that, one of them may have
 * lost its core, and more patience would keep it from getting theirs; or a task takes so long. */
static bool gate_watch(team *t, const gate *g, unsigned old, bool for_members)
{
    if (t->crowded)
        return false;
    const uint64_t begin = clock_ns();
    if (begin < atomic_load_explicit(&t->hasty_until, memory_order_relaxed))
        return false;
    uint64_t now = begin;
    for (; now < begin + PATIENCE_NS; now = clock_ns())
        if (gate_spin(g, old, WATCH_PAUSES))
            return true;
    if (for_members) {
        atomic_store_explicit(&t->hasty_until, now + HASTE_NS, memory_order_relaxed);
        atomic_fetch_add_explicit(&t->outlasted, 1, memory_order_relaxed);
    }
    return false;
}

static void gate_sleep(gate *g, unsigned old)
{
    atomic_fetch_add(&g->sleepers, 1);
    while (atomic_load(&g->value) == old)
        syscall(SYS_futex, &g->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
    atomic_fetch_sub(&g->sleepers, 1);
}

/* Until the gate's value is another than `old`.  for_members: it moves when all members have come. */
static void gate_wait(team *t, gate *g, unsigned old, bool for_members)
{
    if (!gate_spin(g, old, t->crowded ? SPINS_CROWDED : SPINS) && !gate_watch(t, g, old, for_members))
        gate_sleep(g, old);
}

/* Either this sees the sleeper, or the sleeper sees the value: both orders are sequentially consistent. */
static void gate_move(gate *g, unsigned value)
{
    atomic_store(&g->value, value);
    if (atomic_load(&g->sleepers) > 0)
        syscall(SYS_futex, &g->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ---- members ---- */

static void member_run(team *t, int id)
{
    member m = {.team = t, .id = id, .size = t->members, .k = t->k, .claims = -1};
    m.trace = id == 0 ? t->trace : NULL;
    unsigned state = float_state_enter();
    t->body(&m, t->arg);
    float_state_leave(state);
    team_barrier(&m);
}

static void worker(team *t, int id)
{
    for (unsigned runs = 0;; runs++) {
        gate_wait(t, &t->run, runs, false);
        if (!t->body)
            return;
        member_run(t, id);
    }
}

/* Waits at a gate as well: at the end of the region OMP_WAIT_POLICY=active would have it spin for ever. */
static void *host(void *arg)
{
    team *t = arg;
#pragma omp parallel num_threads(t->threads) default(none) shared(t)
    {
        int id = omp_get_thread_num();
        if (id == 0) {
            gate_move(&t->ready, (unsigned)omp_get_num_threads()); /* may be fewer than were asked for */
            gate_sleep(&t->leave, 0);
        } else {
            worker(t, id);
        }
    }
    return NULL;
}

static void call_workers(team *t)
{
    if (t->members > 1)
        gate_move(&t->run, atomic_load_explicit(&t->run.value, memory_order_relaxed) + 1);
}

/* ---- the team ---- */

/* Signals belong to the main thread: host and workers are born with all of them blocked but those that a
 * thread brings upon itself. */
static bool start_host(team *t)
{
    sigset_t blocked, old;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    pthread_sigmask(SIG_BLOCK, &blocked, &old);
    int failed = pthread_create(&t->host, NULL, host, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed == 0;
}

team *team_open(int threads, const kernels *k)
{
    assert(threads >= 1 && k);
    team *t = aligned_alloc(LINE, sizeof *t);
    line_counter *counters = aligned_alloc(LINE, 2 * (size_t)threads * sizeof *counters);
    if (!t || !counters) {
        free(t);
        free(counters);
        return NULL;
    }
    *t = (team){.threads = threads, .members = 1, .k = k, .taken = {counters, counters + threads}};
    for (int i = 0; i < 2 * threads; i++)
        atomic_init(&counters[i].value, 0);
    if (threads > 1) {
        t->crowded = threads > omp_get_num_procs(); /* of all places, not only our own */
        if (!start_host(t)) {
            free(counters);
            free(t);
            return NULL;
        }
        gate_sleep(&t->ready, 0);
        t->members = (int)atomic_load(&t->ready.value);
    }
    return t;
}

void team_close(team *t)
{
    if (!t)
        return;
    if (t->threads > 1) {
        t->body = NULL;
        call_workers(t);
        gate_move(&t->leave, 1);
        pthread_join(t->host, NULL);
    }
    free(t->taken[0]);
    free(t->scratch);
    free(t);
}

int team_threads(const team *t)
{
    return t->members;
}

long team_outlasted(const team *t)
{
    return atomic_load_explicit(&t->outlasted, memory_order_relaxed);
}

const kernels *team_kernels(const team *t)
{
    return t->k;
}

void team_run(team *t, void (*body)(member *m, void *arg), void *arg)
{
    for (int i = 0; i < 2 * t->threads; i++)
        atomic_store_explicit(&t->taken[0][i].value, 0, memory_order_relaxed);
    t->body = body;
    t->arg = arg;
    call_workers(t);
    member_run(t, 0);
}

trace *team_trace(team *t, trace *to)
{
    trace *before = t->trace;
    t->trace = to;
    return before;
}

void team_phase(team *t, trace_phase phase)
{
    trace_begin(t->trace, phase);
}

void team_step(team *t, int64_t step, uint64_t tokens, trace_phase phase)
{
    trace_step(t->trace, step, tokens, phase);
}

/* The counter's value before it moves on. An atomic addition waits, on x86, until all that the task before has
 * written is in the cache; a thread alone has nobody to agree with. */
static long take(const member *m, atomic_long *counter)
{
    if (m->size > 1)
        return atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    const long i = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, i + 1, memory_order_relaxed);
    return i;
}

static int owner_of(const member *m)
{
    const int i = m->id + m->victim;
    return i < m->size ? i : i - m->size;
}

/* How many tasks of a phase come in parts, and in how many. */
static void plan_parts(member *m, const team_deal *deal)
{
    const long rest = deal->tasks - deal->dealt;
    m->parts = deal->parts > 1 ? deal->parts : 1;
    m->last = rest % m->size;
    if (m->last == 0 && rest > m->size)
        m->last = m->size;
    if (m->size == 1 || m->parts == 1)
        m->last = 0;
}

/* What is to be had of a share: every size-th of the tasks that are dealt out, a stretch of the others, and parts. */
static void look_at_share(member *m, const team_deal *deal)
{
    const int owner = owner_of(m);
    plan_parts(m, deal);
    const long rest = deal->tasks - deal->dealt - m->last, parts = m->last * m->parts;
    m->dealt = deal->dealt > owner ? (deal->dealt - owner - 1) / m->size + 1 : 0;
    m->first = rest * owner / m->size;
    m->whole = m->dealt + rest * (owner + 1) / m->size - m->first;
    m->part0 = parts * owner / m->size;
    m->claims = m->whole + parts * (owner + 1) / m->size - m->part0;
}

/* The next claim to a share that is not empty yet, which is m's current one then; -1 when all are. */
static long claim_place(member *m, const team_deal *deal)
{
    line_counter *taken = m->team->taken[m->phase % 2];
    assert(0 <= deal->dealt && deal->dealt <= deal->tasks);
    for (; m->victim < m->size; m->victim++, m->claims = -1) {
        if (m->claims < 0) /* divisions are slow beside the shortest tasks */
            look_at_share(m, deal);
        atomic_long *const counter = &taken[owner_of(m)].value;
        if (atomic_load_explicit(counter, memory_order_relaxed) >= m->claims)
            continue; /* looks first: a failed claim would take the line from its owner */
        const long i = take(m, counter);
        if (i < m->claims)
            return i;
    }
    return -1;
}

long team_claim_of(member *m, const team_deal *deal, task_part *part)
{
    assert(!deal->back || deal->dealt == 0);
    const long i = claim_place(m, deal);
    *part = WHOLE_TASK;
    if (i < 0)
        return -1;
    if (i >= m->whole) {
        const long place = m->part0 + i - m->whole;
        *part = (task_part){(int)(place % m->parts), m->parts};
        return deal->tasks - m->last + place / m->parts;
    }
    if (i < m->dealt)
        return owner_of(m) + i * m->size;
    return deal->dealt + m->first + (deal->back ? m->whole - 1 - i : i - m->dealt);
}

long team_claim(member *m, long tasks)
{
    task_part whole;
    return team_claim_of(m, &(team_deal){.tasks = tasks}, &whole);
}

void team_barrier(member *m)
{
    team *t = m->team;
    atomic_store_explicit(&t->taken[(m->phase + 1) % 2][m->id].value, 0, memory_order_relaxed);
    if (m->size > 1) {
        unsigned generation = atomic_load_explicit(&t->generation.value, memory_order_relaxed);
        if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) == m->size - 1) {
            atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
            gate_move(&t->generation, generation + 1);
        } else {
            gate_wait(t, &t->generation, generation, true);
        }
    }
    m->phase++;
    m->victim = 0;
    m->claims = -1;
}

void *team_scratch(member *m, size_t bytes)
{
    assert(bytes <= m->team->scratch_bytes);
    (void)bytes;
    return m->team->scratch + (size_t)m->id * m->team->scratch_bytes;
}

bool team_reserve(team *t, size_t bytes_per_thread)
{
    if (bytes_per_thread <= t->scratch_bytes)
        return true;
    size_t bytes = (bytes_per_thread + 4095) / 4096 * 4096 + SCRATCH_SKEW;
    char *scratch = aligned_alloc(LINE, bytes * (size_t)t->threads);
    if (!scratch)
        return false;
    free(t->scratch);
    t->scratch = scratch;
    t->scratch_bytes = bytes;
    return true;
}
