#include "trainer/tasks/grammar_corpus.h"

#include "io/bug.h"
#include "io/ngram.h"
#include "trainer/tasks/grammar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The splits while they are made: words of the lexicon first, ids of the corpus in the end. */
typedef struct text {
    uint32_t *ids[SPLIT_COUNT];
    uint64_t count[GRAMMAR_WORDS]; /* in training */
    uint32_t id[GRAMMAR_WORDS];    /* of a word in the corpus */
    uint8_t *blob;
    uint64_t start[GRAMMAR_WORDS + 1];
    uint64_t items; /* agreement, test split */
    uint64_t *position;
    uint32_t *right, *wrong, *distance;
} text;

static void *room(uint64_t n, size_t each)
{
    void *memory = malloc(n * each);
    BUG_IF(memory == NULL, "out of memory for %llu tokens", (unsigned long long)n);
    return memory;
}

static void note_verbs(text *t, grammar_report *r, const grammar_sentence *s, uint64_t first)
{
    for (int i = 0; i < s->verbs; i++) {
        const grammar_verb *v = &s->verb[i];
        uint64_t k = t->items++;
        t->position[k] = first + (uint64_t)v->position;
        t->right[k] = s->word[v->position];
        t->wrong[k] = s->word[v->position] ^ 1u;
        t->distance[k] = (uint32_t)v->distance;
        r->far_crossed += v->distance >= 3 && v->crossed;
    }
}

/* Inner clauses end before outer ones, so a sentence's verbs are already in the order of the text. */
static void derive_split(text *t, grammar_report *r, const grammar_job *job, int split)
{
    static const uint64_t share[SPLIT_COUNT] = {90, 5, 5};
    uint64_t wanted = (job->tokens * share[split] + 99) / 100, n = 0;
    uint64_t most = wanted + GRAMMAR_LENGTH_MAX;
    uint32_t *ids = t->ids[split] = room(most, sizeof *ids);
    double nats = 0;
    if (split == SPLIT_TEST) { /* a verb is at least every second word */
        t->position = room(most, sizeof *t->position);
        t->right = room(most, sizeof *t->right);
        t->wrong = room(most, sizeof *t->wrong);
        t->distance = room(most, sizeof *t->distance);
    }
    for (uint32_t i = 0; n < wanted; i++) {
        grammar_sentence s;
        grammar_sentence_at(&s, job->seed, split, i);
        for (int k = 0; k < s.length; k++) {
            ids[n + (uint64_t)k] = s.word[k];
            t->count[s.word[k]] += split == SPLIT_TRAIN;
        }
        if (split == SPLIT_TEST)
            note_verbs(t, r, &s, n);
        nats += s.nats;
        n += (uint64_t)s.length;
        r->sentences[split]++;
    }
    r->tokens[split] = n;
    if (split == SPLIT_TEST)
        r->nats = nats / (double)n;
}

typedef struct ranked {
    uint64_t count;
    int word;
} ranked;

static int by_count_then_bytes(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return strcmp(grammar_words[a->word], grammar_words[b->word]);
}

/* Orders the lexicon as a vocabulary and renames every word in the splits. */
static void number_words(text *t, const grammar_report *r)
{
    ranked order[GRAMMAR_WORDS];
    size_t bytes = 0;
    for (int w = 0; w < GRAMMAR_WORDS; w++) {
        order[w] = (ranked){t->count[w], w};
        bytes += strlen(grammar_words[w]);
    }
    qsort(order, GRAMMAR_WORDS, sizeof *order, by_count_then_bytes);
    t->blob = room(bytes, 1);
    t->start[0] = 0;
    for (uint32_t id = 0; id < GRAMMAR_WORDS; id++) {
        const char *word = grammar_words[order[id].word];
        memcpy(t->blob + t->start[id], word, strlen(word));
        t->start[id + 1] = t->start[id] + strlen(word);
        t->id[order[id].word] = id;
    }
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (uint64_t i = 0; i < r->tokens[split]; i++)
            t->ids[split][i] = t->id[t->ids[split][i]];
    for (uint64_t i = 0; i < t->items; i++) {
        t->right[i] = t->id[t->right[i]];
        t->wrong[i] = t->id[t->wrong[i]];
    }
}

static void measure_trigram(const text *t, grammar_report *r)
{
    const uint32_t *test = t->ids[SPLIT_TEST];
    ngram *m = ngram_fit(t->ids[SPLIT_TRAIN], r->tokens[SPLIT_TRAIN], t->ids[SPLIT_VALID],
                         r->tokens[SPLIT_VALID], GRAMMAR_WORDS, t->id[WORD_EOS]);
    r->trigram_nats = ngram_cross_entropy(m, test, r->tokens[SPLIT_TEST]);
    for (uint64_t i = 0; i < t->items; i++) {
        uint32_t u, v;
        ngram_history(m, test, t->position[i], &u, &v);
        agreement_add(&r->trigram, t->distance[i], ngram_probability(m, u, v, t->right[i]),
                      ngram_probability(m, u, v, t->wrong[i]));
    }
    ngram_free(m);
}

static record *describe(const text *t, const grammar_job *job, const grammar_report *r)
{
    record *m = record_new();
    record_set_text(m, "format", "grammar");
    record_set_text(m, "level", "word");
    record_set_int(m, "eos", t->id[WORD_EOS]);
    record_set_int(m, "unk", -1);
    record_set_int(m, "seed", (int64_t)job->seed);
    record_set_int(m, "tokens_wanted", (int64_t)job->tokens);
    record_set_double(m, "cross_entropy", r->nats);
    /* Rounded: the trigram comes from libm's log, whose last bits change with its version, and equal corpora
     * shall be equal bytes. */
    record_set_double(m, "trigram_cross_entropy", round(r->trigram_nats * 1e6) / 1e6);
    return m;
}

static status write_corpus(const text *t, const grammar_job *job, const grammar_report *r, error *e)
{
    uint64_t words = GRAMMAR_WORDS + 1;
    const tensor tensors[] = {
        tensor_of("vocab/bytes", DTYPE_U8, t->blob, 1, &t->start[GRAMMAR_WORDS]),
        tensor_of("vocab/start", DTYPE_U64, t->start, 1, &words),
        tensor_of("train", DTYPE_U32, t->ids[SPLIT_TRAIN], 1, &r->tokens[SPLIT_TRAIN]),
        tensor_of("valid", DTYPE_U32, t->ids[SPLIT_VALID], 1, &r->tokens[SPLIT_VALID]),
        tensor_of("test", DTYPE_U32, t->ids[SPLIT_TEST], 1, &r->tokens[SPLIT_TEST]),
        tensor_of("agreement/position", DTYPE_U64, t->position, 1, &t->items),
        tensor_of("agreement/right", DTYPE_U32, t->right, 1, &t->items),
        tensor_of("agreement/wrong", DTYPE_U32, t->wrong, 1, &t->items),
        tensor_of("agreement/distance", DTYPE_U32, t->distance, 1, &t->items),
    };
    size_t count = sizeof tensors / sizeof *tensors;
    container_writer *w;
    status s = container_create(&w, job->out, "corpus", tensors, count, e);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0; i < count && s == STATUS_OK; i++)
        s = container_write(w, i, 0, tensors[i].data, tensor_count(&tensors[i]), e);
    if (s != STATUS_OK) {
        container_abandon(w);
        return s;
    }
    record *meta = describe(t, job, r);
    s = container_finish(w, meta, e);
    record_free(meta);
    return s;
}

status grammar_prepare(const grammar_job *job, grammar_report *report, error *e)
{
    text t = {0};
    *report = (grammar_report){0};
    for (int split = 0; split < SPLIT_COUNT; split++)
        derive_split(&t, report, job, split);
    report->verbs = t.items;
    number_words(&t, report);
    measure_trigram(&t, report);
    status s = write_corpus(&t, job, report, e);

    for (int split = 0; split < SPLIT_COUNT; split++)
        free(t.ids[split]);
    free(t.blob);
    free(t.position);
    free(t.right);
    free(t.wrong);
    free(t.distance);
    return s == STATUS_OK ? s : fail_as(e, STATUS_BAD_DATA, "the corpus cannot be written");
}
