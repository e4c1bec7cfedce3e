#include "kernels/class_loss.h"

#include "kernels/dmath.h"

#include <math.h>
#include <string.h>

typedef struct job {
    const class_loss *l;
    const float *logits;
    const uint32_t *label;
    const shards *p;
    float *logp, *gradient;
    double *row_nats, *nats;
    int B;
} job;

/* log(1 + exp(x)) without overflow. */
static double softplus(double x)
{
    return fmax(x, 0.0) + d_log(1.0 + d_exp(-fabs(x)));
}

/* log sum of exp of the logits. */
static double log_sum(const class_loss *l, const float *z)
{
    double max = (double)z[0], sum = 0.0;
    for (int c = 1; c < l->classes; c++)
        max = (double)z[c] > max || z[c] != z[c] ? (double)z[c] : max;
    for (int c = 0; c < l->classes; c++)
        sum += d_exp((double)z[c] - max);
    return max + d_log(sum);
}

/* log p_c; lse: log_sum for softmax. */
static double log_p(const class_loss *l, const float *z, double lse, int c)
{
    if (l->sigmoid)
        return -softplus(c ? -(double)z[0] : (double)z[0]);
    return (double)z[c] - lse;
}

static double weight_of(const class_loss *l, int c)
{
    return l->weight ? (double)l->weight[c] : 1.0;
}

/* The factor of -log p_c in the loss. */
static double share_of(const class_loss *l, int label, int c)
{
    const double spread = l->smoothing / (double)l->classes;
    return weight_of(l, c) * (spread + (c == label ? 1.0 - l->smoothing : 0.0));
}

/* Loss of one row, and its gradient: p_c sum of the shares - share_c; for one logit z, whose p_1 rises with it, the
 * second class's. */
static double train_row(const class_loss *l, const float *z, uint32_t label, float *dz)
{
    const double lse = l->sigmoid ? 0.0 : log_sum(l, z);
    double nats = 0.0, shares = 0.0;
    for (int c = 0; c < l->classes; c++) {
        const double share = share_of(l, (int)label, c);
        nats -= share == 0.0 ? 0.0 : share * log_p(l, z, lse, c);
        shares += share;
    }
    for (int c = 0; c < l->classes; c++) {
        const double d = shares * d_exp(log_p(l, z, lse, c)) - share_of(l, (int)label, c);
        if (!l->sigmoid || c == 1)
            dz[l->sigmoid ? 0 : c] = (float)d;
    }
    return nats;
}

static void probabilities_body(member *m, void *arg)
{
    const job *j = arg;
    const size_t ld = (size_t)PAD16(class_logits(j->l)), C = (size_t)j->l->classes;
    for (long b; (b = team_claim(m, j->B)) >= 0;) {
        const float *z = j->logits + (size_t)b * ld;
        const double lse = j->l->sigmoid ? 0.0 : log_sum(j->l, z);
        for (int c = 0; c < j->l->classes; c++)
            j->logp[(size_t)b * C + (size_t)c] = (float)log_p(j->l, z, lse, c);
    }
    team_barrier(m);
}

void class_log_probabilities(const class_loss *l, team *t, const float *logits, int B, float *logp)
{
    job j = {.l = l, .logits = logits, .logp = logp, .B = B};
    team_run(t, probabilities_body, &j);
}

/* A row's gradient and loss. */
static void train_rows(member *m, const job *j)
{
    const size_t ld = (size_t)PAD16(class_logits(j->l));
    for (long b; (b = team_claim(m, j->B)) >= 0;) {
        float *dz = j->gradient + (size_t)b * ld;
        memset(dz, 0, ld * sizeof *dz);
        j->row_nats[b] = 0.0;
        if (j->label[b] != CLASS_NONE)
            j->row_nats[b] = train_row(j->l, j->logits + (size_t)b * ld, j->label[b], dz);
    }
    team_barrier(m);
}

static double sum_shard(const job *j, int s)
{
    const int first = shard_row(j->p->B, j->p->S, s) - j->p->row0,
              last = shard_row(j->p->B, j->p->S, s + 1) - j->p->row0;
    double sum = 0.0;
    for (int b = first; b < last; b++)
        sum += j->row_nats[b];
    return sum;
}

static double sum_node(const job *j, const shard_node *node)
{
    double stack[SHARD_LEVELS];
    int top = 0;
    for (int s = node->first; s < node->last; s++) {
        stack[top++] = sum_shard(j, s);
        for (int merges = shard_merges(node->first, node->last, s); merges > 0; merges--, top--)
            stack[top - 2] += stack[top - 1];
    }
    return stack[0];
}

static void train_body(member *m, void *arg)
{
    const job *j = arg;
    train_rows(m, j);
    for (long i; (i = team_claim(m, 1)) >= 0;) /* an addition for each row: one task */
        for (int n = 0; n < j->p->nodes; n++)
            j->nats[n] = sum_node(j, &j->p->node[n]);
    team_barrier(m);
}

void class_loss_train(const class_loss *l, team *t, const float *logits, const uint32_t *label,
                      const shards *p, float *gradient, double *row_nats, double *nats)
{
    job j = {.l = l,
             .logits = logits,
             .label = label,
             .p = p,
             .gradient = gradient,
             .row_nats = row_nats,
             .nats = nats,
             .B = p->rows};
    team_run(t, train_body, &j);
}
