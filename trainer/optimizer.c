#include "trainer/optimizer.h"

#include "kernels/sums.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATTERN_MAX = 128 }; /* bytes of one pattern; what is longer matches no name */

/* The next of the comma-separated patterns, from *rest on; false after the last. */
static bool next_pattern(const char **rest, char pattern[PATTERN_MAX])
{
    *rest += strspn(*rest, ", ");
    size_t n = strcspn(*rest, ", ");
    snprintf(pattern, PATTERN_MAX, "%.*s", (int)(n < PATTERN_MAX ? n : PATTERN_MAX), *rest);
    *rest += n;
    return n > 0;
}

static bool excluded(const char *patterns, const char *name)
{
    char pattern[PATTERN_MAX];
    for (const char *rest = patterns ? patterns : ""; next_pattern(&rest, pattern);)
        if (fnmatch(pattern, name, 0) == 0)
            return true;
    return false;
}

status optimizer_check(const config *c, const params *list, error *e)
{
    char pattern[PATTERN_MAX];
    for (const char *rest = c->optim.decay_exclude; next_pattern(&rest, pattern);) {
        bool found = false;
        for (int i = 0; i < list->count; i++)
            found = found || fnmatch(pattern, list->list[i].name, 0) == 0;
        if (!found)
            return fail(
                e, STATUS_BAD_CONFIG,
                "optim.decay_exclude: \"%s\" is the name of no parameter; they are called as %s and %s",
                pattern, list->list[0].name, list->list[list->count - 1].name);
    }
    return STATUS_OK;
}

static optim_settings settings_of(const config *c)
{
    static const optim_kind kinds[] = {[OPTIM_SGD] = OPTIM_KIND_SGD,
                                       [OPTIM_ADAM] = OPTIM_KIND_ADAM,
                                       [OPTIM_ADAMW] = OPTIM_KIND_ADAMW,
                                       [OPTIM_RMSPROP] = OPTIM_KIND_RMSPROP,
                                       [OPTIM_ADAGRAD] = OPTIM_KIND_ADAGRAD};
    return (optim_settings){.kind = kinds[c->optim.name],
                            .momentum = c->optim.momentum,
                            .dampening = c->optim.dampening,
                            .nesterov = c->optim.nesterov,
                            .beta1 = c->optim.beta1,
                            .beta2 = c->optim.beta2,
                            .eps = c->optim.eps,
                            .amsgrad = c->optim.amsgrad,
                            .alpha = c->optim.alpha,
                            .centered = c->optim.centered,
                            .lr_decay = c->optim.lr_decay,
                            .initial_accumulator = c->optim.initial_accumulator,
                            .weight_decay = c->optim.weight_decay,
                            .l1 = c->optim.l1,
                            .clip_value = c->optim.clip_value};
}

void optimizer_plan(optimizer *o, arena *a, const config *c, const params *list, int rank, int size)
{
    memset(o, 0, sizeof *o);
    o->settings = settings_of(c);
    o->clip_norm = c->optim.clip_norm;
    o->list = list;
    o->pieces = params_pieces(list, rank, o->piece, PARAMS_MAX);
    size_t blocks = 0;
    for (int i = 0; i < o->pieces; i++) {
        o->at[i] = o->owned;
        o->owned += (o->piece[i].count + 15) / 16 * 16;
        o->decays[i] = !excluded(c->optim.decay_exclude, list->list[o->piece[i].param].name);
        o->depth[i] = params_depth(list, o->piece[i].param);
        blocks += o->piece[i].blocks;
    }
    o->states = optim_states(&o->settings, o->name);
    for (int i = 0; i < o->states; i++)
        arena_add(a, o->name[i], (void **)&o->state[i], o->owned * sizeof(float));
    arena_add(a, "squares", (void **)&o->square, list->blocks * sizeof(double));
    arena_add(a, "squares of this rank", (void **)&o->square_sent, (blocks + 1) * sizeof(double));
    arena_add(a, "squares of all ranks", (void **)&o->square_all, list->blocks * sizeof(double));
    arena_add(a, "sizes of squares", (void **)&o->square_bytes, (size_t)size * sizeof(size_t));
}

void optimizer_sparse(optimizer *o, const embedding *words)
{
    o->words = words;
}

void optimizer_start(optimizer *o)
{
    for (int i = 0; i < o->states; i++)
        for (size_t j = 0; j < o->owned; j++)
            o->state[i][j] = optim_state_start(&o->settings, i);
}

/* The step of a group from its first one on. */
static int64_t step_at(const optimizer_pace *pace, int depth)
{
    return pace->step - depth * pace->thaw_steps;
}

bool optimizer_frozen(const optimizer_pace *pace, int depth)
{
    return step_at(pace, depth) < 1;
}

static double rate_at(const optimizer_pace *pace, int depth)
{
    double divisor = 1.0;
    for (int i = 0; i < depth; i++)
        divisor *= pace->layer_decay;
    return pace->lr / divisor;
}

/* Tied: the output layer's sum plus the embedding's, in the owned pieces of that tensor. */
static void join_tied(const optimizer *o, team *t, float *gradient)
{
    if (o->list->scatter_of < 0)
        return;
    const param *tied = &o->list->list[o->list->scatter_of];
    static const shard_node halves[2] = {{0, 1}, {1, 2}}; /* a tree of two leaves is one addition */
    for (int i = 0; i < o->pieces; i++) {
        const piece *p = &o->piece[i];
        if (p->param != o->list->scatter_of)
            continue;
        float *sum = gradient + p->offset;
        const float *part[2] = {sum, gradient + o->list->scatter + (p->offset - tied->offset)};
        sums_tree(t, sum, part, halves, 2, 2, p->count);
    }
}

/* Which rows of piece i have a gradient; NULL: any may. */
static const sums_rows *rows_of(const optimizer *o, int i, const float *gradient, sums_rows *rows)
{
    return o->words && embedding_written(o->words, gradient + o->piece[i].offset, rows) ? rows : NULL;
}

/* Of this rank's pieces, into square_sent. */
static void own_squares(optimizer *o, team *t, const float *gradient, const optimizer_pace *pace, float scale)
{
    size_t mine = 0;
    sums_piece active[PARAMS_MAX];
    sums_rows rows[PARAMS_MAX];
    int n = 0;
    for (int i = 0; i < o->pieces; i++) {
        const piece *p = &o->piece[i];
        double *const square = o->square_sent + mine;
        if (optimizer_frozen(pace, o->depth[i]))
            memset(square, 0, p->blocks * sizeof *square);
        else
            active[n++] = (sums_piece){.per_block = square,
                                       .x = gradient + p->offset,
                                       .n = p->count,
                                       .only = rows_of(o, i, gradient, &rows[i])};
        mine += p->blocks;
    }
    sums_squares(t, active, n, scale);
}

/* Collective.  Sum of squares of all of the scaled gradient that is not frozen. */
static double squares(optimizer *o, comm *group, team *t, const float *gradient, const optimizer_pace *pace,
                      float scale)
{
    own_squares(o, t, gradient, pace, scale);
    piece theirs[PARAMS_MAX];
    for (int r = 0; r < comm_size(group); r++) {
        int n = params_pieces(o->list, r, theirs, PARAMS_MAX);
        o->square_bytes[r] = 0;
        for (int i = 0; i < n; i++)
            o->square_bytes[r] += theirs[i].blocks * sizeof(double);
    }
    comm_all_gather(group, o->square_sent, o->square_all, o->square_bytes);
    const double *from = o->square_all;
    for (int r = 0; r < comm_size(group); r++) {
        int n = params_pieces(o->list, r, theirs, PARAMS_MAX);
        for (int i = 0; i < n; i++) {
            memcpy(o->square + theirs[i].block0, from, theirs[i].blocks * sizeof(double));
            from += theirs[i].blocks;
        }
    }
    return sums_blocks(o->square, o->list->blocks);
}

double optimizer_step(optimizer *o, comm *group, team *t, float *value, float *gradient, optimizer_pace pace,
                      float scale)
{
    team_phase(t, TRACE_NORM);
    join_tied(o, t, gradient);
    double norm = sqrt(squares(o, group, t, gradient, &pace, scale));
    if (!isfinite(norm))
        return norm;
    team_phase(t, TRACE_OPTIMIZER);
    double clip = o->clip_norm > 0 ? o->clip_norm / (norm + 1e-6) : 1.0;
    optim_piece active[PARAMS_MAX];
    sums_rows rows[PARAMS_MAX];
    int n = 0;
    for (int i = 0; i < o->pieces; i++) {
        const piece *p = &o->piece[i];
        if (optimizer_frozen(&pace, o->depth[i]))
            continue;
        active[n] = (optim_piece){.w = value + p->offset,
                                  .grad = gradient + p->offset,
                                  .n = p->count,
                                  .step = step_at(&pace, o->depth[i]),
                                  .lr = rate_at(&pace, o->depth[i]),
                                  .decay = o->decays[i],
                                  .only = rows_of(o, i, gradient, &rows[i])};
        for (int j = 0; j < o->states; j++)
            active[n].state[j] = o->state[j] + o->at[i];
        n++;
    }
    optim_step(t, &o->settings, scale, clip < 1.0 ? (float)clip : 1.0f, active, n);
    return norm;
}

static void owned_bytes(const optimizer *o, const comm *group, size_t *bytes)
{
    piece theirs[PARAMS_MAX];
    for (int r = 0; r < comm_size(group); r++) {
        int n = params_pieces(o->list, r, theirs, PARAMS_MAX);
        bytes[r] = 0;
        for (int i = 0; i < n; i++)
            bytes[r] += (theirs[i].count + 15) / 16 * 16 * sizeof(float);
    }
}

void optimizer_gather(const optimizer *o, comm *group, int i, float *slab, float *scratch)
{
    owned_bytes(o, group, o->square_bytes);
    comm_gather(group, o->state[i], scratch, o->square_bytes, 0);
    if (comm_rank(group) != 0)
        return;
    memset(slab, 0, o->list->floats * sizeof *slab);
    piece theirs[PARAMS_MAX];
    const float *from = scratch;
    for (int r = 0; r < comm_size(group); r++) {
        int n = params_pieces(o->list, r, theirs, PARAMS_MAX);
        for (int j = 0; j < n; j++) {
            memcpy(slab + theirs[j].offset, from, theirs[j].count * sizeof *slab);
            from += (theirs[j].count + 15) / 16 * 16;
        }
    }
}

void optimizer_scatter(optimizer *o, comm *group, int i, const float *slab, float *scratch)
{
    owned_bytes(o, group, o->square_bytes);
    if (comm_rank(group) == 0) {
        piece theirs[PARAMS_MAX];
        float *to = scratch;
        for (int r = 0; r < comm_size(group); r++) {
            int n = params_pieces(o->list, r, theirs, PARAMS_MAX);
            for (int j = 0; j < n; j++) {
                size_t padded = (theirs[j].count + 15) / 16 * 16;
                memset(to, 0, padded * sizeof *to);
                memcpy(to, slab + theirs[j].offset, theirs[j].count * sizeof *to);
                to += padded;
            }
        }
    }
    comm_scatter(group, scratch, o->state[i], o->square_bytes, 0);
}
