/* signals.h - requests from outside: save, or save and leave.
 *
 *   USR1                 save and go on
 *   USR2, TERM, INT      save and leave with exit status 75; a second one leaves now, by the signal itself
 *   HUP                  the same, unless it was ignored at start (nohup)
 *   PIPE, XFSZ           ignored: a reader that goes away, or a limit on file sizes, makes a write fail and does not end a run
 *
 * A handler only sets a flag; the loop asks at each step and ORs the flags over the ranks, so that one
 * rank's signal reaches all.  Process-wide. */
#ifndef TRAINER_SIGNALS_H
#define TRAINER_SIGNALS_H

#include <stdint.h>

enum { SIGNALS_SAVE = 1, SIGNALS_STOP = 2 };

void signals_install(void);
/* Requests since the last call (SAVE is taken, STOP stays). */
uint32_t signals_take(void);

#endif
