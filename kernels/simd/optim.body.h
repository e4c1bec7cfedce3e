/* optim.body.h - one step of each optimiser, element by element (formulas: kernels/optim.h).
 *
 * An element's arithmetic is one fixed sequence of operations, the fused ones written as such, so that
 * neither the vector's width nor the element's place changes a bit.  The scalars are `restrict`: what is stored
 * through a float pointer could else be one of them, for all that the compiler knows, and each would be fetched and
 * spread again.  (Not copies: gcc 12 misplaces vectors on the stack of a function that has them, with the address
 * checker's use-after-return.) */

/* The gradient, scaled and clipped. */
VEC vf optim_clipped(const optim_scalars *s, vf grad)
{
    const vf bound = vf_set1(s->clip_value);
    const vf g = vf_mul(vf_mul(grad, vf_set1(s->scale)), vf_set1(s->clip));
    return vf_max(vf_sub(vf_zero(), bound), vf_min(bound, g)); /* in this order NaN stays */
}

/* The gradient that the optimiser sees: that, with L2 and L1. */
VEC vf optim_gradient(const optim_scalars *s, vf w, vf grad)
{
    const vf g = vf_fma(vf_set1(s->weight_decay), w, optim_clipped(s, grad));
    vf sign = vf_select(vf_eq(w, vf_zero()), vf_zero(), vf_copysign(vf_set1(1.0f), w));
    return vf_fma(vf_set1(s->l1), sign, g);
}

/* a + weight (b - a), from the nearer end (torch.lerp) */
VEC vf optim_lerp(vf a, vf b, float weight, float one_minus_weight)
{
    vf d = vf_sub(b, a);
    return weight < 0.5f ? vf_fma(vf_set1(weight), d, a) : vf_fnma(vf_set1(one_minus_weight), d, b);
}

/* What a line's turn needs, some turns before. */
VEC void optim_fetch(const float *w, const float *grad, float *const state[3], size_t i)
{
    if (i % 16 > 0)
        return;
    fetch_ahead_to_write(w + i);
    fetch_ahead(grad + i);
    for (int k = 0; k < 3; k++)
        if (state[k])
            fetch_ahead_to_write(state[k] + i);
}

/* Without momentum and decay an element whose gradient is zero stays as it is, denormal or not, so that vectors
 * without gradient (words that are not in the window) are neither read nor written. */
static void FN(optim_sgd_plain)(const optim_scalars *restrict s, float *w, const float *grad, size_t n)
{
    for (size_t i = 0; i < n; i += VF) {
        if (i % 16 == 0)
            fetch_ahead(grad + i);
        const vf gi = load_rest(grad + i, n - i);
        if (vm_all(vf_eq(gi, vf_zero())))
            continue;
        if (i % 16 == 0)
            fetch_ahead_to_write(w + i);
        const vf wi = load_rest(w + i, n - i), g = optim_clipped(s, gi);
        const vf next = vf_fnma(vf_set1(s->rate), g, wi);
        store_rest(w + i, n - i, vf_select(vf_eq(g, vf_zero()), wi, next));
    }
}

static void FN(optim_sgd)(const optim_scalars *restrict s, float *w, const float *grad, float *const state[3],
                          size_t n)
{
    if (!state[0] && s->weight_decay == 0.0f && s->l1 == 0.0f) { /* as is_plain_sgd (optim.c) */
        FN(optim_sgd_plain)(s, w, grad, n);
        return;
    }
    for (size_t i = 0; i < n; i += VF) {
        optim_fetch(w, grad, state, i);
        vf wi = load_rest(w + i, n - i), g = optim_gradient(s, wi, load_rest(grad + i, n - i));
        if (state[0]) {
            vf buffer = vf_mul(vf_set1(s->momentum), load_rest(state[0] + i, n - i));
            buffer = vf_fma(vf_set1(s->undamped), g, buffer);
            store_rest(state[0] + i, n - i, buffer);
            g = s->nesterov ? vf_fma(vf_set1(s->momentum), buffer, g) : buffer;
        }
        store_rest(w + i, n - i, vf_fnma(vf_set1(s->rate), g, wi));
    }
}

static void FN(optim_adam)(const optim_scalars *restrict s, float *w, const float *grad,
                           float *const state[3], size_t n)
{
    for (size_t i = 0; i < n; i += VF) {
        optim_fetch(w, grad, state, i);
        vf wi = load_rest(w + i, n - i), g = optim_gradient(s, wi, load_rest(grad + i, n - i));
        wi = vf_mul(wi, vf_set1(s->keep));
        vf m = optim_lerp(load_rest(state[0] + i, n - i), g, s->one_minus_beta1, s->beta1);
        vf v = vf_mul(vf_set1(s->beta2), load_rest(state[1] + i, n - i));
        v = vf_fma(vf_mul(vf_set1(s->one_minus_beta2), g), g, v);
        store_rest(state[0] + i, n - i, m);
        store_rest(state[1] + i, n - i, v);
        if (s->amsgrad) {
            v = vf_max(load_rest(state[2] + i, n - i), v);
            store_rest(state[2] + i, n - i, v);
        }
        vf d = vf_fma(vf_sqrt(v), vf_set1(s->unbias2), vf_set1(s->eps));
        store_rest(w + i, n - i, vf_fnma(vf_set1(s->rate), vf_div(m, d), wi));
    }
}

/* state: square_avg, momentum_buffer (or NULL), grad_avg (if centered) */
static void FN(optim_rmsprop)(const optim_scalars *restrict s, float *w, const float *grad,
                              float *const state[3], size_t n)
{
    for (size_t i = 0; i < n; i += VF) {
        optim_fetch(w, grad, state, i);
        vf wi = load_rest(w + i, n - i), g = optim_gradient(s, wi, load_rest(grad + i, n - i));
        vf v = vf_mul(vf_set1(s->beta2), load_rest(state[0] + i, n - i));
        v = vf_fma(vf_mul(vf_set1(s->one_minus_beta2), g), g, v);
        store_rest(state[0] + i, n - i, v);
        if (s->centered) {
            vf mean = optim_lerp(load_rest(state[2] + i, n - i), g, s->one_minus_beta2, s->beta2);
            store_rest(state[2] + i, n - i, mean);
            v = vf_fnma(mean, mean, v);
            v = vf_max(vf_zero(), v); /* rounding may leave a variance below 0; NaN stays */
        }
        vf step = vf_div(g, vf_add(vf_sqrt(v), vf_set1(s->eps)));
        if (state[1]) {
            step = vf_fma(vf_set1(s->momentum), load_rest(state[1] + i, n - i), step);
            store_rest(state[1] + i, n - i, step);
        }
        store_rest(w + i, n - i, vf_fnma(vf_set1(s->rate), step, wi));
    }
}

static void FN(optim_adagrad)(const optim_scalars *restrict s, float *w, const float *grad,
                              float *const state[3], size_t n)
{
    for (size_t i = 0; i < n; i += VF) {
        optim_fetch(w, grad, state, i);
        vf wi = load_rest(w + i, n - i), g = optim_gradient(s, wi, load_rest(grad + i, n - i));
        vf sum = vf_fma(g, g, load_rest(state[0] + i, n - i));
        store_rest(state[0] + i, n - i, sum);
        vf step = vf_div(g, vf_add(vf_sqrt(sum), vf_set1(s->eps)));
        store_rest(w + i, n - i, vf_fnma(vf_set1(s->rate), step, wi));
    }
}
