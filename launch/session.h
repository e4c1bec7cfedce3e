/* session.h - what train, eval and sample share at start: the communicator, the kernel table that all ranks
 * have, the team of threads. */
#ifndef LAUNCH_SESSION_H
#define LAUNCH_SESSION_H

#include "io/status.h"
#include "kernels/team.h"
#include "trainer/comm/comm.h"

#include <stdbool.h>

typedef struct session {
    comm *group;
    team *team;
} session;

/* Collective if with_mpi (train, eval).  threads 0: the policy of launch/binding.h.  All ranks get the
 * best kernel table that all have (rule R7), or the one that UNROLL_KERNELS names.  After a failure of
 * comm_open itself s->group is NULL, and no rank can be asked. */
status session_open(session *s, bool with_mpi, int threads, error *e);
/* Collective.  Rank 0 prints the sentence of a failure; closes everything; returns the exit code. */
int session_close(session *s, const char *command, status result, const error *e);

#endif
