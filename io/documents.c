#include "io/documents.h"

#include "io/bug.h"
#include "io/documents_set.h"
#include "io/escape.h"
#include "io/text.h"
#include "io/tokenizer.h"

#include <stdlib.h>
#include <string.h>

document_set *documents_new(bool lower)
{
    document_set *set = calloc(1, sizeof *set);
    BUG_IF(set == NULL, "out of memory for documents");
    set->lower = lower;
    bool fine = word_table_place(&set->words, (const uint8_t *)TEXT_EOS, sizeof TEXT_EOS - 1, &set->eos);
    BUG_IF(!fine, "out of memory for documents");
    return set;
}

void documents_free(document_set *set)
{
    if (set == NULL)
        return;
    for (uint32_t i = 0; i < set->first_places; i++)
        for (int s = 0; s <= SPLIT_COUNT; s++)
            free(set->first_place[i][s]);
    free(set->first_place);
    word_table_free(&set->words);
    word_table_free(&set->labels);
    free(set->ids);
    free(set->all);
    free(set);
}

size_t documents_count(const document_set *set)
{
    return set->count;
}

static status no_memory(const document_set *set, const document_text *t, error *e)
{
    return fail(e, STATUS_NO_MEMORY, "%s: no memory for more than %zu documents", t->place, set->count);
}

static bool add_id(document_set *set, uint32_t id)
{
    if (set->id_count == set->id_capacity) {
        uint64_t capacity = set->id_capacity + set->id_capacity / 2 + ((uint64_t)1 << 20);
        uint32_t *ids = realloc(set->ids, capacity * sizeof *ids);
        if (ids == NULL)
            return false;
        set->ids = ids;
        set->id_capacity = capacity;
    }
    set->ids[set->id_count++] = id;
    return true;
}

static status refuse_label(const document_text *t, error *e)
{
    char *place = escape_text(t->place, strlen(t->place), strlen(t->place));
    char *label = escape_text((const char *)t->label, t->label_bytes, 40);
    BUG_IF(place == NULL || label == NULL, "out of memory for a label");
    status s = fail(e, STATUS_BAD_DATA,
                    "%s: a label is UTF-8 of at most %d bytes, without control characters: \"%s\"", place,
                    DOCUMENTS_LABEL_BYTES, label);
    free(place);
    free(label);
    return s;
}

/* The place of a label in its table; the first one to be seen is remembered for messages. */
static status place_label(document_set *set, const document_text *t, uint32_t *label, error *e)
{
    if (t->label_bytes > DOCUMENTS_LABEL_BYTES || !escape_clean((const char *)t->label, t->label_bytes))
        return refuse_label(t, e);
    if (!word_table_place(&set->labels, t->label, t->label_bytes, label))
        return no_memory(set, t, e);
    if (*label >= DOCUMENTS_LABELS_MAX)
        return fail(e, STATUS_BAD_DATA, "%s: more than %d different labels; is this the column of labels?",
                    t->place, DOCUMENTS_LABELS_MAX);
    if (*label == set->first_places) {
        void *places = realloc(set->first_place, (size_t)(*label + 1) * sizeof *set->first_place);
        if (places == NULL)
            return no_memory(set, t, e);
        set->first_place = places;
        memset(set->first_place[set->first_places++], 0, sizeof *set->first_place);
    }
    char **first = &set->first_place[*label][t->split + 1];
    if (*first == NULL)
        *first = strdup(t->place);
    return *first != NULL ? STATUS_OK : no_memory(set, t, e);
}

static status add_tokens(document_set *set, const document_text *t, uint32_t *tokens, error *e)
{
    uint8_t word[TEXT_WORD_MAX];
    size_t n;
    uint32_t place;
    word_reader r = {t->text, t->text + t->bytes, set->lower};
    for (*tokens = 0; word_next(&r, word, &n); ++*tokens)
        if (!word_table_place(&set->words, word, n, &place) || !add_id(set, place))
            return no_memory(set, t, e);
    if (*tokens == 0)
        return fail(e, STATUS_BAD_DATA, "%s: an empty document: there is no word in it", t->place);
    ++*tokens;
    return add_id(set, set->eos) ? STATUS_OK : no_memory(set, t, e);
}

status documents_add(document_set *set, const document_text *t, error *e)
{
    document d = {.first = set->id_count, .label = LABEL_NONE, .split = t->split};
    if (t->label == NULL && t->split > SPLIT_TRAIN)
        return fail(e, STATUS_BAD_DATA, "%s: has no label; only documents to train on may lack one",
                    t->place);
    if (set->count == set->capacity) {
        size_t capacity = 2 * set->capacity + 1024;
        document *all = realloc(set->all, capacity * sizeof *all);
        if (all == NULL)
            return no_memory(set, t, e);
        set->all = all;
        set->capacity = capacity;
    }
    status s = t->label != NULL ? place_label(set, t, &d.label, e) : STATUS_OK;
    if (s == STATUS_OK)
        s = add_tokens(set, t, &d.tokens, e);
    d.text = XXH3_128bits(t->text, t->bytes);
    if (s == STATUS_OK)
        set->all[set->count++] = d;
    return s;
}

status documents_add_table(document_set *set, const documents_table *table, uint64_t *replaced, error *e)
{
    labelled *r = NULL;
    labelled_document d;
    bool more;
    size_t before = set->count;
    status s = labelled_check_name(table->place, true, e);
    if (s == STATUS_OK)
        s = labelled_open(&r, table->place, labelled_format_of(table->place), table->settings, e);
    while (s == STATUS_OK && (s = labelled_next(r, &d, &more, e)) == STATUS_OK && more) {
        const document_text t = {table->split, d.label, d.label_bytes, d.text, d.text_bytes, d.place};
        s = documents_add(set, &t, e);
        progress_at(table->bar, set->count);
    }
    if (s == STATUS_OK && set->count == before)
        s = fail(e, STATUS_BAD_DATA, "%s: holds no document", table->place->path);
    *replaced += r != NULL ? labelled_replaced(r) : 0;
    labelled_close(r);
    return s;
}

void documents_select(document_set *set, size_t from, const size_t *order, const int *split, size_t n)
{
    document *kept = malloc((n + 1) * sizeof *kept);
    BUG_IF(kept == NULL, "out of memory for %zu documents", n);
    for (size_t i = 0; i < n; i++) {
        BUG_IF(order[i] < from || order[i] >= set->count, "document %zu of %zu", order[i], set->count);
        kept[i] = set->all[order[i]];
        kept[i].split = split[i];
    }
    memcpy(set->all + from, kept, n * sizeof *kept);
    set->count = from + n;
    free(kept);
}
