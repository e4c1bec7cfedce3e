#include "kernels/optim.h"

#include "kernels/dmath.h"
#include "kernels/ints.h"
#include "kernels/simd/table.h"

#include <math.h>

#define BATCH 64 /* pieces at a time */
#define RUN   16 /* floats of a cache line: pieces are cut at multiples of them */

int optim_states(const optim_settings *s, const char *names[OPTIM_STATES_MAX])
{
    int n = 0;
    switch (s->kind) {
    case OPTIM_KIND_SGD:
        if (s->momentum != 0.0)
            names[n++] = "momentum_buffer";
        break;
    case OPTIM_KIND_ADAM:
    case OPTIM_KIND_ADAMW:
        names[n++] = "exp_avg";
        names[n++] = "exp_avg_sq";
        if (s->amsgrad)
            names[n++] = "max_exp_avg_sq";
        break;
    case OPTIM_KIND_RMSPROP:
        names[n++] = "square_avg";
        if (s->momentum > 0.0)
            names[n++] = "momentum_buffer";
        if (s->centered)
            names[n++] = "grad_avg";
        break;
    case OPTIM_KIND_ADAGRAD:
        names[n++] = "sum";
        break;
    }
    return n;
}

float optim_state_start(const optim_settings *s, int state)
{
    return s->kind == OPTIM_KIND_ADAGRAD && state == 0 ? (float)s->initial_accumulator : 0.0f;
}

/* A piece, ready for the kernel. */
typedef struct job {
    const optim_piece *piece;
    optim_scalars scalars;
    optim_function step;
    float *state[OPTIM_STATES_MAX]; /* where the kernel expects them, NULL where none is kept */
    const sums_rows *only;          /* rows outside of which nothing is done, NULL: all */
} job;

typedef struct batch {
    int jobs;
    job job[BATCH];
} batch;

static optim_scalars scalars_of(const optim_settings *s, int64_t step, double lr, float scale, float clip,
                                bool decay)
{
    bool decoupled = s->kind == OPTIM_KIND_ADAMW;
    double weight_decay = decay ? s->weight_decay : 0.0;
    return (optim_scalars){
        .scale = scale,
        .clip = clip,
        .clip_value = s->clip_value > 0.0 ? (float)s->clip_value : INFINITY,
        .weight_decay = decoupled ? 0.0f : (float)weight_decay,
        .l1 = decay ? (float)s->l1 : 0.0f,
        .keep = decoupled ? (float)(1.0 - lr * weight_decay) : 1.0f,
        .rate = (float)lr,
        .momentum = (float)s->momentum,
        .undamped = step == 1 ? 1.0f : (float)(1.0 - s->dampening),
        .eps = (float)s->eps,
        .nesterov = s->nesterov,
        .amsgrad = s->amsgrad,
        .centered = s->centered,
    };
}

static void prepare_adam(job *j, const optim_settings *s, int64_t step, double lr)
{
    double correction1 = 1.0 - d_pow(s->beta1, (double)step),
           correction2 = 1.0 - d_pow(s->beta2, (double)step);
    j->scalars.beta1 = (float)s->beta1;
    j->scalars.one_minus_beta1 = (float)(1.0 - s->beta1);
    j->scalars.beta2 = (float)s->beta2;
    j->scalars.one_minus_beta2 = (float)(1.0 - s->beta2);
    j->scalars.rate = (float)(lr / correction1);
    j->scalars.unbias2 = (float)(1.0 / sqrt(correction2));
}

/* The kernel's states stand at fixed places, the caller's close together. */
static void prepare_rmsprop(job *j, const optim_settings *s)
{
    j->scalars.beta2 = (float)s->alpha;
    j->scalars.one_minus_beta2 = (float)(1.0 - s->alpha);
    if (!(s->momentum > 0.0)) {
        j->state[2] = j->state[1];
        j->state[1] = NULL;
    }
}

/* n elements from `at` on. */
static void step_stretch(const job *j, size_t at, size_t n)
{
    float *state[OPTIM_STATES_MAX];
    for (int k = 0; k < OPTIM_STATES_MAX; k++)
        state[k] = j->state[k] ? j->state[k] + at : NULL;
    j->step(&j->scalars, j->piece->w + at, j->piece->grad + at, state, n);
}

static void step_rows(const job *j, const sums_share *share)
{
    const sums_rows *rows = j->only;
    size_t from, to;
    sums_cut(share, (size_t)rows->rows, &from, &to);
    for (size_t n = from; n < to; n++)
        step_stretch(j, (size_t)rows->row[n] * rows->columns, rows->columns);
}

static void step_all(const job *j, const sums_share *share)
{
    const size_t n = j->piece->n;
    size_t from, to;
    sums_cut(share, (n + RUN - 1) / RUN, &from, &to);
    if (from < to)
        step_stretch(j, from * RUN, (to * RUN < n ? to * RUN : n) - from * RUN);
}

/* A task is the same share of each piece. */
static void body(member *m, void *arg)
{
    const batch *b = arg;
    sums_share share;
    while (sums_claim(m, &share))
        for (int i = 0; i < b->jobs; i++) {
            if (b->job[i].only)
                step_rows(&b->job[i], &share);
            else
                step_all(&b->job[i], &share);
        }
}

/* The kernel's own condition (optim.body.h) for leaving alone what has no gradient. */
static bool is_plain_sgd(const job *j, const optim_settings *s)
{
    return s->kind == OPTIM_KIND_SGD && !j->state[0] && j->scalars.weight_decay == 0.0f &&
           j->scalars.l1 == 0.0f;
}

static void prepare(job *j, const kernels *k, const optim_settings *s, float scale, float clip,
                    const optim_piece *p)
{
    const char *names[OPTIM_STATES_MAX];
    *j = (job){.piece = p, .scalars = scalars_of(s, p->step, p->lr, scale, clip, p->decay)};
    for (int i = optim_states(s, names) - 1; i >= 0; i--)
        j->state[i] = p->state[i];
    switch (s->kind) {
    case OPTIM_KIND_SGD:
        j->step = k->optim_sgd;
        break;
    case OPTIM_KIND_ADAM:
    case OPTIM_KIND_ADAMW:
        j->step = k->optim_adam;
        prepare_adam(j, s, p->step, p->lr);
        break;
    case OPTIM_KIND_RMSPROP:
        j->step = k->optim_rmsprop;
        prepare_rmsprop(j, s);
        break;
    case OPTIM_KIND_ADAGRAD:
        j->step = k->optim_adagrad;
        j->scalars.rate = (float)(p->lr / (1.0 + (double)(p->step - 1) * s->lr_decay));
        break;
    }
    j->only = is_plain_sgd(j, s) ? p->only : NULL;
}

void optim_step(team *t, const optim_settings *s, float scale, float clip, const optim_piece *piece, int n)
{
    for (int first = 0; first < n; first += BATCH) {
        batch b = {.jobs = at_most(BATCH, n - first)};
        for (int i = 0; i < b.jobs; i++)
            prepare(&b.job[i], team_kernels(t), s, scale, clip, &piece[first + i]);
        team_run(t, body, &b);
    }
}
