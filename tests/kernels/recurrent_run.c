/* recurrent_run.c - see recurrent_run.h. */
#include "tests/kernels/recurrent_run.h"

#include "tests/compare.h"
#include "tests/kernels/arrays.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

problem problem_make(const char *cell, int I, int H, int T, int B, int S)
{
    problem p = {.cell = cell_find(cell), .I = I, .H = H, .T = T, .B = B, .S = S};
    assert_non_null(p.cell);
    const size_t rows = (size_t)p.cell->gates * (size_t)H, step = (size_t)B * (size_t)H;
    const float scale = 1.0f / sqrtf((float)H) + 0.05f;
    p.w_ih = array_random(rows * (size_t)I, scale, 1);
    p.w_hh = array_random(rows * (size_t)H, scale, 2);
    p.b_ih = array_random(rows, scale, 3);
    p.b_hh = array_random(rows, scale, 4);
    p.x = array_random((size_t)T * (size_t)B * (size_t)I, 1.0f, 5);
    p.dh = array_random((size_t)T * step, 1.0f, 6);
    p.h0 = array_random(step, 0.8f, 7);
    p.c0 = array_random(step, 0.8f, 8);
    return p;
}

void problem_free(problem *p)
{
    float *all[] = {p->w_ih, p->w_hh, p->b_ih, p->b_hh, p->x, p->dh, p->h0, p->c0};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

/* Rows of (T,rows,ld) from rows row0.. of (T,B,n). */
static float *padded(const float *x, int T, int B, int n, int row0, int rows, int ld)
{
    float *y = calloc((size_t)T * (size_t)rows * (size_t)ld + 1, sizeof *y);
    assert_non_null(y);
    for (int t = 0; t < T; t++)
        for (int b = 0; b < rows; b++)
            memcpy(y + ((size_t)t * (size_t)rows + (size_t)b) * (size_t)ld,
                   x + ((size_t)t * (size_t)B + (size_t)(row0 + b)) * (size_t)n, (size_t)n * sizeof *y);
    return y;
}

static result blank_result(const problem *p, int rank, int size)
{
    result r = {.Ip = PAD16(p->I), .Hp = PAD16(p->H), .T = p->T};
    shards_init(&r.p, p->B, p->S, rank, size);
    const size_t rows = (size_t)p->T * (size_t)r.p.rows, GH = (size_t)(p->cell->gates * p->H),
                 parts[4] = {GH * (size_t)p->I, GH * (size_t)p->H, GH, GH};
    for (int i = 0; i < 4; i++)
        r.at[i + 1] = r.at[i] + parts[i];
    r.stride = r.at[4] + 3;
    r.gradient = array_blank((size_t)r.p.nodes * r.stride);
    r.h = array_blank(rows * (size_t)r.Hp);
    r.dx = array_blank(rows * (size_t)r.Ip);
    r.h_end = padded(p->h0, 1, p->B, p->H, r.p.row0, r.p.rows, r.Hp);
    r.c_end = padded(p->c0, 1, p->B, p->H, r.p.row0, r.p.rows, r.Hp);
    return r;
}

/* Between the nodes' gradients and behind all. */
static void check_canaries(const result *r)
{
    const size_t n = (size_t)r->p.nodes * r->stride;
    array_check(r->gradient, n);
    array_check(r->dx, (size_t)r->T * (size_t)r->p.rows * (size_t)r->Ip);
    for (int j = 0; j < r->p.nodes; j++)
        for (size_t i = r->at[4]; i < r->stride; i++)
            assert_true(r->gradient[(size_t)j * r->stride + i] == r->gradient[n]);
}

/* The layer is planned larger than used: what is left of its h is a canary. */
static void windows(recurrent *l, team *t, const problem *p, result *r, int cut, bool training)
{
    const int rows = r->p.rows;
    const size_t step = (size_t)rows * (size_t)r->Hp, planned = (size_t)l->T * (size_t)l->B * (size_t)r->Hp;
    float *x = padded(p->x, p->T, p->B, p->I, r->p.row0, rows, r->Ip),
          *dh = padded(p->dh, p->T, p->B, p->H, r->p.row0, rows, r->Hp), *blank = array_blank(planned);
    const recurrent_weights w = {p->w_ih, p->w_hh, p->b_ih, p->b_hh};
    const recurrent_gradients g = {r->gradient + r->at[0], r->gradient + r->at[1], r->gradient + r->at[2],
                                   r->gradient + r->at[3], r->stride};
    for (int first = 0, steps = cut ? cut : p->T; first < p->T; first += steps, steps = p->T - first) {
        const float *window = x + (size_t)first * (size_t)rows * (size_t)r->Ip, *out = l->h;
        const size_t used = (size_t)steps * step;
        memcpy(l->h, blank, planned * sizeof *blank);
        recurrent_forward(l, t, &w, window, steps, rows);
        assert_ptr_equal(out, l->h);
        memcpy(r->h + (size_t)first * step, l->h, used * sizeof *out);
        if (training)
            recurrent_backward(l, t, &w, window, dh + (size_t)first * step,
                               r->dx + (size_t)first * (size_t)rows * (size_t)r->Ip, &r->p, &g);
        assert_true(same_bits("behind h", l->h + used, blank, planned - used));
    }
    free(x);
    free(dh);
    free(blank);
}

result run(const problem *p, const kernels *k, int threads, int rank, int size, int cut, bool training)
{
    result r = blank_result(p, rank, size);
    team *t = team_open(threads, k);
    assert_non_null(t);
    arena a = {0};
    recurrent l;
    recurrent_plan(&l, &a, t, p->cell, p->I, p->H, p->T + 1, r.p.rows + 2, training);
    assert_true(arena_commit(&a));
    float *state[2] = {r.h_end, r.c_end};
    const size_t bytes = (size_t)r.p.rows * (size_t)r.Hp * sizeof(float);
    for (int s = 0; s < p->cell->states; s++)
        memcpy(l.state[s], state[s], bytes);
    windows(&l, t, p, &r, cut, training);
    for (int s = 0; s < p->cell->states; s++)
        memcpy(state[s], l.state[s], bytes);
    check_canaries(&r);
    arena_free(&a);
    team_close(t);
    return r;
}

void result_free(result *r)
{
    float *all[] = {r->h, r->dx, r->h_end, r->c_end, r->gradient};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}
