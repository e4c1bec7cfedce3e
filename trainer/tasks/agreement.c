#include "trainer/tasks/agreement.h"

#include <inttypes.h>

const char *const agreement_bin_names[AGREEMENT_BINS] = {"1", "2", "3-4", "5-8", "9+"};

int agreement_bin(uint32_t distance)
{
    return distance <= 1 ? 0 : distance == 2 ? 1 : distance <= 4 ? 2 : distance <= 8 ? 3 : 4;
}

static status check_items(const corpus *c, const agreement *a, error *e)
{
    for (uint64_t i = 0; i < a->count; i++) {
        const char *path = c->file.path, *what = NULL;
        uint64_t at = a->position[i];
        if (at == 0 || at >= c->tokens[SPLIT_TEST] || (i > 0 && at <= a->position[i - 1]))
            what = "its position is none of the test split, or out of order";
        else if (c->ids[SPLIT_TEST][at] != a->right[i])
            what = "another word stands at its position";
        else if (a->wrong[i] >= c->vocab.size || a->wrong[i] == a->right[i])
            what = "the id of its wrong form is no word, or the right one";
        else if (a->distance[i] == 0 || a->distance[i] > at)
            what = "its subject would stand outside of the text";
        if (what != NULL)
            return fail(e, STATUS_BAD_DATA, "%s: agreement item %" PRIu64 ": %s", path, i, what);
    }
    return STATUS_OK;
}

status agreement_open(const corpus *c, agreement *a, error *e)
{
    static const uint64_t any[1] = {0};
    const tensor *position, *right, *wrong, *distance;
    *a = (agreement){0};
    if (container_find(&c->file, "agreement/position") == NULL)
        return STATUS_OK;
    status s = container_need(&c->file, "agreement/position", DTYPE_U64, 1, any, &position, e);
    if (s != STATUS_OK)
        return s;
    const uint64_t *shape = position->shape;
    s = container_need(&c->file, "agreement/right", DTYPE_U32, 1, shape, &right, e);
    if (s == STATUS_OK)
        s = container_need(&c->file, "agreement/wrong", DTYPE_U32, 1, shape, &wrong, e);
    if (s == STATUS_OK)
        s = container_need(&c->file, "agreement/distance", DTYPE_U32, 1, shape, &distance, e);
    if (s != STATUS_OK)
        return s;
    *a = (agreement){shape[0], position->data, right->data, wrong->data, distance->data};
    return check_items(c, a, e);
}

void agreement_add(agreement_score *s, uint32_t distance, double log_right, double log_wrong)
{
    int bin = agreement_bin(distance);
    s->n[bin]++;
    s->right[bin] += log_right > log_wrong;
}

wilson_share agreement_result(const agreement_score *s, int bin)
{
    return wilson_interval(s->right[bin], s->n[bin]);
}
