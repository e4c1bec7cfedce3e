/* prepare_output.c - where the corpus goes. */
#include "io/disk.h"
#include "launch/options.h"
#include "launch/prepare.h"

#include <errno.h>
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
