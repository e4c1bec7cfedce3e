#include "launch/options.h"

#include "io/bug.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

status option_count(uint64_t *out, const char *option, const char *text, uint64_t min, uint64_t max, error *e)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != 0 || errno != 0 || value < min || value > max)
        return fail(e, STATUS_USAGE, "%s: \"%s\" is no whole number from %" PRIu64 " to %" PRIu64, option,
                    text, min, max);
    *out = value;
    return STATUS_OK;
}

status option_threads_check(uint64_t threads, error *e)
{
    const char *omp = getenv("OMP_NUM_THREADS");
    if (threads == 0 && omp && strtoll(omp, NULL, 10) > OPTION_THREADS_MAX)
        return fail(e, STATUS_USAGE, "OMP_NUM_THREADS: \"%s\" is more than %d", omp, OPTION_THREADS_MAX);
    return STATUS_OK;
}

status option_real(double *out, const char *option, const char *text, double min, double max, error *e)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end != 0 || errno != 0 || !(value >= min && value <= max))
        return fail(e, STATUS_USAGE, "%s: \"%s\" is no number from %g to %g", option, text, min, max);
    *out = value;
    return STATUS_OK;
}

status option_choice(int *out, const char *option, const char *text, const char *const *names, int n,
                     error *e)
{
    char allowed[256] = "";
    for (int i = 0; i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return STATUS_OK;
        }
        size_t used = strlen(allowed);
        snprintf(allowed + used, sizeof allowed - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    return fail(e, STATUS_USAGE, "%s: \"%s\" is none of %s", option, text, allowed);
}

status option_config(config *c, char **files, int file_count, char **sets, int set_count, error *e)
{
    status s =
        file_count > 0 ? STATUS_OK : fail(e, STATUS_USAGE, "no configuration: name at least one CONFIG.yaml");
    for (int i = 0; s == STATUS_OK && i < file_count; i++)
        s = config_read_file(c, files[i], e);
    if (s == STATUS_OK)
        s = config_read_environment(c, e);
    for (int i = 0; s == STATUS_OK && i < set_count; i++)
        s = config_set(c, sets[i], e);
    return s == STATUS_OK ? config_finish(c, e) : s;
}

static bool same_inode(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

char *option_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash > path ? (size_t)(slash - path) : 1) : strdup(".");
    BUG_IF(!folder, "out of memory for a path");
    return folder;
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool option_same_file(const char *a, const char *b)
{
    struct stat st;
    if (stat(a, &st) == 0) /* a pipe or a device takes what several write */
        return S_ISREG(st.st_mode) && same_inode(a, b);
    if (strcmp(last_name(a), last_name(b)) != 0)
        return false;
    char *folder = option_folder(a), *other = option_folder(b);
    const bool same = same_inode(folder, other);
    free(folder);
    free(other);
    return same;
}

status option_not_over(const char *option, const char *path, const char *other, const char *what, error *e)
{
    if (!path || !option_same_file(path, other))
        return STATUS_OK;
    return fail(e, STATUS_USAGE, "%s %s: is %s; name another file", option, path, what);
}

bool option_help(int argc, char **argv, const char *help)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return true;
        }
    return false;
}

int option_failed(const char *command, status s, const error *e)
{
    fprintf(stderr, "unroll %s: %s\n", command, e->text);
    return status_exit_code(s);
}

status option_refused(const char *command, char **argv, int option, error *e)
{
    const char *text = argv[optind - 1];
    char letter[3] = {'-', (char)optopt, 0};
    if (optopt > 0 && optopt < 128 &&
        strncmp(text, "--", 2) != 0) /* in "-xy" optind may not have moved yet */
        text = letter;
    return fail(e, STATUS_USAGE, "%s %s; see `unroll %s --help`", text,
                option == ':' ? "wants a value" : "is no option", command);
}
