#include "trainer/tasks/documents.h"

#include "kernels/rng.h"

#include <stdlib.h>
#include <string.h>

/* ---- which documents ---- */

void documents_keep(const documents_cut *cut, uint64_t length, uint64_t *first, uint64_t *kept)
{
    const bool longer = cut->max_length > 0 && length > (uint64_t)cut->max_length;
    *kept = longer ? (uint64_t)cut->max_length : length;
    *first = longer && cut->keep_end ? length - *kept : 0;
}

static document_view view_of(const corpus_documents *from, uint64_t i, documents_cut cut)
{
    uint64_t first, kept;
    documents_keep(&cut, from->start[i + 1] - from->start[i], &first, &kept);
    return (document_view){.first = from->start[i] + first,
                           .length = (uint32_t)kept,
                           .label = from->label[i],
                           .index = (uint32_t)i};
}

static status check_sizes(const corpus *c, split_name split, error *e)
{
    const corpus_documents *from = &c->documents[split];
    if (c->labels.size == 0)
        return fail(
            e, STATUS_BAD_DATA,
            "%s: holds no documents with labels; make one that does with `unroll prepare imdb` or `unroll "
            "prepare labelled`",
            c->file.path);
    if (from->count >= UINT32_MAX)
        return fail(e, STATUS_BAD_DATA, "%s: has %llu documents in its %s split; allowed are less than 2^32",
                    c->file.path, (unsigned long long)from->count, split_names[split]);
    for (uint64_t i = 0; i < from->count; i++)
        if (from->start[i + 1] - from->start[i] > INT32_MAX / 2)
            return fail(e, STATUS_BAD_DATA, "%s: document %llu of the %s split is longer than 2^30 tokens",
                        c->file.path, (unsigned long long)i, split_names[split]);
    return STATUS_OK;
}

static void list_documents(documents *d, documents_cut cut)
{
    const corpus_documents *from = &d->corpus->documents[d->split];
    for (uint64_t i = 0; i < from->count && (cut.most == 0 || d->count < cut.most); i++) {
        if (from->label[i] == LABEL_NONE)
            continue;
        const document_view v = view_of(from, i, cut);
        d->list[d->count++] = v;
        d->tokens += v.length;
        d->longest = v.length > d->longest ? v.length : d->longest;
        d->cut += v.length < from->start[i + 1] - from->start[i];
    }
}

status documents_open(documents *d, const corpus *c, split_name split, documents_cut cut, int B, int S,
                      int rank, int size, error *e)
{
    memset(d, 0, sizeof *d);
    status s = check_sizes(c, split, e);
    if (s != STATUS_OK)
        return s;
    d->corpus = c;
    d->split = split;
    d->backward = cut.backward;
    shards_init(&d->shards, B, S, rank, size);
    const size_t most = (size_t)c->documents[split].count, rows = (size_t)d->shards.rows;
    d->list = malloc((most + 1) * sizeof *d->list);
    if (d->list)
        list_documents(d, cut);
    d->batches = (uint32_t)((d->count + (uint64_t)B - 1) / (uint64_t)B);
    d->order = malloc((d->count + 1) * sizeof *d->order);
    d->key = malloc((d->count + 1) * sizeof *d->key);
    d->batch_at = malloc(((size_t)d->batches + 1) * sizeof *d->batch_at);
    d->ids = malloc((rows * d->longest + 1) * sizeof *d->ids);
    d->label = malloc((rows + 1) * sizeof *d->label);
    d->length = malloc((rows + 1) * sizeof *d->length);
    d->buffer = malloc(((size_t)d->longest + 1) * sizeof *d->buffer);
    if (!d->list || !d->order || !d->key || !d->batch_at || !d->ids || !d->label || !d->length || !d->buffer)
        return fail(e, STATUS_NO_MEMORY, "no memory for batches of %d documents of up to %u tokens", B,
                    d->longest);
    if (d->count == 0)
        return fail(e, STATUS_BAD_DATA,
                    "%s: has no labelled document in its %s split; documents are in train: %llu, valid: "
                    "%llu, test: %llu",
                    c->file.path, split_names[split], (unsigned long long)c->documents[SPLIT_TRAIN].count,
                    (unsigned long long)c->documents[SPLIT_VALID].count,
                    (unsigned long long)c->documents[SPLIT_TEST].count);
    documents_by_length(d);
    return STATUS_OK;
}

void documents_close(documents *d)
{
    free(d->list);
    free(d->order);
    free(d->key);
    free(d->batch_at);
    free(d->ids);
    free(d->label);
    free(d->length);
    free(d->buffer);
    memset(d, 0, sizeof *d);
}

/* ---- in which order ---- */

static int by_key(const void *a, const void *b)
{
    const document_key *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* One of the numbers 0..n-1 after the other, in a random order that is a function of (seed, epoch, which). */
static void permute(document_key *k, uint32_t n, uint64_t seed, uint32_t epoch, uint16_t which)
{
    for (uint32_t i = 0; i < n; i++) {
        const rng_place place = {.seed = seed, .row = i, .step = epoch, .purpose = RNG_ORDER, .time = which};
        uint32_t word[4];
        rng_block(&place, 0, word);
        k[i] = (document_key){(uint64_t)word[0] << 32 | word[1], i};
    }
    qsort(k, n, sizeof *k, by_key);
}

/* Equal lengths stay in the order in which they stand. */
static void sort_by_length(const documents *d, document_key *k, uint32_t n, bool falling)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t length = d->list[k[i].place].length;
        k[i].key = (uint64_t)(falling ? UINT32_MAX - length : length) << 32 | i;
    }
    qsort(k, n, sizeof *k, by_key);
}

void documents_shuffle(documents *d, uint64_t seed, uint32_t epoch)
{
    const uint64_t pool = (uint64_t)POOL_BATCHES * (uint64_t)d->shards.B;
    document_key *k = d->key;
    permute(k, d->count, seed, epoch, 0);
    for (uint64_t first = 0; first < d->count; first += pool)
        sort_by_length(d, k + first, (uint32_t)(d->count - first < pool ? d->count - first : pool), false);
    for (uint32_t i = 0; i < d->count; i++)
        d->order[i] = k[i].place;
    permute(k, d->batches, seed, epoch, 1);
    for (uint32_t i = 0; i < d->batches; i++)
        d->batch_at[i] = k[i].place;
}

void documents_by_length(documents *d)
{
    document_key *k = d->key;
    for (uint32_t i = 0; i < d->count; i++)
        k[i].place = i;
    sort_by_length(d, k, d->count, true);
    for (uint32_t i = 0; i < d->count; i++)
        d->order[i] = k[i].place;
    for (uint32_t i = 0; i < d->batches; i++)
        d->batch_at[i] = i;
}

/* ---- batches ---- */

const uint32_t *documents_of(const documents *d, uint32_t i, int *count, int *steps)
{
    const uint64_t first = (uint64_t)d->batch_at[i] * (uint64_t)d->shards.B, left = d->count - first;
    const uint32_t *place = d->order + first;
    *count = left < (uint64_t)d->shards.B ? (int)left : d->shards.B;
    *steps = 0;
    for (int b = 0; b < *count; b++)
        if ((int)d->list[place[b]].length > *steps)
            *steps = (int)d->list[place[b]].length;
    return place;
}

status documents_read(documents *d, uint32_t i, error *e)
{
    int count, steps;
    const uint32_t *place = documents_of(d, i, &count, &steps);
    const int rows = d->shards.rows;
    memset(d->ids, 0, (size_t)rows * (size_t)steps * sizeof *d->ids);
    for (int b = 0; b < rows; b++) {
        const int row = d->shards.row0 + b;
        const document_view *v = row < count ? &d->list[place[row]] : NULL;
        d->length[b] = v ? (int)v->length : 0;
        d->label[b] = v ? v->label : CLASS_NONE;
        if (!v)
            continue;
        status s = corpus_window(d->corpus, d->split, v->first, v->length, d->buffer, e);
        if (s != STATUS_OK)
            return s;
        const size_t before = (size_t)steps - v->length;
        for (size_t t = 0; t < v->length; t++)
            d->ids[(before + t) * (size_t)rows + (size_t)b] = d->buffer[d->backward ? v->length - 1 - t : t];
    }
    d->batch =
        (class_batch){.steps = steps, .B = rows, .ids = d->ids, .length = d->length, .label = d->label};
    return STATUS_OK;
}

double documents_padding(const documents *d)
{
    double steps = 0.0;
    for (uint32_t i = 0; i < d->batches; i++) {
        int count, longest;
        documents_of(d, i, &count, &longest);
        steps += (double)longest * (double)count;
    }
    return steps / (double)d->tokens;
}

/* ---- evaluation ---- */

/* Rank 0: from each rank's rows of all batches, rank after rank, to documents. */
static void sort_out(const documents *d, const comm *g, const float *gathered, size_t C, float *all)
{
    size_t from = 0;
    for (int r = 0; r < comm_size(g); r++) {
        shards theirs;
        shards_init(&theirs, d->shards.B, d->shards.S, r, comm_size(g));
        for (uint32_t i = 0; i < d->batches; i++) {
            int count, steps;
            const uint32_t *place = documents_of(d, i, &count, &steps);
            for (int b = 0; b < theirs.rows; b++, from += C)
                if (theirs.row0 + b < count)
                    memcpy(all + place[theirs.row0 + b] * C, gathered + from, C * sizeof *all);
        }
    }
}

/* Collective. */
static status gather_scores(const documents *d, comm *g, const float *mine, size_t C, float *all, error *e)
{
    const int size = comm_size(g);
    size_t *bytes = malloc((size_t)size * sizeof *bytes), total = 0;
    float *gathered = NULL;
    for (int r = 0; bytes && r < size; r++) {
        shards theirs;
        shards_init(&theirs, d->shards.B, d->shards.S, r, size);
        total += bytes[r] = (size_t)theirs.rows * d->batches * C * sizeof *mine;
    }
    if (comm_rank(g) == 0)
        gathered = malloc(total + 1);
    status s = bytes && (gathered || comm_rank(g) != 0)
                   ? STATUS_OK
                   : fail(e, STATUS_NO_MEMORY, "no memory for the scores of %u documents", d->count);
    s = comm_agree(g, s, e);
    if (s == STATUS_OK) {
        comm_gather(g, mine, gathered, bytes, 0);
        if (comm_rank(g) == 0)
            sort_out(d, g, gathered, C, all);
    }
    free(gathered);
    free(bytes);
    return s;
}

status documents_score(documents *d, classifier *m, team *t, comm *g, const float *value, float *all,
                       error *e)
{
    const size_t C = (size_t)d->corpus->labels.size, row = (size_t)d->shards.rows * C;
    float *mine = malloc((row * d->batches + 1) * sizeof *mine);
    status s =
        mine ? STATUS_OK : fail(e, STATUS_NO_MEMORY, "no memory for the scores of %u documents", d->count);
    documents_by_length(d);
    for (uint32_t i = 0; s == STATUS_OK && d->shards.rows > 0 && i < d->batches; i++) {
        s = documents_read(d, i, e);
        if (s == STATUS_OK)
            classifier_score(m, t, value, &d->batch, mine + row * i);
    }
    s = comm_agree(g, s, e);
    if (s == STATUS_OK)
        s = gather_scores(d, g, mine, C, all, e);
    free(mine);
    return s;
}
