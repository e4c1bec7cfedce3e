#include "kernels/dense.h"

#include "kernels/gemm.h"
#include "kernels/ints.h"

#include <assert.h>
#include <string.h>

void dense_plan(dense *d, arena *a, team *t, int K, int N, int T, int B, bool training)
{
    *d = (dense){.K = K, .N = N, .T = T, .B = B};
    if ((size_t)T * (size_t)B > ROWS_MOST) {
        arena_refuse(a);
        return;
    }
    const int Kp = PAD16(K), Np = PAD16(N);
    const size_t forward = (size_t)(Np / 16) * gemm_panel(K), backward = (size_t)(Kp / 16) * gemm_panel(N),
                 f = sizeof(float);
    arena_add(a, "linear layer, packed", (void **)&d->weights, (forward > backward ? forward : backward) * f);
    arena_add(a, "linear layer's bias", (void **)&d->bias, (size_t)Np * f);
    if (!training)
        return;
    arena_add(a, "linear layer's input in panels", (void **)&d->panels_x,
              (size_t)(Kp / 16) * gemm_panel(T * B) * f);
    arena_add(a, "linear layer's gradient in panels", (void **)&d->panels_dy,
              (size_t)(Np / 16) * gemm_panel(T * B) * f);
    if (!team_reserve(t, gemm_tree_scratch(B)))
        arena_refuse(a);
}

typedef struct job {
    dense *d;
    const float *W, *b, *x, *dy;
    gemm_job product;
    const shards *p;
    int T;
    gemm_tree tree;
    float *db;
} job;

static void forward_body(member *m, void *arg)
{
    const job *j = arg;
    dense *d = j->d;
    for (long i; (i = team_claim(m, PAD16(d->N) / 16)) >= 0;) {
        const int valid = at_most(16, d->N - 16 * (int)i);
        gemm_pack_rows(m->k, d->weights + (size_t)i * gemm_panel(d->K), j->W + (size_t)i * 16 * (size_t)d->K,
                       (size_t)d->K, valid, d->K);
        for (int n = 0; n < 16; n++)
            d->bias[16 * i + n] = n < valid && j->b ? j->b[16 * i + n] : 0.0f;
    }
    team_barrier(m);
    for (long i; (i = team_claim(m, gemm_job_tasks(&j->product))) >= 0;)
        gemm_job_task(m->k, &j->product, i, WHOLE_TASK);
    team_barrier(m);
}

void dense_forward(dense *d, team *t, const float *W, const float *b, const float *x, float *y, int T, int B)
{
    assert(T <= d->T && B <= d->B);
    job j = {.d = d, .W = W, .b = b};
    j.product = (gemm_job){.M = T * B,
                           .P = PAD16(d->N) / 16,
                           .K = d->K,
                           .a = x,
                           .lda = (size_t)PAD16(d->K),
                           .b = d->weights,
                           .c = y,
                           .ldc = (size_t)PAD16(d->N),
                           .start = GEMM_BIAS,
                           .bias = d->bias,
                           .threads = team_threads(t)};
    team_run(t, forward_body, &j);
}

/* Rows of W of half a panel of the outputs. */
static gemm_rows tree_rows(const void *shape, int i, int half)
{
    const dense *d = shape;
    const int row = at_most(16 * i + 8 * half, d->N);
    return (gemm_rows){(size_t)row, at_most(8, d->N - row)};
}

static void pack_backward(member *m, const job *j)
{
    const dense *d = j->d;
    const int of_x = PAD16(d->K) / 16, of_dy = PAD16(d->N) / 16, of_W = j->product.c ? of_x : 0;
    const size_t rows = gemm_panel(j->T * j->p->rows);
    for (long i; (i = team_claim(m, of_x + of_dy + of_W)) >= 0;) {
        const int n = (int)i;
        if (n < of_x)
            gemm_pack_shards(d->panels_x + (size_t)n * rows, 1, j->x + 16 * n, (size_t)PAD16(d->K), j->p,
                             j->T);
        else if (n < of_x + of_dy)
            gemm_pack_shards(d->panels_dy + (size_t)(n - of_x) * rows, 1, j->dy + 16 * (n - of_x),
                             (size_t)PAD16(d->N), j->p, j->T);
        else
            gemm_pack_columns(d->weights + (size_t)(n - of_x - of_dy) * gemm_panel(d->N), gemm_panel(d->N),
                              j->W + 16 * (n - of_x - of_dy), (size_t)d->K,
                              at_most(16, d->K - 16 * (n - of_x - of_dy)), d->N, 0);
    }
    team_barrier(m);
}

static void backward_body(member *m, void *arg)
{
    const job *j = arg;
    pack_backward(m, j);
    const long dx = j->product.c ? gemm_job_tasks(&j->product) : 0, dW = gemm_tree_tasks(&j->tree);
    for (long i; (i = team_claim(m, dx + dW + (j->db ? j->tree.pa : 0))) >= 0;) {
        if (i < dx)
            gemm_job_task(m->k, &j->product, i, WHOLE_TASK);
        else if (i < dx + dW)
            gemm_tree_task(m->k, &j->tree, i - dx, WHOLE_TASK, team_scratch(m, gemm_tree_scratch(j->d->B)));
        else
            gemm_tree_sums(m->k, &j->tree, (int)(i - dx - dW), j->db, NULL, j->tree.stride);
    }
    team_barrier(m);
}

void dense_backward(dense *d, team *t, const float *W, const float *x, const float *dy, float *dx, int T,
                    const shards *p, float *dW, float *db, size_t stride)
{
    assert(d->panels_x && T <= d->T && p->rows <= d->B);
    job j = {.d = d, .W = W, .x = x, .dy = dy, .p = p, .T = T, .db = db};
    j.product = (gemm_job){.M = T * p->rows,
                           .P = PAD16(d->K) / 16,
                           .K = d->N,
                           .a = dy,
                           .lda = (size_t)PAD16(d->N),
                           .b = d->weights,
                           .c = dx,
                           .ldc = (size_t)PAD16(d->K),
                           .start = GEMM_ZERO,
                           .threads = team_threads(t)};
    j.tree = (gemm_tree){.p = p,
                         .T = T,
                         .threads = team_threads(t),
                         .pa = PAD16(d->N) / 16,
                         .pb = PAD16(d->K) / 16,
                         .a = d->panels_dy,
                         .b = d->panels_x,
                         .rows = tree_rows,
                         .shape = d,
                         .c = {dW},
                         .N = {d->K},
                         .stride = stride};
    team_run(t, backward_body, &j);
}
