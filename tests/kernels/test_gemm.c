/* test_gemm.c - packed products: against plain double precision, and the bits that must not depend on tiles,
 * tables and tasks.
 *
 * Identities:
 *   C        == double, within the error of K roundings             1..49, primes, 650; A by rows or columns
 *   C        == one chain of fmaf written out                 bit for bit: every table, every cut
 *   C        == OpenBLAS's, within rounding
 *   gemm_also == the product, then sums down the stack one by one    bit for bit; by OpenBLAS within rounding
 *   gemm_job == one call over everything                             bit for bit
 *   gemm_tree == double, and == the tree of its shards' chains       bit for bit
 * Nothing is written beside C: canaries stand between its rows and after it. */
#include "kernels/gemm.h"

#include "tests/compare.h"
#include "tests/kernels/tables.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CANARY 1e30f

static uint32_t seed = 7;

static float *random_floats(size_t n)
{
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed * 0x1p-31f;
    }
    return x;
}

typedef struct shape {
    int M, N, K;
} shape;

/* One product by k->gemm against the chain written out; W (N,K) is B transposed. */
static void check_gemm(const kernels *k, shape z, bool by_rows, gemm_start start)
{
    const int P = (z.N + 15) / 16;
    const size_t M = (size_t)z.M, N = (size_t)z.N, K = (size_t)z.K, ldc = (size_t)P * 16 + 3,
                 panel = K * 16 + 32;
    float *A = random_floats(M * K), *W = random_floats(N * K), *bias = random_floats((size_t)P * 16);
    float *B = malloc((size_t)P * panel * sizeof *B), *C = random_floats(M * ldc),
          *before = malloc((M * ldc + 1) * sizeof *C);
    for (size_t i = 0; i < M; i++)
        for (size_t j = (size_t)P * 16; j < ldc; j++)
            C[i * ldc + j] = CANARY;
    C[M * ldc] = CANARY;
    memcpy(before, C, (M * ldc + 1) * sizeof *C);
    for (size_t i = 0; i < (size_t)P * panel; i++)
        B[i] = CANARY;
    for (int p = 0; p < P; p++)
        gemm_pack_rows(k, B + (size_t)p * panel, W + (size_t)p * 16 * K, K,
                       z.N - 16 * p < 16 ? z.N - 16 * p : 16, z.K);
    for (size_t i = 0; i < (size_t)P * panel; i++)
        assert_true(i % panel < K * 16 || B[i] == CANARY);
    k->gemm(z.M, P, z.K, A, by_rows ? K : 1, by_rows ? 1 : M, B, panel, C, ldc, start, bias);
    for (size_t i = 0; i < M; i++) {
        for (size_t j = 0; j < N; j++) {
            float chain = start == GEMM_ZERO ? 0 : start == GEMM_BIAS ? bias[j] : before[i * ldc + j];
            double exact = (double)chain, size = fabs(exact);
            for (size_t q = 0; q < K; q++) {
                const float a = by_rows ? A[i * K + q] : A[q * M + i];
                chain = fmaf(a, W[j * K + q], chain);
                exact += (double)a * (double)W[j * K + q];
                size += fabs((double)a * (double)W[j * K + q]);
            }
            assert_true(C[i * ldc + j] == chain);
            assert_true(fabs((double)chain - exact) <= (double)(K + 1) * 0x1p-24 * size);
        }
        for (size_t j = N; j < (size_t)P * 16 && start == GEMM_ZERO; j++)
            assert_true(C[i * ldc + j] == 0.0f);
        for (size_t j = (size_t)P * 16; j < ldc; j++)
            assert_true(C[i * ldc + j] == CANARY);
    }
    assert_true(C[M * ldc] == CANARY);
    free(A);
    free(W);
    free(bias);
    free(B);
    free(C);
    free(before);
}

static void each_table(void (*check)(const kernels *k))
{
    int tables;
    const kernels *const *k = kernels_all(&tables);
    for (int i = 0; i < tables; i++)
        if (table_usable(k[i]))
            check(k[i]);
}

static void all_shapes(const kernels *k)
{
    for (int i = 1; i <= 49; i++) {
        check_gemm(k, (shape){i, 17, 19}, i % 2, GEMM_ZERO);
        check_gemm(k, (shape){i, 33, 8}, i % 2 == 0, GEMM_BIAS);
        check_gemm(k, (shape){13, i, 23}, i % 2, GEMM_CONTINUE);
        check_gemm(k, (shape){11, 32, i - 1}, i % 2, GEMM_BIAS);
        check_gemm(k, (shape){25, 16, i - 1}, i % 2 == 0, GEMM_ZERO);
    }
    static const shape odd[] = {{1, 1, 1},     {53, 61, 67},   {97, 31, 101},
                                {20, 64, 650}, {12, 650, 131}, {7, 48, 1031}};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        for (int by_rows = 0; by_rows < 2; by_rows++)
            check_gemm(k, odd[i], by_rows, GEMM_ZERO);
}

static void test_gemm_shapes(void **state)
{
    (void)state;
    each_table(all_shapes);
}

static void test_gemm_pack_columns(void **state)
{
    (void)state;
    enum { K = 9, ZEROS = 2, LD = 90, STRIDE = (K + ZEROS) * 16 + 3 };
    float *W = random_floats(K * LD), panel[5 * STRIDE];
    for (int columns = 1; columns <= 80; columns++) {
        for (int i = 0; i < 5 * STRIDE; i++)
            panel[i] = CANARY;
        gemm_pack_columns(panel, STRIDE, W + 7, LD, columns, K, ZEROS);
        for (int p = 0; p < 5; p++)
            for (int i = 0; i < STRIDE; i++) {
                const int q = i / 16, j = p * 16 + i % 16;
                const bool inside = p < (columns + 15) / 16 && q < K + ZEROS;
                assert_true(panel[p * STRIDE + i] == (!inside                ? CANARY
                                                      : q < K && j < columns ? W[q * LD + 7 + j]
                                                                             : 0.0f));
            }
    }
    free(W);
}

/* Two programs with nothing in common but the definition. */
static void test_gemm_blas(void **state)
{
    (void)state;
    const kernels *k = kernels_select(NULL);
    static const shape shapes[] = {{1, 16, 1}, {20, 64, 131}, {49, 48, 37}, {5, 32, 0}};
    for (size_t z = 0; z < sizeof shapes / sizeof shapes[0]; z++)
        for (int way = 0; way < 6; way++) {
            const size_t M = (size_t)shapes[z].M, N = (size_t)shapes[z].N, K = (size_t)shapes[z].K;
            const bool by_rows = way % 2;
            const gemm_start start = way / 2 == 0 ? GEMM_ZERO : way / 2 == 1 ? GEMM_BIAS : GEMM_CONTINUE;
            float *A = random_floats(M * K), *B = random_floats(N * K), *bias = random_floats(N);
            float *C = random_floats(M * N), *D = malloc(M * N * sizeof *D);
            assert_non_null(D);
            memcpy(D, C, M * N * sizeof *D);
            k->gemm((int)M, (int)N / 16, (int)K, A, by_rows ? K : 1, by_rows ? 1 : M, B, K * 16, C, N, start,
                    bias);
            gemm_blas((int)M, (int)N / 16, (int)K, A, by_rows ? K : 1, by_rows ? 1 : M, B, K * 16, D, N,
                      start, bias);
            for (size_t i = 0; i < M * N; i++)
                assert_true(fabsf(C[i] - D[i]) <= 1e-5f * (1 + fabsf(C[i])));
            free(A);
            free(B);
            free(bias);
            free(C);
            free(D);
        }
    for (int role = 0; role < GEMM_ROLES; role++)
        assert_string_equal(gemm_backend((gemm_role)role), "packed");
}

/* A stack of four sums, and a product that is added to some of those below it: `also` against the plain
 * product and the additions one by one. What it fetches meanwhile and where the result goes must not
 * matter. */
static void check_also(gemm_also_function also, gemm_function plain, shape z, int way, gemm_start start,
                       bool same)
{
    enum { LEVELS = 4, GAP = 16 };
    const int P = z.N / 16, merges = way % LEVELS;
    const size_t M = (size_t)z.M, N = (size_t)z.N, K = (size_t)z.K, ldc = N + 16, level = M * ldc + GAP,
                 out_row = way & 1 ? N + 5 : 16, out_panel = way & 1 ? 16 : M * 16 + 3,
                 outs = way & 1 ? M * out_row : N / 16 * out_panel, top = (LEVELS - 1) * level;
    const bool by_rows = way & 4, elsewhere = way & 8;
    float *A = random_floats(M * K), *B = random_floats(N * K), *far = random_floats(4096),
          *bias = random_floats(N);
    float *C = random_floats(LEVELS * level), *D = malloc(LEVELS * level * sizeof *D);
    float *out = random_floats(outs), *want = malloc(outs * sizeof *want);
    assert_non_null(D);
    assert_non_null(want);
    memcpy(D, C, LEVELS * level * sizeof *D);
    memcpy(want, out, outs * sizeof *want);
    const gemm_extra extra = {.ahead = far,
                              .runs = way & 16 ? 1 + way % 7 : 0,
                              .run_floats = (size_t)(way * 67 % 512),
                              .apart = 512,
                              .ahead_rows = far,
                              .ahead_row = 48,
                              .lines = way % 5 == 0 ? 1 + way % 3 : 0,
                              .merges = merges,
                              .below = level,
                              .out = elsewhere ? out : NULL,
                              .out_row = elsewhere ? out_row : 0,
                              .out_panel = elsewhere ? out_panel : 0,
                              .later = way % 3 ? far : NULL,
                              .later_row = (size_t)(way % 7),
                              .later_part = way % 2,
                              .later_parts = 1 + way % 4,
                              .far = way & 32};
    also(z.M, P, z.K, A, by_rows ? K : 1, by_rows ? 1 : M, B, K * 16, C + top, ldc, start, bias, &extra);
    plain(z.M, P, z.K, A, by_rows ? K : 1, by_rows ? 1 : M, B, K * 16, D + top, ldc, start, bias);
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            const size_t at = top + i * ldc + j;
            float sum = D[at];
            for (int m = 1; m <= merges; m++)
                sum = D[at - (size_t)m * level] + sum;
            if (merges > 0 || elsewhere)
                D[at] = C[at]; /* undefined */
            *(elsewhere ? &want[i * out_row + j / 16 * out_panel + j % 16]
                        : &D[at - (size_t)merges * level]) = sum;
        }
    for (size_t i = 0; i < LEVELS * level; i++)
        assert_true(same ? C[i] == D[i] : fabsf(C[i] - D[i]) <= 1e-5f * (1 + fabsf(C[i])));
    for (size_t i = 0; i < outs; i++)
        assert_true(same ? out[i] == want[i] : fabsf(out[i] - want[i]) <= 1e-5f * (1 + fabsf(out[i])));
    free(A);
    free(B);
    free(far);
    free(bias);
    free(C);
    free(D);
    free(out);
    free(want);
}

static const shape also_shapes[] = {{1, 16, 1},   {16, 48, 35}, {13, 32, 7},
                                    {96, 64, 12}, {29, 144, 0}, {7, 16, 64}};

static void also_all(const kernels *k)
{
    for (size_t z = 0; z < sizeof also_shapes / sizeof also_shapes[0]; z++)
        for (int way = 0; way < 64; way++)
            for (int start = GEMM_ZERO; start <= GEMM_CONTINUE; start++)
                check_also(k->gemm_also, k->gemm, also_shapes[z], way, (gemm_start)start, true);
}

static void test_gemm_also(void **state)
{
    (void)state;
    each_table(also_all);
    for (size_t z = 0; z < sizeof also_shapes / sizeof also_shapes[0]; z++)
        for (int way = 0; way < 64; way++)
            check_also(gemm_blas_also, kernels_select(NULL)->gemm, also_shapes[z], way, GEMM_ZERO, false);
}

static void jobs(const kernels *k)
{
    static const shape shapes[] = {{1, 16, 1},         {100, 16 * 9, 40}, {400, 16 * 15, 520},
                                   {205, 16 * 9, 600}, {97, 16 * 5, 337}, {12, 32, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const shape z = shapes[i];
        const size_t M = (size_t)z.M, N = (size_t)z.N, K = (size_t)z.K, lda = K + 5;
        float *A = random_floats(M * lda), *B = random_floats(N / 16 * gemm_panel(z.K)),
              *bias = random_floats(N);
        float *before = random_floats(M * N), *C = random_floats(M * N), *whole = random_floats(M * N);
        gemm_job j = {
            .M = z.M, .P = z.N / 16, .K = z.K, .a = A, .lda = lda, .b = B, .c = C, .ldc = N, .bias = bias};
        for (int start = GEMM_ZERO; start <= GEMM_CONTINUE; start++) {
            j.start = (gemm_start)start;
            memcpy(whole, before, M * N * sizeof *whole);
            k->gemm(z.M, j.P, z.K, A, lda, 1, B, gemm_panel(z.K), whole, N, j.start, bias);
            /* 16, 8 and 4 panels a task of the third shape */
            for (j.threads = 0; j.threads <= 2; j.threads++) {
                memcpy(C, before, M * N * sizeof *C);
                for (long task = gemm_job_tasks(&j) - 1; task >= 0; task--)
                    for (int parts = 1 + (int)task % 5, part = parts - 1; part >= 0; part--)
                        gemm_job_task(k, &j, task, (task_part){part, parts});
                assert_true(same_bits("job", C, whole, M * N));
            }
        }
        free(A);
        free(B);
        free(bias);
        free(before);
        free(C);
        free(whole);
    }
}

static void test_gemm_job(void **state)
{
    (void)state;
    each_table(jobs);
}

/* More threads get more tasks of the same product, down to four panels a task. */
static void test_gemm_job_tasks(void **state)
{
    (void)state;
    static const long tasks[] = {12, 12, 24, 48, 48};
    gemm_job j = {.M = 205, .P = 64, .K = 1030};
    for (j.threads = 0; j.threads <= 4; j.threads++)
        assert_int_equal(gemm_job_tasks(&j), tasks[j.threads]);
}

/* ---- the tree ---- */

typedef struct rows_shape {
    int M;
    bool apart; /* the panels' second halves hold the second half of the rows */
} rows_shape;

static gemm_rows rows_of(const void *arg, int i, int half)
{
    const rows_shape *s = arg;
    if (s->apart) {
        const int first = s->M / 2 * half + 8 * i, left = s->M / 2 * (half + 1) - first;
        return (gemm_rows){(size_t)first, left < 8 ? left : 8};
    }
    const int row = 16 * i + 8 * half, left = s->M - row;
    return (gemm_rows){(size_t)row, left < 0 ? 0 : left < 8 ? left : 8};
}

/* The column of A that makes row i of C. */
static int column_of(const rows_shape *s, int i)
{
    const int in_half = s->apart ? i % (s->M / 2) : i;
    return s->apart ? in_half / 8 * 16 + in_half % 8 + 8 * (i / (s->M / 2)) : i;
}

/* x (T,rows,lda), y (T,rows,ldb): sum over the shards [a,b), element (i,j) of the product or column sum i
 * (j < 0). */
static float tree_sum(const float *x, size_t lda, const float *y, size_t ldb, const shards *p, int T, int a,
                      int b, int i, int j)
{
    if (b - a >= 2) {
        int middle = shard_split(a, b);
        return tree_sum(x, lda, y, ldb, p, T, a, middle, i, j) +
               tree_sum(x, lda, y, ldb, p, T, middle, b, i, j);
    }
    float chain = 0;
    for (int t = 0; t < T; t++)
        for (int r = shard_row(p->B, p->S, a) - p->row0; r < shard_row(p->B, p->S, a + 1) - p->row0; r++) {
            const size_t row = (size_t)(t * p->rows + r);
            chain = j < 0 ? chain + x[row * lda + (size_t)i]
                          : fmaf(x[row * lda + (size_t)i], y[row * ldb + (size_t)j], chain);
        }
    return chain;
}

/* C: one matrix (M,N), or (M,N0) and behind it (M,N-N0); apart: rows in the order of rows_shape. */
static void check_tree(const kernels *k, int T, int B, int S, int rank, int size, int M, int N, int N0,
                       bool apart)
{
    shards p;
    shards_init(&p, B, S, rank, size);
    const rows_shape from = {M, apart};
    const size_t rows = (size_t)T * (size_t)p.rows,
                 lda = (size_t)PAD16(apart ? 2 * ((M / 2 + 7) / 8 * 8) : M), ldb = (size_t)PAD16(N);
    const size_t stride = (size_t)M * (size_t)N + 2, sums_stride = (size_t)M + 1;
    float *x = random_floats(rows * lda), *y = random_floats(rows * ldb);
    const size_t panel = gemm_panel(T * p.rows);
    float *a = random_floats(lda / 16 * panel), *b = random_floats(ldb / 16 * panel);
    float *c = random_floats((size_t)p.nodes * stride), *sums = random_floats((size_t)p.nodes * sums_stride),
          *again = random_floats((size_t)p.nodes * sums_stride);
    for (size_t i = 0; i < lda / 16; i++)
        gemm_pack_shards(a + i * panel, 1, x + i * 16, lda, &p, T);
    for (size_t i = 0; i < ldb / 16; i++) { /* in two ways */
        const int part = (int)(5 * i % 17);
        gemm_pack_shards(b + i * panel, 1, y + i * 16, ldb, &p, T);
        float *again_b = random_floats(panel);
        gemm_pack_shards_part(again_b, 0, part, y + i * 16, ldb, &p, T);
        gemm_pack_shards_part(again_b, part, 16 - part, y + i * 16 + part, ldb, &p, T);
        assert_true(same_bits("part by part", again_b, b + i * panel, rows * 16));
        free(again_b);
    }
    for (int n = 0; n < p.nodes; n++) {
        c[(size_t)n * stride + (size_t)(M * N)] = CANARY;
        sums[(size_t)n * sums_stride + (size_t)M] = again[(size_t)n * sums_stride + (size_t)M] = CANARY;
    }
    gemm_tree j = {.p = &p,
                   .T = T,
                   .threads = T, /* whatever it says */
                   .pa = (int)lda / 16,
                   .pb = (int)ldb / 16,
                   .a = a,
                   .b = b,
                   .rows = rows_of,
                   .shape = &from,
                   .c = {c, c + M * N0},
                   .N = {N0, N - N0},
                   .stride = stride};
    float *scratch = aligned_alloc(64, gemm_tree_scratch(p.count));
    for (long task = 0; task < gemm_tree_tasks(&j); task++)
        for (int parts = 1 + (int)task % 4, part = parts - 1; part >= 0; part--)
            gemm_tree_task(k, &j, task, (task_part){part, parts}, scratch);
    free(scratch);
    for (int i = 0; i < j.pa; i++)
        gemm_tree_sums(k, &j, i, sums, i % 3 == 0 ? NULL : again, sums_stride);
    for (int n = 0; n < p.nodes; n++) {
        const shard_node node = p.node[n];
        for (int i = 0; i < M; i++) {
            const int column = column_of(&from, i);
            assert_true(sums[(size_t)n * sums_stride + (size_t)i] ==
                        tree_sum(x, lda, y, ldb, &p, T, node.first, node.last, column, -1));
            assert_true(column / 16 % 3 == 0 || again[(size_t)n * sums_stride + (size_t)i] ==
                                                    sums[(size_t)n * sums_stride + (size_t)i]);
            for (int q = 0; q < N; q++)
                assert_true(
                    c[(size_t)n * stride + (size_t)(q < N0 ? i * N0 + q : M * N0 + i * (N - N0) + q - N0)] ==
                    tree_sum(x, lda, y, ldb, &p, T, node.first, node.last, column, q));
        }
        assert_true(c[(size_t)n * stride + (size_t)(M * N)] == CANARY);
        assert_true(sums[(size_t)n * sums_stride + (size_t)M] == CANARY);
        assert_true(again[(size_t)n * sums_stride + (size_t)M] == CANARY);
    }
    free(x);
    free(y);
    free(a);
    free(b);
    free(c);
    free(sums);
    free(again);
}

static void trees(const kernels *k)
{
    check_tree(k, 3, 9, 4, 0, 1, 20, 50, 50, false);
    check_tree(k, 2, 13, 13, 0, 1, 37, 16, 16, false);
    check_tree(k, 4, 11, 6, 1, 2, 16, 33, 33, false); /* two maximal subtrees */
    check_tree(k, 1, 1, 1, 0, 1, 1, 1, 1, false);
    check_tree(k, 35, 20, 4, 0, 1, 90, 150, 70, false); /* several blocks of both operands */
    check_tree(k, 170, 9, 4, 1, 2, 40, 120, 120, true); /* shards that are read in pieces */
    check_tree(k, 170, 11, 6, 1, 2, 32, 96, 48,
               false); /* two nodes of whole tiles, two matrices of whole groups */
    check_tree(k, 3, 9, 4, 0, 1, 22, 50, 3, true);      /* a group of panels in both matrices */
    check_tree(k, 2, 5, 2, 0, 1, 600, 500, 100, false); /* the largest tasks */
}

static void test_gemm_tree(void **state)
{
    (void)state;
    each_table(trees);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_shapes), cmocka_unit_test(test_gemm_pack_columns),
        cmocka_unit_test(test_gemm_blas),   cmocka_unit_test(test_gemm_also),
        cmocka_unit_test(test_gemm_job),    cmocka_unit_test(test_gemm_job_tasks),
        cmocka_unit_test(test_gemm_tree),
    };
    return cmocka_run_group_tests_name("gemm", tests, NULL, NULL);
}
