/* corpus.c - a container of kind "corpus", seen as splits and a vocabulary. */
#include "io/corpus.h"

#include "io/bug.h"

#include <inttypes.h>
#include <string.h>

const char *const split_names[SPLIT_COUNT] = {"train", "valid", "test"};

static const uint64_t any[1] = {0};

static status take_vocabulary(corpus *c, error *e)
{
    const tensor *blob, *start;
    status s = container_need(&c->file, "vocab/bytes", DTYPE_U8, 1, any, &blob, e);
    if (s == STATUS_OK)
        s = container_need(&c->file, "vocab/start", DTYPE_U64, 1, any, &start, e);
    if (s != STATUS_OK)
        return s;
    uint64_t size = start->shape[0] - 1;
    if (size > UINT32_MAX)
        return fail(e, STATUS_BAD_DATA, "%s: a vocabulary of %" PRIu64 " words is too large", c->file.path,
                    size);
    return vocabulary_view(&c->vocab, blob->data, blob->shape[0], start->data, (uint32_t)size, c->file.path,
                           e);
}

static status take_splits(corpus *c, error *e)
{
    for (int i = 0; i < SPLIT_COUNT; i++) {
        const tensor *ids;
        if (container_find(&c->file, split_names[i]) == NULL)
            continue;
        status s = container_need(&c->file, split_names[i], DTYPE_U32, 1, any, &ids, e);
        if (s != STATUS_OK)
            return s;
        c->ids[i] = ids->data;
        c->tokens[i] = ids->shape[0];
    }
    return STATUS_OK;
}

/* The id that meta states must be that of the word itself; meta may leave it out. */
static status check_id(const corpus *c, const char *key, int64_t id, error *e)
{
    int64_t stated = id;
    record_get_int(c->file.meta, key, &stated);
    if (stated != id)
        return fail(e, STATUS_BAD_DATA,
                    "%s: says that <%s> is word %" PRId64 ", its vocabulary says %" PRId64, c->file.path, key,
                    stated, id);
    return STATUS_OK;
}

static status take_meta(corpus *c, error *e)
{
    if (!record_get_text(c->file.meta, "level", &c->level) ||
        (strcmp(c->level, "word") != 0 && strcmp(c->level, "char") != 0 && strcmp(c->level, "byte") != 0))
        return fail(e, STATUS_BAD_DATA, "%s: does not say whether its tokens are of level word, char or byte",
                    c->file.path);
    status s = check_id(c, "eos", c->vocab.eos, e);
    return s == STATUS_OK ? check_id(c, "unk", c->vocab.unk, e) : s;
}

status corpus_open(corpus *c, const char *path, container_trust trust, error *e)
{
    *c = (corpus){.vocab = {.eos = -1, .unk = -1}};
    status s = container_open(&c->file, path, "corpus", trust, e);
    if (s != STATUS_OK)
        return s;
    c->digest = c->file.digest;
    s = take_vocabulary(c, e);
    if (s == STATUS_OK)
        s = take_splits(c, e);
    if (s == STATUS_OK)
        s = take_meta(c, e);
    if (s != STATUS_OK)
        corpus_close(c);
    return s;
}

void corpus_close(corpus *c)
{
    vocabulary_free(&c->vocab);
    container_close(&c->file);
    *c = (corpus){.vocab = {.eos = -1, .unk = -1}};
}

status corpus_window(const corpus *c, split_name split, uint64_t first, uint64_t n, uint32_t *out, error *e)
{
    BUG_IF(first > c->tokens[split] || n > c->tokens[split] - first,
           "%s: tokens %" PRIu64 " to %" PRIu64 " of %" PRIu64, split_names[split], first, first + n,
           c->tokens[split]);
    if (n == 0)
        return STATUS_OK;
    const uint32_t *ids = c->ids[split] + first;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t id = ids[i]; /* read once: what is checked is what is handed out, even if the file changes */
        if (id >= c->vocab.size)
            return fail(e, STATUS_BAD_DATA,
                        "%s: token %" PRIu64 " of %s is id %" PRIu32 ", but the vocabulary has %" PRIu32
                        " words",
                        c->file.path, first + i, split_names[split], id, c->vocab.size);
        out[i] = id;
    }
    return STATUS_OK;
}

status corpus_create(corpus_writer *w, const char *path, const uint64_t tokens[SPLIT_COUNT],
                     const uint8_t *blob, const uint64_t *start, uint32_t size, error *e)
{
    *w = (corpus_writer){0};
    tensor tensors[SPLIT_COUNT + 2];
    size_t count = 0;
    uint64_t starts = (uint64_t)size + 1;
    tensors[count++] = tensor_of("vocab/bytes", DTYPE_U8, NULL, 1, &start[size]);
    tensors[count++] = tensor_of("vocab/start", DTYPE_U64, NULL, 1, &starts);
    for (int i = 0; i < SPLIT_COUNT; i++) {
        w->index[i] = tokens[i] > 0 ? count : SIZE_MAX;
        if (tokens[i] > 0)
            tensors[count++] = tensor_of(split_names[i], DTYPE_U32, NULL, 1, &tokens[i]);
    }
    status s = container_create(&w->file, path, "corpus", tensors, count, e);
    if (s == STATUS_OK)
        s = container_write(w->file, 0, 0, blob, start[size], e);
    if (s == STATUS_OK)
        s = container_write(w->file, 1, 0, start, starts, e);
    if (s != STATUS_OK)
        corpus_abandon(w);
    return s;
}

status corpus_write(corpus_writer *w, split_name split, uint64_t first, const uint32_t *ids, uint64_t n,
                    error *e)
{
    if (n == 0)
        return STATUS_OK;
    BUG_IF(w->index[split] == SIZE_MAX, "%s was announced as empty", split_names[split]);
    return container_write(w->file, w->index[split], first, ids, n, e);
}

status corpus_finish(corpus_writer *w, const record *meta, error *e)
{
    status s = container_finish(w->file, meta, e);
    *w = (corpus_writer){0};
    return s;
}

void corpus_abandon(corpus_writer *w)
{
    container_abandon(w->file);
    *w = (corpus_writer){0};
}
