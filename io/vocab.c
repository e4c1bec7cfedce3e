#include "io/vocab.h"

#include "io/bug.h"
#include "io/text.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

void word_table_free(word_table *t)
{
    free(t->blob);
    free(t->words);
    free(t->slots);
    *t = (word_table){0};
}

/* The slot of a word, or the free one where it belongs. */
static uint32_t find_slot(const word_table *t, const uint8_t *word, size_t n, uint32_t hash)
{
    uint32_t mask = t->slot_count - 1, s = hash & mask;
    for (; t->slots[s] != 0; s = (s + 1) & mask) {
        const word_count *w = &t->words[t->slots[s] - 1];
        if (w->hash == hash && w->bytes == n && memcmp(t->blob + w->start, word, n) == 0)
            break;
    }
    return s;
}

static const word_count *table_find(const word_table *t, const uint8_t *word, size_t n)
{
    uint32_t s = t->slot_count > 0 ? find_slot(t, word, n, (uint32_t)XXH3_64bits(word, n)) : 0;
    return t->slot_count > 0 && t->slots[s] != 0 ? &t->words[t->slots[s] - 1] : NULL;
}

static bool grow_slots(word_table *t)
{
    if (t->slot_count == (uint32_t)1 << 31) /* twice that is 0 */
        return false;
    uint32_t count = t->slot_count > 0 ? 2 * t->slot_count : 1024;
    uint32_t *slots = calloc(count, sizeof *slots);
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < t->size; i++) {
        uint32_t s = t->words[i].hash & (count - 1);
        while (slots[s] != 0)
            s = (s + 1) & (count - 1);
        slots[s] = i + 1;
    }
    free(t->slots);
    t->slots = slots;
    t->slot_count = count;
    return true;
}

static bool grow_words(word_table *t, size_t n)
{
    if (t->size == t->capacity) {
        uint32_t capacity = t->capacity > 0 ? 2 * t->capacity : 512;
        word_count *words = realloc(t->words, capacity * sizeof *words);
        if (words == NULL)
            return false;
        t->words = words;
        t->capacity = capacity;
    }
    if (t->blob_bytes + n > t->blob_capacity) {
        uint64_t capacity = 2 * t->blob_capacity + n + 4096;
        uint8_t *blob = realloc(t->blob, capacity);
        if (blob == NULL)
            return false;
        t->blob = blob;
        t->blob_capacity = capacity;
    }
    return true;
}

static word_count *table_entry(word_table *t, const uint8_t *word, size_t n)
{
    if (2 * (uint64_t)t->size >= t->slot_count && !grow_slots(t))
        return NULL;
    uint32_t hash = (uint32_t)XXH3_64bits(word, n), s = find_slot(t, word, n, hash);
    if (t->slots[s] == 0) {
        if (!grow_words(t, n))
            return NULL;
        t->words[t->size] = (word_count){.start = t->blob_bytes, .bytes = (uint32_t)n, .hash = hash};
        memcpy(t->blob + t->blob_bytes, word, n);
        t->blob_bytes += n;
        t->slots[s] = ++t->size;
    }
    return &t->words[t->slots[s] - 1];
}

bool word_table_add(word_table *t, const uint8_t *word, size_t n, int split, uint64_t times)
{
    word_count *w = table_entry(t, word, n);
    if (w == NULL)
        return false;
    w->count[split] += times;
    return true;
}

bool word_table_place(word_table *t, const uint8_t *word, size_t n, uint32_t *place)
{
    const word_count *w = table_entry(t, word, n);
    if (w != NULL)
        *place = (uint32_t)(w - t->words);
    return w != NULL;
}

bool word_table_merge(word_table *into, const word_table *from)
{
    for (uint32_t i = 0; i < from->size; i++) {
        const word_count *w = &from->words[i];
        word_count *mine = table_entry(into, from->blob + w->start, w->bytes);
        if (mine == NULL)
            return false;
        for (int s = 0; s < SPLIT_COUNT; s++)
            mine->count[s] += w->count[s];
    }
    return true;
}

uint64_t word_table_tokens(const word_table *t, int split)
{
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < t->size; i++)
        tokens += t->words[i].count[split];
    return tokens;
}

/* A candidate for the vocabulary: its bytes and its count in training. */
typedef struct candidate {
    const uint8_t *word;
    uint32_t bytes;
    uint64_t count;
    const word_count *counts; /* NULL: not in the text */
} candidate;

static int by_count_then_bytes(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    int order = memcmp(a->word, b->word, a->bytes < b->bytes ? a->bytes : b->bytes);
    return order != 0 ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static bool is_word(const candidate *c, const char *word)
{
    return c->bytes == strlen(word) && memcmp(c->word, word, c->bytes) == 0;
}

static uint32_t find_candidate(const candidate *list, uint32_t n, const char *word)
{
    uint32_t i = 0;
    while (i < n && !is_word(&list[i], word))
        i++;
    return i;
}

static void sum_oov(vocab *v, const word_table *t, const candidate *list, uint32_t n)
{
    for (int s = 0; s < SPLIT_COUNT; s++) {
        v->oov[s] = word_table_tokens(t, s);
        for (uint32_t i = 0; i < n; i++)
            v->oov[s] -= list[i].counts != NULL ? list[i].counts->count[s] : 0;
    }
}

static bool any_oov(const vocab *v)
{
    return v->oov[SPLIT_TRAIN] + v->oov[SPLIT_VALID] + v->oov[SPLIT_TEST] > 0;
}

static const candidate unk_candidate = {(const uint8_t *)TEXT_UNK, sizeof TEXT_UNK - 1, 0, NULL};

/* The words of the text that the rules let in, best first.  `list` has room for all of them and <unk>. */
static uint32_t choose_counted(vocab *v, candidate *list, const word_table *t, const vocab_rules *rules)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->size; i++) {
        const word_count *w = &t->words[i];
        candidate c = {t->blob + w->start, w->bytes, w->count[SPLIT_TRAIN], w};
        uint64_t seen = c.count + (rules->from_all ? w->count[SPLIT_VALID] + w->count[SPLIT_TEST] : 0);
        bool special = (rules->has_lines && is_word(&c, TEXT_EOS)) || is_word(&c, TEXT_UNK);
        if (special || (seen > 0 && seen >= rules->min_count))
            list[n++] = c;
    }
    qsort(list, n, sizeof *list, by_count_then_bytes);

    sum_oov(v, t, list, n);
    bool too_many = rules->max_size > 0 && n > rules->max_size;
    if (find_candidate(list, n, TEXT_UNK) == n && (any_oov(v) || too_many || rules->needs_unk)) {
        list[n++] = unk_candidate;
        v->unk_added = true;
    }
    /* The rarest go first, but never <eos> and <unk>, without which a text cannot be written down. */
    for (uint32_t i = n; rules->max_size > 0 && n > rules->max_size && i > 0; i--) {
        if (is_word(&list[i - 1], TEXT_UNK) || (rules->has_lines && is_word(&list[i - 1], TEXT_EOS)))
            continue;
        memmove(list + i - 1, list + i, (n - i) * sizeof *list);
        n--;
    }

    sum_oov(v, t, list, n);
    uint32_t unk = find_candidate(list, n, TEXT_UNK);
    if (unk < n) { /* it stands where the training text, as written down, puts it */
        list[unk].count += v->oov[SPLIT_TRAIN];
        qsort(list, n, sizeof *list, by_count_then_bytes);
    }
    return n;
}

/* The given vocabulary in its own order, and behind it what the text cannot do without. */
static uint32_t choose_given(vocab *v, candidate *list, const word_table *t, const vocab_rules *rules)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < rules->given->size; i++) {
        size_t bytes;
        const uint8_t *word = (const uint8_t *)vocabulary_word(rules->given, i, &bytes);
        list[n++] = (candidate){word, (uint32_t)bytes, 0, table_find(t, word, bytes)};
    }
    if (rules->has_lines && find_candidate(list, n, TEXT_EOS) == n) {
        const uint8_t *eos = (const uint8_t *)TEXT_EOS;
        list[n++] = (candidate){eos, sizeof TEXT_EOS - 1, 0, table_find(t, eos, sizeof TEXT_EOS - 1)};
    }
    sum_oov(v, t, list, n);
    if ((any_oov(v) || rules->needs_unk) && find_candidate(list, n, TEXT_UNK) == n) {
        list[n++] = unk_candidate;
        v->unk_added = true;
    }
    return n;
}

status vocab_choose(vocab *v, const word_table *t, const vocab_rules *rules, error *e)
{
    *v = (vocab){0};
    size_t most = (rules->given != NULL ? rules->given->size : t->size) + (size_t)2;
    candidate *list = malloc(most * sizeof *list);
    if (list == NULL)
        return fail(e, STATUS_NO_MEMORY, "no memory for a vocabulary of %zu words", most);
    uint32_t n = rules->given != NULL ? choose_given(v, list, t, rules) : choose_counted(v, list, t, rules);

    uint64_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        bytes += list[i].bytes;
    v->blob = malloc(bytes + 1);
    v->start = malloc(((size_t)n + 1) * sizeof *v->start);
    if (v->blob == NULL || v->start == NULL) {
        free(list);
        vocab_free(v);
        return fail(e, STATUS_NO_MEMORY, "no memory for a vocabulary of %u words", n);
    }
    v->size = n;
    v->start[0] = 0;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(v->blob + v->start[i], list[i].word, list[i].bytes);
        v->start[i + 1] = v->start[i] + list[i].bytes;
    }
    free(list);
    return STATUS_OK;
}

void vocab_free(vocab *v)
{
    free(v->blob);
    free(v->start);
    *v = (vocab){0};
}

static status vocab_copy(vocab *v, const uint8_t *blob, const uint64_t *start, uint32_t size, error *e)
{
    *v = (vocab){
        .blob = malloc(start[size] + 1), .start = malloc(((size_t)size + 1) * sizeof *start), .size = size};
    if (v->blob == NULL || v->start == NULL) {
        vocab_free(v);
        return fail(e, STATUS_NO_MEMORY, "no memory for a vocabulary of %u words", size);
    }
    memcpy(v->blob, blob, start[size]);
    memcpy(v->start, start, ((size_t)size + 1) * sizeof *start);
    return STATUS_OK;
}

static status read_corpus(vocab *v, const char *path, error *e)
{
    corpus c;
    status s = corpus_open(&c, path, CONTAINER_CHECK, e);
    if (s != STATUS_OK)
        return s;
    s = vocab_copy(v, c.vocab.blob, c.vocab.start, c.vocab.size, e);
    corpus_close(&c);
    return s;
}

static status read_list(vocab *v, const char *path, text_block *b, error *e)
{
    word_table t = {0};
    uint64_t *start = malloc((b->n + 2) * sizeof *start); /* no more lines than bytes */
    if (start == NULL)
        return fail(e, STATUS_NO_MEMORY, "%s: no memory for a word list of %zu bytes", path, b->n);
    start[0] = 0;
    status s = STATUS_OK;
    const uint8_t *end = b->bytes + b->n;
    for (const uint8_t *at = b->bytes; at < end && s == STATUS_OK; b->line++) {
        const uint8_t *nl = memchr(at, '\n', (size_t)(end - at)), *stop = nl != NULL ? nl : end;
        size_t n = (size_t)(stop - at);
        n -= n > 0 && at[n - 1] == '\r';
        uint32_t before = t.size;
        if (n == 0 || n > TEXT_WORD_MAX)
            s = fail(e, STATUS_BAD_DATA, "%s:%llu: %s (a vocabulary has one word on each line)", path,
                     (unsigned long long)b->line, n == 0 ? "empty line" : "word of more than 65536 bytes");
        else if (!word_table_add(&t, at, n, SPLIT_TRAIN, 1))
            s = fail(e, STATUS_NO_MEMORY, "%s: no memory for its words", path);
        else if (t.size == before)
            s = fail(e, STATUS_BAD_DATA, "%s:%llu: word \"%.*s\" stands here a second time", path,
                     (unsigned long long)b->line, (int)(n < 80 ? n : 80), (const char *)at);
        else
            start[t.size] = t.blob_bytes;
        at = stop + 1;
    }
    if (s == STATUS_OK && t.size == 0)
        s = fail(e, STATUS_BAD_DATA, "%s: is empty", path);
    if (s == STATUS_OK)
        s = vocab_copy(v, t.blob, start, t.size, e);
    free(start);
    word_table_free(&t);
    return s;
}

status vocab_read(vocab *v, const char *path, error *e)
{
    *v = (vocab){0};
    size_t length = strlen(path);
    if (length > 3 && strcmp(path + length - 3, ".h5") == 0)
        return read_corpus(v, path, e);
    text_block b = {.label = path, .line = 1, .column = 1};
    uint64_t replaced;
    status s = disk_read_file(path, (uint64_t)1 << 30, &b.bytes, &b.n, e);
    if (s != STATUS_OK)
        return fail_as(e, STATUS_BAD_DATA, "--vocab");
    if (b.n >= 3 && memcmp(b.bytes, "\xef\xbb\xbf", 3) == 0)
        memmove(b.bytes, b.bytes + 3, b.n -= 3);
    s = text_check(&b, LEVEL_CHAR, false, &replaced, e);
    if (s == STATUS_OK)
        s = read_list(v, path, &b, e);
    free(b.bytes);
    return s;
}

status vocab_choose_from(vocab *v, const word_table *t, vocab_rules rules, const char *path, error *e)
{
    vocab list = {0};
    vocabulary given = {0};
    status s = STATUS_OK;
    if (path != NULL) {
        s = vocab_read(&list, path, e);
        if (s == STATUS_OK)
            s = vocabulary_view(&given, list.blob, list.start[list.size], list.start, list.size, path, e);
        rules.given = &given;
    }
    if (s == STATUS_OK)
        s = vocab_choose(v, t, &rules, e);
    vocabulary_free(&given);
    vocab_free(&list);
    return s;
}

void vocab_describe(record *meta, const vocab_rules *rules, bool from_file, const uint64_t oov[SPLIT_COUNT])
{
    record_set_text(meta, "vocab_from", from_file ? "file" : rules->from_all ? "all" : "train");
    record_set_int(meta, "min_count", (int64_t)rules->min_count);
    record_set_int(meta, "max_vocab", (int64_t)rules->max_size);
    record_set_int(meta, "oov_train", (int64_t)oov[SPLIT_TRAIN]);
    record_set_int(meta, "oov_valid", (int64_t)oov[SPLIT_VALID]);
    record_set_int(meta, "oov_test", (int64_t)oov[SPLIT_TEST]);
}
