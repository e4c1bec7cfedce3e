#include "trainer/progress.h"

#include <math.h>
#include <string.h>

/* One table of fields, so that storing, loading and the digest cannot disagree. */
typedef struct field {
    const char *key;
    enum { FIELD_INT, FIELD_REAL } type;
    size_t offset;
    bool in_digest;
} field;
#define FIELD(key, type, member, in_digest)                    \
    {                                                          \
        key, type, offsetof(train_progress, member), in_digest \
    }
static const field fields[] = {
    FIELD("step", FIELD_INT, step, true),
    FIELD("epoch", FIELD_INT, epoch, true),
    FIELD("window", FIELD_INT, window, true),
    FIELD("tokens", FIELD_INT, tokens, true),
    FIELD("best_nats", FIELD_REAL, best_nats, true),
    FIELD("best_step", FIELD_INT, best_step, true),
    FIELD("stale", FIELD_INT, stale, true),
    FIELD("waited", FIELD_INT, waited, true),
    FIELD("factor", FIELD_REAL, factor, true),
    FIELD("epoch_nats", FIELD_REAL, epoch_nats, true),
    FIELD("epoch_tokens", FIELD_INT, epoch_predicted, true),
    FIELD("interval_nats", FIELD_REAL, interval.nats, false),
    FIELD("interval_tokens", FIELD_INT, interval.predicted, false),
};
#define FIELDS (sizeof fields / sizeof fields[0])

void train_progress_init(train_progress *p)
{
    *p = (train_progress){.epoch = 1, .best_nats = INFINITY, .best_step = -1, .factor = 1.0};
}

static void store_field(const train_progress *p, const field *f, record *r)
{
    const char *at = (const char *)p + f->offset;
    if (f->type == FIELD_INT)
        record_set_int(r, f->key, *(const int64_t *)at);
    else
        record_set_double(r, f->key, *(const double *)at);
}

void train_progress_store(const train_progress *p, record *r)
{
    for (size_t i = 0; i < FIELDS; i++)
        store_field(p, &fields[i], r);
}

status train_progress_load(train_progress *p, const record *r, const char *where, error *e)
{
    train_progress_init(p);
    for (size_t i = 0; i < FIELDS; i++) {
        const field *f = &fields[i];
        char *at = (char *)p + f->offset;
        bool found = f->type == FIELD_INT ? record_get_int(r, f->key, (int64_t *)at)
                                          : record_get_double(r, f->key, (double *)at);
        if (!found)
            return fail(e, STATUS_BAD_CHECKPOINT, "%s: progress lacks \"%s\"", where, f->key);
    }
    if (p->step < 0 || p->epoch < 1 || p->window < 0 || p->tokens < 0)
        return fail(e, STATUS_BAD_CHECKPOINT,
                    "%s: progress is impossible: step %lld, epoch %lld, window %lld", where,
                    (long long)p->step, (long long)p->epoch, (long long)p->window);
    return STATUS_OK;
}

char *train_progress_text(const train_progress *p)
{
    record *r = record_new();
    for (size_t i = 0; i < FIELDS; i++)
        if (fields[i].in_digest)
            store_field(p, &fields[i], r);
    char *text = record_to_text(r);
    record_free(r);
    return text;
}
