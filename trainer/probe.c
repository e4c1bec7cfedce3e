#include "trainer/probe.h"

#include "io/bug.h"
#include "kernels/fill.h"
#include "trainer/model.h"

enum { PROBE_T = 5, PROBE_B = 6, PROBE_S = 3, PROBE_V = 41, PROBE_E = 21, PROBE_H = 35 };

void probe_digest(team *t, const cell_kind *cell, char hex[SHA256_HEX])
{
    model_shape shape = {
        .cell = cell, .layers = 2, .V = PROBE_V, .E = PROBE_E, .H = PROBE_H, .dropout = 0.25, .seed = 11};
    params list;
    model m;
    arena a = {0};
    shards rows;
    float *value, *gradient;
    shards_init(&rows, PROBE_B, PROBE_S, 0, 1);
    model_params(&shape, &list, 1);
    arena_add(&a, "parameters", (void **)&value, list.floats * sizeof(float));
    arena_add(&a, "gradients", (void **)&gradient, list.gradient_floats * sizeof(float));
    model_plan(&m, &a, t, &shape, &list, PROBE_T, PROBE_B, 2, true);
    BUG_IF(!arena_commit(&a), "no memory for a probe of %zu bytes", arena_bytes(&a));

    rng_place place = {.seed = 5, .purpose = RNG_TEST};
    fill_uniform(place, 0.5, value, list.floats);
    uint32_t x[PROBE_T * PROBE_B], y[PROBE_T * PROBE_B];
    for (uint32_t i = 0; i < PROBE_T * PROBE_B; i++) {
        x[i] = i * 7 % PROBE_V;
        y[i] = i * 11 % PROBE_V;
    }
    double nats[SHARD_NODES_MAX];
    trunk_zero_state(&m.trunk);
    model_train(&m, t, value, x, y, PROBE_T, PROBE_B, &rows, 3, gradient, list.gradient_floats, nats, NULL,
                NULL);

    sha256 *h = sha256_new();
    sha256_add(h, nats, sizeof nats[0]);
    for (int i = 0; i < list.count; i++)
        sha256_add(h, gradient + list.list[i].offset, list.list[i].count * sizeof(float));
    sha256_end(h, hex);
    arena_free(&a);
    params_free(&list);
}
