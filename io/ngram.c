#include "io/ngram.h"

#include "io/bug.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ORDERS  4  /* uniform, one, two and three words */
#define CLASSES 12 /* of counts of a history: 0, 1, 2-3, 4-7, ... */
#define ROUNDS  25 /* of expectation maximisation: the fifth digit of the cross-entropy has settled */

/* Counts by key: a sequence of up to three ids, 21 bits each. */
typedef struct counts {
    uint64_t *key; /* 0: free slot; keys are stored plus one */
    uint32_t *count;
    uint64_t slots, size;
} counts;

struct ngram {
    uint32_t V, eos;
    uint64_t tokens;
    uint32_t *one; /* (V) */
    counts two, three;
    double weight[CLASSES][ORDERS];
};

static uint64_t key_of(uint32_t u, uint32_t v, uint32_t w)
{
    return ((uint64_t)u << 42 | (uint64_t)v << 21 | w) + 1;
}

static uint64_t slot_of(const counts *c, uint64_t key)
{
    uint64_t slot =
        (key * 0x9e3779b97f4a7c15u) >> 20 & (c->slots - 1); /* Fibonacci hashing: the middle bits mix best */
    while (c->key[slot] != 0 && c->key[slot] != key)
        slot = (slot + 1) & (c->slots - 1);
    return slot;
}

static void counts_open(counts *c, uint64_t slots)
{
    *c = (counts){
        .key = calloc(slots, sizeof *c->key), .count = calloc(slots, sizeof *c->count), .slots = slots};
    BUG_IF(c->key == NULL || c->count == NULL, "out of memory for %llu counts", (unsigned long long)slots);
}

static void counts_close(counts *c)
{
    free(c->key);
    free(c->count);
}

static void count_key(counts *c, uint64_t key)
{
    if (2 * c->size >= c->slots) {
        counts bigger;
        counts_open(&bigger, 2 * c->slots);
        for (uint64_t i = 0; i < c->slots; i++)
            if (c->key[i] != 0) {
                uint64_t slot = slot_of(&bigger, c->key[i]);
                bigger.key[slot] = c->key[i];
                bigger.count[slot] = c->count[i];
            }
        bigger.size = c->size;
        counts_close(c);
        *c = bigger;
    }
    uint64_t slot = slot_of(c, key);
    c->size += c->key[slot] == 0;
    c->key[slot] = key;
    c->count[slot]++;
}

static uint32_t count_of(const counts *c, uint64_t key)
{
    return c->count[slot_of(c, key)];
}

void ngram_history(const ngram *m, const uint32_t *ids, uint64_t i, uint32_t *u, uint32_t *v)
{
    *v = i >= 1 ? ids[i - 1] : m->eos;
    *u = i >= 2 ? ids[i - 2] : m->eos;
}

/* Histories are counted as such, apart from the sequences that end in a word: keys of histories hold the id
 * V. */
static uint64_t history_two(const ngram *m, uint32_t u, uint32_t v)
{
    return key_of(u, v, m->V);
}

static uint64_t history_one(const ngram *m, uint32_t v)
{
    return key_of(m->V, v, m->V);
}

/* The four frequencies of w after u v, and the class of that history. */
static int frequencies(const ngram *m, uint32_t u, uint32_t v, uint32_t w, double f[ORDERS])
{
    uint32_t seen_two = count_of(&m->three, history_two(m, u, v));
    uint32_t seen_one = count_of(&m->two, history_one(m, v));
    f[0] = 1.0 / m->V;
    f[1] = m->one[w] / (double)m->tokens;
    f[2] = seen_one > 0 ? count_of(&m->two, key_of(m->V, v, w)) / (double)seen_one : f[1];
    f[3] = seen_two > 0 ? count_of(&m->three, key_of(u, v, w)) / (double)seen_two : f[2];
    int class = 0;
    while (seen_two >> class != 0 && class < CLASSES - 1)
        class ++;
    return class;
}

double ngram_probability(const ngram *m, uint32_t u, uint32_t v, uint32_t w)
{
    double f[ORDERS], p = 0;
    const double *weight = m->weight[frequencies(m, u, v, w, f)];
    for (int k = 0; k < ORDERS; k++)
        p += weight[k] * f[k];
    return p;
}

/* One round: each order's share in what was predicted, by class of history. */
static void refit(ngram *m, const uint32_t *valid, uint64_t n)
{
    double share[CLASSES][ORDERS] = {0};
    for (uint64_t i = 0; i < n; i++) {
        uint32_t u, v;
        double f[ORDERS], p = 0;
        ngram_history(m, valid, i, &u, &v);
        int class = frequencies(m, u, v, valid[i], f);
        for (int k = 0; k < ORDERS; k++)
            p += m->weight[class][k] * f[k];
        for (int k = 0; k < ORDERS; k++)
            share[class][k] += m->weight[class][k] * f[k] / p;
    }
    for (int class = 0; class < CLASSES; class ++) {
        double sum = share[class][0] + share[class][1] + share[class][2] + share[class][3];
        for (int k = 0; k < ORDERS && sum > 0;
             k++) /* the uniform part never dies, or an unseen word would cost infinity */
            m->weight[class][k] = (share[class][k] + 1e-3) / (sum + ORDERS * 1e-3);
    }
}

ngram *ngram_fit(const uint32_t *train, uint64_t train_n, const uint32_t *valid, uint64_t valid_n, uint32_t V,
                 uint32_t eos)
{
    ngram *m = calloc(1, sizeof *m);
    BUG_IF(m == NULL || V >= (uint32_t)1 << 21 || train_n == 0, "no trigram for %u words and %llu tokens", V,
           (unsigned long long)train_n);
    m->V = V;
    m->eos = eos;
    m->tokens = train_n;
    m->one = calloc(V, sizeof *m->one);
    BUG_IF(m->one == NULL, "out of memory for %u counts", V);
    counts_open(&m->two, 1 << 12);
    counts_open(&m->three, 1 << 12);
    for (uint64_t i = 0; i < train_n; i++) {
        uint32_t u, v, w = train[i];
        ngram_history(m, train, i, &u, &v);
        m->one[w]++;
        count_key(&m->two, key_of(V, v, w));
        count_key(&m->two, history_one(m, v));
        count_key(&m->three, key_of(u, v, w));
        count_key(&m->three, history_two(m, u, v));
    }
    for (int class = 0; class < CLASSES; class ++)
        for (int k = 0; k < ORDERS; k++)
            m->weight[class][k] = 1.0 / ORDERS;
    for (int i = 0; i < ROUNDS && valid_n > 0; i++)
        refit(m, valid, valid_n);
    return m;
}

double ngram_cross_entropy(const ngram *m, const uint32_t *ids, uint64_t n)
{
    double nats = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t u, v;
        ngram_history(m, ids, i, &u, &v);
        nats -= log(ngram_probability(m, u, v, ids[i]));
    }
    return n > 0 ? nats / (double)n : NAN;
}

void ngram_free(ngram *m)
{
    if (m == NULL)
        return;
    counts_close(&m->two);
    counts_close(&m->three);
    free(m->one);
    free(m);
}
