#include "launch/models.h"

#include "launch/options.h"
#include "trainer/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static status open_one(inference *m, const char *name, bool last, int task, bool tells, error *e)
{
    char *path = NULL;
    status s = store_resolve(name, last, &path, e);
    if (s == STATUS_OK)
        s = task == MODELS_ANY_TASK ? inference_open_any(m, path, e)
                                    : inference_open(m, path, (config_task)task, e);
    if (s == STATUS_OK && tells)
        fprintf(stderr, "model: %s\n", path);
    free(path);
    return s;
}

status models_open(inference *m, const models_named *named, int task, const session *job, error *e)
{
    comm *g = job->group;
    int odd;
    status s = STATUS_OK;
    for (int i = 0; i < named->count && s == STATUS_OK; i++) {
        s = open_one(&m[i], named->name[i], named->last, task, comm_rank(g) == 0, e);
        task = m[0].config.task.name;
    }
    s = comm_agree(g, s, e);
    for (int i = 0; i < named->count && s == STATUS_OK; i++)
        if (!comm_same(g, m[i].file.digest, SHA256_HEX, &odd))
            s = fail(e, STATUS_BAD_CHECKPOINT,
                     "rank %d has another checkpoint at %s than rank 0; name the file", odd, m[i].file.path);
    return s;
}

void models_close(inference *m)
{
    for (int i = 0; i < MODELS_MAX; i++)
        inference_close(&m[i]);
}

status models_not_over(const inference *m, int count, const char *option, const char *path, error *e)
{
    status s = STATUS_OK;
    for (int i = 0; i < count && s == STATUS_OK; i++)
        s = option_not_over(option, path, m[i].file.path, "the checkpoint itself", e);
    return s;
}

void models_add(double *sum, const float *logp, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += exp((double)logp[i]);
}

void models_average(float *logp, const double *sum, size_t n, int count)
{
    for (size_t i = 0; i < n; i++)
        logp[i] = (float)log(sum[i] / count);
}
