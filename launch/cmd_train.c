/* unroll train - trains, pauses, resumes (trainer/run.h, trainer/train.h). */
#include "io/config.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/profile.h"
#include "launch/session.h"
#include "trainer/run.h"
#include "trainer/signals.h"
#include "trainer/train.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: unroll train CONFIG.yaml... [options]\n"
    "       mpirun -np P [--map-by ...] unroll train CONFIG.yaml... [options]\n"
    "\n"
    "Trains a model.  Later files override earlier ones; the environment (UNROLL_OPTIM__LR=1.0) overrides "
    "files; options override all.\n"
    "\n"
    "      --set SECTION.KEY=VALUE  sets one key; may be given several times (`unroll config --help` lists "
    "them)\n"
    "      --resume auto|FILE       continues from the newest good checkpoint in run.dir, or from FILE\n"
    "      --overwrite              starts afresh in a run directory that holds checkpoints, and removes "
    "them\n"
    "      --threads N              threads of each rank (OMP_NUM_THREADS, or the cores of the rank's "
    "cpuset)\n"
    "      --dry-run                checks everything and sets everything up, trains nothing, writes "
    "nothing\n"
    "      --profile[=FILE]         prints at the end, or at a pause, where the time went, and writes a "
    "timeline "
    "for\n"
    "                               chrome://tracing and Perfetto (profile.json in run.dir): the last 65,536 "
    "events over all ranks;\n"
    "                               of files, FILE replaces older timelines only\n"
    "  -h, --help                   this text\n"
    "\n"
    "All ranks of a run need the same --resume, --overwrite, --dry-run and --profile.\n"
    "Signals: USR1 saves and goes on; USR2, TERM, INT and HUP save and leave with 75.\n"
    "Exit status: 0 done or paused, 1 internal or diverged, 2 usage or configuration, 3 data, 4 checkpoint, "
    "75 saved on request.\n";

typedef struct train_arguments {
    config config;
    train_options options;
    uint64_t threads;
    bool profile;
    const char *profile_file; /* NULL: in run.dir */
} train_arguments;

enum { SETS_MAX = 256 };
enum { OPT_SET = 256, OPT_RESUME, OPT_OVERWRITE, OPT_THREADS, OPT_DRY_RUN, OPT_PROFILE };
static const struct option long_options[] = {{"set", required_argument, NULL, OPT_SET},
                                             {"resume", required_argument, NULL, OPT_RESUME},
                                             {"overwrite", no_argument, NULL, OPT_OVERWRITE},
                                             {"threads", required_argument, NULL, OPT_THREADS},
                                             {"dry-run", no_argument, NULL, OPT_DRY_RUN},
                                             {"profile", optional_argument, NULL, OPT_PROFILE},
                                             {"help", no_argument, NULL, 'h'},
                                             {0}};

static status take_option(train_arguments *a, int option, const char *value, error *e)
{
    switch (option) {
    case OPT_RESUME:
        a->options.resume = strcmp(value, "auto") == 0 ? RESUME_AUTO : RESUME_FILE;
        a->options.resume_file = value;
        return STATUS_OK;
    case OPT_OVERWRITE:
        a->options.overwrite = true;
        return STATUS_OK;
    case OPT_THREADS:
        return option_count(&a->threads, "--threads", value, 1, OPTION_THREADS_MAX, e);
    case OPT_DRY_RUN:
        a->options.dry_run = true;
        return STATUS_OK;
    case OPT_PROFILE:
        a->profile = true;
        a->profile_file = value;
        return STATUS_OK;
    }
    return STATUS_OK; /* OPT_SET comes later: it overrides files and environment */
}

static status parse(train_arguments *a, int argc, char **argv, error *e)
{
    char *sets[SETS_MAX];
    int set_count = 0, option;
    status s = STATUS_OK;
    optind = 1;
    opterr = 0;
    while (s == STATUS_OK && (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            s = option_refused("train", argv, option, e);
        else if (option == OPT_SET && set_count < SETS_MAX)
            sets[set_count++] = optarg;
        else if (option == OPT_SET)
            s = fail(e, STATUS_USAGE, "--set is given more than %d times; a CONFIG.yaml holds any number",
                     SETS_MAX);
        else
            s = take_option(a, option, optarg, e);
    }
    if (s == STATUS_OK)
        s = option_config(&a->config, argv + optind, argc - optind, sets, set_count, e);
    if (s == STATUS_OK && a->options.resume != RESUME_NEVER && a->options.overwrite)
        s = fail(e, STATUS_USAGE, "--resume and --overwrite contradict each other");
    return s;
}

/* Collective.  The run, watched.  What was watched is told however the run ends, so that a pause or a request to
 * leave does not lose it. */
static status train_profiled(const train_arguments *a, run *r, const session *job, error *e)
{
    char path[4096];
    trace t;
    snprintf(path, sizeof path, "%s/profile.json", a->config.run.dir);
    status s = trace_open(&t, profile_capacity(comm_size(job->group)))
                   ? STATUS_OK
                   : fail(e, STATUS_NO_MEMORY, "no memory for the events of --profile");
    s = comm_agree(job->group, s, e);
    if (s == STATUS_OK) {
        team_trace(job->team, &t);
        trace_begin(&t, TRACE_OTHER);
        s = train_run(r, e);
        trace_end(&t);
        team_trace(job->team, NULL);
        error writing = {0};
        const char *to = a->profile_file ? a->profile_file : path;
        const status written = profile_write(job->group, &t, to, &writing);
        model_shape counted = r->shape;
        if (a->config.task.name == TASK_CLASSIFY)
            counted.V = 0; /* flops.h */
        if (comm_rank(job->group) == 0)
            profile_print(stdout, &t, &counted, comm_size(job->group));
        if (s == STATUS_OK && written != STATUS_OK) {
            s = written;
            *e = writing;
        }
    }
    trace_close(&t);
    return s;
}

/* Collective.  A rank that goes another way than the others would leave them waiting, or be misunderstood. */
static status check_options(const train_arguments *a, const session *job, error *e)
{
    char mine[16384] = {0};
    int odd = 0;
    snprintf(mine, sizeof mine, "%d %d %d %d %s\n%s", a->options.resume, a->options.overwrite,
             a->options.dry_run, a->profile, a->options.resume_file ? a->options.resume_file : "",
             a->profile_file ? a->profile_file : "");
    if (comm_same(job->group, mine, sizeof mine, &odd))
        return STATUS_OK;
    return fail(e, STATUS_USAGE,
                "rank %d was given other options than rank 0; all ranks need the same --resume, --overwrite, "
                "--dry-run "
                "and --profile",
                odd);
}

/* Collective.  Opens, trains, closes. */
static status train(const train_arguments *a, const session *job, error *e)
{
    run r;
    error closing = {0};
    status s = check_options(a, job, e);
    if (s == STATUS_OK && a->profile_file && comm_rank(job->group) == 0)
        s = profile_check(a->profile_file, e);
    s = comm_agree(job->group, s, e);
    if (s != STATUS_OK)
        return s;
    s = run_open(&r, &a->config, job->group, job->team, &a->options, e);
    if (s == STATUS_OK && !a->options.dry_run)
        s = a->profile ? train_profiled(a, &r, job, e) : train_run(&r, e);
    status closed = run_close(&r, &closing);
    if (s == STATUS_OK && closed != STATUS_OK) {
        s = closed;
        *e = closing;
    }
    return comm_agree(job->group, s, e);
}

int cmd_train(int argc, char **argv)
{
    train_arguments a = {0};
    session job = {0};
    error e = {0};
    if (option_help(argc, argv, help))
        return 0;
    signals_install(); /* before anything that takes time: a request that comes while MPI starts is kept */
    config_init(&a.config);
    status parsed = parse(&a, argc, argv, &e);
    error opened = {0};
    status s = session_open(&job, true, (int)a.threads, &opened);
    if (s == STATUS_OK)
        s = comm_agree(job.group, parsed, &e); /* said once, by one rank, though all have parsed */
    else
        e = opened;
    if (s == STATUS_OK)
        s = train(&a, &job, &e);
    config_free(&a.config);
    return session_close(&job, "train", s, &e);
}
