/* initial.h - initial parameters as the configuration asks (model.init, init_recurrent, init_scale,
 * forget_bias).
 *
 *   uniform              every parameter U(-init_scale, init_scale)                           (Zaremba 2014: 0.1, 0.05, 0.04)
 *   pytorch              torch.nn's defaults: embedding N(0,1), recurrent layers U(-1/sqrt(H), 1/sqrt(H)), linear ones
 *                        (decoder, head, attention) U(-1/sqrt(I), 1/sqrt(I)), I inputs, which are H in a language model
 *   word_language_model  embedding and output weight U(-init_scale, init_scale), output bias 0, recurrent layers as pytorch
 *   init_recurrent orthogonal: each gate's (H,H) block of weight_hh is orthogonal instead  (Saxe 2014)
 *   forget_bias          lstm: added to the forget gate's part of bias_ih (Jozefowicz 2015: 1)
 *
 * The values are a function of (configuration, seed) alone (rule R4). Not collective; every rank makes
 * them all. */
#ifndef TRAINER_INITIAL_H
#define TRAINER_INITIAL_H

#include "io/config.h"
#include "io/status.h"
#include "trainer/params.h"

status initial_parameters(const config *c, const params *p, float *value, error *e);

#endif
