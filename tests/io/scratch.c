#include "tests/io/scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[512];

static void demand(bool fine, const char *what)
{
    if (!fine) {
        perror(what);
        abort();
    }
}

void scratch_make(void)
{
    const char *top = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/unroll-test.XXXXXX", top ? top : "/tmp");
    demand(mkdtemp(folder) != NULL, folder);
}

const char *scratch_folder(void)
{
    return folder;
}

static size_t each_entry(const char *dir, bool remove_it)
{
    DIR *d = opendir(dir);
    demand(d != NULL, dir);
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        n++;
        if (remove_it)
            remove(scratch_path(entry->d_name));
    }
    closedir(d);
    return n;
}

void scratch_remove(void)
{
    each_entry(folder, true);
    demand(rmdir(folder) == 0, folder);
}

const char *scratch_path(const char *name)
{
    static char paths[8][1024];
    static int turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void scratch_write(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    demand(f != NULL, path);
    demand(fwrite(bytes, 1, n, f) == n, path);
    demand(fclose(f) == 0, path);
}

bool scratch_holds(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return false;
    unsigned char *found = malloc(n + 1);
    demand(found != NULL, path);
    bool same = fread(found, 1, n + 1, f) == n && memcmp(found, bytes, n) == 0;
    free(found);
    fclose(f);
    return same;
}

size_t scratch_entries(void)
{
    return each_entry(folder, false);
}

size_t scratch_descriptors(void)
{
    return each_entry("/proc/self/fd", false);
}

int scratch_setup(void **state)
{
    (void)state;
    scratch_make();
    return 0;
}

int scratch_teardown(void **state)
{
    (void)state;
    scratch_remove();
    return 0;
}
