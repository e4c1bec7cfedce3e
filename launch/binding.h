/* binding.h - which cores this process may use, who else uses them, and how many threads that makes.
 *
 * The trap: `mpirun -np 1` and `-np 2` bind a rank, and with it all its threads, to one core; with three or
 * more ranks they bind to a socket or not at all.  So the answer is read from the process's own cpuset
 * (hwloc), and compared with the other ranks of the host:
 *
 *   4 cores                cpuset of rank 0   of rank 1   threads of each
 *   mpirun -np 2                0                 1              1    and cores 2, 3 idle: a warning
 *   ... --bind-to none          0-3               0-3            2    4 cores shared by 2 ranks
 *   ... --map-by slot:PE=2 --bind-to core
 *                               0-1               2-3            2    as it should be
 *
 * Threads: --threads, else OMP_NUM_THREADS, else the cores of the cpuset divided by the ranks of this host
 * that share them, and not more than the control group's share of time (a container's CPU limit, which no
 * cpuset shows).  One thread; collective where said. */
#ifndef LAUNCH_BINDING_H
#define LAUNCH_BINDING_H

#include "trainer/comm/comm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BINDING_CORES_MAX 4096 /* of a host; cores above are not looked at */
#define BINDING_LINE      1024 /* bytes of a launch line */
#define BINDING_TEXT      1280 /* bytes of a warning, which ends in one */

typedef struct binding {
    int host_cores, packages, numa_nodes; /* of the host, as far as this container may use it */
    int cores;                            /* of those, in the cpuset of this process */
    double quota;  /* cores' worth of time that the control group grants; 0: no limit known */
    char cpus[64]; /* the cpuset as a list of hardware threads: "0-3,8" */
    uint64_t core[BINDING_CORES_MAX / 64]; /* the same as a set of cores */

    /* Of the group, after binding_share; of a group of one before. */
    int ranks, host_ranks; /* in all, and on this host */
    int sharers;           /* ranks of this host that may use one of our cores, this one included */
    int used_cores;        /* of this host, that some rank may use */
} binding;

/* NO_MEMORY or INTERNAL when the topology cannot be read. */
status binding_read(binding *b, error *e);
/* Collective.  Tells the others of the host and fills in what they tell. */
status binding_share(binding *b, comm *group, error *e);

/* Cores' worth of time that the control groups of this process grant (cgroup 2 or 1), 0 if there is no limit.
 * root: "" (tests: a folder that holds proc/ and sys/). */
double binding_quota(const char *root);

/* How many threads, and why: "--threads", "OMP_NUM_THREADS" or "cores".  requested 0: not asked for. */
int binding_threads(const binding *b, int requested, const char **why);
/* The line that gives each of `ranks` ranks, host_ranks of them on a host like this one, cores of its own;
 * `command` is what comes behind. */
void binding_launch_line(const binding *b, int ranks, int host_ranks, const char *command,
                         char line[BINDING_LINE]);
/* Is something wrong here with so many threads as binding_threads says: more than cores, or cores that
 * mpirun's own binding leaves idle?  One sentence that ends in the line to use, if there is a better one. */
bool binding_warning(const binding *b, int requested, const char *command, char text[BINDING_TEXT]);

/* The command line of this process as a shell takes it, without --threads; "unroll train ..." when it is too
 * long. */
void binding_own_command(char command[BINDING_LINE / 2]);
/* Collective.  All of the above for the commands that train: the number of threads of this rank; `warning` (n
 * bytes, BINDING_TEXT holds all) is empty when nothing is wrong. */
int launch_threads(comm *group, int requested, char *warning, size_t n);

#endif
