/* test_binding.c - threads and launch lines: from bindings made up here, from this process bound to one core,
 * and from mpirun itself, which must do with the line what the line promises. */
#include "launch/binding.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A host of 8 cores; `cores` of them for each rank, which `sharers` ranks have in common. */
static binding host_of_8(int cores, int ranks, int sharers, int used)
{
    return (binding){.host_cores = 8,
                     .packages = 1,
                     .numa_nodes = 1,
                     .cores = cores,
                     .ranks = ranks,
                     .host_ranks = ranks,
                     .sharers = sharers,
                     .used_cores = used};
}

static void expect_threads(const binding *b, int requested, const char *omp, int threads, const char *why)
{
    const char *got;
    if (omp != NULL)
        setenv("OMP_NUM_THREADS", omp, 1);
    else
        unsetenv("OMP_NUM_THREADS");
    assert_int_equal(binding_threads(b, requested, &got), threads);
    assert_string_equal(got, why);
    unsetenv("OMP_NUM_THREADS");
}

static void threads_are_asked_for_or_fit_the_cores(void **state)
{
    (void)state;
    binding alone = host_of_8(8, 1, 1, 8), shared = host_of_8(8, 3, 3, 8), bound = host_of_8(2, 4, 1, 8),
            crowded = host_of_8(8, 20, 20, 8), limited = host_of_8(8, 2, 2, 8);
    limited.quota = 5.5;
    expect_threads(&alone, 3, "5", 3, "--threads");
    expect_threads(&alone, 0, "5", 5, "OMP_NUM_THREADS");
    expect_threads(&alone, 0, "5,2", 5, "OMP_NUM_THREADS");
    expect_threads(&alone, 0, "many", 8, "cores");
    expect_threads(&alone, 0, NULL, 8, "cores");
    expect_threads(&shared, 0, NULL, 2, "cores");
    expect_threads(&bound, 0, NULL, 2, "cores");
    expect_threads(&crowded, 0, NULL, 1, "cores");
    expect_threads(&limited, 0, NULL, 2, "cores");
}

static bool warned(const binding *b, int requested, char text[BINDING_TEXT])
{
    text[0] = '\0';
    return binding_warning(b, requested, "unroll train a.yaml", text);
}

static void warns_of_more_threads_than_cores(void **state)
{
    (void)state;
    char text[BINDING_TEXT];
    binding alone = host_of_8(8, 1, 1, 8), bound = host_of_8(1, 2, 1, 2), shared = host_of_8(8, 2, 2, 8),
            crowded = host_of_8(8, 20, 20, 8);
    assert_false(warned(&alone, 8, text));
    assert_true(warned(&alone, 9, text));
    assert_non_null(strstr(text, "9 threads (--threads) on 8 of this host's 8 cores"));
    assert_non_null(strstr(text, "use: OMP_NUM_THREADS=8 unroll train a.yaml"));
    assert_true(warned(&bound, 4, text));
    assert_non_null(strstr(text, "4 threads (--threads) on 1 of this host's 8 cores"));
    assert_non_null(
        strstr(text, "-np 2 --map-by slot:PE=4 --bind-to core -x OMP_NUM_THREADS=4 unroll train a.yaml"));
    assert_false(warned(&shared, 4, text));
    assert_true(warned(&shared, 5, text));
    assert_non_null(strstr(text, "2 ranks, each with 5 threads"));
    assert_true(warned(&crowded, 0, text));
    assert_non_null(strstr(text, "20 ranks on 8 cores"));
    assert_null(strstr(text, "use:"));
}

/* `mpirun -np 2` gives each rank a core and leaves the rest idle: worth a word, unless the user asked for one
 * thread. */
static void warns_of_idle_cores(void **state)
{
    (void)state;
    char text[BINDING_TEXT];
    binding bound = host_of_8(1, 2, 1, 2), all_used = host_of_8(1, 8, 1, 8);
    unsetenv("OMPI_COMM_WORLD_SIZE");
    assert_false(warned(&bound, 0, text)); /* bound by the user's own hand */
    setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    assert_true(warned(&bound, 0, text));
    assert_non_null(strstr(text, "6 of this host's 8 cores are idle"));
    assert_false(warned(&bound, 1, text));
    assert_false(warned(&all_used, 0, text));
    unsetenv("OMPI_COMM_WORLD_SIZE");
}

static void lines_suit_the_host(void **state)
{
    (void)state;
    char line[BINDING_LINE];
    binding b = host_of_8(8, 1, 1, 8);
    binding_launch_line(&b, 3, 3, "x", line);
    assert_non_null(strstr(line, "-np 3 --map-by slot:PE=2 --bind-to core -x OMP_NUM_THREADS=2 x"));
    binding_launch_line(&b, 8, 2, "x", line); /* four hosts */
    assert_non_null(strstr(line, "-np 8 --map-by ppr:2:node:PE=4 --bind-to core -x OMP_NUM_THREADS=4 x"));
    binding_launch_line(&b, 9, 9, "x", line);
    assert_non_null(strstr(line, "-np 9 --bind-to none --oversubscribe"));
    b.quota = 4;
    binding_launch_line(&b, 2, 2, "x", line);
    assert_non_null(strstr(line, "--bind-to none"));
    assert_non_null(strstr(line, "OMP_NUM_THREADS=2 x"));
}

static void write_text(const char *root, const char *path, const char *text)
{
    char name[512];
    snprintf(name, sizeof name, "%s%s", root, path);
    for (char *slash = name + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(name, 0700);
        *slash = '/';
    }
    FILE *f = fopen(name, "we");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void quota_is_the_smallest_on_the_way_up(void **state)
{
    (void)state;
    char root[] = "/tmp/unroll-quota-XXXXXX", command[64];
    assert_non_null(mkdtemp(root));
    assert_true(binding_quota(root) == 0);
    write_text(root, "/proc/self/cgroup", "1:cpu:/\n0::/pod/container\n");
    assert_true(binding_quota(root) == 0);
    write_text(root, "/sys/fs/cgroup/pod/container/cpu.max", "max 100000\n");
    assert_true(binding_quota(root) == 0);
    write_text(root, "/sys/fs/cgroup/pod/cpu.max", "250000 100000\n");
    assert_true(binding_quota(root) == 2.5);
    write_text(root, "/sys/fs/cgroup/pod/container/cpu.max", "300000 100000\n");
    assert_true(binding_quota(root) == 2.5);
    write_text(root, "/sys/fs/cgroup/cpu.max", "100000 100000\n");
    assert_true(binding_quota(root) == 1);
    write_text(root, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    write_text(root, "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_true(binding_quota(root) == 1);
    write_text(root, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
    assert_true(binding_quota(root) == 0.5);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

static void sees_its_own_cpuset(void **state)
{
    (void)state;
    cpu_set_t before, one;
    binding b;
    error e = {0};
    char cpu[16];
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_int_equal(binding_read(&b, &e), STATUS_OK);
    assert_true(b.cores >= 1 && b.cores <= b.host_cores && b.used_cores == b.cores);
    int last = -1;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &before))
            last = i;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    status s = binding_read(&b, &e);
    sched_setaffinity(0, sizeof before, &before);
    assert_int_equal(s, STATUS_OK);
    assert_int_equal(b.cores, 1);
    snprintf(cpu, sizeof cpu, "%d", last);
    assert_string_equal(b.cpus, cpu);
}

/* Starts this program anew and returns the line that it prints. */
static void start_again(const char *environment, const char *arguments, char said[BINDING_LINE])
{
    char program[400], command[640];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(n > 0);
    program[n] = '\0';
    snprintf(command, sizeof command, "%s '%s' %s", environment, program, arguments);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    said[0] = '\0';
    assert_non_null(fgets(said, BINDING_LINE, f));
    assert_int_equal(pclose(f), 0);
}

static void tells_its_own_command(void **state)
{
    (void)state;
    char said[BINDING_LINE];
    start_again("", "command --threads 3 'a $b' --set=x=1 --threads=4 c.yaml", said);
    const char *arguments = strstr(said, "test_binding");
    assert_non_null(arguments);
    assert_string_equal(arguments, "test_binding command 'a $b' --set=x=1 c.yaml");
}

/* The runtime has bound the main thread to one place; the cores of the process are still all its places. */
static void is_not_misled_by_openmp(void **state)
{
    (void)state;
#ifdef __clang__
    print_message("skipped: OpenBLAS brings gcc's OpenMP runtime, which binds before clang's can look\n");
    skip();
#endif
    binding b;
    error e = {0};
    char said[BINDING_LINE], expected[80];
    assert_int_equal(binding_read(&b, &e), STATUS_OK);
    snprintf(expected, sizeof expected, "cores %d", b.cores);
    start_again("OMP_PROC_BIND=close OMP_PLACES=cores", "cores", said);
    assert_string_equal(said, expected);
}

/* Each rank says its cpuset and its OMP_NUM_THREADS: as many cores as threads, and none in two ranks' sets.
 * */
static void check_line(const binding *b, int ranks)
{
    char line[BINDING_LINE], said[256];
    bool taken[CPU_SETSIZE] = {false};
    binding_launch_line(b, ranks, ranks,
                        "sh -c 'echo $OMP_NUM_THREADS $(grep Cpus_allowed_list /proc/self/status)'", line);
    FILE *f = popen(line, "r");
    assert_non_null(f);
    int answers = 0;
    for (; fgets(said, sizeof said, f) != NULL; answers++) {
        int threads = 0, first, last, cpus = 0, used;
        assert_int_equal(sscanf(said, "%d Cpus_allowed_list: %n", &threads, &used), 1);
        for (char *list = said + used; *list != '\n' && *list != '\0'; list += *list == ',') {
            assert_int_equal(sscanf(list, "%d%n", &first, &used), 1);
            list += used;
            last = first;
            if (*list == '-') {
                assert_int_equal(sscanf(list, "-%d%n", &last, &used), 1);
                list += used;
            }
            for (int cpu = first; cpu <= last; cpu++, cpus++) {
                assert_false(taken[cpu]);
                taken[cpu] = true;
            }
        }
        assert_int_equal(threads, b->host_cores / ranks);
        assert_true(cpus >= threads); /* more where cores have several hardware threads */
    }
    assert_int_equal(pclose(f), 0);
    assert_int_equal(answers, ranks);
}

static void mpirun_does_what_the_line_says(void **state)
{
    (void)state;
    binding b;
    error e = {0};
    assert_int_equal(binding_read(&b, &e), STATUS_OK);
    if (b.cores < b.host_cores || b.quota > 0) {
        print_message("skipped: this process has %d of %d cores, quota %g\n", b.cores, b.host_cores, b.quota);
        skip();
    }
    check_line(&b, 1);
    for (int ranks = 2; ranks <= b.host_cores; ranks *= 2)
        check_line(&b, ranks);
}

/* What the copies do that start_again starts. */
static int answer(const char *question)
{
    char command[BINDING_LINE / 2];
    binding b;
    error e = {0};
    if (strcmp(question, "command") == 0) {
        binding_own_command(command);
        printf("%s", command);
        return 0;
    }
    status s = binding_read(&b, &e);
    printf("cores %d", b.cores);
    return s;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return answer(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_are_asked_for_or_fit_the_cores),
        cmocka_unit_test(warns_of_more_threads_than_cores),
        cmocka_unit_test(warns_of_idle_cores),
        cmocka_unit_test(lines_suit_the_host),
        cmocka_unit_test(quota_is_the_smallest_on_the_way_up),
        cmocka_unit_test(sees_its_own_cpuset),
        cmocka_unit_test(tells_its_own_command),
        cmocka_unit_test(is_not_misled_by_openmp),
        cmocka_unit_test(mpirun_does_what_the_line_says),
    };
    unsetenv("OMP_NUM_THREADS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
