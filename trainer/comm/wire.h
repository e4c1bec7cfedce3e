/* wire.h - bytes between ranks.  Private to trainer/comm: every call to MPI stands in wire.c, behind these
 * functions, so that comm.c and exchange.c (and whoever reads them) need no MPI, and a group of one, which
 * has no wire, can make no MPI call.
 *
 * MPI's counts are int; ours are size_t.  Whatever is longer than the limit is cut into messages of that
 * length, the last one short; both sides cut alike.  Between two ranks messages keep their order, so a cut
 * needs no numbering.  Only the main thread calls (MPI_THREAD_FUNNELED).  MPI errors end the job
 * (MPI_ERRORS_ARE_FATAL), which starts again from its last checkpoint. */
#ifndef TRAINER_COMM_WIRE_H
#define TRAINER_COMM_WIRE_H

#include "io/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_LIMIT ((size_t)1 << 30) /* bytes of a message: below INT_MAX, and a multiple of a page */

typedef struct wire wire;

/* True when a launcher has started this process (Open MPI's, or one that speaks PMI or PMIx, as Slurm does).
 * */
bool wire_launched(void);
/* How many processes it has started, which of them this is, and the variable that holds the number; 1, 0 and NULL
 * when none does. */
int wire_launched_size(int *rank, const char **told_by);
/* Collective.  Initialises MPI and duplicates the world.  After a failure MPI is finalised again. */
status wire_open(wire **w, error *e);
/* Collective.  Finalises MPI. */
void wire_close(wire *w);
/* Not collective. */
_Noreturn void wire_abort(wire *w, int exit_code);
const char *wire_library(void); /* before wire_open too */

int wire_rank(const wire *w);
int wire_size(const wire *w);
int wire_host_rank(const wire *w);
int wire_host_size(const wire *w);
int wire_hosts(const wire *w);

/* Bytes sent so far.  Messages are counted as sent; how MPI routes a broadcast, an agreement or a gathering
 * to all is its own business, so these count what each contributor would send straight to everybody else. */
uint64_t wire_sent(const wire *w);
/* Longest message from now on; WIRE_LIMIT at first.  For tests, which cannot send 2 GB; the same on all
 * ranks, between plans. */
void wire_set_limit(wire *w, size_t bytes);

/* Collective. */
uint32_t wire_or(wire *w, uint32_t mine);
int64_t wire_min(wire *w, int64_t mine);
void wire_broadcast(wire *w, void *bytes, size_t n, int root);
/* Collective.  Rank r's n[r] bytes to offset sum of n[0..r-1] of `all` on every rank. */
void wire_all_gather(wire *w, const void *mine, void *all, const size_t *n);
/* One blocking message; the other side calls the other function. */
void wire_send(wire *w, const void *bytes, size_t n, int to);
void wire_receive(wire *w, void *bytes, size_t n, int from);

/* Messages under way.  A batch has a fixed number of places, taken at start, and each message of a
 * wire_start_* takes one: wire_messages() of them for n bytes (none for 0 bytes). */
typedef struct wire_batch wire_batch;
size_t wire_messages(const wire *w, size_t n);
/* NULL: out of memory.  Batches that are under way at the same time differ in tag, which is above 0. */
wire_batch *wire_batch_open(size_t places, int tag);
void wire_batch_close(wire_batch *b);
void wire_start_send(wire *w, wire_batch *b, const void *bytes, size_t n, int to);
void wire_start_receive(wire *w, wire_batch *b, void *bytes, size_t n, int from);
size_t wire_started(const wire_batch *b); /* places taken so far */
/* Returns when the messages in places [first, last) have arrived or left. */
void wire_wait(wire_batch *b, size_t first, size_t last);
/* The same for all, and empties the batch. */
void wire_wait_all(wire_batch *b);

#endif
