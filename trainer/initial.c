#include "trainer/initial.h"

#include "kernels/fill.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* What torch.nn bounds a layer's values by: a linear layer's inputs, which are the columns of its weight; the hidden
 * units of recurrent layers, and of a tied output layer, whose weight is encoder.weight. */
static double bound_of(const config *c, const params *p, const param *q)
{
    const int length = (int)strcspn(q->name, ".");
    char name[PARAM_NAME + 8];
    snprintf(name, sizeof name, "%.*s.weight", length, q->name);
    const param *weight = begins(q->name, "rnn.") ? NULL : params_find(p, name);
    return 1.0 / sqrt(weight ? (double)weight->cols : (double)c->model.hidden);
}

/* One tensor by its name's rule. */
static void fill_tensor(const config *c, const params *p, const param *q, rng_place place, float *w)
{
    double near = bound_of(c, p, q), s = c->model.init_scale;
    if (c->model.init == INIT_UNIFORM)
        fill_uniform(place, s, w, q->count);
    else if (begins(q->name, "rnn."))
        fill_uniform(place, near, w, q->count);
    else if (c->model.init == INIT_PYTORCH && strcmp(q->name, "encoder.weight") == 0)
        fill_normal(place, 1.0, w, 0, q->count);
    else if (c->model.init == INIT_PYTORCH)
        fill_uniform(place, near, w, q->count);
    else if (strcmp(q->name, "decoder.bias") == 0)
        memset(w, 0, q->count * sizeof *w);
    else
        fill_uniform(place, s, w, q->count);
}

status initial_parameters(const config *c, const params *p, float *value, error *e)
{
    size_t H = (size_t)c->model.hidden;
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        float *w = value + q->offset;
        rng_place place = {.seed = (uint64_t)c->train.seed, .row = (uint32_t)i, .purpose = RNG_INIT};
        if (c->model.init_recurrent == INIT_ORTHOGONAL && begins(q->name, "rnn.weight_hh")) {
            for (size_t at = 0; at < q->count; at += H * H)
                if (!fill_orthogonal(place, w + at, at, (int)H))
                    return fail(e, STATUS_NO_MEMORY, "%s: no memory for an orthogonal matrix of %zu x %zu",
                                q->name, H, H);
        } else {
            fill_tensor(c, p, q, place, w);
        }
        if (c->model.cell == CELL_LSTM && begins(q->name, "rnn.bias_ih"))
            for (size_t j = H; j < 2 * H; j++) /* gates in order i,f,g,o */
                w[j] += (float)c->model.forget_bias;
    }
    return STATUS_OK;
}
