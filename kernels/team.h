/* team.h - the threads of one process and how they share work.
 *
 * A team is an OpenMP parallel region that lives from team_open to team_close; its threads take part in one
 * body after another, and in a body phases of tasks are separated by barriers:
 *
 *   static void body(member *m, void *arg) {
 *       for (long i; (i = team_claim(m, tasks)) >= 0;)   own contiguous share first, always the same;
 *           work(arg, i);                                then one by one from the others'
 *       team_barrier(m);                                 required after every phase of claims
 *       ...
 *   }
 *   team_run(t, body, &job);
 *
 * Which thread did a task never changes a result: tasks depend on tensors alone (rule R3).  Every thread
 * runs with denormals flushed (FTZ and DAZ) and round-to-nearest while in the body; the caller's
 * floating-point state is restored afterwards.
 * A waiting thread spins, for little more than a millisecond (or a tenth of that, soon after a wait that took longer,
 * and less where threads outnumber cores), and then sleeps, so that neither more threads than cores nor
 * other programs on them bring a team to a crawl, and an idle team costs nothing.
 * A team of one thread makes no OpenMP call.  team_run is called by the thread that opened the team and may
 * not be nested.  Signals are left to that thread.
 * Memory: allocated by team_open and team_reserve only. */
#ifndef KERNELS_TEAM_H
#define KERNELS_TEAM_H

#include "kernels/ints.h"
#include "kernels/kernels.h"
#include "kernels/trace.h"

typedef struct team team;
typedef struct member {
    team *team;
    int id, size;     /* thread 0..size-1 */
    const kernels *k; /* the instruction set's table */
    trace *trace;     /* the team's, of member 0; NULL of all others */
    /* the rest is the team's own */
    unsigned phase;
    int victim;         /* whose share is being emptied: the member this many places further on */
    long claims, whole; /* to be had there, and how many of them are whole tasks; claims < 0: not yet known */
    long dealt;         /* how many of these are dealt out */
    long first;         /* where its stretch of the others begins */
    long part0;         /* and its stretch of the parts */
    long last;          /* how many tasks come in parts, and in how many */
    int parts;
} member;

/* threads >= 1; k from kernels_select(). OpenMP may give fewer threads (OMP_THREAD_LIMIT), and team_threads
 * says how many; OMP_PLACES and OMP_PROC_BIND say where they run. NULL when memory is out or the first
 * thread cannot be had; where the system refuses another one, the OpenMP runtime ends the process with its
 * own message. */
team *team_open(int threads, const kernels *k);
void team_close(team *t);
int team_threads(const team *t);
/* How many waits at barriers went on for more than the millisecond so far: at most one of each thread in 0.2 s, for then
 * all sleep early. Stays 0 where threads outnumber cores: they always do. */
long team_outlasted(const team *t);
const kernels *team_kernels(const team *t);

void team_run(team *t, void (*body)(member *m, void *arg), void *arg);
/* The next task of this phase, 0 <= task < tasks, or -1 when none is left. Each thread has a share, the
 * same one in every phase of as many tasks; when that is done it takes from the shares of others.
 * In a phase all members claim with the same function and the same numbers. */
long team_claim(member *m, long tasks);
/* How a phase's tasks are to be had, where there is more to say than how many there are. */
typedef struct team_deal {
    long tasks;
    /* The first of them, 0 <= dealt <= tasks, are dealt out one by one, task i to thread i % size, and each thread
     * begins with its own: for phases that have a few large tasks, while the others fill the gaps. */
    long dealt;
    /* As many whole tasks go to each share; the last tasks, at most one for each thread, come in so many parts, which are
     * cut into stretches as tasks are, for the ends of the shares: these differ by a part at most, and who finishes early
     * waits for less than a task. 0 and 1: all are whole, as they are for a thread alone and where each has one. */
    int parts;
    /* The whole tasks of each share from its end, where nothing is dealt out; parts come last all the same. When phases
     * alternate, a thread begins with the whole task that it has met last. */
    bool back;
} team_deal;
long team_claim_of(member *m, const team_deal *deal, task_part *part);
void team_barrier(member *m);

/* Where the time goes (trace.h): the trace that this team's bodies write, NULL for none, as at start;
 * returns the one before. */
trace *team_trace(team *t, trace *to);
/* What begins now, after the barrier of what was before; in a body, and between team_runs. */
static inline void member_phase(member *m, trace_phase phase)
{
    if (m->trace)
        trace_begin(m->trace, phase);
}
void team_phase(team *t, trace_phase phase);
void team_step(team *t, int64_t step, uint64_t tokens, trace_phase phase); /* as trace_step */

/* Per-thread scratch of at least `bytes` (64-byte aligned, contents undefined), from what team_reserve()
 * set aside at start. */
void *team_scratch(member *m, size_t bytes);
bool team_reserve(team *t, size_t bytes_per_thread); /* before training; grows only */

#endif
