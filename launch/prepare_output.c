/* prepare_output.c - where the corpus goes, and what a signal may leave there. */
#include "io/disk.h"
#include "launch/options.h"
#include "launch/prepare.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

status prepare_check_output(const prepare_options *o, error *e)
{
    const char *out = o->job.out;
    struct stat st;
    if (out == NULL || *out == 0)
        return fail(e, STATUS_USAGE, "no output: -o CORPUS.h5 is required");
    if (stat(out, &st) == 0) {
        if (!S_ISREG(st.st_mode))
            return fail(e, STATUS_USAGE, "-o %s: is there and is no regular file", out);
        if (!o->overwrite)
            return fail(e, STATUS_USAGE, "-o %s: is there already (--overwrite replaces it)", out);
    }
    status s = STATUS_OK;
    for (size_t i = 0; i < o->job.texts.count && s == STATUS_OK; i++)
        s = option_not_over("-o", out, o->job.texts.parts[i].place.path,
                            "one of the texts that the corpus is made from", e);
    char *folder = option_folder(out);
    if (s == STATUS_OK && access(folder, W_OK | X_OK) != 0)
        s = fail(e, STATUS_BAD_DATA, "-o %s: cannot be written there: %s", out, strerror(errno));
    free(folder);
    return s;
}

/* The unfinished corpus may be as large as the whole one.  If it cannot go it is in nobody's way. */
void prepare_sweep(const char *out)
{
    char *folder = option_folder(out);
    disk_sweep_temporaries(folder, NULL);
    free(folder);
}

static volatile sig_atomic_t stopped_by;

static void on_stop(int number)
{
    stopped_by = number;
}

int prepare_stopped(void)
{
    return stopped_by;
}

bool prepare_is_stopped(void)
{
    return stopped_by != 0;
}

/* What is ignored (nohup, jobs in the background of a script) stays so. */
void prepare_stop_on_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction old, a = {.sa_handler = on_stop, .sa_flags = SA_RESTART | SA_RESETHAND};
        sigemptyset(&a.sa_mask);
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &a, NULL);
    }
}
