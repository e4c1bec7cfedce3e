/* doctor.c - the sections of the report, in the order in which they are printed. */
#include "launch/doctor.h"

#include "io/corpus.h"
#include "io/disk.h"
#include "kernels/gemm.h"
#include "kernels/shards.h"
#include "launch/binding.h"
#include "trainer/run.h"

#include <errno.h> /* program_invocation_name */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MB 1e6
#define SHM_WANTED \
    (64 * MB) /* Open MPI takes about 4 MB a rank of /dev/shm, and the same of TMPDIR at worst */

typedef struct report {
    FILE *out;
    comm *group;
    const doctor_question *q;
    binding here;
    int ranks, host_ranks, threads; /* that the report is about */
} report;

/* ---- the machine ---- */

/* A number from a file of "Name:   value kB" lines, in bytes; 0 if it is not there. */
static double meminfo(const char *name)
{
    char line[256];
    double kilobytes = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kilobytes = atof(line + strlen(name));
    if (f != NULL)
        fclose(f);
    return kilobytes * 1024;
}

static const char *plural(int n)
{
    return n == 1 ? "" : "s";
}

static void print_machine(const report *r)
{
    const binding *b = &r->here;
    fprintf(r->out,
            "host         %s: %d core%s, %d package%s, %d NUMA node%s; memory %.0f MB, %.0f MB available\n",
            comm_host_name(r->group), b->host_cores, plural(b->host_cores), b->packages, plural(b->packages),
            b->numa_nodes, plural(b->numa_nodes), meminfo("MemTotal:") / MB, meminfo("MemAvailable:") / MB);
    if (b->quota > 0)
        fprintf(r->out, "quota        %.2f cores' worth of time, by the control group\n", b->quota);
}

static void print_huge_pages(const report *r)
{
    char mode[128] = "";
    FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    if (f != NULL && fgets(mode, sizeof mode, f) != NULL && strstr(mode, "[never]") != NULL)
        fprintf(r->out, "warning: huge pages are off (/sys/kernel/mm/transparent_hugepage/enabled is never; "
                        "madvise is enough): "
                        "exchanges between the ranks of a host are slower\n");
    if (f != NULL)
        fclose(f);
}

/* mpirun hangs when TMPDIR is full, and ranks fall back to slow ways when /dev/shm is. */
static void print_launcher_space(const report *r)
{
    const char *tmp = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", *folders[] = {"/dev/shm", tmp};
    for (int i = 0; i < 2; i++) {
        double room = (double)disk_free_bytes(folders[i]);
        if (room < SHM_WANTED)
            fprintf(r->out, "warning: %s has %.0f MB left; mpirun and its ranks want %.0f MB there\n",
                    folders[i], room / MB, SHM_WANTED / MB);
    }
}

static void print_software(const report *r)
{
    int count;
    const char *name = getenv("UNROLL_KERNELS");
    const kernels *const *all = kernels_all(&count), *chosen = kernels_select(name);
    fprintf(r->out, "kernels      %s; usable here:", chosen != NULL ? kernels_name(chosen) : "none");
    for (int i = 0; i < count; i++)
        if (kernels_usable(all[i]))
            fprintf(r->out, " %s", kernels_name(all[i]));
    fprintf(r->out, "\nBLAS         %s\nMPI          %s\n", gemm_blas_flavour(), comm_library());
    if (chosen == NULL)
        fprintf(r->out, "warning: UNROLL_KERNELS=%s names no table that is usable here\n", name);
}

/* ---- binding and threads ---- */

typedef struct rank_line {
    char host[128], cpus[64], why[24];
    int cores, threads;
} rank_line;

static void print_rank(const report *r, int rank, const rank_line *line)
{
    fprintf(r->out, "rank %-4d    %s: cpus %s (%d core%s), %d thread%s (%s)\n", rank, line->host, line->cpus,
            line->cores, plural(line->cores), line->threads, plural(line->threads), line->why);
}

/* Collective. */
static status print_binding(const report *r, error *e)
{
    int size = comm_size(r->group);
    const char *why;
    rank_line mine = {.cores = r->here.cores, .threads = binding_threads(&r->here, r->q->threads, &why)};
    snprintf(mine.host, sizeof mine.host, "%.*s", (int)sizeof mine.host - 1, comm_host_name(r->group));
    snprintf(mine.cpus, sizeof mine.cpus, "%s", r->here.cpus);
    snprintf(mine.why, sizeof mine.why, "%s", why);
    rank_line *all = malloc((size_t)size * sizeof *all);
    size_t *bytes = malloc((size_t)size * sizeof *bytes);
    status s = all != NULL && bytes != NULL
                   ? STATUS_OK
                   : fail(e, STATUS_NO_MEMORY, "no memory for a list of %d ranks", size);
    s = comm_agree(r->group, s, e);
    if (s == STATUS_OK) {
        for (int rank = 0; rank < size; rank++)
            bytes[rank] = sizeof mine;
        comm_gather(r->group, &mine, all, bytes, 0);
        if (comm_rank(r->group) == 0 && size == 1)
            fprintf(r->out, "this process cpus %s (%d core%s), %d thread%s (%s)\n", mine.cpus, mine.cores,
                    plural(mine.cores), mine.threads, plural(mine.threads), mine.why);
        for (int rank = 0; comm_rank(r->group) == 0 && size > 1 && rank < size; rank++)
            print_rank(r, rank, &all[rank]);
    }
    free(all);
    free(bytes);
    return s;
}

/* ---- a configuration ---- */

/* Room where dir is or will be. */
static double room_for(const char *dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s", dir);
    while (!disk_exists(path)) {
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return (double)disk_free_bytes(".");
        slash[slash == path] = '\0';
        if (slash == path)
            break;
    }
    return (double)disk_free_bytes(path);
}

static void print_estimate(const report *r, const run_estimate *x)
{
    const config *c = r->q->config;
    fprintf(
        r->out,
        "parameters   %" PRIu64 " (%.1f MB)\n"
        "memory       %.0f MB a rank: gradients %.1f, optimiser %.1f, activations %.1f, exchange %.1f MB; "
        "corpus mapped besides\n",
        x->parameter_count, (double)x->parameters / MB, (double)x->total / MB, (double)x->gradients / MB,
        (double)x->optimizer / MB, (double)x->activations / MB, (double)x->exchange / MB);
    double memory = (double)x->total * r->host_ranks + (double)x->checkpoint,
           available = meminfo("MemAvailable:");
    if (available > 0 && memory > available)
        fprintf(
            r->out,
            "warning: %d rank%s and a snapshot take %.0f MB of this host, of which %.0f MB are available\n",
            r->host_ranks, plural(r->host_ranks), memory / MB, available / MB);
    /* While one is written, the one that it will replace is still there. */
    double disk = (double)x->checkpoint * (double)(c->run.keep_last + c->run.keep_best + 1),
           room = room_for(c->run.dir);
    fprintf(r->out, "checkpoint   %.1f MB; %.1f MB of disk for all that are kept; %s has %.0f MB left\n",
            (double)x->checkpoint / MB, disk / MB, c->run.dir, room / MB);
    if (disk > room)
        fprintf(r->out,
                "warning: checkpoints will fill the disk of %s; keep fewer (run.keep_last) or write "
                "elsewhere (run.dir)\n",
                c->run.dir);
}

/* Data that no training could begin with is told, and no error: whatever is found is examined. */
static status estimate(const report *r, const corpus *data, error *e)
{
    run_estimate x = {0};
    const kernels *k = kernels_select(NULL);
    team *t = k != NULL ? team_open(r->threads, k) : NULL;
    if (t == NULL)
        return fail(e, STATUS_NO_MEMORY, "no memory for %d threads", r->threads);
    status s = run_estimate_bytes(r->q->config, data, t, 0, r->ranks, &x, e);
    if (s == STATUS_OK)
        print_estimate(r, &x);
    else if (s == STATUS_BAD_DATA)
        fprintf(r->out, "warning: no estimate of memory and disk: %s\n", e->text);
    team_close(t);
    return s == STATUS_BAD_DATA ? STATUS_OK : s;
}

doctor_cut doctor_cut_of(int S, int ranks)
{
    doctor_cut cut = {.least = S};
    for (int r = 0; r < ranks; r++) {
        shards p;
        shards_init(&p, S, S, r, ranks);
        cut.least = p.count < cut.least ? p.count : cut.least;
        cut.most = p.count > cut.most ? p.count : cut.most;
        cut.partials = p.nodes > cut.partials ? p.nodes : cut.partials;
    }
    /* A rank sends each partial of what it does not own, and to all others what it owns. */
    cut.factor = (cut.partials + 1) * (ranks - 1.0) / ranks;
    cut.balance = (double)S / ranks / cut.most;
    return cut;
}

static bool is_good(const doctor_cut *cut)
{
    return cut->partials == 1 && cut->least == cut->most;
}

static void print_cuts(const report *r)
{
    int S = (int)r->q->config->data.shards;
    doctor_cut mine = doctor_cut_of(S, r->ranks);
    fprintf(r->out, "exchange     %d shard%s on %d rank%s: %d", S, plural(S), r->ranks, plural(r->ranks),
            mine.least);
    if (mine.most > mine.least)
        fprintf(r->out, " to %d", mine.most);
    fprintf(r->out,
            " a rank, balance %.2f; at most %d partial%s a rank, which sends %.2f x the parameters' bytes a "
            "step\n",
            mine.balance, mine.partials, plural(mine.partials), mine.factor);
    if (is_good(&mine))
        return;
    fprintf(r->out, "better       ");
    for (int P = 1; P <= S; P++) {
        doctor_cut cut = doctor_cut_of(S, P);
        if (is_good(&cut))
            fprintf(r->out, "%d rank%s: %.2f x; ", P, plural(P), cut.factor);
    }
    fprintf(r->out, "or shards that are a multiple of the ranks, a power of two best\n");
}

static status print_configuration(const report *r, error *e)
{
    const config *c = r->q->config;
    corpus data;
    error missing = {0};
    fprintf(r->out, "\n");
    if (corpus_open(&data, c->data.corpus, CONTAINER_TRUST, &missing) != STATUS_OK) {
        fprintf(r->out, "warning: no estimate of memory and disk: %s\n", missing.text);
    } else {
        fprintf(r->out, "corpus       %s: %" PRIu64 " training tokens, vocabulary %" PRIu32 "\n",
                c->data.corpus, data.tokens[SPLIT_TRAIN], data.vocab.size);
        status s = estimate(r, &data, e);
        if (s == STATUS_OK && run_try_start(c, &data, &missing) != STATUS_OK)
            fprintf(r->out, "warning: a fresh run cannot begin: %s\n", missing.text);
        corpus_close(&data);
        if (s != STATUS_OK)
            return s;
    }
    print_cuts(r);
    return STATUS_OK;
}

/* ---- all of it ---- */

/* One rank for each NUMA node is a good start: threads share what is near, and little crosses. */
static int proposed_ranks(const report *r)
{
    int ranks = r->here.numa_nodes, most = r->q->config != NULL ? (int)r->q->config->data.shards : ranks;
    return ranks < most ? ranks : most;
}

static void decide(report *r)
{
    bool started = comm_size(r->group) > 1;
    r->ranks = r->q->ranks > 0 ? r->q->ranks : started ? comm_size(r->group) : proposed_ranks(r);
    int hosts = r->ranks == comm_size(r->group) ? comm_hosts(r->group) : 1;
    r->host_ranks = (r->ranks + hosts - 1) / hosts;
    r->threads = r->q->threads > 0 ? r->q->threads : r->here.host_cores / r->host_ranks;
    r->threads = r->threads > 0 ? r->threads : 1;
}

static status print_all(report *r, error *e)
{
    char line[BINDING_LINE], warning[BINDING_TEXT], command[BINDING_LINE / 2];
    snprintf(command, sizeof command, "%s %s", program_invocation_name, r->q->arguments);
    status s = STATUS_OK;
    print_software(r);
    print_huge_pages(r);
    print_launcher_space(r);
    if (r->q->config != NULL && r->ranks > r->q->config->data.shards)
        return fail(e, STATUS_BAD_CONFIG, "%d ranks, but data.shards is %" PRId64 ": each rank needs a shard",
                    r->ranks, r->q->config->data.shards);
    if (r->q->config != NULL)
        s = print_configuration(r, e);
    if (s != STATUS_OK)
        return s;
    bool warned = binding_warning(&r->here, r->q->threads, command, warning);
    if (warned)
        fprintf(r->out, "\nwarning: %s\n", warning);
    binding_launch_line(&r->here, r->ranks, r->host_ranks, command, line);
    if (!warned || strstr(warning, line) == NULL)
        fprintf(r->out, "\n%d rank%s of this host, launched so that each has its own cores:\n  %s\n",
                r->ranks, plural(r->ranks), line);
    return STATUS_OK;
}

status doctor_examine(FILE *out, comm *group, const doctor_question *q, error *e)
{
    report r = {.out = out, .group = group, .q = q};
    status s = comm_agree(group, binding_read(&r.here, e), e);
    if (s == STATUS_OK)
        s = binding_share(&r.here, group, e);
    if (s != STATUS_OK)
        return s;
    decide(&r);
    if (comm_rank(group) == 0)
        print_machine(&r);
    s = print_binding(&r, e);
    if (s == STATUS_OK && comm_rank(group) == 0)
        s = print_all(&r, e);
    return comm_agree(group, s, e);
}
