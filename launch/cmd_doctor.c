/* unroll doctor - this machine, and how to launch here (launch/doctor.h). */
#include "io/config.h"
#include "launch/commands.h"
#include "launch/doctor.h"
#include "launch/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "usage: unroll doctor [CONFIG.yaml...] [options]\n"
                           "       mpirun -np P [--map-by ...] unroll doctor [CONFIG.yaml...] [options]\n"
                           "\n"
                           "Tells what this machine offers, which cores and threads each rank gets, and the "
                           "line that launches a training here.\n"
                           "With a configuration: memory and disk that it takes, and how well the number of "
                           "ranks suits its shards.\n"
                           "\n"
                           "      --ranks P                that many ranks (default: those that mpirun "
                           "started, else one a NUMA node)\n"
                           "      --threads N              that many threads in each, as for train\n"
                           "      --set SECTION.KEY=VALUE  sets one key; may be given several times\n"
                           "  -h, --help                   this text\n"
                           "\n"
                           "Exit status: 0 examined, whatever was found; 2 usage or configuration.\n";

enum { OPT_RANKS = 256, OPT_THREADS, OPT_SET };
static const struct option long_options[] = {{"ranks", required_argument, NULL, OPT_RANKS},
                                             {"threads", required_argument, NULL, OPT_THREADS},
                                             {"set", required_argument, NULL, OPT_SET},
                                             {"help", no_argument, NULL, 'h'},
                                             {0}};

typedef struct doctor_arguments {
    config config;
    uint64_t ranks, threads;
    char **sets;
    int set_count;
    bool help;
} doctor_arguments;

static status parse(doctor_arguments *a, int argc, char **argv, error *e)
{
    status s = STATUS_OK;
    optind = 0; /* a fresh start, whatever was parsed before */
    opterr = 0;
    for (int option; s == STATUS_OK && (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;)
        switch (option) {
        case OPT_RANKS:
            s = option_count(&a->ranks, "--ranks", optarg, 1, SHARDS_MAX, e);
            break;
        case OPT_THREADS:
            s = option_count(&a->threads, "--threads", optarg, 1, OPTION_THREADS_MAX, e);
            break;
        case OPT_SET:
            a->sets[a->set_count++] = optarg;
            break;
        case 'h':
            a->help = true;
            return STATUS_OK;
        default:
            return option_refused("doctor", argv, option, e);
        }
    return s;
}

/* Without a configuration doctor looks at the machine only. */
static status read_config(doctor_arguments *a, int files, char **file, error *e)
{
    if (files > 0)
        return option_config(&a->config, file, files, a->sets, a->set_count, e);
    if (a->set_count > 0)
        return fail(e, STATUS_USAGE, "--set without a configuration: name the CONFIG.yaml that it changes");
    return STATUS_OK;
}

/* "train CONFIG.yaml --set a.b=c": what the launch line starts. */
static void write_arguments(char text[512], const doctor_arguments *a, int files, char **file)
{
    size_t used = (size_t)snprintf(text, 512, "train");
    if (files == 0)
        snprintf(text + used, 512 - used, " CONFIG.yaml");
    for (int i = 0; i < files && used < 512; i++)
        used += (size_t)snprintf(text + used, 512 - used, " %s", file[i]);
    for (int i = 0; i < a->set_count && used < 512; i++)
        used += (size_t)snprintf(text + used, 512 - used, " --set '%s'", a->sets[i]);
}

/* Collective under mpirun: all have parsed the same line, one says what is wrong with it. */
static status examine(doctor_arguments *a, int argc, char **argv, status parsed, error *e)
{
    char arguments[512];
    comm *group;
    error opened = {0};
    status s = comm_open(&group, &opened);
    if (s != STATUS_OK) {
        option_failed("doctor", s, &opened);
        return s;
    }
    int files = argc - optind;
    if (parsed == STATUS_OK)
        parsed = read_config(a, files, argv + optind, e);
    s = comm_agree(group, parsed, e);
    if (s == STATUS_OK) {
        write_arguments(arguments, a, files, argv + optind);
        const doctor_question q = {.config = files > 0 ? &a->config : NULL,
                                   .arguments = arguments,
                                   .ranks = (int)a->ranks,
                                   .threads = (int)a->threads};
        s = doctor_examine(stdout, group, &q, e);
    }
    if (s != STATUS_OK && comm_rank(group) == 0)
        option_failed("doctor", s, e);
    comm_close(group);
    return s;
}

int cmd_doctor(int argc, char **argv)
{
    doctor_arguments a = {.sets = malloc((size_t)argc * sizeof *a.sets)};
    error e = {0};
    config_init(&a.config);
    status s = a.sets != NULL ? parse(&a, argc, argv, &e) : fail(&e, STATUS_NO_MEMORY, "no memory");
    if (a.help)
        fputs(help, stdout);
    else
        s = examine(&a, argc, argv, s, &e);
    config_free(&a.config);
    free(a.sets);
    return status_exit_code(s);
}
