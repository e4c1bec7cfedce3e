#include "trainer/store.h"

#include "io/container.h"
#include "io/disk.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const prefixes[] = {[STORE_CHECKPOINT] = "ckpt", [STORE_BEST] = "best"};

struct store {
    char *dir;
    int64_t keep[2];
    bool writing; /* a thread was started and not joined */
    pthread_t thread;
    struct {
        store_kind kind;
        int64_t step;
        unsigned char *image;
        size_t bytes;
        status result;
        error e;
    } job; /* the thread's while it runs */
};

status store_open(store **out, const char *dir, int64_t keep_last, int64_t keep_best, error *e)
{
    *out = NULL;
    status s = disk_make_dir(dir, e);
    if (s != STATUS_OK)
        return fail_as(e, STATUS_BAD_CONFIG, "run.dir");
    s = disk_sweep_temporaries(dir, e);
    if (s != STATUS_OK)
        return s;
    store *st = calloc(1, sizeof *st);
    char *copy = strdup(dir);
    if (!st || !copy) {
        free(st);
        free(copy);
        return fail(e, STATUS_NO_MEMORY, "no memory for the run directory");
    }
    st->dir = copy;
    st->keep[STORE_CHECKPOINT] = keep_last;
    st->keep[STORE_BEST] = keep_best;
    *out = st;
    return STATUS_OK;
}

/* Step of "ckpt-0000000012.h5", -1 for any other name. */
static long long step_of(const char *name, store_kind kind)
{
    size_t n = strlen(prefixes[kind]);
    if (strncmp(name, prefixes[kind], n) != 0 || name[n] != '-' || strlen(name) != n + 1 + 10 + 3 ||
        strcmp(name + n + 11, ".h5") != 0)
        return -1;
    long long step = 0;
    for (size_t i = n + 1; i < n + 11; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        step = step * 10 + (name[i] - '0');
    }
    return step;
}

/* Removes all but the newest keep[kind] files up to `step`, which has just been committed.  Files beyond
 * it are damaged ones that a resume has passed over: they must not count, or they would push the good ones
 * out. */
static status prune(const store *st, store_kind kind, int64_t step, error *e)
{
    char **paths;
    size_t count;
    status s = store_list(st->dir, kind, &paths, &count, e);
    if (s != STATUS_OK)
        return s;
    int64_t kept = 0;
    for (size_t i = 0; s == STATUS_OK && i < count; i++)
        if (step_of(strrchr(paths[i], '/') + 1, kind) <= step && kept++ >= st->keep[kind])
            s = disk_remove(paths[i], e);
    store_list_free(paths, count);
    return s;
}

static void *write_job(void *arg)
{
    store *st = arg;
    char path[STORE_PATH];
    store_path(st->dir, st->job.kind, st->job.step, path);
    st->job.result = disk_write_file(path, st->job.image, st->job.bytes, &st->job.e);
    if (st->job.result == STATUS_OK)
        st->job.result = prune(st, st->job.kind, st->job.step, &st->job.e);
    free(st->job.image);
    st->job.image = NULL;
    return NULL;
}

status store_settle(store *st, error *e)
{
    if (!st || !st->writing)
        return STATUS_OK;
    pthread_join(st->thread, NULL);
    st->writing = false;
    if (st->job.result == STATUS_OK)
        return STATUS_OK;
    *e = st->job.e;
    return fail_as(e, STATUS_BAD_CHECKPOINT, "checkpoint of step %lld was not saved",
                   (long long)st->job.step);
}

/* Signals belong to the main thread: the writer is born with all of them blocked. */
static int start_thread(store *st)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    int failed = pthread_create(&st->thread, NULL, write_job, st);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed;
}

status store_save(store *st, store_kind kind, int64_t step, unsigned char *image, size_t bytes, bool wait,
                  error *e)
{
    if (!st)
        return STATUS_OK;
    status before = store_settle(st, e);
    st->job.kind = kind;
    st->job.step = step;
    st->job.image = image;
    st->job.bytes = bytes;
    st->job.result = STATUS_OK;
    if (start_thread(st) == 0)
        st->writing = true;
    else
        write_job(st); /* no thread to be had: write here and now */
    if (!wait && st->writing)
        return before;
    if (st->writing)
        return store_settle(st, e);
    if (st->job.result == STATUS_OK)
        return before;
    *e = st->job.e;
    return fail_as(e, STATUS_BAD_CHECKPOINT, "checkpoint of step %lld was not saved", (long long)step);
}

status store_close(store *st, error *e)
{
    if (!st)
        return STATUS_OK;
    status s = store_settle(st, e);
    free(st->dir);
    free(st);
    return s;
}

/* ---- reading the directory
 * --------------------------------------------------------------------------------------- */

void store_path(const char *dir, store_kind kind, int64_t step, char path[STORE_PATH])
{
    snprintf(path, STORE_PATH, "%s/%s-%010lld.h5", dir, prefixes[kind], (long long)step);
}

/* Newest first: fixed-width numbers sort as text. */
static int newer_first(const void *a, const void *b)
{
    return strcmp(*(char *const *)b, *(char *const *)a);
}

status store_list(const char *dir, store_kind kind, char ***paths, size_t *count, error *e)
{
    *paths = NULL;
    *count = 0;
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOENT ? STATUS_OK
                               : fail(e, STATUS_IO_FAILED, "%s: cannot be listed: %s", dir, strerror(errno));
    size_t capacity = 0;
    status s = STATUS_OK;
    for (struct dirent *entry; s == STATUS_OK && (entry = readdir(d));) {
        if (step_of(entry->d_name, kind) < 0)
            continue;
        if (*count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            char **grown = realloc(*paths, capacity * sizeof *grown);
            if (!grown) {
                s = fail(e, STATUS_NO_MEMORY, "%s: no memory to list it", dir);
                break;
            }
            *paths = grown;
        }
        size_t n = strlen(dir) + strlen(entry->d_name) + 2;
        char *path = malloc(n);
        if (!path) {
            s = fail(e, STATUS_NO_MEMORY, "%s: no memory to list it", dir);
            break;
        }
        snprintf(path, n, "%s/%s", dir, entry->d_name);
        (*paths)[(*count)++] = path;
    }
    closedir(d);
    if (s != STATUS_OK) {
        store_list_free(*paths, *count);
        *paths = NULL;
        *count = 0;
    } else if (*count) {
        qsort(*paths, *count, sizeof **paths, newer_first);
    }
    return s;
}

void store_list_free(char **paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    free(paths);
}

status store_newest_good(const char *dir, store_kind kind, char **path,
                         void (*skipped)(const char *line, void *arg), void *arg, error *e)
{
    char **paths;
    size_t count;
    *path = NULL;
    status s = store_list(dir, kind, &paths, &count, e);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0; i < count && !*path; i++) {
        container c;
        error why = {0};
        if (container_open(&c, paths[i], "checkpoint", CONTAINER_CHECK, &why) == STATUS_OK) {
            container_close(&c);
            *path = strdup(paths[i]);
            if (!*path)
                s = fail(e, STATUS_NO_MEMORY, "%s: no memory", dir);
        } else if (skipped) {
            skipped(why.text, arg);
        }
    }
    if (count && !*path && s == STATUS_OK)
        s = fail(e, STATUS_BAD_CHECKPOINT,
                 "%s: none of its %zu checkpoints is whole; move them away to start afresh", dir, count);
    store_list_free(paths, count);
    return s;
}

status store_resolve(const char *what, bool last, char **path, error *e)
{
    struct stat st;
    *path = NULL;
    if (stat(what, &st) != 0)
        return fail(e, STATUS_BAD_CHECKPOINT, "%s: %s; a checkpoint or a run directory is needed", what,
                    strerror(errno));
    if (!S_ISDIR(st.st_mode)) {
        *path = strdup(what);
        return *path ? STATUS_OK : fail(e, STATUS_NO_MEMORY, "%s: no memory", what);
    }
    status s = last ? STATUS_OK : store_newest_good(what, STORE_BEST, path, NULL, NULL, e);
    if (s == STATUS_OK && !*path)
        s = store_newest_good(what, STORE_CHECKPOINT, path, NULL, NULL, e);
    if (s == STATUS_OK && !*path)
        s = fail(e, STATUS_BAD_CHECKPOINT, "%s: holds no checkpoint (ckpt-*.h5 or best-*.h5)", what);
    return s;
}
