/* test_lengths - rows that begin and end inside a window have the bits that they have alone.
 *
 *   h, the state at the end, dx, dW, db of a row with times [b,e)  ==  those of the row alone in a window of e - b
 *   outside of [b,e)                                               ==  zeros, whatever x and dh hold there
 *   windows one after the other, begin < 0 and end > T             ==  one long window                  h and state
 *
 * bit for bit, for every cell and table, forward, reversed and both directions at once, 1 to 8 threads, rows at the
 * window's end, at its start and in its middle, rows of no length and of the whole window; gradients are compared as the
 * tree's sum over shards of one row each. */
#include "kernels/recurrent.h"
#include "kernels/sums.h"
#include "tests/compare.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const cells[] = {"rnn_tanh", "rnn_relu", "lstm", "gru", "gru_before"};
enum { CELLS = 5, T = 6, B = 14, I = 5, H = 18, Hp = PAD16(H), Ip = PAD16(I) };
static const int length[B] = {6, 0, 1, 5, 3, 2, 6, 4, 0, 5, 1, 2, 6, 3}; /* two blocks of rows */

typedef enum direction { FORWARD, REVERSE, BOTH, DIRECTIONS } direction;
typedef enum place { AT_END, AT_START, WITHIN, PLACES } place;
static const char *const direction_names[] = {"forward", "reversed", "both"};
static const char *const place_names[] = {"at the end", "at the start", "within"};

typedef struct way {
    const kernels *table;
    int threads;
    const char *cell;
    direction direction;
    bool training;
} way;

/* A layer, or both directions of one, for a window of so many steps and rows, with weights and gradients. */
typedef struct layer {
    way way;
    shards p;
    team *t;
    arena memory;
    recurrent r[2];
    recurrent_weights w[2];
    recurrent_gradients g[2];
    float *value[2], *gradient[2];
    size_t weights;
} layer;

static void open_layer(layer *l, const way *w, int steps, int rows)
{
    const cell_kind *cell = cell_find(w->cell);
    const size_t GH = (size_t)(cell->gates * H), w_hh = GH * I, b_ih = GH * (I + H), b_hh = b_ih + GH;
    *l = (layer){.way = *w, .t = team_open(w->threads, w->table), .weights = b_hh + GH};
    shards_init(&l->p, rows, rows, 0, 1);
    for (int i = 0; i < 2; i++) {
        recurrent_plan(&l->r[i], &l->memory, l->t, cell, I, H, steps, rows, w->training);
        l->r[i].reverse = w->direction == BOTH ? i == 1 : w->direction == REVERSE;
        float *v = l->value[i] = array_random(l->weights, 0.4f, 1 + (uint32_t)i),
              *d = l->gradient[i] = array_blank(l->weights);
        l->w[i] = (recurrent_weights){v, v + w_hh, v + b_ih, v + b_hh};
        l->g[i] = (recurrent_gradients){d, d + w_hh, d + b_ih, d + b_hh, l->weights};
    }
    assert_true(arena_commit(&l->memory));
}

static void close_layer(layer *l)
{
    for (int i = 0; i < 2; i++) {
        free(l->value[i]);
        free(l->gradient[i]);
    }
    arena_free(&l->memory);
    team_close(l->t);
}

static int directions(const layer *l)
{
    return l->way.direction == BOTH ? 2 : 1;
}

static void set_lengths(layer *l, const int *begin, const int *end)
{
    for (int i = 0; i < 2; i++) {
        l->r[i].begin = begin;
        l->r[i].end = end;
    }
}

/* Two tensors (rows,Hp) side by side, as a bidirectional layer has them. */
static float *joined(float *const half[2], size_t rows)
{
    float *y = calloc(rows * PAD16(2 * H), sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < 2 * rows; i++)
        memcpy(y + i / 2 * PAD16(2 * H) + i % 2 * H, half[i % 2] + i / 2 * Hp, H * sizeof *y);
    return y;
}

static void forward(layer *l, const float *x, int steps, int rows)
{
    const size_t n = (size_t)(steps * rows), wide = n * PAD16(2 * H);
    if (l->way.direction != BOTH) {
        recurrent_forward(l->r, l->t, l->w, x, steps, rows);
        return;
    }
    float *y = array_blank(wide);
    recurrent_forward_both(l->r, l->t, l->w, x, y, steps, rows);
    float *want = joined((float *const[2]){l->r[0].h, l->r[1].h}, n);
    assert_true(same_bits("side by side", y, want, wide));
    array_check(y, wide);
    free(want);
    free(y);
}

static void backward(layer *l, const float *x, float *const dh[2], float *dx)
{
    if (l->way.direction != BOTH) {
        recurrent_backward(l->r, l->t, l->w, x, dh[0], dx, &l->p, l->g);
        return;
    }
    float *dy = joined(dh, (size_t)(l->r[0].steps * l->p.rows));
    recurrent_backward_both(l->r, l->t, l->w, x, dy, dx, &l->p, l->g);
    free(dy);
}

/* ---- rows alone ---- */

typedef struct inputs {
    float *x, *dh[2], *state[2][2]; /* (T,B,Ip), (T,B,Hp), (B,Hp) of each direction */
    int begin[B], end[B];
} inputs;

/* Numbers stand outside of the rows as well. */
static void open_inputs(inputs *in, place where)
{
    in->x = array_rows(T * B, I, 1.0f, 10);
    for (int i = 0; i < 2; i++) {
        in->dh[i] = array_rows(T * B, H, 1.0f, 11 + (uint32_t)i);
        for (int s = 0; s < 2; s++)
            in->state[i][s] = array_rows(B, H, 0.8f, 13 + (uint32_t)(2 * i + s));
    }
    for (int b = 0; b < B; b++) {
        in->begin[b] = where == AT_END ? T - length[b] : where == AT_START ? 0 : (T - length[b]) / 2;
        in->end[b] = in->begin[b] + length[b];
    }
}

static void close_inputs(inputs *in)
{
    free(in->x);
    for (int i = 0; i < 2; i++) {
        free(in->dh[i]);
        free(in->state[i][0]);
        free(in->state[i][1]);
    }
}

/* Whether the row exists where the layer starts, or where it stops: only there a state comes in or is left. */
static bool touches(const inputs *in, const recurrent *r, int b, bool start)
{
    return in->begin[b] < in->end[b] && (r->reverse == start ? in->end[b] == T : in->begin[b] == 0);
}

static void check_zero(const char *what, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        if (x[i] != 0.0f)
            fail_msg("%s: %g outside of a row", what, (double)x[i]);
}

/* Row b of (T,B,ld) against that of a layer of its own. */
static void check_row(const char *what, const inputs *in, int b, const float *got, const float *want, int ld)
{
    for (int t = 0; t < T; t++) {
        const float *at = got + (t * B + b) * ld;
        if (t < in->begin[b] || t >= in->end[b])
            check_zero(what, at, ld);
        else
            assert_true(same_bits(what, at, want + (t - in->begin[b]) * ld, (size_t)ld));
    }
}

/* Row b of all alone; its gradients (zeros if it has no time) into gradient[direction]. */
static void check_alone(const char *what, const inputs *in, const layer *all, const float *dx, int b,
                        float *gradient[2])
{
    const int steps = in->end[b] - in->begin[b];
    layer l;
    if (steps == 0) {
        check_row(what, in, b, all->r[0].h, NULL, Hp);
        for (int i = 0; i < directions(all); i++) {
            memset(gradient[i], 0, all->weights * sizeof(float));
            for (int s = 0; s < all->r[i].cell->states; s++)
                check_zero(what, all->r[i].state[s] + b * Hp, Hp);
        }
        return;
    }
    way one = all->way;
    one.threads = 1;
    open_layer(&l, &one, steps, 1);
    float *x = array_cut(in->x + in->begin[b] * B * Ip, steps, B, Ip, b, 1), *dh[2],
          *own_dx = array_blank((size_t)(steps * Ip));
    for (int i = 0; i < 2; i++) {
        dh[i] = array_cut(in->dh[i] + in->begin[b] * B * Hp, steps, B, Hp, b, 1);
        for (int s = 0; s < l.r[i].cell->states && touches(in, &l.r[i], b, true); s++)
            memcpy(l.r[i].state[s], in->state[i][s] + b * Hp, Hp * sizeof(float));
    }
    forward(&l, x, steps, 1);
    for (int i = 0; i < directions(&l); i++) {
        check_row(what, in, b, all->r[i].h, l.r[i].h, Hp);
        for (int s = 0; s < l.r[i].cell->states; s++) {
            const float *left = all->r[i].state[s] + b * Hp;
            if (touches(in, &l.r[i], b, false))
                assert_true(same_bits(what, left, l.r[i].state[s], Hp));
            else
                check_zero(what, left, Hp);
        }
    }
    if (l.way.training) {
        backward(&l, x, dh, own_dx);
        check_row(what, in, b, dx, own_dx, Ip);
    }
    for (int i = 0; i < 2; i++) {
        memcpy(gradient[i], l.gradient[i], l.weights * sizeof(float));
        free(dh[i]);
    }
    free(x);
    free(own_dx);
    close_layer(&l);
}

static void check(const way *w, place where)
{
    inputs in;
    layer all;
    char what[200];
    snprintf(what, sizeof what, "%s, %s, %s, %d threads, rows %s%s", kernels_name(w->table), w->cell,
             direction_names[w->direction], w->threads, place_names[where],
             w->training ? "" : ", evaluation");
    open_inputs(&in, where);
    open_layer(&all, w, T, B);
    set_lengths(&all, in.begin, in.end);
    for (int i = 0; i < 2; i++)
        for (int s = 0; s < all.r[i].cell->states; s++)
            memcpy(all.r[i].state[s], in.state[i][s], B * Hp * sizeof(float));
    float *dx = array_blank(T * B * Ip), *dh[2];
    for (int i = 0; i < 2; i++)
        dh[i] = array_cut(in.dh[i], T, B, Hp, 0, B);
    forward(&all, in.x, T, B);
    if (w->training)
        backward(&all, in.x, dh, dx);
    float *own[B][2], *sum = array_blank(all.weights);
    shard_node node[B];
    for (int b = 0; b < B; b++) {
        node[b] = (shard_node){b, b + 1};
        own[b][0] = array_blank(all.weights);
        own[b][1] = array_blank(all.weights);
        check_alone(what, &in, &all, dx, b, own[b]);
    }
    for (int i = 0; i < directions(&all) && w->training; i++) {
        const float *part[B];
        for (int b = 0; b < B; b++)
            part[b] = own[b][i];
        sums_tree(all.t, sum, part, node, B, B, all.weights);
        assert_true(same_bits(what, all.gradient[i], sum, all.weights));
    }
    for (int b = 0; b < B; b++) {
        free(own[b][0]);
        free(own[b][1]);
    }
    float *rest[] = {dx, dh[0], dh[1], sum};
    for (int i = 0; i < 4; i++)
        free(rest[i]);
    close_layer(&all);
    close_inputs(&in);
}

static void test_alone(void **state)
{
    (void)state;
    int count, turn = 0;
    const kernels *const *all = kernels_all(&count);
    for (int c = 0; c < CELLS; c++)
        for (int d = 0; d < DIRECTIONS; d++)
            for (int where = 0; where < PLACES; where++, turn++)
                for (int k = 0; k < count; k++)
                    if (table_usable(all[k]))
                        check(&(way){all[k], 1 + (turn + k) % 8, cells[c], (direction)d, turn % 5 != 3},
                              (place)where);
}

/* ---- windows one after the other ---- */

/* Two windows, the layer's first one first. */
static void check_carried(const way *w, place where, int cut)
{
    inputs in;
    layer whole, parts;
    int begin[B], end[B];
    open_inputs(&in, where);
    open_layer(&whole, w, T, B);
    open_layer(&parts, w, T, B);
    set_lengths(&whole, in.begin, in.end);
    set_lengths(&parts, begin, end);
    forward(&whole, in.x, T, B);
    for (int i = 0; i < 2; i++) {
        const int first = (w->direction == REVERSE) == (i == 0) ? cut : 0, steps = first ? T - cut : cut;
        for (int b = 0; b < B; b++) {
            begin[b] = in.begin[b] - first;
            end[b] = in.end[b] - first;
        }
        forward(&parts, in.x + first * B * Ip, steps, B);
        assert_true(same_bits("h", parts.r[0].h, whole.r[0].h + first * B * Hp, (size_t)(steps * B * Hp)));
    }
    for (int s = 0; s < whole.r[0].cell->states; s++)
        assert_true(same_bits("state", parts.r[0].state[s], whole.r[0].state[s], B * Hp));
    close_layer(&whole);
    close_layer(&parts);
    close_inputs(&in);
}

static void test_carried(void **state)
{
    (void)state;
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int k = 0; k < count; k++)
        for (int c = 0; c < CELLS && table_usable(all[k]); c++)
            for (int d = 0; d < BOTH; d++)
                for (int where = 0; where < PLACES; where++)
                    for (int cut = 1; cut < T; cut += 2)
                        check_carried(&(way){all[k], 1 + (c + cut) % 8, cells[c], (direction)d, cut != 3},
                                      (place)where, cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_alone), cmocka_unit_test(test_carried)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
