/* test_doctor.c - `unroll doctor` from its command line.  Its figures are compared with what is known
 * otherwise: the number of parameters by the formula of the layers, the bytes of an exchange by counting
 * messages by hand for every rank count of small trees. */
#include "io/corpus.h"
#include "io/record.h"
#include "kernels/shards.h"
#include "launch/commands.h"
#include "launch/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/unroll-doctor-XXXXXX";
static char said[32768]; /* by the last doctor, on stdout */

/* The exit code of `unroll doctor` with these arguments (up to a NULL). */
static int doctor(const char *first, ...)
{
    char *argv[16] = {(char *)"doctor", (char *)first};
    int argc = 1;
    va_list rest;
    va_start(rest, first);
    while (argv[argc] != NULL)
        argv[++argc] = va_arg(rest, char *);
    va_end(rest);
    fflush(stdout);
    int terminal = dup(STDOUT_FILENO);
    FILE *f = tmpfile();
    assert_non_null(f);
    dup2(fileno(f), STDOUT_FILENO);
    int code = cmd_doctor(argc, argv);
    fflush(stdout);
    dup2(terminal, STDOUT_FILENO);
    close(terminal);
    rewind(f);
    said[fread(said, 1, sizeof said - 1, f)] = '\0';
    fclose(f);
    return code;
}

static const char *in_folder(const char *name)
{
    static char path[2][128];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    static const uint64_t start[] = {0, 1, 2, 3, 4, 5, 6, 7, 8}, tokens[SPLIT_COUNT] = {400, 0, 0};
    uint32_t ids[400];
    for (uint32_t i = 0; i < 400; i++)
        ids[i] = i % 8;
    error e = {0};
    corpus_writer w;
    record *meta = record_new();
    record_set_text(meta, "level", "char");
    status s = corpus_create(&w, in_folder("c.h5"), tokens, (const uint8_t *)"abcdefgh", start, 8, &e);
    if (s == STATUS_OK)
        s = corpus_write(&w, SPLIT_TRAIN, 0, ids, 400, &e);
    if (s == STATUS_OK)
        s = corpus_finish(&w, meta, &e);
    record_free(meta);
    FILE *f = fopen(in_folder("small.yaml"), "we");
    if (s != STATUS_OK || f == NULL)
        return -1;
    fprintf(f,
            "data: {corpus: %s, batch_size: 16, bptt: 5, shards: 6}\n"
            "model: {cell: lstm, layers: 2, embedding: 12, hidden: 20}\n"
            "run: {dir: %s}\n",
            in_folder("c.h5"), in_folder("run/of/today"));
    return fclose(f);
}

static int tear_down(void **state)
{
    (void)state;
    unlink(in_folder("c.h5"));
    unlink(in_folder("small.yaml"));
    return rmdir(folder);
}

static void tells_of_the_machine(void **state)
{
    (void)state;
    assert_int_equal(doctor(NULL), 0);
    static const char *const sections[] = {"host  ", "this process cpus ", "kernels  ", "BLAS  ",
                                           "MPI  ",  "train CONFIG.yaml\n"};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
        if (strstr(said, sections[i]) == NULL)
            fail_msg("no \"%s\" in:\n%s", sections[i], said);
}

static void estimates_a_configuration(void **state)
{
    (void)state;
    assert_int_equal(doctor(in_folder("small.yaml"), "--ranks", "2", "--set", "data.shards=4", NULL), 0);
    const int V = 8, E = 12, H = 20;
    char expected[128];
    snprintf(expected, sizeof expected, "parameters   %d ",
             V * E + 4 * H * (E + H + 2) + 4 * H * (H + H + 2) + V * H + V);
    assert_non_null(strstr(said, expected));
    assert_non_null(strstr(
        said, "4 shards on 2 ranks: 2 a rank, balance 1.00; at most 1 partial a rank, which sends 1.00 x"));
    assert_non_null(strstr(said, "--set 'data.shards=4'"));
    assert_non_null(strstr(said, "-np 2 "));
    assert_null(strstr(said, "better"));
    assert_null(strstr(said, "no estimate"));
}

static void tells_better_numbers_of_ranks(void **state)
{
    (void)state;
    assert_int_equal(doctor(in_folder("small.yaml"), "--ranks", "4", NULL), 0);
    assert_non_null(strstr(
        said,
        "6 shards on 4 ranks: 1 to 2 a rank, balance 0.75; at most 2 partials a rank, which sends 2.25 x"));
    assert_non_null(strstr(said, "1 rank: 0.00 x; 3 ranks: 1.33 x; 6 ranks: 1.67 x"));
}

static void goes_on_without_a_corpus(void **state)
{
    (void)state;
    assert_int_equal(doctor(in_folder("small.yaml"), "--set", "data.corpus=/nowhere/c.h5", NULL), 0);
    assert_non_null(strstr(said, "warning: no estimate"));
    assert_non_null(strstr(said, "/nowhere/c.h5"));
    assert_non_null(strstr(said, "exchange  "));
}

static void refuses_what_it_cannot_use(void **state)
{
    (void)state;
    assert_int_equal(doctor(in_folder("small.yaml"), "--ranks", "7", NULL), 2);
    assert_int_equal(doctor("--ranks", "0", NULL), 2);
    assert_int_equal(doctor("--ranks", "two", NULL), 2);
    assert_int_equal(doctor("--threads", "-1", NULL), 2);
    assert_int_equal(doctor("--set", "data.shards=4", NULL), 2);
    assert_int_equal(doctor("--surgery", NULL), 2);
    assert_int_equal(doctor(in_folder("none.yaml"), NULL), 2);
    assert_int_equal(doctor(in_folder("small.yaml"), "--set", "data.shard=4", NULL), 2);
    assert_int_equal(doctor("--help", NULL), 0);
    assert_non_null(strstr(said, "usage: unroll doctor"));
}

/* Parameters cut evenly: each rank sends each of its partials of the P-1 pieces that it does not own, and its
 * own piece to P-1 ranks. */
static void counts_bytes_as_messages_do(void **state)
{
    (void)state;
    for (int S = 1; S <= 40; S++)
        for (int P = 1; P <= S; P++) {
            const double piece = 1.0 / P;
            double busiest = 0;
            int shards_seen = 0, least = S, most = 0;
            for (int r = 0; r < P; r++) {
                shard_node node[SHARD_NODES_MAX];
                int a = r * S / P, b = (r + 1) * S / P, partials = shard_cover(S, a, b, node);
                double sent = partials * (P - 1) * piece + (P - 1) * piece;
                busiest = sent > busiest ? sent : busiest;
                shards_seen += b - a;
                least = b - a < least ? b - a : least;
                most = b - a > most ? b - a : most;
            }
            doctor_cut cut = doctor_cut_of(S, P);
            assert_int_equal(shards_seen, S);
            assert_true(cut.least == least && cut.most == most);
            assert_true(cut.factor > busiest - 1e-9 && cut.factor < busiest + 1e-9);
            assert_true(cut.balance > 0 && cut.balance <= 1 && (cut.balance == 1) == (S % P == 0));
            if ((S & (S - 1)) == 0 && S % P == 0)
                assert_int_equal(cut.partials, 1);
        }
}

int main(void)
{
    static const char *const set_by_launchers[] = {"OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK"};
    for (int i = 0; i < 3; i++) /* the test itself may run under a launcher */
        unsetenv(set_by_launchers[i]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_of_the_machine),          cmocka_unit_test(estimates_a_configuration),
        cmocka_unit_test(tells_better_numbers_of_ranks), cmocka_unit_test(goes_on_without_a_corpus),
        cmocka_unit_test(refuses_what_it_cannot_use),    cmocka_unit_test(counts_bytes_as_messages_do),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
