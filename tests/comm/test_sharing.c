/* test_sharing.c - ranks learn which of them share cores.  Ranks 0 and 1 bind themselves to one cpu, the
 * others to another: 0 and 1 must find two sharers, the others all of themselves, and everybody two used
 * cores, whatever mpirun's own binding was. */
#include "launch/binding.h"
#include "tests/comm/check.h"

#include <sched.h>
#include <string.h>

int main(void)
{
    error e = {0};
    comm *c;
    cpu_set_t all, one;
    if (comm_open(&c, &e) != STATUS_OK) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    CHECK(c, comm_size(c) >= 3, "%d ranks", comm_size(c));
    int cpu[2], cpus = 0;
    CHECK(c, sched_getaffinity(0, sizeof all, &all) == 0, "affinity");
    for (int i = 0; i < CPU_SETSIZE && cpus < 2; i++)
        if (CPU_ISSET(i, &all))
            cpu[cpus++] = i;
    binding b;
    CHECK(c, binding_read(&b, &e) == STATUS_OK, "%s", e.text);
    if (comm_min(c, cpus == 2 && b.cores > 1) == 0) {
        if (comm_rank(c) == 0)
            printf("skipped: needs two cores\n");
        comm_close(c);
        return 77;
    }
    CPU_ZERO(&one);
    CPU_SET(cpu[comm_rank(c) >= 2], &one);
    CHECK(c, sched_setaffinity(0, sizeof one, &one) == 0, "cpu %d", cpu[comm_rank(c) >= 2]);
    CHECK(c, binding_read(&b, &e) == STATUS_OK && binding_share(&b, c, &e) == STATUS_OK, "%s", e.text);
    int sharers = comm_rank(c) < 2 ? 2 : comm_size(c) - 2;
    CHECK(c, b.cores == 1 && b.sharers == sharers, "%d cores, %d sharers, expected %d", b.cores, b.sharers,
          sharers);
    CHECK(c, b.ranks == comm_size(c) && b.host_ranks == comm_size(c) && b.used_cores == 2,
          "%d ranks, %d here, %d cores used", b.ranks, b.host_ranks, b.used_cores);

    char warning[BINDING_TEXT];
    CHECK(c, launch_threads(c, 3, warning, sizeof warning) == 3, "as asked for");
    const char *wrong = comm_size(c) > b.host_cores ? "wait for each other" : "3 threads (--threads)";
    CHECK(c, strstr(warning, wrong) != NULL, "'%s', expected '%s'", warning, wrong);
    comm_close(c);
    return 0;
}
