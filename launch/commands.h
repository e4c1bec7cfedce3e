/* commands.h - the subcommands of unroll, one file each.
 *
 * Each takes argv[0] = its own name, prints what it was asked for on stdout and everything else on stderr,
 * and returns the exit code of the program (io/status.h): 0 done, 1 internal, 2 usage or configuration, 3
 * data, 4 checkpoint, 5 a rank was lost, 75 saved on request. */
#ifndef LAUNCH_COMMANDS_H
#define LAUNCH_COMMANDS_H

int cmd_prepare(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_sample(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif
