/* leave.c - rank 1 leaves without a word while the others meet in a collective for ever; see CMakeLists.txt
 * for what must come of it. Usage: leave exit|abort|kill */
#include "trainer/comm/comm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    error e = {0};
    comm *c;
    if (argc != 2 || comm_open(&c, &e) != STATUS_OK) {
        fprintf(stderr, "usage: leave exit|abort|kill %s\n", e.text);
        return 2;
    }
    for (int meetings = 0;; meetings++) {
        if (comm_rank(c) == 1 && meetings == 100) {
            if (strcmp(argv[1], "exit") == 0)
                _exit(7);
            if (strcmp(argv[1], "abort") == 0)
                comm_abort(c, 75);
            kill(getpid(), SIGKILL);
        }
        comm_any(c, 0);
    }
}
