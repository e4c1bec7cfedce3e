/* comm.h - the communicator: the only door to MPI in the project.  A group of one (no launcher) makes no MPI
 * call at all.
 *
 * "Collective." is the first word of the comment of every function that all ranks must call in the same
 * order.  MPI errors end the job (its default handler); status values here speak of our own limits.  Only the
 * main thread calls (MPI_THREAD_FUNNELED).  Counts above INT_MAX are cut inside.
 *
 * Sums: MPI never adds floats.  A rank's gradient partials, one per maximal subtree of its shards
 * (kernels/shards.h), travel as bytes to the rank that owns the piece; the owner adds them over the one tree
 * over [0,S), so the sum has the same bits for any number of ranks (rule R2). */
#ifndef TRAINER_COMM_COMM_H
#define TRAINER_COMM_COMM_H

#include "io/status.h"
#include "kernels/shards.h"
#include "kernels/team.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct comm comm;

/* Collective.  Under a launcher (OMPI_COMM_WORLD_SIZE, PMI_RANK or PMIX_RANK in the environment) initialises
 * MPI on a duplicate of the world and sets bug_label; else a group of one.  After a failure *c is
 * NULL. */
status comm_open(comm **c, error *e);
/* A group of one, under a launcher too (for commands whose processes have nothing to tell each other). */
status comm_alone(comm **c, error *e);
/* Collective.  MPI_Finalize if MPI was initialised. */
void comm_close(comm *c);
/* Not collective: ends all ranks with this exit code (MPI_Abort), at once, without handlers at exit. */
_Noreturn void comm_abort(comm *c, int exit_code);

/* Not collective, and no MPI call: how many processes a launcher (mpirun, or Slurm's srun) has started, which
 * of them this is, and the variable of the environment that told so; 1, 0 and NULL without one, and where a
 * launcher tells ranks but no number of them (PMIX_RANK alone). */
int comm_launched(int *rank, const char **told_by);

int comm_rank(const comm *c);
int comm_size(const comm *c);
int comm_host_rank(const comm *c); /* among the ranks of this host */
int comm_host_size(const comm *c);
int comm_hosts(const comm *c);
const char *comm_host_name(const comm *c);

/* Collective.  Each rank gives its own status; all get the worst and its sentence (of the lowest such rank,
 * with "rank r on host: " in front when that is not rank 0 and there are several), so that all leave by the
 * same door and one speaks. */
status comm_agree(comm *c, status mine, error *e);
/* Collective.  OR of flags of all ranks (signals, time limits). */
uint32_t comm_any(comm *c, uint32_t flags);
/* Collective.  true on all iff every rank gives the same bytes (configuration, kernel probe, corpus digest);
 * else *odd_rank is the lowest that differs from rank 0 (-1 if none). */
bool comm_same(comm *c, const void *bytes, size_t n, int *odd_rank);
/* Collective. */
void comm_broadcast(comm *c, void *bytes, size_t n, int root);
/* Collective.  Rank r's n[r] bytes land at offset sum of n[0..r-1] of `all` on every rank (n has comm_size
 * entries, equal on all ranks). */
void comm_all_gather(comm *c, const void *mine, void *all, const size_t *n);
/* Collective.  The same to root only (`all` is ignored elsewhere). */
void comm_gather(comm *c, const void *mine, void *all, const size_t *n, int root);
/* Collective.  Inverse of comm_gather. */
void comm_scatter(comm *c, const void *all, void *mine, const size_t *n, int root);
/* Collective.  Minimum over ranks. */
int64_t comm_min(comm *c, int64_t mine);

/* Exchange of gradients and parameters (DESIGN section 4).  A bucket is a slice [begin,end) of the slab of
 * parameters, cut among the ranks: rank r owns floats [cut[r], cut[r+1]). */
typedef struct comm_bucket {
    size_t begin, end;
    const size_t *cut; /* comm_size + 1 values, cut[0] = begin, cut[size] = end */
} comm_bucket;

/* Collective.  Plans the exchange for all the buckets (memory for receiving is taken here, nothing later).
 * B, S as in shards_init.  More ranks than shards: BAD_CONFIG.  A second call replaces the first plan. */
status comm_plan(comm *c, const comm_bucket *buckets, int count, int B, int S, error *e);
/* Collective.  Starts bucket i: partials of this rank's node n lie at partial + n*stride (indexed like the
 * slab).  Buckets start in order 0,1,2,... on all ranks.   Partials stay untouched until comm_reduce_finish.
 * */
void comm_reduce_begin(comm *c, int bucket, const float *partial, size_t stride);
/* Collective.  Finishes all buckets begun: sum (indexed like the slab) holds, in the pieces that this rank
 * owns, the tree sum over all shards.  sum may be partial. */
void comm_reduce_finish(comm *c, team *t, float *sum);
/* Collective.  Starts and finishes sending each owned piece of x (indexed like the slab) of a bucket to all
 * ranks. */
void comm_params_begin(comm *c, int bucket, float *x);
void comm_params_finish(comm *c);
/* Collective.  Doubles per node, tree-summed over all shards: the same double on every rank (losses).
 * Values: per node of this rank.  After comm_plan. */
double comm_sum_nodes(comm *c, const double *per_node);

/* Bytes that this rank has sent in reduces, parameter exchanges and everything else since comm_open.
 * Broadcasts and agreements, which MPI routes as it likes, count what a contributor would send straight to
 * everybody else. */
uint64_t comm_bytes_sent(const comm *c);
const char *comm_library(void); /* "Open MPI v4.1.4, ..." for --version */

#endif
