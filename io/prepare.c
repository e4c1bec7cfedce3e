#include "io/prepare.h"

#include "io/bug.h"
#include "io/progress.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* A block on its way through the threads. */
typedef struct piece {
    text_block text;
    uint32_t *ids; /* second pass */
    size_t tokens, capacity;
    uint64_t replaced;
    status s;
    error e;
} piece;

/* Blocks that the threads work on together, while one of them reads the next batch. */
typedef struct batch {
    piece *pieces;
    int count, capacity;
    status s; /* of the reading; what was read before the failure is good */
    error e;
} batch;

typedef struct prepare {
    const prepare_job *job;
    int threads;
    batch batches[2];
    word_table *tables; /* first pass: one per thread */
    vocabulary words;   /* second pass */
    corpus_writer out;
    uint64_t tokens[SPLIT_COUNT], written[SPLIT_COUNT];
    progress *bar;
    uint64_t replaced;
} prepare;

static void read_batch(batch *b, block_reader *r)
{
    b->s = STATUS_OK;
    bool more = true;
    for (b->count = 0; b->count < b->capacity; b->count++) {
        b->s = block_next(r, &b->pieces[b->count].text, &more, &b->e);
        if (b->s != STATUS_OK || !more)
            break;
    }
}

/* First pass. */
static void count_piece(prepare *p, piece *x)
{
    const uint8_t *word;
    size_t n;
    word_table *t = &p->tables[omp_get_thread_num()];
    token_reader tokens = {x->text.bytes, x->text.bytes + x->text.n, p->job->texts.level};
    while (token_next(&tokens, &word, &n))
        if (!word_table_add(t, word, n, x->text.split, 1)) {
            x->s = fail(&x->e, STATUS_NO_MEMORY, "no memory for the counts of more than %u words", t->size);
            return;
        }
}

/* Second pass. */
static void number_piece(prepare *p, piece *x)
{
    if (x->capacity < x->text.n) { /* a token is at least one byte */
        free(x->ids);
        x->capacity = x->text.n;
        x->ids = malloc(x->capacity * sizeof *x->ids);
        if (x->ids == NULL) {
            x->capacity = 0;
            x->s = fail(&x->e, STATUS_NO_MEMORY, "no memory for a block of %zu tokens", x->text.n);
            return;
        }
    }
    const uint8_t *word;
    size_t n;
    token_reader tokens = {x->text.bytes, x->text.bytes + x->text.n, p->job->texts.level};
    for (x->tokens = 0; token_next(&tokens, &word, &n); x->tokens++) {
        int64_t id = vocabulary_find(&p->words, (const char *)word, n);
        if (id < 0)
            id = p->words.unk;
        if (id < 0) {
            x->s = fail(&x->e, STATUS_BAD_DATA, "%s: has words that were not there when it was counted",
                        x->text.label);
            return;
        }
        x->ids[x->tokens] = (uint32_t)id;
    }
}

typedef void work(prepare *p, piece *x);

static void do_piece(prepare *p, piece *x, work *w)
{
    x->replaced = 0;
    x->tokens = 0;
    x->s = text_check(&x->text, p->job->texts.level, p->job->replace_invalid, &x->replaced, &x->e);
    if (x->s == STATUS_OK)
        w(p, x);
}

static status write_ids(prepare *p, const piece *x, error *e)
{
    int split = x->text.split;
    uint64_t first = p->written[split];
    if (x->tokens > p->tokens[split] - first)
        return fail(e, STATUS_BAD_DATA, "%s: has more tokens than were counted: the text changed meanwhile",
                    x->text.label);
    p->written[split] += x->tokens;
    status s = corpus_write(&p->out, (split_name)split, first, x->ids, x->tokens, e);
    return s == STATUS_OK ? s : fail_as(e, STATUS_BAD_DATA, "the corpus cannot be written");
}

/* In the order of the text: the first failure speaks, ids are written. */
static status finish_batch(prepare *p, batch *b, bool writing, error *e)
{
    for (int i = 0; i < b->count; i++) {
        piece *x = &b->pieces[i];
        if (x->s != STATUS_OK) {
            *e = x->e;
            return x->s;
        }
        p->replaced += x->replaced;
        status s = writing ? write_ids(p, x, e) : STATUS_OK;
        if (s != STATUS_OK)
            return s;
    }
    if (b->s != STATUS_OK)
        *e = b->e;
    return b->s;
}

/* Reads all texts once and has every block worked on; `done` bytes stand before it on the progress bar. */
static status pass(prepare *p, work *w, bool writing, uint64_t done, error *e)
{
    block_reader *r = NULL;
    status s = block_open(&r, &p->job->texts, e);
    if (s != STATUS_OK)
        return s;
    p->replaced = 0;
    read_batch(&p->batches[0], r);
    for (int now = 0; s == STATUS_OK; now = !now) {
        batch *b = &p->batches[now], *ahead = &p->batches[!now];
        if (b->count == 0 && b->s == STATUS_OK)
            break;
#pragma omp parallel num_threads(p->threads)
        {
#pragma omp single nowait
            read_batch(ahead, r);
#pragma omp for schedule(dynamic, 1)
            for (int i = 0; i < b->count; i++)
                do_piece(p, &b->pieces[i], w);
        }
        s = finish_batch(p, b, writing, e);
        progress_at(p->bar, done + block_consumed(r));
    }
    block_close(r);
    return s;
}

static status count_all(prepare *p, word_table *total, error *e)
{
    p->tables = calloc((size_t)p->threads, sizeof *p->tables);
    BUG_IF(p->tables == NULL, "out of memory for %d tables", p->threads);
    status s = pass(p, count_piece, false, 0, e);
    for (int i = 0; i < p->threads; i++) {
        if (s == STATUS_OK && !word_table_merge(total, &p->tables[i]))
            s = fail(e, STATUS_NO_MEMORY, "no memory for the counts of %u words", total->size);
        word_table_free(&p->tables[i]);
    }
    free(p->tables);
    return s;
}

/* A split that was given and holds nothing is a mistake that would show much later. */
static status check_empty(const prepare_job *job, const uint64_t tokens[SPLIT_COUNT], error *e)
{
    const text_list *l = &job->texts;
    for (size_t i = 0; i < l->count; i++) {
        const text_part *part = &l->parts[i];
        if (tokens[part->split] == 0)
            return fail(e, STATUS_BAD_DATA, "%s%s%s: is empty", part->place.path,
                        part->place.member != NULL ? ":" : "",
                        part->place.member != NULL ? part->place.member : "");
    }
    for (int s = 0; l->cut && s < SPLIT_COUNT; s++)
        if (l->share[s] > 0 && tokens[s] == 0)
            return fail(
                e, STATUS_BAD_DATA,
                "%s: is too short, or lacks the line ends (or blanks), to be cut into three: nothing is left "
                "for %s (--split, or name three files)",
                l->parts[0].place.path, split_names[s]);
    return STATUS_OK;
}

static record *describe(const prepare *p, const prepare_report *report)
{
    const prepare_job *job = p->job;
    record *m = record_new();
    record_set_text(m, "format", job->format);
    record_set_text(m, "level", job->level_name);
    record_set_int(m, "eos", p->words.eos);
    record_set_int(m, "unk", p->words.unk);
    vocab_describe(m, &job->rules, job->vocab_path != NULL, report->oov);
    record_set_int(m, "invalid_replaced", (int64_t)report->replaced);
    return m;
}

static status write_all(prepare *p, const vocab *v, const prepare_report *report, uint64_t done, error *e)
{
    const char *out = p->job->out;
    status s = vocabulary_view(&p->words, v->blob, v->start[v->size], v->start, v->size, out, e);
    if (s != STATUS_OK)
        return s;
    memcpy(p->tokens, report->tokens, sizeof p->tokens);
    s = corpus_create(&p->out, out, p->tokens, v->blob, v->start, v->size, e);
    if (s != STATUS_OK)
        return fail_as(e, STATUS_BAD_DATA, "the corpus cannot be written");
    s = pass(p, number_piece, true, done, e);
    for (int i = 0; i < SPLIT_COUNT && s == STATUS_OK; i++)
        if (p->written[i] != p->tokens[i])
            s = fail(e, STATUS_BAD_DATA,
                     "%s: split %s has fewer tokens than were counted: its text changed meanwhile", out,
                     split_names[i]);
    if (s != STATUS_OK) {
        corpus_abandon(&p->out);
        return s;
    }
    record *meta = describe(p, report);
    s = corpus_finish(&p->out, meta, e);
    record_free(meta);
    return s == STATUS_OK ? s : fail_as(e, STATUS_BAD_DATA, "the corpus cannot be written");
}

static void make_batches(prepare *p)
{
    for (int i = 0; i < 2; i++) {
        batch *b = &p->batches[i];
        b->capacity = 2 * p->threads;
        b->pieces = calloc((size_t)b->capacity, sizeof *b->pieces);
        BUG_IF(b->pieces == NULL, "out of memory for %d blocks", b->capacity);
    }
}

static void free_batches(prepare *p)
{
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < p->batches[i].capacity; k++) {
            free(p->batches[i].pieces[k].text.bytes);
            free(p->batches[i].pieces[k].ids);
        }
        free(p->batches[i].pieces);
    }
}

status prepare_run(const prepare_job *job, prepare_report *report, error *e)
{
    prepare p = {.job = job, .threads = job->threads > 0 ? job->threads : omp_get_max_threads()};
    word_table total = {0};
    vocab words = {0};
    uint64_t bytes = text_list_bytes(&job->texts);
    p.bar = job->progress ? progress_open("preparing", 2 * bytes, "bytes") : NULL;
    make_batches(&p);

    status s = count_all(&p, &total, e);
    *report = (prepare_report){.replaced = p.replaced};
    for (int i = 0; i < SPLIT_COUNT; i++)
        report->tokens[i] = word_table_tokens(&total, i);
    if (s == STATUS_OK)
        s = check_empty(job, report->tokens, e);
    if (s == STATUS_OK)
        s = vocab_choose_from(&words, &total, job->rules, job->vocab_path, e);
    word_table_free(&total);
    if (s == STATUS_OK) {
        memcpy(report->oov, words.oov, sizeof words.oov);
        report->vocab_size = words.size;
        report->unk_added = words.unk_added;
        s = write_all(&p, &words, report, bytes, e);
    }

    vocabulary_free(&p.words);
    vocab_free(&words);
    free_batches(&p);
    progress_close(p.bar);
    return s;
}
