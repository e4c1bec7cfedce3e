/* schedule.h - the learning rate of a step, as a function of configuration and progress.
 *
 *   constant  lr
 *   step      lr * decay^max(0, epoch - decay_after_epoch), epochs from 1                       (Zaremba 2014)
 *   plateau   lr * factor; after each validation that did not improve for more than `patience` times: factor *= decay
 *             (word_language_model: decay 0.25, patience 0), never below min_lr
 *   cosine    min_lr + (lr - min_lr)/2 (1 + cos(pi t/C)), t steps since the warm-up, C = cosine_steps or all that remain; then min_lr
 *   slanted   lr (1 + p (ratio - 1))/ratio, p = t/cut for t < cut, else 1 - (t-cut)/(n-cut); t steps done of n in all,
 *             cut = floor(n cut_frac): up from lr/ratio, then down to it                         (Howard & Ruder 2018)
 *             The paper divides by cut (1/cut_frac - 1), which is n - cut but for the floor; with it p falls below 0 in short runs.
 *   warm-up   in front of any but slanted, which rises by itself: lr_at(step) * (step+1)/warmup_steps for the first warmup_steps
 *
 * The arithmetic is kernels/dmath's (rule R8).  Plain functions. */
#ifndef TRAINER_SCHEDULE_H
#define TRAINER_SCHEDULE_H

#include "io/config.h"
#include "trainer/progress.h"

/* steps_in_all: optimiser steps of all epochs. */
double schedule_rate(const config *c, const train_progress *p, int64_t steps_in_all);
/* After a validation, which the task judges (task.h), the smaller the better: keeps the best, moves the plateau's factor; true if it improved. */
bool schedule_validated(const config *c, train_progress *p, double judged);

#endif
