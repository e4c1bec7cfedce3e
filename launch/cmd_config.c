/* unroll config - the resolved configuration, and what keys there are (io/schema.c). */
#include "io/config.h"
#include "launch/commands.h"
#include "launch/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char help[] = "usage: unroll config CONFIG.yaml... [--set SECTION.KEY=VALUE]... [--comments]\n"
                           "       unroll config --help | --man\n"
                           "\n"
                           "Prints the resolved configuration as YAML: defaults < files in order < "
                           "environment (UNROLL_OPTIM__LR) < --set.\n"
                           "\n"
                           "      --set KEY=VALUE   sets one key; may be given several times\n"
                           "      --comments        with unit and meaning of each key\n"
                           "      --man             prints the manual page (roff)\n"
                           "  -h, --help            this text and all keys\n"
                           "\n"
                           "Exit status: 0 usable, 2 not.\n\n";

enum { OPT_SET = 256, OPT_COMMENTS, OPT_MAN };

/* Collects --set values in place (argv outlives us); returns the exit code or -1 to go on. */
static int parse(int argc, char **argv, char **sets, int *set_count, bool *comments, error *e)
{
    static const struct option long_options[] = {{"set", required_argument, NULL, OPT_SET},
                                                 {"comments", no_argument, NULL, OPT_COMMENTS},
                                                 {"man", no_argument, NULL, OPT_MAN},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {0}};
    int option;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1)
        switch (option) {
        case OPT_SET:
            sets[(*set_count)++] = optarg;
            break;
        case OPT_COMMENTS:
            *comments = true;
            break;
        case OPT_MAN:
            config_print_man(stdout);
            return 0;
        case 'h':
            fputs(help, stdout);
            config_print_help(stdout);
            return 0;
        default:
            return option_failed("config", option_refused("config", argv, option, e), e);
        }
    return -1;
}

int cmd_config(int argc, char **argv)
{
    char **sets = malloc((size_t)argc * sizeof *sets);
    int set_count = 0;
    bool comments = false;
    error e = {0};
    config c;
    int code = sets ? parse(argc, argv, sets, &set_count, &comments, &e) : status_exit_code(STATUS_NO_MEMORY);
    if (code >= 0) {
        free(sets);
        return code;
    }
    config_init(&c);
    status s = option_config(&c, argv + optind, argc - optind, sets, set_count, &e);
    if (s == STATUS_OK) {
        char *yaml = config_to_yaml(&c, comments);
        fputs(yaml, stdout);
        free(yaml);
    }
    config_free(&c);
    free(sets);
    return s == STATUS_OK ? 0 : option_failed("config", s, &e);
}
