/* config.h - the configuration of a run: one schema table (schema.c) gives name, type, unit, range,
 * default and meaning to the YAML reader, to --help, the man page, --set, the environment and the copy
 * inside a checkpoint.
 *
 * Precedence: defaults < files in order < environment (UNROLL_OPTIM__LR: two underscores between section
 * and key) < command line.  Strict: unknown and duplicate keys are errors with file:line:column and the
 * nearest known name; no implicit typing, no anchors, tags or second documents.  Of several errors the
 * first in the order of reading is reported.
 * A key that has no effect beside the others (optim.beta1 with sgd) is refused unless it holds its
 * default, so that nothing a user wrote is silently ignored and a printed configuration can be read back.
 * Numbers are read and printed by strtod and printf as in the "C" locale: the program never calls
 * setlocale.
 * Errors: BAD_CONFIG unless said otherwise; memory is BUG_IF's (the texts are small).
 * Not collective; a config belongs to one thread.  It owns its texts: never copy the struct. */
#ifndef IO_CONFIG_H
#define IO_CONFIG_H

#include "io/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum { CELL_RNN_TANH, CELL_RNN_RELU, CELL_LSTM, CELL_GRU } config_cell;
typedef enum { RESET_AFTER, RESET_BEFORE } config_reset;
typedef enum { INIT_UNIFORM, INIT_PYTORCH, INIT_WORD_LANGUAGE_MODEL } config_init_kind;
typedef enum { INIT_SAME, INIT_ORTHOGONAL } config_init_recurrent_kind;
typedef enum { CARRY_EPOCH, CARRY_ALWAYS, CARRY_NEVER } config_carry;
typedef enum { OPTIM_SGD, OPTIM_ADAM, OPTIM_ADAMW, OPTIM_RMSPROP, OPTIM_ADAGRAD } config_optim;
typedef enum { LOSS_TOKEN_MEAN, LOSS_TIME_SUM } config_loss_scale;
typedef enum {
    SCHEDULE_CONSTANT,
    SCHEDULE_STEP,
    SCHEDULE_PLATEAU,
    SCHEDULE_COSINE,
    SCHEDULE_SLANTED
} config_schedule;
typedef enum { DIRECTION_FORWARD, DIRECTION_BACKWARD } config_direction;

typedef enum { TASK_LM, TASK_CLASSIFY } config_task;
typedef enum { POOLING_LAST, POOLING_MEAN, POOLING_MAX, POOLING_CONCAT, POOLING_ATTENTION } config_pooling;
typedef enum { OUTPUT_SOFTMAX, OUTPUT_SIGMOID } config_output;
typedef enum { KEEP_START, KEEP_END } config_keep;
typedef enum { BEST_BY_LOSS, BEST_BY_ACCURACY } config_best_by;

typedef struct config {
    struct {
        int name; /* config_task */
    } task;
    struct {
        char *corpus;       /* path of the corpus made by `unroll prepare`; required */
        int64_t batch_size; /* B: rows over all ranks */
        int64_t bptt;       /* T: time steps of a window */
        int64_t shards;     /* S: groups of rows; 0 = largest power of two <= max(1, B/4), by config_finish */
        int carry;          /* config_carry: h, c are zeroed at each epoch's start, never, at each window */
        int direction;      /* config_direction: rows are read from their start, or from their end */
    } data;
    struct {
        int cell, reset; /* config_cell, config_reset (gru only) */
        int64_t layers, embedding, hidden;
        bool bidirectional; /* classify only */
        bool tied;          /* decoder.weight is encoder.weight; needs embedding == hidden */
        double dropout; /* after the embedding, between layers, before the output layer; fresh each step */
        int init;       /* config_init_kind */
        int init_recurrent; /* config_init_recurrent_kind */
        double init_scale;  /* uniform: U(-s, s) for every parameter */
        double forget_bias; /* lstm: added to the forget gate's rows of bias_ih after initialisation */
        char *init_from; /* checkpoint or run directory whose parameters a fresh run begins with; "" = none */
        char *vectors;   /* text file of word vectors that its embedding begins with; "" = none */
    } model;
    struct {                    /* of task.name classify */
        int pooling;            /* config_pooling */
        int64_t hidden;         /* units of a linear layer between pooling and output; 0 = none */
        double dropout;         /* in front of each linear layer */
        int output;             /* config_output; sigmoid: two classes, one logit */
        double label_smoothing; /* share of a label that goes to all classes alike */
        char *class_weights;    /* "" = all 1, "balanced", or numbers in the order of the labels */
        int64_t max_length; /* tokens of a document; 0 = unlimited, by config_finish 512 if bidirectional */
        int keep;           /* config_keep: which end of a longer one stays */
        int64_t backprop_steps;  /* last time steps through which gradient flows; unidirectional only */
        int best_by;             /* config_best_by */
        int64_t train_documents; /* of training, the first ones of the corpus's seeded order; 0 = all */
    } classify;
    struct {
        int name;  /* config_optim */
        double lr; /* default by name: sgd, adam, adamw 1e-3, rmsprop, adagrad 1e-2 (torch.optim) */
        double momentum, dampening;
        bool nesterov;
        double beta1, beta2, eps; /* eps default by name: 1e-8, adagrad 1e-10 */
        bool amsgrad;
        double alpha; /* rmsprop's smoothing constant */
        bool centered;
        double lr_decay, initial_accumulator; /* adagrad */
        double weight_decay; /* L2 added to the gradient; adamw: decoupled; default 0, adamw 0.01 */
        double l1;           /* l1 * sign(w) added to the gradient */
        char *decay_exclude; /* comma-separated fnmatch patterns of names that the two leave alone */
        int loss_scale;   /* config_loss_scale: gradient of token mean, or of sum over time, mean over rows */
        double clip_norm; /* global L2 norm; 0 = off */
        double clip_value;         /* each element to [-v, v]; 0 = off */
        int schedule;              /* config_schedule */
        double decay;              /* step: factor per epoch after decay_after_epoch; plateau: factor */
        int64_t decay_after_epoch; /* step: epoch e (from 1) has lr * decay^max(0, e - decay_after_epoch) */
        int64_t patience;          /* plateau: validations without improvement that are forgiven */
        double min_lr;             /* plateau, cosine: floor */
        int64_t warmup_steps;      /* linear from lr/warmup_steps to lr in front of any schedule; 0 = none */
        int64_t cosine_steps;      /* length of the cosine after warm-up; 0 = all steps of train.epochs */
        double cut_frac, ratio;    /* slanted: share of the steps that rise; lr over its lowest value */
        double layer_decay;        /* a group d places below the top has lr / layer_decay^d */
        int64_t
            unfreeze_every_epochs; /* the next lower group joins after that many; 0 = all from the start */
    } optim;
    struct {
        int64_t epochs, seed;
        int64_t steps;            /* pause after step N: save and stop; 0 = none */
        int64_t eval_every_steps; /* 0 = at each epoch's end */
        int64_t early_stop;       /* stop after that many validations without improvement; 0 = off */
    } train;
    struct {
        int64_t
            batch_size; /* rows of an evaluation; 0 = data.batch_size, of a language model at most 10, by config_finish */
    } eval;
    struct {
        char *dir;                       /* run directory */
        int64_t checkpoint_every_steps;  /* 0 = off */
        double checkpoint_every_seconds; /* 0 = off */
        int64_t checkpoint_every_epochs; /* 0 = off */
        int64_t keep_last, keep_best;
        int64_t log_every_steps; /* 0 = off */
    } run;
    char **origin; /* where each key was set, in the schema's order, for messages; NULL: the default */
} config;

/* One key as the schema describes it. */
typedef enum { KEY_INT, KEY_REAL, KEY_BOOL, KEY_TEXT, KEY_CHOICE } key_type;
typedef struct config_key {
    const char *section, *name;
    key_type type;
    size_t offset;        /* of the member in config */
    double min, max;      /* KEY_INT, KEY_REAL: inclusive range */
    bool above_min;       /* KEY_REAL: min itself is not allowed */
    bool below_max;       /* KEY_REAL: max itself is not allowed */
    bool may_be_empty;    /* KEY_TEXT */
    const char *choices;  /* KEY_CHOICE: names separated by '|', in the enum's order */
    const char *fallback; /* default as text; NULL: required; "auto": filled by config_finish */
    const char *unit;     /* "tokens", "rows", "seconds", ... or "" */
    bool is_free;         /* may differ between a checkpoint and the run that resumes it */
    const char *applies;  /* "optim.name=sgd|rmsprop": has an effect with these choices only; NULL: always */
    const char *meaning;  /* one line for help */
} config_key;
extern const config_key config_schema[];
extern const int config_schema_size;
const config_key *config_find(const char *section, const char *name); /* NULL if there is none */

/* Life: config_init (defaults) -> any number of config_read_file / config_read_environment / config_set in
 * the order of precedence -> config_finish (required keys, rules across keys, automatic values) -> use ->
 * config_free.  After an error the config may hold part of what was read; only config_free is of use then.
 * Until config_finish, an automatic value is 0 (KEY_INT) or NaN (KEY_REAL). */
void config_init(config *c);
void config_free(config *c);
/* At most 1 MiB. */
status config_read_file(config *c, const char *path, error *e);
/* n bytes of YAML, as the copy in a checkpoint; `where` names them in messages. */
status config_read_text(config *c, const char *yaml, size_t n, const char *where, error *e);
/* A variable UNROLL_*__* that is no key is an error; UNROLL_KERNELS and others without "__" are not ours. */
status config_read_environment(config *c, error *e);
/* "optim.lr=1.0", the argument of --set. */
status config_set(config *c, const char *assignment, error *e);
status config_finish(config *c, error *e);

/* The configuration as YAML that config_read_text takes back exactly; malloc'ed.  Keys without effect are
 * left out.  With comments: unit and meaning of each key. */
char *config_to_yaml(const config *c, bool comments);
/* The value of one key as text; malloc'ed.  Reals: the shortest text that reads back to the same double. */
char *config_value_text(const config *c, const config_key *key);
/* Compares a run's configuration with a checkpoint's; both are finished.  Free keys that differ are
 * reported through `changed` (one call each, may be NULL); any other difference is BAD_CHECKPOINT, naming
 * key and both values.  train.epochs is not free where the schedule's length hangs on it. */
status config_compare(const config *checkpoint, const config *now,
                      void (*changed)(const char *line, void *arg), void *arg, error *e);
/* The keys for --help, and the manual page of the configuration file (roff, section 5). */
void config_print_help(FILE *out);
void config_print_man(FILE *out);

#endif
