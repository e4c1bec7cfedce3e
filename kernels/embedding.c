#include "kernels/embedding.h"

#include "kernels/ints.h"
#include "kernels/simd/table.h"

#include <string.h>

#define TOKENS_PER_TASK 16
#define WORDS_PER_TASK  8
#define ROWS_PER_TASK   64  /* to be cleared */
#define SLICE           256 /* columns that are summed at a time */

void embedding_plan(embedding *m, arena *a, int V, int E, int T, int B)
{
    *m = (embedding){.V = V, .E = E, .Ep = PAD16(E), .T = T, .B = B};
    const size_t tokens = (size_t)T * (size_t)B * sizeof(uint32_t);
    arena_add(a, "embedding order", (void **)&m->order, tokens);
    arena_add(a, "embedding order, other", (void **)&m->other, tokens);
    arena_add(a, "embedding starts", (void **)&m->start, tokens + sizeof(uint32_t));
    arena_add(a, "words of a window", (void **)&m->word, tokens);
    arena_add(a, "words of the window before", (void **)&m->written.word, tokens);
}

typedef struct gather_job {
    const embedding *m;
    const float *W;
    const uint32_t *id;
    float *x;
    size_t tokens;
} gather_job;

static void gather_body(member *m, void *arg)
{
    const gather_job *j = arg;
    const size_t E = (size_t)j->m->E, Ep = (size_t)j->m->Ep;
    for (long i; (i = team_claim(m, (long)((j->tokens + TOKENS_PER_TASK - 1) / TOKENS_PER_TASK))) >= 0;) {
        size_t first = (size_t)i * TOKENS_PER_TASK;
        for (size_t token = first; token < j->tokens && token < first + TOKENS_PER_TASK; token++) {
            float *x = j->x + token * Ep;
            memcpy(x, j->W + (size_t)j->id[token] * E, E * sizeof(float));
            memset(x + E, 0, (Ep - E) * sizeof(float));
        }
    }
}

void embedding_gather(const embedding *m, team *t, const float *W, const uint32_t *id, int T, int B, float *x)
{
    team_phase(t, TRACE_EMBEDDING);
    team_run(t, gather_body, &(gather_job){m, W, id, x, (size_t)T * (size_t)B});
}

typedef struct scale_job {
    float *x;
    const float *s;
    size_t Ep, B, tokens;
} scale_job;

static void scale_body(member *m, void *arg)
{
    const scale_job *j = arg;
    for (long i; (i = team_claim(m, (long)((j->tokens + TOKENS_PER_TASK - 1) / TOKENS_PER_TASK))) >= 0;) {
        size_t first = (size_t)i * TOKENS_PER_TASK;
        for (size_t token = first; token < j->tokens && token < first + TOKENS_PER_TASK; token++)
            for (size_t e = 0; e < j->Ep; e++)
                j->x[token * j->Ep + e] *= j->s[token % j->B];
    }
    team_barrier(m);
}

void embedding_scale(const embedding *m, team *t, const float *s, int T, int B, float *x)
{
    team_run(t, scale_body, &(scale_job){x, s, (size_t)m->Ep, (size_t)B, (size_t)T * (size_t)B});
}

typedef struct slopes_job {
    const embedding *m;
    const float *W, *dx;
    const uint32_t *id;
    double *out;
    size_t tokens;
} slopes_job;

static void slopes_body(member *m, void *arg)
{
    const slopes_job *j = arg;
    const size_t E = (size_t)j->m->E, Ep = (size_t)j->m->Ep;
    for (long i; (i = team_claim(m, (long)((j->tokens + TOKENS_PER_TASK - 1) / TOKENS_PER_TASK))) >= 0;) {
        size_t first = (size_t)i * TOKENS_PER_TASK;
        for (size_t token = first; token < j->tokens && token < first + TOKENS_PER_TASK; token++) {
            const float *w = j->W + (size_t)j->id[token] * E, *dx = j->dx + token * Ep;
            double sum = 0.0;
            for (size_t e = 0; e < E; e++)
                sum += (double)w[e] * (double)dx[e];
            j->out[token] = sum;
        }
    }
    team_barrier(m);
}

void embedding_slopes(const embedding *m, team *t, const float *W, const uint32_t *id, const float *dx, int T,
                      int B, double *out)
{
    team_run(t, slopes_body, &(slopes_job){m, W, dx, id, out, (size_t)T * (size_t)B});
}

/* Sorts the order by one byte of the tokens' words, stable. */
static void sort_by_byte(embedding *m, const uint32_t *id, uint32_t n, int shift)
{
    uint32_t place[256] = {0}, sum = 0, *const from = m->order;
    for (uint32_t i = 0; i < n; i++)
        place[id[from[i]] >> shift & 255]++;
    for (int byte = 0; byte < 256; byte++) {
        const uint32_t count = place[byte];
        place[byte] = sum;
        sum += count;
    }
    for (uint32_t i = 0; i < n; i++)
        m->other[place[id[from[i]] >> shift & 255]++] = from[i];
    m->order = m->other;
    m->other = from;
}

/* The window's tokens, visited by (shard, time, row), sorted by word: by one byte of it after the other, from the
 * lowest on, so that this order stays inside a word. */
static void sort_by_word(embedding *m, const uint32_t *id, int T, int B, const shards *p)
{
    uint32_t n = 0;
    for (int s = p->first; s < p->first + p->count; s++) {
        int first = shard_row(p->B, p->S, s) - p->row0, last = shard_row(p->B, p->S, s + 1) - p->row0;
        for (int t = 0; t < T; t++)
            for (int b = first; b < last; b++)
                m->order[n++] = (uint32_t)t * (uint32_t)B + (uint32_t)b;
    }
    for (int shift = 0; shift < 32 && (uint32_t)(m->V - 1) >> shift > 0; shift += 8)
        sort_by_byte(m, id, n, shift);
    m->words = 0;
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || id[m->order[i]] != id[m->order[i - 1]]) {
            m->start[m->words] = i;
            m->word[m->words++] = id[m->order[i]];
        }
    m->start[m->words] = n;
}

typedef struct scatter_job {
    const embedding *m;
    const shards *p;
    const float *dx;
    float *dW;
    size_t stride;
    int B;
    embedding_rows changed;
    bool fresh; /* nothing is known of dW */
    /* of one thread */
    const kernels *k;
    size_t column, columns;
} scatter_job;

static const float zeros[SLICE];

/* One shard's chain. */
static void sum_leaf(const scatter_job *j, float *out, const uint32_t *token, size_t n)
{
    memset(out, 0, j->columns * sizeof *out);
    for (size_t i = 0; i < n; i++)
        j->k->add(out, out, j->dx + (size_t)token[i] * (size_t)j->m->Ep + j->column, j->columns);
    j->k->add(out, out, zeros, j->columns); /* a flushed denormal may have left -0 */
}

/* out = sum of the n > 0 tokens, all of shards [a,b), over the tree of [a,b).  A half without tokens is
 * +0, whose addition changes nothing but -0, and is made all the same. */
static void sum_node(const scatter_job *j, float *out, int a, int b, const uint32_t *token, size_t n,
                     float (*spare)[SLICE])
{
    if (b - a == 1) {
        sum_leaf(j, out, token, n);
        return;
    }
    int middle = shard_split(a, b), row = shard_row(j->p->B, j->p->S, middle) - j->p->row0;
    size_t left = 0;
    while (left < n && (int)(token[left] % (uint32_t)j->B) < row)
        left++;
    const float *right = zeros;
    if (left == 0) {
        sum_node(j, out, middle, b, token, n, spare);
    } else {
        sum_node(j, out, a, middle, token, left, spare);
        if (left < n) {
            sum_node(j, spare[0], middle, b, token + left, n - left, spare + 1);
            right = spare[0];
        }
    }
    j->k->add(out, out, right, j->columns);
}

/* Row v of one node's gradient. */
static void scatter_row(scatter_job *j, float *row, const shard_node *node, const uint32_t *token, size_t n)
{
    const size_t E = (size_t)j->m->E;
    int first = shard_row(j->p->B, j->p->S, node->first) - j->p->row0;
    int last = shard_row(j->p->B, j->p->S, node->last) - j->p->row0;
    while (n > 0 && (int)(token[0] % (uint32_t)j->B) < first) {
        token++;
        n--;
    }
    while (n > 0 && (int)(token[n - 1] % (uint32_t)j->B) >= last)
        n--;
    if (n == 0)
        return; /* a word of another node; the row is clear */
    float spare[SHARD_LEVELS][SLICE];
    for (j->column = 0; j->column < E; j->column += SLICE) {
        j->columns = E - j->column < SLICE ? E - j->column : SLICE;
        sum_node(j, row + j->column, node->first, node->last, token, n, spare);
    }
}

static float *row_of(const scatter_job *j, int node, int v)
{
    return j->dW + (size_t)node * j->stride + (size_t)v * (size_t)j->m->E;
}

/* Rows [first, last) of each of the first `nodes` gradients. */
static void clear_rows(member *m, const scatter_job *j, embedding_rows rows, int nodes)
{
    const int tasks = pieces(rows.last - rows.first, ROWS_PER_TASK);
    for (long i; (i = team_claim(m, (long)tasks * nodes)) >= 0;) {
        const int v = rows.first + (int)(i % tasks) * ROWS_PER_TASK;
        memset(row_of(j, (int)(i / tasks), v), 0,
               (size_t)at_most(ROWS_PER_TASK, rows.last - v) * (size_t)j->m->E * sizeof(float));
    }
    team_barrier(m);
}

/* The rows that the scatter before has written. */
static void clear_words(member *m, const scatter_job *j)
{
    const struct embedding_written *w = &j->m->written;
    const int tasks = pieces(w->words, WORDS_PER_TASK);
    for (long i; (i = team_claim(m, (long)tasks * j->p->nodes)) >= 0;) {
        const int first = (int)(i % tasks) * WORDS_PER_TASK, last = at_most(first + WORDS_PER_TASK, w->words);
        for (int n = first; n < last; n++)
            memset(row_of(j, (int)(i / tasks), (int)w->word[n]), 0, (size_t)j->m->E * sizeof(float));
    }
    team_barrier(m);
}

static void scatter_body(member *m, void *arg)
{
    scatter_job j = *(const scatter_job *)arg;
    j.k = m->k;
    const embedding *e = j.m;
    if (j.fresh) {
        clear_rows(m, &j, (embedding_rows){0, e->V}, j.p->nodes);
    } else {
        clear_words(m, &j);
        clear_rows(m, &j, j.changed, 1);
    }
    const int tasks = pieces(e->words, WORDS_PER_TASK);
    for (long i; (i = team_claim(m, (long)tasks * j.p->nodes)) >= 0;) {
        const int node = (int)(i / tasks), first = (int)(i % tasks) * WORDS_PER_TASK;
        for (int n = first; n < at_most(first + WORDS_PER_TASK, e->words); n++) {
            const uint32_t v = e->word[n];
            scatter_row(&j, row_of(&j, node, (int)v), &j.p->node[node], e->order + e->start[n],
                        e->start[n + 1] - e->start[n]);
        }
    }
}

void embedding_scatter(embedding *m, team *t, const uint32_t *id, const float *dx, int T, int B,
                       const shards *p, embedding_rows changed, float *dW, size_t stride)
{
    team_phase(t, TRACE_SCATTER);
    sort_by_word(m, id, T, B, p);
    struct embedding_written *w = &m->written;
    scatter_job j = {.m = m, .p = p, .dx = dx, .dW = dW, .stride = stride, .B = B, .changed = changed};
    j.fresh = w->dW != dW || w->stride != stride || w->nodes != p->nodes;
    team_run(t, scatter_body, &j);
    uint32_t *spare = w->word;
    *w = (struct embedding_written){dW, stride, p->nodes, m->words, m->word};
    m->word = spare;
}

bool embedding_written(const embedding *m, const float *dW, sums_rows *out)
{
    *out = (sums_rows){m->written.word, m->written.words, (size_t)m->E};
    return m->written.dW == dW;
}
