#include "trainer/checkpoint.h"

#include "io/bug.h"
#include "kernels/gemm.h"
#include "kernels/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tensor parameter_tensor(const char *prefix, const param *q, const float *slab)
{
    uint64_t shape[2] = {(uint64_t)q->rows, (uint64_t)q->cols};
    char name[sizeof((tensor *)0)->name];
    snprintf(name, sizeof name, "%s/%s", prefix, q->name);
    return tensor_of(name, DTYPE_F32, slab + q->offset, q->cols ? 2 : 1, shape);
}

/* ---- saving
 * ---------------------------------------------------------------------------------------------------- */

/* What rank 0 needs besides the run's own memory while an image is made. */
typedef struct gathered {
    float *optimizer[OPTIM_STATES_MAX];
    float *scratch;
    float **rows; /* per model state: (B,H) */
    float *mine;  /* this rank's rows of one state, without padding */
    int states;
} gathered;

static void gathered_free(gathered *g)
{
    for (int i = 0; i < OPTIM_STATES_MAX; i++)
        free(g->optimizer[i]);
    for (int i = 0; i < g->states && g->rows; i++)
        free(g->rows[i]);
    free(g->rows);
    free(g->scratch);
    free(g->mine);
}

/* Elements of a carried vector of a row. */
static size_t state_width(const run_state_view *v)
{
    return v->carried ? (size_t)v->carried->shape.H : 0;
}

static bool gathered_alloc(gathered *g, const run_state_view *v, const comm *group)
{
    size_t H = state_width(v), slab = v->list->floats * sizeof(float);
    bool root = comm_rank(group) == 0, ok = true;
    g->states = v->carried ? trunk_states(v->carried) : 0;
    g->mine = malloc((size_t)v->rows->rows * H * sizeof(float) + 1);
    g->rows = calloc((size_t)g->states + 1, sizeof *g->rows);
    ok = g->mine && g->rows;
    for (int i = 0; root && ok && i < g->states; i++)
        ok = (g->rows[i] = malloc((size_t)v->rows->B * H * sizeof(float))) != NULL;
    if (root && comm_size(group) > 1) { /* a group of one saves its optimiser state in place */
        for (int i = 0; ok && i < v->optimizer->states; i++)
            ok = (g->optimizer[i] = malloc(slab)) != NULL;
        ok = ok && (v->optimizer->states == 0 || (g->scratch = malloc(slab)) != NULL);
    }
    return ok;
}

/* Bytes of rows of width H that each rank has; malloc'ed. */
static size_t *row_bytes(const run_state_view *v, const comm *group)
{
    size_t *bytes = malloc((size_t)comm_size(group) * sizeof *bytes);
    BUG_IF(!bytes, "out of memory for %d ranks", comm_size(group));
    for (int r = 0; r < comm_size(group); r++) {
        shards p;
        shards_init(&p, v->rows->B, v->rows->S, r, comm_size(group));
        bytes[r] = (size_t)p.rows * state_width(v) * sizeof(float);
    }
    return bytes;
}

static void gather_rows(const run_state_view *v, comm *group, gathered *g)
{
    size_t H = state_width(v), *bytes = row_bytes(v, group);
    for (int i = 0; i < g->states; i++) {
        char name[TRUNK_NAME];
        int stride;
        const float *x = trunk_state(v->carried, i, name, &stride);
        for (int b = 0; b < v->rows->rows; b++)
            memcpy(g->mine + (size_t)b * H, x + (size_t)b * (size_t)stride, H * sizeof(float));
        comm_gather(group, g->mine, g->rows[i], bytes, 0);
    }
    free(bytes);
}

/* Which back end served which product: another one would give other bits (rule R3). */
static void backends_text(char text[128])
{
    text[0] = '\0';
    for (int role = 0; role < GEMM_ROLES; role++) {
        size_t used = strlen(text);
        snprintf(text + used, 128 - used, "%s%s", role ? "," : "", gemm_backend((gemm_role)role));
    }
}

static record *meta_of(const run_state_view *v)
{
    char backends[128];
    backends_text(backends);
    record *meta = record_new();
    record_set_text(meta, "version", UNROLL_VERSION);
    record_set_int(meta, "rng_layout", RNG_LAYOUT);
    record_set_text(meta, "gemm", backends);
    record_set_text(meta, "corpus", v->corpus->digest);
    record_set_text(meta, "level", v->corpus->level);
    if (v->corpus->tokenizer) {
        record_set_text(meta, "tokenizer", v->corpus->tokenizer);
        record_set_bool(meta, "lower", v->corpus->lower);
    }
    train_progress_store(v->progress, meta);
    char *yaml = config_to_yaml(v->config, false);
    record_set_text(meta, "config", yaml);
    free(yaml);
    return meta;
}

static size_t list_words(const vocabulary *w, const char *bytes_name, const char *start_name, tensor out[2])
{
    uint64_t bytes = w->start[w->size], starts = (uint64_t)w->size + 1;
    out[0] = tensor_of(bytes_name, DTYPE_U8, w->blob, 1, &bytes);
    out[1] = tensor_of(start_name, DTYPE_U64, w->start, 1, &starts);
    return 2;
}

/* Rank 0: all tensors of the file, in its order; returns how many. */
static size_t list_tensors(const run_state_view *v, const comm *group, const gathered *g, tensor *out)
{
    size_t n = 0;
    for (int i = 0; i < v->list->count; i++)
        out[n++] = parameter_tensor("params", &v->list->list[i], v->value);
    for (int s = 0; s < v->optimizer->states; s++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "optim/%s", v->optimizer->name[s]);
        const float *slab = comm_size(group) > 1 ? g->optimizer[s] : v->optimizer->state[s];
        for (int i = 0; i < v->list->count; i++)
            out[n++] = parameter_tensor(prefix, &v->list->list[i], slab);
    }
    uint64_t shape[2] = {(uint64_t)v->rows->B, (uint64_t)state_width(v)};
    for (int i = 0; i < g->states; i++) {
        char part[TRUNK_NAME], name[TRUNK_NAME + 8];
        int stride;
        trunk_state(v->carried, i, part, &stride);
        snprintf(name, sizeof name, "rows/%s", part);
        out[n++] = tensor_of(name, DTYPE_F32, g->rows[i], 2, shape);
    }
    n += list_words(&v->corpus->vocab, "vocab/bytes", "vocab/start", out + n);
    if (v->config->task.name == TASK_CLASSIFY)
        n += list_words(&v->corpus->labels, "labels/bytes", "labels/start", out + n);
    return n;
}

status checkpoint_image(const run_state_view *v, comm *group, unsigned char **image, size_t *bytes, error *e)
{
    gathered g = {0};
    *image = NULL;
    *bytes = 0;
    status s = gathered_alloc(&g, v, group) ? STATUS_OK
                                            : fail(e, STATUS_NO_MEMORY, "no memory to gather a checkpoint");
    s = comm_agree(group, s, e);
    if (s != STATUS_OK)
        goto done;
    if (comm_size(group) > 1)
        for (int i = 0; i < v->optimizer->states; i++)
            optimizer_gather(v->optimizer, group, i, g.optimizer[i], g.scratch);
    gather_rows(v, group, &g);
    if (comm_rank(group) == 0) {
        size_t most = (size_t)v->list->count * (1 + OPTIM_STATES_MAX) + (size_t)g.states + 4;
        tensor *list = malloc(most * sizeof *list);
        BUG_IF(!list, "out of memory for %zu tensors", most);
        record *meta = meta_of(v);
        s = container_image(image, bytes, "checkpoint", meta, list, list_tensors(v, group, &g, list), e);
        record_free(meta);
        free(list);
    }
    s = comm_agree(group, s, e);
done:
    gathered_free(&g);
    return s;
}

/* ---- restoring
 * ------------------------------------------------------------------------------------------------- */

static status load_tensor(const container *c, const char *prefix, const param *q, float *slab, error *e)
{
    tensor want = parameter_tensor(prefix, q, slab);
    const tensor *have;
    status s = container_need(c, want.name, DTYPE_F32, want.dims, want.shape, &have, e);
    if (s == STATUS_OK)
        memcpy(slab + q->offset, have->data, q->count * sizeof(float));
    return s;
}

static status load_slab(const container *c, const char *prefix, const params *list, float *slab, error *e)
{
    status s = STATUS_OK;
    for (int i = 0; s == STATUS_OK && i < list->count; i++)
        s = load_tensor(c, prefix, &list->list[i], slab, e);
    return s;
}

status checkpoint_parameters(const container *c, const params *list, float *value, error *e)
{
    return load_slab(c, "params", list, value, e);
}

status checkpoint_config(const container *c, config *out, error *e)
{
    const char *yaml;
    if (!record_get_text(c->meta, "config", &yaml))
        return fail(e, STATUS_BAD_CHECKPOINT, "%s: holds no configuration", c->path);
    status s = config_read_text(out, yaml, strlen(yaml), c->path, e);
    if (s == STATUS_OK)
        s = config_finish(out, e);
    return s == STATUS_OK ? s : fail_as(e, STATUS_BAD_CHECKPOINT, "%s: its configuration", c->path);
}

static status load_words(const container *c, const char *bytes_name, const char *start_name, vocabulary *out,
                         error *e)
{
    const tensor *bytes, *start;
    uint64_t any = 0;
    status s = container_need(c, bytes_name, DTYPE_U8, 1, &any, &bytes, e);
    if (s == STATUS_OK)
        s = container_need(c, start_name, DTYPE_U64, 1, &any, &start, e);
    if (s != STATUS_OK)
        return s;
    uint64_t words = tensor_count(start);
    if (words < 2 || words - 1 > UINT32_MAX)
        return fail(e, STATUS_BAD_CHECKPOINT, "%s: %s has %llu entries; allowed are 2 to 2^32", c->path,
                    start_name, (unsigned long long)words);
    s = vocabulary_view(out, bytes->data, tensor_count(bytes), start->data, (uint32_t)(words - 1), c->path,
                        e);
    return s == STATUS_OK ? s : fail_as(e, STATUS_BAD_CHECKPOINT, "%s", bytes_name);
}

status checkpoint_vocabulary(const container *c, vocabulary *out, error *e)
{
    return load_words(c, "vocab/bytes", "vocab/start", out, e);
}

status checkpoint_labels(const container *c, vocabulary *out, error *e)
{
    return load_words(c, "labels/bytes", "labels/start", out, e);
}

/* Is this checkpoint of this run?  Rank 0. */
static status same_run(const run_state_view *v, const container *c,
                       void (*changed)(const char *line, void *arg), void *arg, error *e)
{
    const char *digest, *gemm;
    char backends[128];
    int64_t layout = 0;
    if (!record_get_int(c->meta, "rng_layout", &layout) || layout != RNG_LAYOUT)
        return fail(e, STATUS_BAD_CHECKPOINT,
                    "%s: was made with random numbers of layout %lld, this program has layout %d", c->path,
                    (long long)layout, RNG_LAYOUT);
    backends_text(backends);
    if (!record_get_text(c->meta, "gemm", &gemm) || strcmp(gemm, backends) != 0)
        return fail(e, STATUS_BAD_CHECKPOINT,
                    "%s: its products were made by other back ends than this program's (%s)", c->path,
                    backends);
    config theirs;
    config_init(&theirs);
    status s = checkpoint_config(c, &theirs, e);
    if (s == STATUS_OK)
        s = config_compare(&theirs, v->config, changed, arg, e);
    config_free(&theirs);
    if (s != STATUS_OK)
        return fail_as(e, STATUS_BAD_CHECKPOINT, "%s", c->path);
    if (!record_get_text(c->meta, "corpus", &digest) || strcmp(digest, v->corpus->digest) != 0)
        return fail(e, STATUS_BAD_CHECKPOINT,
                    "%s: was trained on another corpus: its digest is not that of %s (%s)", c->path,
                    v->corpus->file.path, v->corpus->digest);
    return STATUS_OK;
}

static status load_root(const run_state_view *v, const container *c, const comm *group, gathered *g, error *e)
{
    status s = checkpoint_parameters(c, v->list, v->value, e);
    for (int i = 0; s == STATUS_OK && i < v->optimizer->states; i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "optim/%s", v->optimizer->name[i]);
        s = load_slab(c, prefix, v->list, comm_size(group) > 1 ? g->optimizer[i] : v->optimizer->state[i], e);
    }
    uint64_t shape[2] = {(uint64_t)v->rows->B, (uint64_t)state_width(v)};
    for (int i = 0; s == STATUS_OK && i < g->states; i++) {
        char part[TRUNK_NAME], name[TRUNK_NAME + 8];
        int stride;
        const tensor *have;
        trunk_state(v->carried, i, part, &stride);
        snprintf(name, sizeof name, "rows/%s", part);
        s = container_need(c, name, DTYPE_F32, 2, shape, &have, e);
        if (s == STATUS_OK)
            memcpy(g->rows[i], have->data, tensor_count(have) * sizeof(float));
    }
    return s == STATUS_OK ? train_progress_load(v->progress, c->meta, c->path, e) : s;
}

static void scatter_rows(const run_state_view *v, comm *group, const gathered *g)
{
    size_t H = state_width(v), *bytes = row_bytes(v, group);
    if (v->carried)
        trunk_zero_state(v->carried);
    for (int i = 0; i < g->states; i++) {
        char name[TRUNK_NAME];
        int stride;
        float *x = trunk_state(v->carried, i, name, &stride);
        comm_scatter(group, g->rows[i], g->mine, bytes, 0);
        for (int b = 0; b < v->rows->rows; b++)
            memcpy(x + (size_t)b * (size_t)stride, g->mine + (size_t)b * H, H * sizeof(float));
    }
    free(bytes);
}

status checkpoint_restore(const run_state_view *v, comm *group, const char *path,
                          void (*changed)(const char *line, void *arg), void *arg, error *e)
{
    gathered g = {0};
    container c;
    bool open = false;
    status s = gathered_alloc(&g, v, group) ? STATUS_OK
                                            : fail(e, STATUS_NO_MEMORY, "no memory to read a checkpoint");
    if (comm_rank(group) == 0 && s == STATUS_OK) {
        s = container_open(&c, path, "checkpoint", CONTAINER_CHECK, e);
        open = s == STATUS_OK;
        if (open)
            s = same_run(v, &c, changed, arg, e);
        if (s == STATUS_OK)
            s = load_root(v, &c, group, &g, e);
    }
    s = comm_agree(group, s, e);
    if (s == STATUS_OK) {
        comm_broadcast(group, v->progress, sizeof *v->progress, 0);
        comm_broadcast(group, v->value, v->list->floats * sizeof(float), 0);
        if (comm_size(group) > 1)
            for (int i = 0; i < v->optimizer->states; i++)
                optimizer_scatter(v->optimizer, group, i, g.optimizer[i], g.scratch);
        scatter_rows(v, group, &g);
    }
    if (open)
        container_close(&c);
    gathered_free(&g);
    return s;
}

/* ---- digest
 * ---------------------------------------------------------------------------------------------------- */

status checkpoint_digest(const container *c, char hex[SHA256_HEX], error *e)
{
    train_progress p;
    status s = train_progress_load(&p, c->meta, c->path, e);
    if (s != STATUS_OK)
        return s;
    sha256 *h = sha256_new();
    for (size_t i = 0; i < c->count; i++) {
        const tensor *t = &c->tensors[i];
        if (strncmp(t->name, "params/", 7) && strncmp(t->name, "optim/", 6) && strncmp(t->name, "rows/", 5))
            continue;
        char head[256];
        int n = snprintf(head, sizeof head, "%s %s", t->name, dtype_name(t->type));
        for (int d = 0; d < t->dims; d++)
            n += snprintf(head + n, sizeof head - (size_t)n, " %llu", (unsigned long long)t->shape[d]);
        sha256_add(h, head, (size_t)n + 1);
        sha256_add(h, t->data, tensor_count(t) * dtype_bytes(t->type));
    }
    char *text = train_progress_text(&p);
    sha256_add(h, text, strlen(text));
    free(text);
    sha256_end(h, hex);
    return STATUS_OK;
}
