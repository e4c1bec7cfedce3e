/* binding.c - what hwloc and the other ranks say, and what follows from it. */
#include "launch/binding.h"

#include <hwloc.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS (BINDING_CORES_MAX / 64)

static int at_least_1(int x)
{
    return x > 1 ? x : 1;
}

static int count_cores(const uint64_t set[WORDS])
{
    int n = 0;
    for (int i = 0; i < WORDS; i++)
        n += __builtin_popcountll(set[i]);
    return n;
}

/* ---- this process ---- */

/* Cores, or hardware threads where the system does not tell cores (some virtual machines). */
static void read_cores(binding *b, hwloc_topology_t topology, hwloc_const_cpuset_t cpuset)
{
    hwloc_obj_type_t kind =
        hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    b->host_cores = at_least_1(hwloc_get_nbobjs_by_type(topology, kind));
    b->packages = at_least_1(hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PACKAGE));
    b->numa_nodes = at_least_1(hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE));
    for (hwloc_obj_t core = NULL; (core = hwloc_get_next_obj_by_type(topology, kind, core)) != NULL;)
        if (core->logical_index < BINDING_CORES_MAX && hwloc_bitmap_intersects(core->cpuset, cpuset))
            b->core[core->logical_index / 64] |= (uint64_t)1 << core->logical_index % 64;
    b->cores = at_least_1(count_cores(b->core));
    hwloc_bitmap_list_snprintf(b->cpus, sizeof b->cpus, cpuset);
}

/* With OMP_PROC_BIND or OMP_PLACES the OpenMP runtime has bound this thread to the first place before main
 * began; what the process may use is then all the places. */
static void add_places(hwloc_cpuset_t cpuset)
{
    int places = omp_get_proc_bind() != omp_proc_bind_false ? omp_get_num_places() : 0;
    for (int place = 0; place < places; place++) {
        int n = omp_get_place_num_procs(place), *cpu = malloc((size_t)at_least_1(n) * sizeof *cpu);
        if (cpu == NULL)
            return;
        omp_get_place_proc_ids(place, cpu);
        for (int i = 0; i < n; i++)
            hwloc_bitmap_set(cpuset, (unsigned)cpu[i]);
        free(cpu);
    }
}

/* The binding of this thread, which the threads of a team inherit; MPI's own threads may be elsewhere. */
static bool read_cpuset(hwloc_topology_t topology, hwloc_cpuset_t cpuset)
{
    if (hwloc_get_cpubind(topology, cpuset, HWLOC_CPUBIND_THREAD) != 0)
        return false;
    add_places(cpuset);
    return true;
}

status binding_read(binding *b, error *e)
{
    *b = (binding){.host_cores = 1,
                   .packages = 1,
                   .numa_nodes = 1,
                   .cores = 1,
                   .ranks = 1,
                   .host_ranks = 1,
                   .sharers = 1};
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0)
        return fail(e, STATUS_NO_MEMORY, "no memory to read which cores this host has");
    status s = STATUS_OK;
    hwloc_cpuset_t cpuset = hwloc_bitmap_alloc();
    if (cpuset == NULL || hwloc_topology_load(topology) != 0 || !read_cpuset(topology, cpuset))
        s = fail(e, STATUS_INTERNAL,
                 "cannot read which cores this host has and which of them this process may use");
    else
        read_cores(b, topology, cpuset);
    b->used_cores = b->cores;
    b->quota = binding_quota("");
    hwloc_bitmap_free(cpuset);
    hwloc_topology_destroy(topology);
    return s;
}

/* Reads "A B" from a file of the control groups; "max", -1 or no file is no limit. */
static double read_quota(const char *path, const char *period_path)
{
    double quota = 0, period = 0;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0;
    int fields = fscanf(f, "%lf %lf", &quota, &period);
    fclose(f);
    if (fields == 1 && period_path != NULL && (f = fopen(period_path, "re")) != NULL) {
        fields += fscanf(f, "%lf", &period);
        fclose(f);
    }
    return fields == 2 && quota > 0 && period > 0 ? quota / period : 0;
}

/* The smallest limit of the group and of those that it is in. */
double binding_quota(const char *root)
{
    char path[4096], period[4096], group[2048] = "", line[2048];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = '\0';
            strcpy(group, line + 4);
        }
    if (f != NULL)
        fclose(f);
    snprintf(path, sizeof path, "%s/sys/fs/cgroup/cpu/cpu.cfs_quota_us", root);
    snprintf(period, sizeof period, "%s/sys/fs/cgroup/cpu/cpu.cfs_period_us", root);
    double least = read_quota(path, period);
    for (;;) {
        snprintf(path, sizeof path, "%s/sys/fs/cgroup/%s/cpu.max", root, group);
        double quota = read_quota(path, NULL);
        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
        if (group[0] == '\0')
            return least;
        char *slash = strrchr(group, '/');
        *(slash != NULL ? slash : group) = '\0';
    }
}

/* ---- the others of this host ---- */

typedef struct notice {
    char host[256];
    uint64_t core[WORDS];
} notice;

status binding_share(binding *b, comm *group, error *e)
{
    int size = comm_size(group);
    notice mine = {0}, *all = malloc((size_t)size * sizeof *all);
    size_t *bytes = malloc((size_t)size * sizeof *bytes);
    status s = all != NULL && bytes != NULL
                   ? STATUS_OK
                   : fail(e, STATUS_NO_MEMORY, "no memory to compare the cores of %d ranks", size);
    s = comm_agree(group, s, e);
    if (s == STATUS_OK) {
        snprintf(mine.host, sizeof mine.host, "%s", comm_host_name(group));
        memcpy(mine.core, b->core, sizeof mine.core);
        for (int r = 0; r < size; r++)
            bytes[r] = sizeof mine;
        comm_all_gather(group, &mine, all, bytes);
        uint64_t used[WORDS] = {0};
        b->ranks = size;
        b->host_ranks = b->sharers = 0;
        for (int r = 0; r < size; r++) {
            if (strcmp(all[r].host, mine.host) != 0)
                continue;
            uint64_t common = 0;
            for (int i = 0; i < WORDS; i++) {
                common |= all[r].core[i] & mine.core[i];
                used[i] |= all[r].core[i];
            }
            b->host_ranks++;
            b->sharers += common != 0;
        }
        b->sharers = at_least_1(b->sharers);
        b->used_cores = at_least_1(count_cores(used));
    }
    free(all);
    free(bytes);
    return s;
}

/* ---- what follows from it ---- */

/* Cores, or what the control group grants of them. */
static int usable(const binding *b, int cores)
{
    return b->quota > 0 && b->quota < cores ? at_least_1((int)b->quota) : cores;
}

int binding_threads(const binding *b, int requested, const char **why)
{
    const char *omp = getenv("OMP_NUM_THREADS");
    int from_omp =
        omp != NULL ? atoi(omp) : 0; /* of a list, the outermost level; what is no number counts as absent */
    *why = requested > 0 ? "--threads" : from_omp > 0 ? "OMP_NUM_THREADS" : "cores";
    if (requested > 0 || from_omp > 0)
        return requested > 0 ? requested : from_omp;
    int own = b->cores / b->sharers, granted = usable(b, b->host_cores) / b->host_ranks;
    return at_least_1(own < granted ? own : granted);
}

void binding_launch_line(const binding *b, int ranks, int host_ranks, const char *command,
                         char line[BINDING_LINE])
{
    int cores = usable(b, b->host_cores), threads = at_least_1(cores / host_ranks);
    char where[96];
    if (ranks == 1) {
        snprintf(line, BINDING_LINE, "OMP_NUM_THREADS=%d %s", threads, command);
        return;
    }
    /* A share of the time of all cores: whoever binds would meet other containers on the first ones. */
    if (cores < b->host_cores)
        snprintf(where, sizeof where, "--bind-to none --oversubscribe");
    else if (host_ranks > cores)
        snprintf(where, sizeof where, "--bind-to none --oversubscribe --mca mpi_yield_when_idle 1");
    else if (host_ranks < ranks)
        snprintf(where, sizeof where, "--map-by ppr:%d:node:PE=%d --bind-to core", host_ranks, threads);
    else
        snprintf(where, sizeof where, "--map-by slot:PE=%d --bind-to core", threads);
    snprintf(line, BINDING_LINE, "mpirun%s -np %d %s -x OMP_NUM_THREADS=%d %s",
             geteuid() == 0 ? " --allow-run-as-root" : "", ranks, where, threads, command);
}

bool binding_warning(const binding *b, int requested, const char *command, char text[BINDING_TEXT])
{
    char line[BINDING_LINE];
    const char *why;
    int threads = binding_threads(b, requested, &why), cores = usable(b, b->cores);
    binding_launch_line(b, b->ranks, b->host_ranks, command, line);
    bool bound_to_one =
        getenv("OMPI_COMM_WORLD_SIZE") != NULL && b->cores == 1 && b->used_cores <= b->host_cores / 2;
    if (b->host_ranks > usable(b, b->host_cores))
        snprintf(text, BINDING_TEXT, "%d ranks on %d core%s wait for each other; fewer ranks are faster",
                 b->host_ranks, usable(b, b->host_cores), usable(b, b->host_cores) > 1 ? "s" : "");
    else if (threads * b->sharers > cores && b->sharers > 1)
        snprintf(text, BINDING_TEXT,
                 "%d ranks, each with %d thread%s (%s), share %d of this host's %d cores; use: %s",
                 b->sharers, threads, threads > 1 ? "s" : "", why, cores, b->host_cores, line);
    else if (threads > cores)
        snprintf(text, BINDING_TEXT, "%d threads (%s) on %d of this host's %d cores; use: %s", threads, why,
                 cores, b->host_cores, line);
    else if (bound_to_one && strcmp(why, "cores") == 0)
        snprintf(text, BINDING_TEXT,
                 "mpirun has bound each rank to one core, and %d of this host's %d cores are idle; use: %s",
                 b->host_cores - b->used_cores, b->host_cores, line);
    else
        return false;
    return true;
}

/* Appends one argument, in quotes if a shell would read more into it; false when it does not fit. */
static bool append_argument(char command[BINDING_LINE / 2], const char *argument)
{
    size_t used = strlen(command), room = BINDING_LINE / 2 - used;
    bool plain = argument[0] != '\0' &&
                 argument[strspn(argument, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789_-+=./:,@%")] == '\0';
    if (strchr(argument, '\'') != NULL)
        return false;
    const char *quote = plain ? "" : "'", *space = used > 0 ? " " : "";
    return snprintf(command + used, room, "%s%s%s%s", space, quote, argument, quote) < (int)room;
}

void binding_own_command(char command[BINDING_LINE / 2])
{
    char bytes[BINDING_LINE];
    FILE *f = fopen("/proc/self/cmdline", "re");
    size_t n = f != NULL ? fread(bytes, 1, sizeof bytes - 1, f) : 0;
    if (f != NULL)
        fclose(f);
    bytes[n] = '\0';
    command[0] = '\0';
    bool fits = n > 0 && n < sizeof bytes - 1;
    for (size_t i = 0; fits && i < n; i += strlen(bytes + i) + 1) {
        if (strncmp(bytes + i, "--threads=", 10) == 0)
            continue;
        if (strcmp(bytes + i, "--threads") == 0)
            i += strlen(bytes + i) + 1; /* and its value */
        else
            fits = append_argument(command, bytes + i);
    }
    if (!fits)
        strcpy(command, "unroll train ...");
}

int launch_threads(comm *group, int requested, char *warning, size_t n)
{
    binding b;
    error e = {0};
    char command[BINDING_LINE / 2], text[BINDING_TEXT];
    const char *why;
    warning[0] = '\0';
    status s = binding_read(&b, &e); /* a host that does not tell its cores runs with what it is told */
    status shared = binding_share(&b, group, &e);
    binding_own_command(command);
    if (s != STATUS_OK || shared != STATUS_OK)
        snprintf(warning, n, "%s", e.text);
    else if (binding_warning(&b, requested, command, text))
        snprintf(warning, n, "%s", text);
    return binding_threads(&b, requested, &why);
}
