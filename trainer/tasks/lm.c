#include "trainer/tasks/lm.h"

#include "io/bug.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

status lm_rows_open(lm_rows *r, const corpus *c, split_name split, lm_use use, int B, int S, int T, int rank,
                    int size, const char *key, error *e)
{
    memset(r, 0, sizeof *r);
    uint64_t tokens = c->tokens[split];
    if (!c->ids[split])
        return fail(e, STATUS_BAD_DATA, "%s: has no %s split", c->file.path, split_names[split]);
    if (tokens / (uint64_t)B < 2)
        return fail(e, STATUS_BAD_CONFIG,
                    "%s: %d rows of the %s split leave fewer than 2 tokens in each; %s has %llu tokens "
                    "there, so at most %llu rows are possible",
                    key, B, split_names[split], c->file.path, (unsigned long long)tokens,
                    (unsigned long long)(tokens / 2));
    r->corpus = c;
    r->split = split;
    r->tokens = tokens;
    r->length = tokens / (uint64_t)B;
    r->longer = use == LM_EVALUATE ? tokens % (uint64_t)B : 0;
    r->T = T;
    shards_init(&r->shards, B, S, rank, size);
    r->buffer = malloc(((size_t)T + 1) * sizeof *r->buffer);
    return r->buffer ? STATUS_OK : fail(e, STATUS_NO_MEMORY, "no memory for a window of %d tokens", T);
}

void lm_rows_close(lm_rows *r)
{
    free(r->buffer);
    memset(r, 0, sizeof *r);
}

static uint64_t longest(const lm_rows *r)
{
    return r->length + (r->longer > 0);
}

uint64_t lm_windows(const lm_rows *r)
{
    return (longest(r) - 1 + (uint64_t)r->T - 1) / (uint64_t)r->T;
}

int lm_window_steps(const lm_rows *r, uint64_t w)
{
    uint64_t left = longest(r) - 1 - w * (uint64_t)r->T;
    return left < (uint64_t)r->T ? (int)left : r->T;
}

uint64_t lm_predictions(const lm_rows *r)
{
    return (r->length - 1) * (uint64_t)r->shards.B + r->longer;
}

/* How many of the rows [row0, row0+rows) are of the longer kind. */
static uint64_t longer_in(const lm_rows *r, int row0, int rows)
{
    uint64_t first = (uint64_t)row0, last = first + (uint64_t)rows;
    return r->longer <= first ? 0 : (r->longer < last ? r->longer : last) - first;
}

/* Predictions of window w in `rows` rows of which `with_last` have the longest rows' last token. */
static uint64_t window_tokens(const lm_rows *r, uint64_t w, int rows, uint64_t with_last)
{
    uint64_t steps = (uint64_t)lm_window_steps(r, w);
    bool ends = r->longer > 0 && w + 1 == lm_windows(r);
    return ends ? (steps - 1) * (uint64_t)rows + with_last : steps * (uint64_t)rows;
}

uint64_t lm_window_tokens(const lm_rows *r, uint64_t w)
{
    return window_tokens(r, w, r->shards.B, r->longer);
}

uint64_t lm_window_tokens_here(const lm_rows *r, uint64_t w)
{
    return window_tokens(r, w, r->shards.rows, longer_in(r, r->shards.row0, r->shards.rows));
}

static uint64_t row_start(const lm_rows *r, uint64_t row)
{
    return row * r->length + (row < r->longer ? row : r->longer);
}

static uint64_t row_length(const lm_rows *r, uint64_t row)
{
    return r->length + (row < r->longer);
}

/* Where in the text of its row the token stands that is read as number i. */
static uint64_t place_in_row(const lm_rows *r, uint64_t row, uint64_t i)
{
    return r->backward ? row_length(r, row) - 1 - i : i;
}

status lm_window(const lm_rows *r, uint64_t w, uint32_t *x, uint32_t *y, error *e)
{
    int rows = r->shards.rows, steps = lm_window_steps(r, w);
    uint64_t from = w * (uint64_t)r->T;
    for (int b = 0; b < rows; b++) {
        uint64_t row = (uint64_t)(r->shards.row0 + b), n = (uint64_t)steps + 1;
        if (from + n > row_length(r, row))
            n = row_length(r, row) - from;
        /* The window in the order of the text; token i of its reading is there at i, or at n-1-i. */
        uint64_t start = row_start(r, row) + place_in_row(r, row, r->backward ? from + n - 1 : from);
        status s = corpus_window(r->corpus, r->split, start, n, r->buffer, e);
        if (s != STATUS_OK)
            return s;
        const uint32_t *targets = r->targets ? r->targets + start : r->buffer;
        for (uint64_t t = 0; t < (uint64_t)steps; t++) {
            uint64_t here = r->backward ? n - 1 - t : t, next = r->backward ? here - 1 : here + 1;
            x[t * (uint64_t)rows + (uint64_t)b] = r->buffer[here];
            y[t * (uint64_t)rows + (uint64_t)b] = t + 1 < n ? targets[next] : 0;
        }
    }
    return STATUS_OK;
}

/* Adds the window's nats to each local shard's chain (time outside, row inside). */
static void add_shard_nats(const lm_rows *r, uint64_t w, const float *logp, double *shard_nats)
{
    const shards *p = &r->shards;
    int steps = lm_window_steps(r, w);
    uint64_t from = w * (uint64_t)r->T;
    for (int s = 0; s < p->count; s++) {
        int first = shard_row(p->B, p->S, p->first + s), last = shard_row(p->B, p->S, p->first + s + 1);
        for (int t = 0; t < steps; t++)
            for (int row = first; row < last; row++)
                if (from + (uint64_t)t + 1 < row_length(r, (uint64_t)row))
                    shard_nats[s] -= (double)logp[(size_t)t * p->rows + (row - p->row0)];
    }
}

static void keep_each(const lm_rows *r, uint64_t w, const float *logp, float *each)
{
    const shards *p = &r->shards;
    int steps = lm_window_steps(r, w);
    uint64_t from = w * (uint64_t)r->T, base = row_start(r, (uint64_t)p->row0);
    for (int b = 0; b < p->rows; b++) {
        uint64_t row = (uint64_t)(p->row0 + b);
        float *out = each + (row_start(r, row) - base);
        if (w == 0)
            out[place_in_row(r, row, 0)] = NAN;
        for (int t = 0; t < steps && from + (uint64_t)t + 1 < row_length(r, row); t++)
            out[place_in_row(r, row, from + (uint64_t)t + 1)] = logp[(size_t)t * p->rows + b];
    }
}

/* The tree over shards [a,b), whose leaves are leaf[0..]. */
static double tree_sum(const double *leaf, int a, int b)
{
    if (b - a == 1)
        return leaf[0];
    int middle = shard_split(a, b);
    return tree_sum(leaf, a, middle) + tree_sum(leaf + (middle - a), middle, b);
}

status lm_evaluate(const lm_rows *r, model *m, team *t, comm *c, const float *value, float *each,
                   lm_result *out, error *e)
{
    const shards *p = &r->shards;
    size_t tokens = (size_t)r->T * (size_t)(p->rows ? p->rows : 1);
    uint64_t windows =
        p->rows ? lm_windows(r) : 0; /* fewer rows than shards: some ranks have none, and no model either */
    uint32_t *ids = malloc(2 * tokens * sizeof *ids);
    float *logp = malloc(tokens * sizeof *logp);
    double *shard_nats = calloc((size_t)p->count + 1, sizeof *shard_nats);
    status s = ids && logp && shard_nats
                   ? STATUS_OK
                   : fail(e, STATUS_NO_MEMORY, "no memory for an evaluation of %d rows", p->rows);
    s = comm_agree(c, s, e);
    if (s != STATUS_OK)
        goto done;
    if (windows)
        trunk_zero_state(&m->trunk);
    for (uint64_t w = 0; w < windows; w++) {
        s = lm_window(r, w, ids, ids + tokens, e);
        if (s != STATUS_OK)
            break;
        model_score(m, t, value, ids, ids + tokens, lm_window_steps(r, w), p->rows, logp);
        add_shard_nats(r, w, logp, shard_nats);
        if (each)
            keep_each(r, w, logp, each);
    }
    s = comm_agree(c, s, e);
    if (s == STATUS_OK) {
        double node_nats[SHARD_NODES_MAX];
        for (int n = 0; n < p->nodes; n++)
            node_nats[n] =
                tree_sum(shard_nats + (p->node[n].first - p->first), p->node[n].first, p->node[n].last);
        *out = (lm_result){.nats = comm_sum_nodes(c, node_nats), .tokens = lm_predictions(r)};
    }
done:
    free(shard_nats);
    free(logp);
    free(ids);
    return s;
}
