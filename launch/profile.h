/* profile.h - where the time of a training run went: a table, and a timeline for chrome://tracing or Perfetto.
 *
 * The timeline is one JSON object of the Trace Event Format: each rank is a process, with its phases (kernels/trace.h)
 * inside its steps inside the whole.  Rank 0 gathers the events of all ranks and writes them.  Of each rank the last
 * events are in it, 65,536 over all ranks but at least 1,024 of each; a step of a two-layer model has about 25 of
 * them.  Clocks of ranks on unlike hosts are laid side by side by the time of day. */
#ifndef LAUNCH_PROFILE_H
#define LAUNCH_PROFILE_H

#include "io/status.h"
#include "kernels/trace.h"
#include "trainer/comm/comm.h"
#include "trainer/model.h"

#include <stdio.h>

/* Events that each of `ranks` ranks keeps. */
size_t profile_capacity(int ranks);
/* Before the work: can `path` be written, and would it replace nothing but an older timeline?  USAGE. */
status profile_check(const char *path, error *e);
/* Collective.  The timeline of all ranks, written by rank 0; USAGE if the run itself has put another file there. */
status profile_write(comm *group, const trace *t, const char *path, error *e);
/* The breakdown of rank 0, which prints it, of `ranks`: seconds, share, GFLOP/s where the work of a phase is known. */
void profile_print(FILE *out, const trace *t, const model_shape *shape, int ranks);

#endif
