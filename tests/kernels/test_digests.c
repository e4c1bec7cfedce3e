/* test_digests.c - the same bits on every processor, without having both at hand.
 *
 * Identity: what each family of kernels makes of fixed inputs has the digest that digests.txt holds, in every table
 * that this machine can run.  The inputs come from integers, and one changed bit of one result changes a digest, so
 * machines that all pass agree with each other bit for bit.
 *
 * Two exceptions are left out of the digests, counted, and printed where the count is not the file's:
 *   NaN    a NaN is a NaN: which one, with which sign, is the processor's choice (x86 makes ffc00000, ARM 7fc00000)
 *   edge   with denormals flushed (names that end in _ftz, and all that a team computes) a result of at most 2^-126 is
 *          taken as zero: x86 flushes what is smaller than 2^-126 after rounding, ARM what is so before it.
 *          test_edge shows that these are all that differ.
 *
 *   test_digests --print     what belongs into digests.txt, by the scalar table; to be written again only when the
 *                            order of some arithmetic was changed on purpose */
#include "tests/kernels/families.h"
#include "tests/kernels/tables.h"

#include "kernels/simd/table.h"
#include "kernels/team.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The line of a family in digests.txt; `lines` counts those that are no comments. */
static bool golden(const char *name, digest *d, size_t *lines)
{
    FILE *f = fopen(DIGESTS, "r");
    char line[200], found[32];
    bool have = false;
    *lines = 0;
    if (!f)
        fail_msg("cannot open %s", DIGESTS);
    while (fgets(line, sizeof line, f)) {
        unsigned long long hash;
        digest read = {0};
        if (sscanf(line, "%31s %llx %zu %zu %zu %zu", found, &hash, &read.values, &read.nans,
                   &read.nans_other, &read.edge) != 6 ||
            line[0] == '#')
            continue;
        ++*lines;
        if (strcmp(found, name) == 0) {
            *d = read;
            d->hash = hash;
            have = true;
        }
    }
    fclose(f);
    return have;
}

static void test_golden(void **state)
{
    (void)state;
    int tables, wrong = 0;
    size_t lines = 0;
    const kernels *const *k = kernels_all(&tables);
    for (size_t i = 0; i < families_count; i++) {
        digest want = {0};
        if (!golden(families[i].name, &want, &lines))
            fail_msg("%s has no line for %s", DIGESTS, families[i].name);
        for (int j = 0; j < (families[i].any_table ? 1 : tables); j++) {
            if (!table_usable(k[j]))
                continue;
            digest got = family_run(&families[i], k[j]);
            if (got.nans_other != want.nans_other)
                print_message("%s, %s: %zu of %zu NaN have other bits than 7fc00000, %zu in the file\n",
                              families[i].name, kernels_name(k[j]), got.nans_other, got.nans,
                              want.nans_other);
            if (got.edge != want.edge)
                print_message("%s, %s: %zu results at the edge, %zu in the file\n", families[i].name,
                              kernels_name(k[j]), got.edge, want.edge);
            if (got.hash == want.hash && got.values == want.values && got.nans == want.nans)
                continue;
            print_error(
                "%s, %s: digest %016llx of %zu values, %zu NaN; it should be %016llx of %zu, %zu NaN\n",
                families[i].name, kernels_name(k[j]), (unsigned long long)got.hash, got.values, got.nans,
                (unsigned long long)want.hash, want.values, want.nans);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(lines, families_count); /* none that nobody checks */
}

/* A digest that cannot change proves nothing: each bit of a result counts, but for what is left out. */
static void test_digest_changes(void **state)
{
    (void)state;
    float x[3] = {0.5f, -3.0f, 0x1p-126f};
    digest first = digest_start();
    digest_floats(&first, x, 3);
    for (int bit = 0; bit < 96; bit++) {
        float y[3];
        uint32_t word[3];
        memcpy(word, x, sizeof word);
        word[bit / 32] ^= 1u << bit % 32;
        memcpy(y, word, sizeof y);
        digest d = digest_start();
        digest_floats(&d, y, 3);
        assert_true(d.hash != first.hash);
    }
    digest flushed = digest_start(), zero = digest_start();
    flushed.flushed = zero.flushed = true;
    digest_floats(&flushed, x, 3);
    digest_floats(&zero, (float[3]){0.5f, -3.0f, 0.0f}, 3);
    assert_true(flushed.hash == zero.hash && flushed.edge == 1 && zero.edge == 0);
    digest_floats(&flushed, (float[2]){-0.0f, 0x1.000002p-126f}, 2);
    digest_floats(&zero, (float[2]){0.0f, 0x1.000002p-126f}, 2);
    assert_true(flushed.hash != zero.hash && flushed.edge == 1);
}

/* Products a * b beside 2^-126, flushed. */
enum { EDGE_TRIES = 20000 };

typedef struct edge {
    size_t between;         /* products below 2^-126 that round up to it */
    size_t between_flushed; /* those that became 0 */
    size_t wrong;           /* every other result is told by IEEE 754 and by flushing; these were not that */
} edge;

typedef struct edge_job {
    float a[EDGE_TRIES], b[EDGE_TRIES][16], c[EDGE_TRIES][16];
} edge_job;

static void edge_products(member *m, void *arg)
{
    edge_job *job = arg;
    for (int i = 0; i < EDGE_TRIES; i++)
        m->k->gemm(1, 1, 1, &job->a[i], 1, 1, job->b[i], 16, job->c[i], 16, GEMM_ZERO, NULL);
}

static edge edge_of(const kernels *k, edge_job *job)
{
    edge e = {0};
    team *t = team_open(1, k);
    team_run(t, edge_products, job);
    team_close(t);
    for (int i = 0; i < EDGE_TRIES; i++)
        for (int j = 0; j < 16; j++) {
            const double exact = (double)job->a[i] * (double)job->b[i][j]; /* 48 bits: exact */
            const float got = job->c[i][j];
            if (exact < 0x1p-126 && exact >= 0x1p-126 - 0x1p-151) {
                e.between++;
                e.between_flushed += got == 0.0f;
                e.wrong += got != 0.0f && got != 0x1p-126f;
            } else {
                e.wrong += got != (exact < 0x1p-126 ? 0.0f : (float)exact);
            }
        }
    return e;
}

static void test_edge(void **state)
{
    (void)state;
    edge_job *job = malloc(sizeof *job);
    assert_non_null(job);
    draw_start();
    for (int i = 0; i < EDGE_TRIES; i++) {
        job->a[i] = 1.5f + 0.5f * draw();
        float b = (float)(0x1p-26 / (double)job->a[i]); /* the product rounds to 2^-26 or a neighbour of it */
        for (int j = 0; j < 16; j++, b = nextafterf(b, j % 2 ? 1.0f : 0.0f))
            job->b[i][j] = b;
        job->a[i] *= 0x1p-100f;
    }
    int tables;
    const kernels *const *k = kernels_all(&tables);
    for (int j = 0; j < tables; j++) {
        if (!table_usable(k[j]))
            continue;
        edge e = edge_of(k[j], job);
        print_message("%s: of %zu products below 2^-126 that round up to it %zu were flushed\n",
                      kernels_name(k[j]), e.between, e.between_flushed);
        assert_true(e.between > 1000);
        assert_int_equal(e.wrong, 0);
        assert_true(e.between_flushed == 0 || e.between_flushed == e.between); /* after rounding, or before */
    }
    free(job);
}

static void print_digests(void)
{
    printf("# test_digests --print wrote this (test_digests.c): family, digest, values, NaN among them, NaN "
           "with other bits than "
           "7fc00000, results at the edge of the denormals\n");
    for (size_t i = 0; i < families_count; i++) {
        digest d = family_run(&families[i], kernels_select("scalar"));
        printf("%-12s %016llx %8zu %7zu %6zu %3zu\n", families[i].name, (unsigned long long)d.hash, d.values,
               d.nans, d.nans_other, d.edge);
    }
}

int main(int count, char **argument)
{
    if (count > 1 && strcmp(argument[1], "--print") == 0) {
        print_digests();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest_changes),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_edge),
    };
    return cmocka_run_group_tests_name("digests", tests, NULL, NULL);
}
