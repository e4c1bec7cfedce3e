/* disk_signals.c - what a signal must not leave behind: the names of the temporary files that are being made, where a
 * handler can read them.
 *
 * They stand in static memory, since a handler that runs on one thread cannot know what another one frees.  A slot is
 * written by whoever has taken it and read once it is full.  A name is noted before its file is there and forgotten
 * after, so that on the thread that makes the file no moment is uncovered; a handler on another thread may look between
 * note and file, and what is made in the instant before the process ends stays. */
#include "io/disk_internal.h"
#include "io/progress.h"

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum {
    SLOTS = 16
}; /* a process makes few files at a time; what finds no room here, the next sweep removes */

enum { EMPTY, TAKEN, FULL };
static struct {
    atomic_int state;
    char name[PATH_MAX];
} slots[SLOTS];

int disk_note_temporary(const char *name)
{
    if (strlen(name) >= PATH_MAX)
        return 0;
    for (int i = 0; i < SLOTS; i++) {
        int empty = EMPTY;
        if (atomic_compare_exchange_strong(&slots[i].state, &empty, TAKEN)) {
            strcpy(slots[i].name, name);
            atomic_store(&slots[i].state, FULL);
            return i + 1;
        }
    }
    return 0;
}

void disk_forget_temporary(int note)
{
    if (note > 0)
        atomic_store(&slots[note - 1].state, EMPTY);
}

/* The default action, not held back (SA_NODEFER), ends the process. */
static void remove_and_end(int number)
{
    progress_abandon();
    for (int i = 0; i < SLOTS; i++)
        if (atomic_load(&slots[i].state) == FULL)
            unlink(slots[i].name);
    signal(number, SIG_DFL);
    raise(number);
}

/* What is ignored (nohup, jobs in the background of a script) stays so. */
void disk_clean_on_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction old, a = {.sa_handler = remove_and_end, .sa_flags = SA_NODEFER};
        sigemptyset(&a.sa_mask);
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &a, NULL);
    }
    signal(SIGXFSZ, SIG_IGN);
}
