/* optim_scalars.h - what one step of an optimiser needs besides arrays: settings and rates of this step,
 * rounded to float once. */
#ifndef KERNELS_SIMD_OPTIM_SCALARS_H
#define KERNELS_SIMD_OPTIM_SCALARS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct optim_scalars {
    float scale, clip,
        clip_value; /* g = grad * scale * clip, then to [-clip_value, clip_value]; infinity: any */
    float weight_decay, l1, keep; /* g += weight_decay w + l1 sign(w); w *= keep (decoupled decay) */
    float rate;                   /* adam: lr / bias correction 1; adagrad: after lr_decay; else lr */
    float momentum, undamped;     /* undamped = 1 - dampening; 1 at the first step */
    float beta1, one_minus_beta1; /* adam */
    float beta2, one_minus_beta2; /* adam; rmsprop: alpha; adagrad: 1 and 1 */
    float unbias2;                /* adam: 1 / sqrt(bias correction 2) */
    float eps;
    bool nesterov, amsgrad, centered;
} optim_scalars;

typedef void (*optim_function)(const optim_scalars *s, float *w, const float *grad, float *const state[3],
                               size_t n);

#endif
