/* probe.h - do two machines compute the same bits?  (rule R7) */
#ifndef TRAINER_PROBE_H
#define TRAINER_PROBE_H

#include "io/hash.h"
#include "kernels/recurrent.h"
#include "kernels/team.h"

/* One training step of a small model of this cell, with dropout, on fixed numbers: SHA-256 of losses and
 * gradients.  The same for any thread count and kernel table; ranks compare it at start, and tests compare
 * it between tables. */
void probe_digest(team *t, const cell_kind *cell, char hex[SHA256_HEX]);

#endif
