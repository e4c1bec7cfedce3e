/* activation.h - element-wise functions on whole tensors, and their gradients from their results.
 *
 *   tanh  dx = dy (1 - y^2)          relu  dx = dy where y > 0, else 0        (torch.relu: a gradient of 0 at 0)
 *
 * y may be x, and dx may be dy; tanh's gradient is added to dx, relu's replaces it.  n floats.
 * Threads: call from outside a parallel region.  Not collective. */
#ifndef KERNELS_ACTIVATION_H
#define KERNELS_ACTIVATION_H

#include "kernels/team.h"

void activation_tanh(team *t, float *y, const float *x, size_t n);
void activation_tanh_add_gradient(team *t, float *dx, const float *dy, const float *y, size_t n);
void activation_relu(team *t, float *y, const float *x, size_t n);
void activation_relu_gradient(team *t, float *dx, const float *dy, const float *y, size_t n);

#endif
