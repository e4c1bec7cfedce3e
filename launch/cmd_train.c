/* unroll train - trains, pauses, resumes (trainer/run.h, trainer/train.h). */
#include "io/config.h"
#include "launch/commands.h"
#include "launch/options.h"
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
    "  -h, --help                   this text\n"
    "\n"
    "Signals: USR1 saves and goes on; USR2, TERM and INT save and leave with 75.\n"
    "Exit status: 0 done or paused, 1 internal or diverged, 2 usage or configuration, 3 data, 4 checkpoint, "
    "75 saved on request.\n";

typedef struct train_arguments {
    config config;
    train_options options;
    uint64_t threads;
} train_arguments;

enum { SETS_MAX = 256 };
enum { OPT_SET = 256, OPT_RESUME, OPT_OVERWRITE, OPT_THREADS, OPT_DRY_RUN };
static const struct option long_options[] = {{"set", required_argument, NULL, OPT_SET},
                                             {"resume", required_argument, NULL, OPT_RESUME},
                                             {"overwrite", no_argument, NULL, OPT_OVERWRITE},
                                             {"threads", required_argument, NULL, OPT_THREADS},
                                             {"dry-run", no_argument, NULL, OPT_DRY_RUN},
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

int cmd_train(int argc, char **argv)
{
    train_arguments a = {0};
    session job = {0};
    error e = {0};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
    signals_install(); /* before anything that takes time: a request that comes while MPI starts is kept */
    config_init(&a.config);
    status parsed = parse(&a, argc, argv, &e);
    error opened = {0};
    status s = session_open(&job, true, (int)a.threads, &opened);
    if (s == STATUS_OK)
        s = comm_agree(job.group, parsed, &e); /* said once, by one rank, though all have parsed */
    else
        e = opened;
    if (s == STATUS_OK) {
        run r;
        error closing = {0};
        s = run_open(&r, &a.config, job.group, job.team, &a.options, &e);
        if (s == STATUS_OK && !a.options.dry_run)
            s = train_run(&r, &e);
        status closed = run_close(&r, &closing);
        if (s == STATUS_OK && closed != STATUS_OK) {
            s = closed;
            e = closing;
        }
        s = comm_agree(job.group, s, &e);
    }
    config_free(&a.config);
    return session_close(&job, "train", s, &e);
}
