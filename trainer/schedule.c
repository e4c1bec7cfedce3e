#include "trainer/schedule.h"

#include "kernels/dmath.h"

static double cosine(const config *c, int64_t step, int64_t steps_in_all)
{
    static const double pi = 3.141592653589793238462643383280;
    int64_t length = c->optim.cosine_steps ? c->optim.cosine_steps : steps_in_all - c->optim.warmup_steps;
    int64_t t = step - c->optim.warmup_steps;
    if (t < 0)
        t = 0;
    if (t >= length)
        return c->optim.min_lr;
    double swing = 0.5 * (c->optim.lr - c->optim.min_lr);
    return c->optim.min_lr + swing * (1.0 + d_cos(pi * (double)t / (double)length));
}

static double slanted(const config *c, int64_t t, int64_t steps_in_all)
{
    int64_t cut = (int64_t)((double)steps_in_all * c->optim.cut_frac);
    double p = t < cut ? (double)t / (double)cut : 1.0 - (double)(t - cut) / (double)(steps_in_all - cut);
    return c->optim.lr * (1.0 + p * (c->optim.ratio - 1.0)) / c->optim.ratio;
}

static double base_rate(const config *c, const train_progress *p, int64_t steps_in_all)
{
    double lr = c->optim.lr;
    switch ((config_schedule)c->optim.schedule) {
    case SCHEDULE_CONSTANT:
        return lr;
    case SCHEDULE_STEP:
        if (p->epoch <= c->optim.decay_after_epoch)
            return lr;
        return lr * d_pow(c->optim.decay, (double)(p->epoch - c->optim.decay_after_epoch));
    case SCHEDULE_PLATEAU:
        return lr * p->factor > c->optim.min_lr ? lr * p->factor : c->optim.min_lr;
    case SCHEDULE_COSINE:
        return cosine(c, p->step, steps_in_all);
    case SCHEDULE_SLANTED:
        return slanted(c, p->step, steps_in_all);
    }
    return lr;
}

double schedule_rate(const config *c, const train_progress *p, int64_t steps_in_all)
{
    double lr = base_rate(c, p, steps_in_all);
    int64_t warmup = c->optim.warmup_steps;
    return p->step < warmup ? lr * (double)(p->step + 1) / (double)warmup : lr;
}

bool schedule_validated(const config *c, train_progress *p, double judged)
{
    if (judged < p->best_nats) {
        p->best_nats = judged;
        p->best_step = p->step;
        p->stale = p->waited = 0;
        return true;
    }
    p->stale++;
    p->waited++;
    if (c->optim.schedule == SCHEDULE_PLATEAU && p->waited > c->optim.patience) {
        p->factor *= c->optim.decay;
        p->waited = 0;
    }
    return false;
}
