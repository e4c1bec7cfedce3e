#include "kernels/activation.h"

#include "kernels/simd/table.h"

#define RUN ((size_t)4096) /* floats of a task */

typedef struct job {
    void (*run)(const kernels *k, float *out, const float *in, const float *y, size_t n);
    float *out;
    const float *in, *y;
    size_t n;
} job;

static void run_tanh(const kernels *k, float *out, const float *in, const float *y, size_t n)
{
    (void)y;
    k->tanh(out, in, n);
}

static void add_tanh_gradient(const kernels *k, float *dx, const float *dy, const float *y, size_t n)
{
    (void)k;
    for (size_t i = 0; i < n; i++)
        dx[i] += dy[i] * (1.0f - y[i] * y[i]);
}

static void run_relu(const kernels *k, float *out, const float *in, const float *y, size_t n)
{
    (void)k;
    (void)y;
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] <= 0.0f ? 0.0f : in[i]; /* what is not a number stays seen */
}

static void relu_gradient(const kernels *k, float *dx, const float *dy, const float *y, size_t n)
{
    (void)k;
    for (size_t i = 0; i < n; i++)
        dx[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}

static void body(member *m, void *arg)
{
    const job *j = arg;
    for (long i; (i = team_claim(m, (long)((j->n + RUN - 1) / RUN))) >= 0;) {
        const size_t at = (size_t)i * RUN, rest = j->n - at;
        j->run(m->k, j->out + at, j->in + at, j->y ? j->y + at : NULL, rest < RUN ? rest : RUN);
    }
    team_barrier(m);
}

void activation_tanh(team *t, float *y, const float *x, size_t n)
{
    team_run(t, body, &(job){run_tanh, y, x, NULL, n});
}

void activation_tanh_add_gradient(team *t, float *dx, const float *dy, const float *y, size_t n)
{
    team_run(t, body, &(job){add_tanh_gradient, dx, dy, y, n});
}

void activation_relu(team *t, float *y, const float *x, size_t n)
{
    team_run(t, body, &(job){run_relu, y, x, NULL, n});
}

void activation_relu_gradient(team *t, float *dx, const float *dy, const float *y, size_t n)
{
    team_run(t, body, &(job){relu_gradient, dx, dy, y, n});
}
