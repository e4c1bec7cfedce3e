/* corpus.c - a container of kind "corpus", seen as splits and a vocabulary. */
#include "io/corpus.h"

#include "io/bug.h"
#include "io/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const split_names[SPLIT_COUNT] = {"train", "valid", "test"};

static const uint64_t any[1] = {0};
static const corpus empty_corpus = {.vocab = {.eos = -1, .unk = -1}, .labels = {.eos = -1, .unk = -1}};

/* A list of words, or of labels, under NAME/bytes and NAME/start. */
static status take_list(const corpus *c, vocabulary *v, const char *name, error *e)
{
    const tensor *blob, *start;
    char of_blob[32], of_start[32], where[4096];
    snprintf(of_blob, sizeof of_blob, "%s/bytes", name);
    snprintf(of_start, sizeof of_start, "%s/start", name);
    snprintf(where, sizeof where, "%s: %s", c->file.path, name);
    status s = container_need(&c->file, of_blob, DTYPE_U8, 1, any, &blob, e);
    if (s == STATUS_OK)
        s = container_need(&c->file, of_start, DTYPE_U64, 1, any, &start, e);
    if (s != STATUS_OK)
        return s;
    uint64_t size = start->shape[0] - 1;
    if (size > UINT32_MAX)
        return fail(e, STATUS_BAD_DATA, "%s: a vocabulary of %" PRIu64 " words is too large", where, size);
    return vocabulary_view(v, blob->data, blob->shape[0], start->data, (uint32_t)size, where, e);
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

static status bad_document(const corpus *c, int split, const char *what, uint64_t i, uint64_t found,
                           const char *wanted, error *e)
{
    return fail(e, STATUS_BAD_DATA, "%s: documents/%s/%s[%" PRIu64 "] is %" PRIu64 "; %s", c->file.path,
                split_names[split], what, i, found, wanted);
}

static status check_documents(const corpus *c, int split, bool trust, error *e)
{
    const corpus_documents *d = &c->documents[split];
    const uint32_t *ids = c->ids[split];
    if (d->start[0] != 0)
        return bad_document(c, split, "start", 0, d->start[0], "the first document begins at 0", e);
    if (d->start[d->count] != c->tokens[split])
        return bad_document(c, split, "start", d->count, d->start[d->count],
                            "the last document ends with the tokens of the split", e);
    for (uint64_t i = 0; i < d->count; i++) {
        uint64_t end = d->start[i + 1];
        if (end <= d->start[i] || end > c->tokens[split])
            return bad_document(c, split, "start", i + 1, end, "starts must rise, no document is empty", e);
        if (d->label[i] != LABEL_NONE && d->label[i] >= c->labels.size)
            return bad_document(c, split, "label", i, d->label[i], "there are fewer labels", e);
        if (!trust && ids[end - 1] != c->vocab.eos)
            return fail(e, STATUS_BAD_DATA, "%s: document %" PRIu64 " of %s does not end with <eos>",
                        c->file.path, i, split_names[split]);
    }
    return STATUS_OK;
}

/* All splits have documents, or none has. */
static status take_documents(corpus *c, container_trust trust, error *e)
{
    bool any_documents = false;
    char start_name[64], label_name[64];
    const tensor *start, *label;
    for (int i = 0; i < SPLIT_COUNT; i++) {
        snprintf(start_name, sizeof start_name, "documents/%s/start", split_names[i]);
        any_documents = any_documents || container_find(&c->file, start_name) != NULL;
    }
    if (!any_documents && container_find(&c->file, "labels/bytes") == NULL)
        return STATUS_OK;
    status s = take_list(c, &c->labels, "labels", e);
    for (int i = 0; s == STATUS_OK && i < SPLIT_COUNT; i++) {
        snprintf(start_name, sizeof start_name, "documents/%s/start", split_names[i]);
        snprintf(label_name, sizeof label_name, "documents/%s/label", split_names[i]);
        if (c->ids[i] == NULL && container_find(&c->file, start_name) == NULL)
            continue;
        s = container_need(&c->file, start_name, DTYPE_U64, 1, any, &start, e);
        if (s != STATUS_OK)
            return s;
        uint64_t n = start->shape[0] - 1;
        if (n == 0)
            return fail(e, STATUS_BAD_DATA, "%s: %s: there is no document", c->file.path, start_name);
        s = container_need(&c->file, label_name, DTYPE_U32, 1, &n, &label, e);
        if (s != STATUS_OK)
            return s;
        c->documents[i] = (corpus_documents){n, start->data, label->data};
        s = check_documents(c, i, trust == CONTAINER_TRUST, e);
    }
    return s;
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
    record_get_text(c->file.meta, "tokenizer", &c->tokenizer);
    record_get_bool(c->file.meta, "lower", &c->lower);
    if (c->tokenizer != NULL && strcmp(c->tokenizer, TOKENIZER_NAME) != 0)
        return fail(e, STATUS_BAD_DATA, "%s: was cut by the tokeniser \"%s\"; this program knows \"%s\"",
                    c->file.path, c->tokenizer, TOKENIZER_NAME);
    status s = check_id(c, "eos", c->vocab.eos, e);
    return s == STATUS_OK ? check_id(c, "unk", c->vocab.unk, e) : s;
}

status corpus_open(corpus *c, const char *path, container_trust trust, error *e)
{
    *c = empty_corpus;
    status s = container_open(&c->file, path, "corpus", trust, e);
    if (s != STATUS_OK)
        return s;
    c->digest = c->file.digest;
    s = take_list(c, &c->vocab, "vocab", e);
    if (s == STATUS_OK)
        s = take_splits(c, e);
    if (s == STATUS_OK)
        s = take_documents(c, trust, e);
    if (s == STATUS_OK)
        s = take_meta(c, e);
    if (s != STATUS_OK)
        corpus_close(c);
    return s;
}

void corpus_close(corpus *c)
{
    vocabulary_free(&c->vocab);
    vocabulary_free(&c->labels);
    container_close(&c->file);
    *c = empty_corpus;
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

/* What a corpus is made of besides its ids, which come later: tensors with their data. */
typedef struct parts {
    tensor tensors[2 + SPLIT_COUNT + 2 + 2 * SPLIT_COUNT];
    size_t count;
} parts;

static void add_part(parts *p, const char *name, dtype type, const void *data, uint64_t n)
{
    p->tensors[p->count++] = tensor_of(name, type, data, 1, &n);
}

static void add_documents(parts *p, const vocabulary *labels, const corpus_documents documents[SPLIT_COUNT])
{
    char name[64];
    add_part(p, "labels/bytes", DTYPE_U8, labels->blob, labels->start[labels->size]);
    add_part(p, "labels/start", DTYPE_U64, labels->start, (uint64_t)labels->size + 1);
    for (int i = 0; i < SPLIT_COUNT; i++) {
        const corpus_documents *d = &documents[i];
        if (d->count == 0)
            continue;
        snprintf(name, sizeof name, "documents/%s/start", split_names[i]);
        add_part(p, name, DTYPE_U64, d->start, d->count + 1);
        snprintf(name, sizeof name, "documents/%s/label", split_names[i]);
        add_part(p, name, DTYPE_U32, d->label, d->count);
    }
}

status corpus_create_documents(corpus_writer *w, const char *path, const uint64_t tokens[SPLIT_COUNT],
                               const vocabulary *words, const vocabulary *labels,
                               const corpus_documents documents[SPLIT_COUNT], error *e)
{
    *w = (corpus_writer){0};
    parts p = {.count = 0};
    add_part(&p, "vocab/bytes", DTYPE_U8, words->blob, words->start[words->size]);
    add_part(&p, "vocab/start", DTYPE_U64, words->start, (uint64_t)words->size + 1);
    for (int i = 0; i < SPLIT_COUNT; i++) {
        BUG_IF(labels != NULL && (tokens[i] == 0) != (documents[i].count == 0),
               "%s: %" PRIu64 " documents in %" PRIu64 " tokens", split_names[i], documents[i].count,
               tokens[i]);
        w->index[i] = tokens[i] > 0 ? p.count : SIZE_MAX;
        if (tokens[i] > 0)
            add_part(&p, split_names[i], DTYPE_U32, NULL, tokens[i]);
    }
    if (labels != NULL)
        add_documents(&p, labels, documents);
    status s = container_create(&w->file, path, "corpus", p.tensors, p.count, e);
    for (size_t i = 0; s == STATUS_OK && i < p.count; i++)
        if (p.tensors[i].data != NULL)
            s = container_write(w->file, i, 0, p.tensors[i].data, tensor_count(&p.tensors[i]), e);
    if (s != STATUS_OK)
        corpus_abandon(w);
    return s;
}

status corpus_create(corpus_writer *w, const char *path, const uint64_t tokens[SPLIT_COUNT],
                     const uint8_t *blob, const uint64_t *start, uint32_t size, error *e)
{
    const vocabulary words = {.blob = blob, .start = start, .size = size};
    return corpus_create_documents(w, path, tokens, &words, NULL, NULL, e);
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
