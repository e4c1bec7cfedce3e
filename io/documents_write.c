/* documents_write.c - from a set of documents to a corpus. */
#include "io/bug.h"
#include "io/documents_draw.h"
#include "io/tokenizer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static status hold_out(document_set *set, const documents_job *job, documents_report *report, double *share,
                       error *e)
{
    bool has_valid = report->documents[SPLIT_VALID] > 0;
    *share = job->valid_share >= 0 ? job->valid_share : has_valid ? 0 : DOCUMENTS_VALID_SHARE;
    if (has_valid && *share > 0)
        return fail(e, STATUS_USAGE, "--valid-share %g: there is a validation split already", *share);
    return *share > 0 ? documents_hold_out(set, *share, job->seed, report, e) : STATUS_OK;
}

static void count_tokens(document_set *set, documents_report *report)
{
    for (size_t i = 0; i < set->count; i++) {
        const document *d = &set->all[i];
        report->tokens[d->split] += d->tokens;
        if (d->tokens > report->longest[d->split])
            report->longest[d->split] = d->tokens;
        for (uint32_t k = 0; k < d->tokens; k++)
            set->words.words[set->ids[d->first + k]].count[d->split]++;
    }
}

/* Starts and labels of each split, out of the ordered set; one allocation each, owned by the caller. */
typedef struct layout {
    uint64_t *start;
    uint32_t *label;
    corpus_documents documents[SPLIT_COUNT];
} layout;

static void lay_out(layout *l, const document_set *set, const documents_report *report)
{
    l->start = malloc((set->count + SPLIT_COUNT) * sizeof *l->start);
    l->label = malloc((set->count + 1) * sizeof *l->label);
    BUG_IF(l->start == NULL || l->label == NULL, "out of memory for %zu documents", set->count);
    size_t i = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        uint64_t *start = l->start + i + (size_t)s;
        l->documents[s] = (corpus_documents){report->documents[s], start, l->label + i};
        start[0] = 0;
        for (uint64_t k = 0; k < report->documents[s]; k++, i++) {
            start[k + 1] = start[k] + set->all[i].tokens;
            l->label[i] = set->all[i].label;
        }
    }
}

/* Of each word of the table its id. */
static uint32_t *number_words(const document_set *set, const vocabulary *words)
{
    const word_table *t = &set->words;
    uint32_t *id_of = malloc(((size_t)t->size + 1) * sizeof *id_of);
    BUG_IF(id_of == NULL, "out of memory for %u words", t->size);
    for (uint32_t i = 0; i < t->size; i++) {
        int64_t id = vocabulary_find(words, (const char *)t->blob + t->words[i].start, t->words[i].bytes);
        id_of[i] = (uint32_t)(id >= 0 ? id : words->unk);
    }
    return id_of;
}

static status write_ids(corpus_writer *w, const document_set *set, const uint32_t *id_of, error *e)
{
    enum { CHUNK = 1 << 16 };
    uint32_t *chunk = malloc(CHUNK * sizeof *chunk);
    BUG_IF(chunk == NULL, "out of memory for %d ids", CHUNK);
    status s = STATUS_OK;
    uint64_t written[SPLIT_COUNT] = {0};
    for (size_t i = 0; i < set->count && s == STATUS_OK; i++) {
        const document *d = &set->all[i];
        for (uint32_t done = 0, n; done < d->tokens && s == STATUS_OK; done += n) {
            n = d->tokens - done < CHUNK ? d->tokens - done : CHUNK;
            for (uint32_t k = 0; k < n; k++)
                chunk[k] = id_of[set->ids[d->first + done + k]];
            s = corpus_write(w, (split_name)d->split, written[d->split], chunk, n, e);
            written[d->split] += n;
        }
    }
    free(chunk);
    return s;
}

static record *describe(const document_set *set, const documents_job *job, const vocabulary *words,
                        const vocab *v, double share)
{
    record *m = record_new();
    record_set_text(m, "format", job->format);
    record_set_text(m, "level", "word");
    record_set_text(m, "tokenizer", TOKENIZER_NAME);
    record_set_bool(m, "lower", set->lower);
    record_set_int(m, "eos", words->eos);
    record_set_int(m, "unk", words->unk);
    vocab_describe(m, &job->rules, job->vocab_path != NULL, v->oov);
    record_set_int(m, "invalid_replaced", (int64_t)job->replaced);
    record_set_double(m, "valid_share", share);
    record_set_int(m, "seed", (int64_t)job->seed);
    return m;
}

static status write_corpus(const document_set *set, const documents_job *job, const documents_report *report,
                           const vocab *v, double share, error *e)
{
    vocabulary words;
    const vocabulary labels = {
        .blob = report->label_blob, .start = report->label_start, .size = report->labels};
    status s = vocabulary_view(&words, v->blob, v->start[v->size], v->start, v->size, job->out, e);
    if (s != STATUS_OK)
        return s;
    layout l;
    lay_out(&l, set, report);
    uint32_t *id_of = number_words(set, &words);
    corpus_writer w;
    s = corpus_create_documents(&w, job->out, report->tokens, &words, &labels, l.documents, e);
    if (s == STATUS_OK && (s = write_ids(&w, set, id_of, e)) != STATUS_OK) {
        corpus_abandon(&w);
    } else if (s == STATUS_OK) {
        record *meta = describe(set, job, &words, v, share);
        s = corpus_finish(&w, meta, e);
        record_free(meta);
    }
    free(id_of);
    free(l.start);
    free(l.label);
    vocabulary_free(&words);
    return s == STATUS_OK ? s : fail_as(e, STATUS_BAD_DATA, "the corpus cannot be written");
}

status documents_write(document_set *set, const documents_job *job, documents_report *report, error *e)
{
    vocab v = {0};
    vocab_rules rules = job->rules;
    double share = 0;
    *report = (documents_report){0};
    status s = documents_check(set, report, e);
    if (s == STATUS_OK)
        s = hold_out(set, job, report, &share, e);
    if (s == STATUS_OK) {
        documents_order(set, job->seed);
        documents_compare(set, report);
        count_tokens(set, report);
        rules.has_lines = rules.needs_unk = true;
        s = vocab_choose_from(&v, &set->words, rules, job->vocab_path, e);
    }
    if (s == STATUS_OK) {
        memcpy(report->oov, v.oov, sizeof report->oov);
        report->vocab_size = v.size;
        s = write_corpus(set, job, report, &v, share, e);
    }
    vocab_free(&v);
    if (s != STATUS_OK)
        documents_report_free(report);
    return s;
}

void documents_report_free(documents_report *report)
{
    free(report->label_blob);
    free(report->label_start);
    free(report->by_label);
    *report = (documents_report){0};
}
