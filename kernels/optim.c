#include "kernels/optim.h"

#include "kernels/dmath.h"
#include "kernels/ints.h"
#include "kernels/simd/table.h"

#include <math.h>

#define SLICE         16384 /* elements of a task */
#define ROWS_PER_TASK 8     /* where only some rows have a gradient */

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

typedef struct job {
    optim_scalars scalars;
    optim_function step;
    float *w;
    const float *grad;
    float *state[OPTIM_STATES_MAX]; /* as the kernel expects them: NULL where none is kept */
    size_t n;
    const sums_rows *only;
} job;

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

static void body(member *m, void *arg)
{
    const job *j = arg;
    for (long i; (i = team_claim(m, (long)((j->n + SLICE - 1) / SLICE))) >= 0;) {
        size_t at = (size_t)i * SLICE, n = j->n - at < SLICE ? j->n - at : SLICE;
        float *state[OPTIM_STATES_MAX];
        for (int k = 0; k < OPTIM_STATES_MAX; k++)
            state[k] = j->state[k] ? j->state[k] + at : NULL;
        j->step(&j->scalars, j->w + at, j->grad + at, state, n);
    }
}

/* Only the rows that have a gradient. */
static void rows_body(member *m, void *arg)
{
    const job *j = arg;
    const sums_rows *r = j->only;
    for (long i; (i = team_claim(m, pieces(r->rows, ROWS_PER_TASK))) >= 0;)
        for (int n = (int)i * ROWS_PER_TASK; n < at_most((int)(i + 1) * ROWS_PER_TASK, r->rows); n++) {
            const size_t at = (size_t)r->row[n] * r->columns;
            j->step(&j->scalars, j->w + at, j->grad + at, j->state, r->columns);
        }
}

/* The kernel's own condition (optim.body.h) for leaving alone what has no gradient. */
static bool is_plain_sgd(const job *j, const optim_settings *s)
{
    return s->kind == OPTIM_KIND_SGD && !j->state[0] && j->scalars.weight_decay == 0.0f &&
           j->scalars.l1 == 0.0f;
}

void optim_piece(team *t, const optim_settings *s, int64_t step, double lr, float scale, float clip,
                 bool decay, float *w, const float *grad, float *const state[OPTIM_STATES_MAX], size_t n,
                 const sums_rows *only)
{
    const kernels *k = team_kernels(t);
    const char *names[OPTIM_STATES_MAX];
    job j = {
        .scalars = scalars_of(s, step, lr, scale, clip, decay), .w = w, .grad = grad, .n = n, .only = only};
    for (int i = optim_states(s, names) - 1; i >= 0; i--)
        j.state[i] = state[i];
    switch (s->kind) {
    case OPTIM_KIND_SGD:
        j.step = k->optim_sgd;
        break;
    case OPTIM_KIND_ADAM:
    case OPTIM_KIND_ADAMW:
        j.step = k->optim_adam;
        prepare_adam(&j, s, step, lr);
        break;
    case OPTIM_KIND_RMSPROP:
        j.step = k->optim_rmsprop;
        prepare_rmsprop(&j, s);
        break;
    case OPTIM_KIND_ADAGRAD:
        j.step = k->optim_adagrad;
        j.scalars.rate = (float)(lr / (1.0 + (double)(step - 1) * s->lr_decay));
        break;
    }
    team_run(t, only && is_plain_sgd(&j, s) ? rows_body : body, &j);
}
