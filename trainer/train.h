/* train.h - the training loop.
 *
 * Order at the end of a step: log, validation (then best checkpoint and plateau), end of the epoch (rows
 * zeroed), checkpoint, leave.  What happens at step k is a function of the configuration and k, except for
 * checkpoints asked for by time or signal, which change nothing in the run. Collective. */
#ifndef TRAINER_TRAIN_H
#define TRAINER_TRAIN_H

#include "io/status.h"
#include "trainer/run.h"

/* Trains until done, paused (train.steps) or asked to leave. OK: done or paused; SAVED: left on request,
 * everything saved; INTERNAL: loss or gradient is not finite (the last good checkpoint stays);
 * BAD_CHECKPOINT: the state could not be saved where it had to be. */
status train_run(run *r, error *e);

#endif
