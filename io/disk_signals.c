/* disk_signals.c - what a signal must not leave behind: the names of the temporary files that are being made, where a
 * handler can read them.
 *
 * They stand in static memory, since a handler that runs on one thread cannot know what another one frees.  A slot is
 * written by whoever has taken it and read once it is full; a name is noted before its file is there, so that no
 * moment is uncovered. */
#include "io/disk_internal.h"

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

void disk_note_temporary(const char *name)
{
    if (strlen(name) >= PATH_MAX)
        return;
    for (int i = 0; i < SLOTS; i++) {
        int empty = EMPTY;
        if (atomic_compare_exchange_strong(&slots[i].state, &empty, TAKEN)) {
            strcpy(slots[i].name, name);
            atomic_store(&slots[i].state, FULL);
            return;
        }
    }
}

void disk_forget_temporary(const char *name)
{
    for (int i = 0; i < SLOTS; i++)
        if (atomic_load(&slots[i].state) == FULL && strcmp(slots[i].name, name) == 0)
            atomic_store(&slots[i].state, EMPTY);
}

/* The default action is in force again (SA_RESETHAND), and not held back (SA_NODEFER): this ends the process. */
static void remove_and_end(int number)
{
    for (int i = 0; i < SLOTS; i++)
        if (atomic_load(&slots[i].state) == FULL)
            unlink(slots[i].name);
    raise(number);
}

/* What is ignored (nohup, jobs in the background of a script) stays so. */
void disk_clean_on_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction old, a = {.sa_handler = remove_and_end, .sa_flags = SA_RESETHAND | SA_NODEFER};
        sigemptyset(&a.sa_mask);
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &a, NULL);
    }
    signal(SIGXFSZ, SIG_IGN);
}
