/* main.c - unroll's command line: one subcommand, one file (commands.h). */
#include "io/config.h"
#include "io/container.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "launch/build_info.h"
#include "launch/commands.h"
#include "trainer/comm/comm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct entry {
    const char *name;
    int (*run)(int argc, char **argv);
    enum { ALONE, RANKS } works; /* one process, or all that a launcher has started, together */
    const char *meaning;
} entry;

static const entry commands[] = {
    {"prepare", cmd_prepare, ALONE, "makes a corpus from texts, or from the built-in grammar"},
    {"train", cmd_train, RANKS, "trains a model, alone or under mpirun; resumes"},
    {"eval", cmd_eval, RANKS, "loss and perplexity of a model on a corpus; scores of a classifier"},
    {"predict", cmd_predict, ALONE, "labels new texts with a classifier, and explains them"},
    {"sample", cmd_sample, ALONE, "draws text from a model"},
    {"inspect", cmd_inspect, ALONE, "what a corpus or checkpoint holds; its digest"},
    {"config", cmd_config, ALONE, "the resolved configuration; all keys"},
    {"bench", cmd_bench, ALONE, "speed of this machine's training, and what it could be"},
    {"doctor", cmd_doctor, RANKS, "this machine, and how to launch here"},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(FILE *out)
{
    fputs("unroll trains recurrent networks by truncated backpropagation through time on CPU clusters.\n\n"
          "usage: unroll COMMAND ...          unroll COMMAND --help says more\n\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].meaning);
    fputs("\n  --version  versions of this program and of what it was built with\n", out);
}

static void print_version(void)
{
    const kernels *k = kernels_select(getenv("UNROLL_KERNELS"));
    printf("unroll %s%s%s\n", BUILD_VERSION, BUILD_COMMIT[0] ? " " : "", BUILD_COMMIT);
    printf("compiler  %s, %s%s%s\n", BUILD_COMPILER, BUILD_TYPE, BUILD_SANITIZE[0] ? ", sanitizers " : "",
           BUILD_SANITIZE);
    printf("BLAS      %s\n", gemm_blas_flavour());
    printf("HDF5      %s\n", container_library());
    printf("MPI       %s\n", comm_library());
    printf("kernels   %s\n",
           k ? kernels_name(k) : "none usable: UNROLL_KERNELS names no table of this machine");
}

/* What was asked for goes to stdout; a command whose result got lost has not done its work. */
static int finish(const char *command, int code)
{
    bool lost = ferror(stdout) != 0;
    if (fclose(stdout) == 0 && !lost)
        return code;
    fprintf(stderr, "unroll %s: stdout could not be written: %s\n", command,
            lost ? "an earlier write failed" : strerror(errno));
    return code == 0 ? 1 : code;
}

/* Every rank would do all of the work and write the same files.  A launcher ends the others as soon as one fails, so
 * rank 0 gets a second to say why; they cannot ask each other, for not all need be here (a script may call us on some). */
static bool refused(const entry *c)
{
    int rank;
    const char *told_by;
    const int ranks = comm_launched(&rank, &told_by);
    if (c->works == RANKS || ranks <= 1)
        return false;
    if (rank == 0)
        fprintf(
            stderr,
            "unroll %s: %d ranks were started, and it works with one process; start it without mpirun or "
            "srun, or on one of their ranks with `env -u %s unroll %s` (train, eval and doctor share their "
            "work among ranks)\n",
            c->name, ranks, told_by, c->name);
    else
        sleep(1);
    return true;
}

/* Whoever starts us with a standard stream closed must not find the words for it in the next file that is opened, which
 * would get its number.  Reading and writing still fail, as of a closed one. */
static void hold_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF &&
            open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            _exit(1); /* and nowhere to say so */
}

int main(int argc, char **argv)
{
    hold_standard_streams();
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--version") == 0) {
        print_version();
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return refused(&commands[i]) ? 2 : finish(argv[1], commands[i].run(argc - 1, argv + 1));
    fprintf(stderr, "unroll: \"%s\" is no command; `unroll --help` lists them\n", argv[1]);
    return 2;
}
