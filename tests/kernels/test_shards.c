/* test_shards - the cut of rows and shards over ranks, and the one tree of sums (rules R1, R2).
 *
 * The identity behind all of it: write the sum of the shards as text, "((0+1)+(2+3))".  Whatever the
 * number of ranks, the text of partial sums made by each rank with the stack walk of shard_merges(), put
 * together above them, is the text of one rank.  Equal text means the same additions in the same order,
 * hence the same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/shards.h"

enum { SMAX = 64, TEXT = 1024 };

/* The tree's definition, written apart: split at a + the largest power of two below b-a. */
static int split_by_definition(int a, int b)
{
    int power = 1 << 20;
    while (power >= b - a)
        power /= 2;
    return a + power;
}

static int is_node(int x, int y, int a, int b)
{
    if (x == a && y == b)
        return 1;
    if (y - x < 2)
        return 0;
    int m = split_by_definition(x, y);
    return b <= m ? is_node(x, m, a, b) : a >= m ? is_node(m, y, a, b) : 0;
}

static void parent_of(int x, int y, int a, int b, shard_node *parent)
{
    int m = split_by_definition(x, y);
    *parent = (shard_node){x, y};
    if (b <= m && !(x == a && m == b))
        parent_of(x, m, a, b, parent);
    else if (a >= m && !(m == a && y == b))
        parent_of(m, y, a, b, parent);
}

static void tree_text(char *out, int a, int b)
{
    if (b - a == 1) {
        sprintf(out, "%d", a);
        return;
    }
    char left[TEXT], right[TEXT];
    int m = split_by_definition(a, b);
    tree_text(left, a, m);
    tree_text(right, m, b);
    snprintf(out, TEXT, "(%.500s+%.500s)", left, right);
}

/* What a rank does in cache: push every shard, add as often as shard_merges() says. */
static void walk_text(char *out, int a, int b)
{
    static char stack[16][TEXT];
    int top = 0;
    for (int s = a; s < b; s++) {
        assert_in_range(top, 0, 15);
        sprintf(stack[top++], "%d", s);
        for (int m = shard_merges(a, b, s); m > 0; m--, top--) {
            assert_in_range(top, 2, 16);
            char sum[TEXT];
            snprintf(sum, TEXT, "(%.500s+%.500s)", stack[top - 2], stack[top - 1]);
            strcpy(stack[top - 2], sum);
        }
    }
    assert_int_equal(top, 1);
    strcpy(out, stack[0]);
}

static void test_split(void **state)
{
    (void)state;
    for (int a = 0; a < 40; a++)
        for (int n = 2; n <= SHARDS_MAX; n++)
            assert_int_equal(shard_split(a, a + n), split_by_definition(a, a + n));
}

/* Rows and shards are cut without gap or overlap, by the formula, for any number of ranks and for fewer
 * rows than shards. */
static void test_cut(void **state)
{
    (void)state;
    for (int S = 1; S <= 40; S++)
        for (int B = 1; B <= 60; B += 1 + B / 20)
            for (int size = 1; size <= S; size++) {
                int shard = 0, row = 0;
                for (int rank = 0; rank < size; rank++) {
                    shards p;
                    shards_init(&p, B, S, rank, size);
                    assert_int_equal(p.B, B);
                    assert_int_equal(p.S, S);
                    assert_int_equal(p.first, shard);
                    assert_int_equal(p.row0, row);
                    assert_true(p.count >= 1);
                    assert_int_equal(p.first, rank * S / size);
                    assert_int_equal(p.row0, p.first * B / S);
                    shard += p.count;
                    row += p.rows;
                }
                assert_int_equal(shard, S);
                assert_int_equal(row, B);
                assert_int_equal(shard_row(B, S, S), B);
            }
    assert_int_equal(shard_row(2000000000, 4096, 4095), (int)(2000000000LL * 4095 / 4096)); /* no overflow */
}

/* cover() of every run: nodes of the tree, in order, without gap, and none whose parent would also fit. */
static void test_cover(void **state)
{
    (void)state;
    for (int S = 1; S <= SMAX; S++)
        for (int a = 0; a < S; a++)
            for (int b = a + 1; b <= S; b++) {
                shard_node node[SHARD_NODES_MAX];
                int n = shard_cover(S, a, b, node), at = a;
                for (int i = 0; i < n; at = node[i++].last) {
                    assert_int_equal(node[i].first, at);
                    assert_true(is_node(0, S, node[i].first, node[i].last));
                    if (node[i].first == 0 && node[i].last == S)
                        continue;
                    shard_node parent;
                    parent_of(0, S, node[i].first, node[i].last, &parent);
                    assert_true(parent.first < a || parent.last > b);
                }
                assert_int_equal(at, b);
            }
    shard_node node[2 * SHARD_NODES_MAX];
    int most = 0;
    for (int S = SHARDS_MAX - 2; S <= SHARDS_MAX; S++)
        for (int a = 0; a < 300; a++)
            for (int b = S - 300; b <= S; b++) {
                int n = shard_cover(S, a, b, node);
                most = n > most ? n : most;
            }
    assert_in_range(most, 20, SHARD_NODES_MAX); /* the array in struct shards suffices, and not by far */
}

static void test_merges(void **state)
{
    (void)state;
    char want[TEXT], got[TEXT];
    for (int S = 1; S <= SMAX; S++)
        for (int a = 0; a < S; a++)
            for (int b = a + 1; b <= S; b++)
                if (is_node(0, S, a, b)) {
                    tree_text(want, a, b);
                    walk_text(got, a, b);
                    assert_string_equal(got, want);
                }
}

/* Above the ranks: whoever reaches a node that some rank has made takes it, else adds the two halves. */
static void above_ranks(char *out, int a, int b, const shards *rank, int size)
{
    for (int r = 0; r < size; r++)
        for (int i = 0; i < rank[r].nodes; i++)
            if (rank[r].node[i].first == a && rank[r].node[i].last == b) {
                walk_text(out, a, b);
                return;
            }
    assert_true(b - a >= 2);
    char left[TEXT], right[TEXT];
    int m = shard_split(a, b);
    above_ranks(left, a, m, rank, size);
    above_ranks(right, m, b, rank, size);
    snprintf(out, TEXT, "(%.500s+%.500s)", left, right);
}

static void test_ranks(void **state)
{
    (void)state;
    char want[TEXT], got[TEXT];
    tree_text(want, 0, 6);
    assert_string_equal(want, "(((0+1)+(2+3))+(4+5))");
    for (int S = 1; S <= SMAX; S++) {
        tree_text(want, 0, S);
        for (int size = 1; size <= S; size++) {
            shards rank[SMAX];
            for (int r = 0; r < size; r++) {
                shards_init(&rank[r], S, S, r, size);
                if (size == 1 || ((S & (S - 1)) == 0 && S % size == 0 && (size & (size - 1)) == 0))
                    assert_int_equal(rank[r].nodes, 1); /* one partial to send */
            }
            above_ranks(got, 0, S, rank, size);
            assert_string_equal(got, want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),  cmocka_unit_test(test_cut),   cmocka_unit_test(test_cover),
        cmocka_unit_test(test_merges), cmocka_unit_test(test_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
