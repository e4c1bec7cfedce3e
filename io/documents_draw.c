#include "io/documents_draw.h"

#include "io/bug.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- labels ------------------------------------------------------------------------------------------------ */

typedef struct label_entry {
    const uint8_t *name;
    uint32_t bytes, place; /* in the label table */
} label_entry;

static int by_bytes(const void *left, const void *right)
{
    const label_entry *a = left, *b = right;
    int order = memcmp(a->name, b->name, a->bytes < b->bytes ? a->bytes : b->bytes);
    return order != 0 ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

/* Only labels that some document has count: others stood in files that were passed over. */
static bool *used_labels(const document_set *set)
{
    bool *used = calloc((size_t)set->labels.size + 1, sizeof *used);
    BUG_IF(used == NULL, "out of memory for %u labels", set->labels.size);
    for (size_t i = 0; i < set->count; i++)
        if (set->all[i].label != LABEL_NONE)
            used[set->all[i].label] = true;
    return used;
}

/* Fills the report's names; place_of[rank] is the place of a label in the table. */
static uint32_t *sort_labels(document_set *set, documents_report *report)
{
    const word_table *t = &set->labels;
    label_entry *list = malloc(((size_t)t->size + 1) * sizeof *list);
    uint32_t *place_of = malloc(((size_t)t->size + 1) * sizeof *place_of);
    uint32_t *rank_of = malloc(((size_t)t->size + 1) * sizeof *rank_of), n = 0;
    bool *used = used_labels(set);
    report->label_blob = malloc(t->blob_bytes + 1);
    report->label_start = calloc((size_t)t->size + 1, sizeof *report->label_start);
    report->by_label = calloc((size_t)t->size + 1, sizeof *report->by_label);
    BUG_IF(list == NULL || place_of == NULL || rank_of == NULL || report->label_blob == NULL ||
               report->label_start == NULL || report->by_label == NULL,
           "out of memory for %u labels", t->size);
    for (uint32_t i = 0; i < t->size; i++)
        if (used[i])
            list[n++] = (label_entry){t->blob + t->words[i].start, t->words[i].bytes, i};
    qsort(list, n, sizeof *list, by_bytes);
    for (uint32_t i = 0; i < n; i++) {
        place_of[i] = list[i].place;
        rank_of[list[i].place] = i;
        memcpy(report->label_blob + report->label_start[i], list[i].name, list[i].bytes);
        report->label_start[i + 1] = report->label_start[i] + list[i].bytes;
    }
    report->labels = n;
    for (size_t i = 0; i < set->count; i++)
        if (set->all[i].label != LABEL_NONE)
            set->all[i].label = rank_of[set->all[i].label];
    free(list);
    free(rank_of);
    free(used);
    return place_of;
}

static const char *label_text(const documents_report *r, uint32_t rank, int *n)
{
    *n = (int)(r->label_start[rank + 1] - r->label_start[rank]);
    return (const char *)r->label_blob + r->label_start[rank];
}

static void count_documents(const document_set *set, documents_report *report)
{
    for (size_t i = 0; i < set->count; i++) {
        const document *d = &set->all[i];
        report->documents[d->split]++;
        if (d->label == LABEL_NONE)
            report->unlabelled[d->split]++;
        else
            report->by_label[d->label][d->split]++;
    }
}

/* Labelled documents of a split get the first places, the others those behind them. */
static void give_places(document_set *set, const documents_report *report)
{
    uint64_t next[2][SPLIT_COUNT] = {{0}}; /* with and without a label */
    for (int s = 0; s < SPLIT_COUNT; s++)
        next[1][s] = report->documents[s] - report->unlabelled[s];
    for (size_t i = 0; i < set->count; i++) {
        document *d = &set->all[i];
        d->place = next[d->label == LABEL_NONE][d->split]++;
    }
}

/* Where a label was first met in a split. */
static const char *first_place(const document_set *set, uint32_t place, int split)
{
    const char *first = set->first_place[place][split + 1];
    return first != NULL ? first : set->first_place[place][0];
}

static status check_labels(const document_set *set, const documents_report *r, const uint32_t *place_of,
                           error *e)
{
    int n;
    if (r->documents[SPLIT_TRAIN] == 0)
        return fail(e, STATUS_BAD_DATA, "there are no documents to train on");
    if (r->labels == 0)
        return fail(e, STATUS_BAD_DATA, "no document has a label");
    for (uint32_t i = 0; i < r->labels; i++)
        for (int s = SPLIT_VALID; s < SPLIT_COUNT; s++)
            if (r->by_label[i][s] > 0 && r->by_label[i][SPLIT_TRAIN] == 0) {
                const char *name = label_text(r, i, &n);
                return fail(e, STATUS_BAD_DATA, "%s: label \"%.*s\" has no example in the training split",
                            first_place(set, place_of[i], s), n, name);
            }
    if (r->labels == 1) {
        const char *name = label_text(r, 0, &n);
        return fail(e, STATUS_BAD_DATA,
                    "%s: all documents have the one label \"%.*s\"; two are needed at least",
                    first_place(set, place_of[0], SPLIT_TRAIN), n, name);
    }
    return STATUS_OK;
}

status documents_check(document_set *set, documents_report *report, error *e)
{
    if (set->count == 0)
        return fail(e, STATUS_BAD_DATA, "there are no documents");
    uint32_t *place_of = sort_labels(set, report);
    count_documents(set, report);
    give_places(set, report);
    status s = check_labels(set, report, place_of, e);
    free(place_of);
    return s;
}

/* ---- draws ------------------------------------------------------------------------------------------------- */

typedef enum { PURPOSE_HOLD_OUT = 1, PURPOSE_ORDER = 2 } purpose;

static uint64_t key_of(const document *d, purpose p, uint64_t seed)
{
    const uint64_t input[2] = {d->place, p};
    return XXH3_64bits_withSeed(input, sizeof input, seed);
}

typedef struct draw {
    uint64_t group, key, place;
    size_t document;
} draw;

static int by_group_and_key(const void *left, const void *right)
{
    const draw *a = left, *b = right;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

static draw *new_draws(size_t n)
{
    draw *list = malloc((n + 1) * sizeof *list);
    BUG_IF(list == NULL, "out of memory for %zu documents", n);
    return list;
}

/* How many of a label's n documents are held out. */
static uint64_t rounded(double share, uint64_t n)
{
    return (uint64_t)floor(share * (double)n + 0.5);
}

enum { LABELS_OF_FEW = 10 }; /* more of them than half the documents are texts, most likely */

static status check_shares(double share, const documents_report *r, error *e)
{
    uint64_t held = 0, all = 0;
    for (uint32_t i = 0; i < r->labels; i++) {
        uint64_t n = r->by_label[i][SPLIT_TRAIN], out = rounded(share, n);
        held += out;
        all += n;
        int bytes;
        const char *name = label_text(r, i, &bytes);
        if (out >= n)
            return fail(e, STATUS_BAD_DATA,
                        "label \"%.*s\" has only %" PRIu64
                        " documents to train on, and --valid-share %g takes all",
                        bytes, name, n, share);
    }
    if (held == 0 && r->labels > LABELS_OF_FEW && all < 2 * (uint64_t)r->labels)
        return fail(e, STATUS_BAD_DATA,
                    "%u labels for %" PRIu64
                    " documents, too few of each to hold out a validation split: are the columns of "
                    "text and label exchanged (--text-column, --label-column)?",
                    r->labels, all);
    if (held == 0)
        return fail(
            e, STATUS_BAD_DATA,
            "too few documents to hold out a validation split: a share of %g of none of the %u labels gives "
            "one (--valid-share: more of them, or 0 for no such split)",
            share, r->labels);
    return STATUS_OK;
}

status documents_hold_out(document_set *set, double share, uint64_t seed, documents_report *report, error *e)
{
    status s = check_shares(share, report, e);
    if (s != STATUS_OK)
        return s;
    draw *list = new_draws(set->count);
    size_t n = 0;
    for (size_t i = 0; i < set->count; i++) {
        const document *d = &set->all[i];
        if (d->split == SPLIT_TRAIN && d->label != LABEL_NONE)
            list[n++] = (draw){d->label, key_of(d, PURPOSE_HOLD_OUT, seed), d->place, i};
    }
    qsort(list, n, sizeof *list, by_group_and_key);
    for (size_t first = 0, end; first < n; first = end) {
        uint64_t(*counts)[SPLIT_COUNT] = &report->by_label[list[first].group];
        uint64_t out = rounded(share, (*counts)[SPLIT_TRAIN]);
        end = first + (*counts)[SPLIT_TRAIN];
        for (size_t i = first; i < first + out; i++)
            set->all[list[i].document].split = SPLIT_VALID;
        (*counts)[SPLIT_TRAIN] -= out;
        (*counts)[SPLIT_VALID] += out;
        report->documents[SPLIT_TRAIN] -= out;
        report->documents[SPLIT_VALID] += out;
        report->held_out += out;
    }
    free(list);
    return STATUS_OK;
}

void documents_order(document_set *set, uint64_t seed)
{
    draw *list = new_draws(set->count);
    document *sorted = malloc((set->count + 1) * sizeof *sorted);
    BUG_IF(sorted == NULL, "out of memory for %zu documents", set->count);
    for (size_t i = 0; i < set->count; i++) {
        const document *d = &set->all[i];
        list[i] = (draw){(uint64_t)d->split, key_of(d, PURPOSE_ORDER, seed), d->place, i};
    }
    qsort(list, set->count, sizeof *list, by_group_and_key);
    for (size_t i = 0; i < set->count; i++)
        sorted[i] = set->all[list[i].document];
    free(set->all);
    free(list);
    set->all = sorted;
    set->capacity = set->count + 1;
}

/* ---- duplicates -------------------------------------------------------------------------------------------- */

typedef struct text_entry {
    XXH128_hash_t text;
    int split;
    uint32_t label;
} text_entry;

static int by_text(const void *left, const void *right)
{
    const text_entry *a = left, *b = right;
    return XXH128_cmp(&a->text, &b->text);
}

/* n documents of one text. */
static void compare_group(const text_entry *group, size_t n, documents_report *report)
{
    uint64_t in[SPLIT_COUNT] = {0};
    uint32_t label = LABEL_NONE;
    bool contradicts = false;
    for (size_t i = 0; i < n; i++) {
        in[group[i].split]++;
        if (group[i].label == LABEL_NONE)
            continue;
        contradicts = contradicts || (label != LABEL_NONE && label != group[i].label);
        label = group[i].label;
    }
    for (int s = 0; s < SPLIT_COUNT; s++)
        report->repeated[s] += in[s] > 0 ? in[s] - 1 : 0;
    report->shared[0] += in[SPLIT_TRAIN] > 0 && in[SPLIT_VALID] > 0;
    report->shared[1] += in[SPLIT_TRAIN] > 0 && in[SPLIT_TEST] > 0;
    report->shared[2] += in[SPLIT_VALID] > 0 && in[SPLIT_TEST] > 0;
    report->contradicting += contradicts;
}

void documents_compare(const document_set *set, documents_report *report)
{
    text_entry *list = malloc((set->count + 1) * sizeof *list);
    BUG_IF(list == NULL, "out of memory for %zu documents", set->count);
    for (size_t i = 0; i < set->count; i++)
        list[i] = (text_entry){set->all[i].text, set->all[i].split, set->all[i].label};
    qsort(list, set->count, sizeof *list, by_text);
    for (size_t first = 0, end; first < set->count; first = end) {
        for (end = first + 1; end < set->count && by_text(&list[first], &list[end]) == 0; end++)
            ;
        compare_group(list + first, end - first, report);
    }
    free(list);
}
