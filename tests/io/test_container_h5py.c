/* test_container_h5py.c - our files are HDF5 files: another program, h5py, finds in them what we put in,
 * at the offsets that our manifest gives, and h5dump reads their structure.  Skips without h5py. */
#include "tests/io/make_container.h"
#include "tests/io/scratch.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int run(char *const arguments[])
{
    pid_t child;
    int how;
    if (posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ) != 0 ||
        waitpid(child, &how, 0) != child)
        return 127;
    return WIFEXITED(how) ? WEXITSTATUS(how) : 128;
}

static status make_image(const char *path, const tensor *tensors, const record *meta, error *e)
{
    unsigned char *image = NULL;
    size_t n;
    status s = container_image(&image, &n, "checkpoint", meta, tensors, SAMPLE_TENSORS, e);
    if (s == STATUS_OK)
        s = disk_write_file(path, image, n, e);
    free(image);
    return s;
}

static status make_pieces(const char *path, const tensor *tensors, const record *meta, error *e)
{
    container_writer *w;
    status s = container_create(&w, path, "corpus", tensors, SAMPLE_TENSORS, e);
    for (size_t i = 0; s == STATUS_OK && i < SAMPLE_TENSORS; i++)
        s = container_write(w, i, 0, tensors[i].data, tensor_count(&tensors[i]), e);
    if (s == STATUS_OK)
        return container_finish(w, meta, e);
    container_abandon(w);
    return s;
}

int main(void)
{
    scratch_make();
    char *a = strdup(scratch_path("image.h5")), *b = strdup(scratch_path("pieces.h5"));
    tensor tensors[SAMPLE_TENSORS];
    sample_tensors(tensors);
    record *meta = sample_meta();
    error e = {0};
    status s = make_image(a, tensors, meta, &e);
    if (s == STATUS_OK)
        s = make_pieces(b, tensors, meta, &e);
    if (s != STATUS_OK)
        printf("cannot write: %s\n", e.text);
    record_free(meta);

    /* Debian's python3-h5py belongs to Debian's python; another python may come first in the path. */
    char *script = strdup(SCRIPT), *debian[] = {"/usr/bin/python3", script, a, b, NULL},
         *other[] = {"python3", script, a, b, NULL};
    int rc = s == STATUS_OK ? run(debian) : 1;
    if (rc == 77 || rc == 127)
        rc = run(other);
    if (rc == 127) {
        printf("skip: no python3 here\n");
        rc = 77;
    }
    for (int i = 0; i < 2 && rc == 0; i++) {
        int found = run((char *[]){"h5dump", "-H", i ? a : b, NULL});
        rc = found == 127 ? 0 : found; /* h5dump need not be installed */
    }
    free(script);
    free(a);
    free(b);
    scratch_remove();
    return rc;
}
