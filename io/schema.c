/* schema.c - every key of the configuration, in the order in which it is printed.  To add one: a member in
 * io/config.h and a line here; the reader, --set, the environment, help, man page, checkpoints and the
 * property tests follow from the line.
 *
 * Ranges are wide on purpose: they catch slips (a rate of -1, a negative count), not unusual taste.  A key
 * is `free` when a resumed run may change it without changing what a step computes; data.corpus is,
 * because a corpus is known by its digest and not by its path.  train.eval_every_steps is not: validations
 * steer the plateau schedule and the choice of the best. */
#include "io/config.h"

#include <string.h>

#define FREE                   true
#define FIXED                  false
#define AT(s, k)               .section = #s, .name = #k, .offset = offsetof(config, s.k)
#define INT(lo, hi)            .type = KEY_INT, .min = (lo), .max = (hi)
#define REAL(lo, hi)           .type = KEY_REAL, .min = (lo), .max = (hi) /* lo <= x <= hi */
#define ABOVE(lo, hi)          REAL(lo, hi), .above_min = true            /* lo <  x <= hi */
#define BELOW(lo, hi)          REAL(lo, hi), .below_max = true            /* lo <= x <  hi */
#define CHOICE(names)          .type = KEY_CHOICE, .choices = (names)
#define WITH(rule)             .applies = (rule)
#define ROW(value, u, f, text) .fallback = (value), .unit = (u), .is_free = (f), .meaning = (text)

#define ROWS_MAX  1e6
#define WIDTH_MAX 65536
#define STEPS_MAX 4294967295.0 /* masks know a step by 32 bits (kernels/rng.h) */
#define ANY_MAX   1e9
#define INT64_TOP 0x1p63 /* prints as 2^63-1; strtoll refuses what is larger */

const config_key config_schema[] = {
    {AT(task, name), CHOICE("lm|classify"),
     ROW("lm", "", FIXED, "a language model, or a classifier of documents (unroll prepare imdb, labelled)")},

    {AT(data, corpus), .type = KEY_TEXT, ROW(NULL, "", FREE, "path of the corpus made by `unroll prepare`")},
    {AT(data, batch_size), INT(1, ROWS_MAX),
     ROW("20", "rows", FIXED, "B: rows over all ranks, each a contiguous stream of tokens, or a document")},
    {AT(data, bptt), INT(1, 1e5), WITH("task.name=lm"),
     ROW("35", "time steps", FIXED, "T: length of a window of truncated backpropagation through time")},
    {AT(data, shards), INT(0, ROWS_MAX),
     ROW("auto", "groups of rows", FIXED,
         "S: the fixed cut of the rows, at most B and at least the ranks; 0 or auto: largest power of two <= "
         "max(1, B/4)")},
    {AT(data, carry), CHOICE("epoch|always|never"), WITH("task.name=lm"),
     ROW("epoch", "", FIXED,
         "state carried between windows: zeroed at each epoch's start, never, or at each window")},
    {AT(data, direction), CHOICE("forward|backward"),
     ROW("forward", "", FIXED, "each row is read from its start to its end, or from its end to its start")},

    {AT(model, cell), CHOICE("rnn_tanh|rnn_relu|lstm|gru"),
     ROW("lstm", "", FIXED, "kind of recurrent layer")},
    {AT(model, reset), CHOICE("after|before"), WITH("model.cell=gru"),
     ROW("after", "", FIXED,
         "gru: reset gate after the recurrent product (PyTorch, cuDNN) or before it (the original paper)")},
    {AT(model, layers), INT(1, 16), ROW("2", "layers", FIXED, "recurrent layers")},
    {AT(model, embedding), INT(1, WIDTH_MAX), ROW("200", "units", FIXED, "E: width of the word vectors")},
    {AT(model, hidden), INT(1, WIDTH_MAX), ROW("200", "units", FIXED, "H: hidden units of each layer")},
    {AT(model, bidirectional), .type = KEY_BOOL, WITH("task.name=classify"),
     ROW("false", "", FIXED, "each layer reads documents from both ends, with H units for each direction")},
    {AT(model, tied), .type = KEY_BOOL, WITH("task.name=lm"),
     ROW("false", "", FIXED, "the output layer uses the embedding's weights; needs embedding = hidden")},
    {AT(model, dropout), BELOW(0, 1),
     ROW("0", "probability", FIXED,
         "of zeroing, after the embedding, between layers and, in a language model, before the output "
         "layer")},
    {AT(model, init), CHOICE("uniform|pytorch|word_language_model"),
     ROW("pytorch", "", FIXED,
         "initial parameters: U(-init_scale, init_scale), PyTorch's, or those of its word_language_model")},
    {AT(model, init_recurrent), CHOICE("same|orthogonal"),
     ROW("same", "", FIXED, "recurrent weights: as init says, or orthogonal")},
    {AT(model, init_scale), ABOVE(0, 100), WITH("model.init=uniform|word_language_model"),
     ROW("0.1", "", FIXED, "uniform: half width of the distribution")},
    {AT(model, forget_bias), REAL(-100, 100), WITH("model.cell=lstm"),
     ROW("0", "", FIXED, "lstm: added to the forget gate's rows of bias_ih after initialisation")},
    {AT(model, init_from), .type = KEY_TEXT, .may_be_empty = true,
     ROW("", "", FIXED,
         "checkpoint or run directory whose parameters a fresh run begins with, words matched by name")},
    {AT(model, vectors), .type = KEY_TEXT, .may_be_empty = true,
     ROW("", "", FIXED,
         "word vectors as text (word2vec, GloVe, fastText) that a fresh run's embedding begins with, where "
         "it "
         "has the word")},

    {AT(classify, pooling), CHOICE("last|mean|max|concat|attention"), WITH("task.name=classify"),
     ROW("concat", "", FIXED,
         "one vector from a document's outputs; concat: last, max and mean side by side")},
    {AT(classify, hidden), INT(0, WIDTH_MAX), WITH("task.name=classify"),
     ROW("0", "units", FIXED, "of a linear layer with relu between pooling and output layer; 0: none")},
    {AT(classify, dropout), BELOW(0, 1), WITH("task.name=classify"),
     ROW("0", "probability", FIXED, "of zeroing, in front of each linear layer")},
    {AT(classify, output), CHOICE("softmax|sigmoid"), WITH("task.name=classify"),
     ROW("softmax", "", FIXED, "sigmoid: one logit for two classes")},
    {AT(classify, label_smoothing), BELOW(0, 1), WITH("task.name=classify"),
     ROW("0", "", FIXED, "share of each label that goes to all classes alike")},
    {AT(classify, class_weights), .type = KEY_TEXT, .may_be_empty = true, WITH("task.name=classify"),
     ROW("", "", FIXED,
         "factors on the losses of the classes: balanced (by their counts), or comma-separated numbers in "
         "the "
         "order of the labels, as one text (\"1,2.5\"); empty: all 1")},
    {AT(classify, max_length), INT(0, 1e6), WITH("task.name=classify"),
     ROW("auto", "tokens", FIXED,
         "a longer document is cut to so many; 0 or auto: not at all, 512 if bidirectional")},
    {AT(classify, keep), CHOICE("start|end"), WITH("task.name=classify"),
     ROW("start", "", FIXED, "what of a document beyond max_length is read")},
    {AT(classify, backprop_steps), INT(1, 65536), WITH("task.name=classify"),
     ROW("1024", "time steps", FIXED,
         "of a document, the last ones, through which gradient flows; bidirectional: through all")},
    {AT(classify, best_by), CHOICE("loss|accuracy"), WITH("task.name=classify"),
     ROW("loss", "", FIXED, "what the best validation is best in")},
    {AT(classify, train_documents), INT(0, ANY_MAX), WITH("task.name=classify"),
     ROW("0", "documents", FIXED,
         "train on so many only, the first of the corpus's seeded order; 0: on all")},

    {AT(optim, name), CHOICE("sgd|adam|adamw|rmsprop|adagrad"),
     ROW("sgd", "", FIXED, "optimiser, as torch.optim defines it")},
    {AT(optim, lr), ABOVE(0, 1e6),
     ROW("auto", "", FIXED, "learning rate; auto: 0.001, rmsprop and adagrad 0.01")},
    {AT(optim, momentum), BELOW(0, 1), WITH("optim.name=sgd|rmsprop"), ROW("0", "", FIXED, "momentum")},
    {AT(optim, dampening), REAL(0, 1), WITH("optim.name=sgd"),
     ROW("0", "", FIXED, "dampening of the momentum")},
    {AT(optim, nesterov), .type = KEY_BOOL, WITH("optim.name=sgd"),
     ROW("false", "", FIXED, "Nesterov momentum; needs momentum above 0 and dampening 0")},
    {AT(optim, beta1), BELOW(0, 1), WITH("optim.name=adam|adamw"),
     ROW("0.9", "", FIXED, "decay of the mean of gradients")},
    {AT(optim, beta2), BELOW(0, 1), WITH("optim.name=adam|adamw"),
     ROW("0.999", "", FIXED, "decay of the mean of squared gradients")},
    {AT(optim, eps), REAL(0, 1), WITH("optim.name=adam|adamw|rmsprop|adagrad"),
     ROW("auto", "", FIXED, "added to the denominator; auto: 1e-8, adagrad 1e-10")},
    {AT(optim, amsgrad), .type = KEY_BOOL, WITH("optim.name=adam|adamw"),
     ROW("false", "", FIXED, "divide by the largest second moment so far")},
    {AT(optim, alpha), BELOW(0, 1), WITH("optim.name=rmsprop"),
     ROW("0.99", "", FIXED, "decay of the mean of squared gradients")},
    {AT(optim, centered), .type = KEY_BOOL, WITH("optim.name=rmsprop"),
     ROW("false", "", FIXED, "divide by the estimated variance of the gradient")},
    {AT(optim, lr_decay), REAL(0, 1e6), WITH("optim.name=adagrad"),
     ROW("0", "per step", FIXED, "learning rate is lr / (1 + (step - 1) * lr_decay)")},
    {AT(optim, initial_accumulator), REAL(0, ANY_MAX), WITH("optim.name=adagrad"),
     ROW("0", "", FIXED, "sum of squares at the start")},
    {AT(optim, weight_decay), REAL(0, 1e6),
     ROW("auto", "", FIXED, "L2 penalty's gradient w * weight_decay; adamw: decoupled; auto: 0, adamw 0.01")},
    {AT(optim, l1), REAL(0, 1e6), ROW("0", "", FIXED, "L1 penalty's gradient l1 * sign(w)")},
    {AT(optim, decay_exclude), .type = KEY_TEXT, .may_be_empty = true,
     ROW("", "", FIXED,
         "comma-separated patterns of parameter names that weight_decay and l1 leave alone, as *bias*")},
    {AT(optim, loss_scale), CHOICE("token_mean|time_sum"), WITH("task.name=lm"),
     ROW("token_mean", "", FIXED,
         "gradient of the mean over tokens, or of the sum over time and mean over rows")},
    {AT(optim, clip_norm), REAL(0, ANY_MAX),
     ROW("0", "", FIXED, "largest global L2 norm of the gradient; 0: off")},
    {AT(optim, clip_value), REAL(0, ANY_MAX),
     ROW("0", "", FIXED, "largest absolute gradient element; 0: off")},
    {AT(optim, schedule), CHOICE("constant|step|plateau|cosine|slanted"),
     ROW("constant", "", FIXED, "course of the learning rate")},
    {AT(optim, decay), ABOVE(0, 1), WITH("optim.schedule=step|plateau"),
     ROW("0.5", "", FIXED,
         "factor on the learning rate: of each epoch after decay_after_epoch, or at a plateau")},
    {AT(optim, decay_after_epoch), INT(0, 1e6), WITH("optim.schedule=step"),
     ROW("0", "epochs", FIXED, "epoch e has lr * decay^max(0, e - decay_after_epoch)")},
    {AT(optim, patience), INT(0, 1e6), WITH("optim.schedule=plateau"),
     ROW("0", "validations", FIXED, "without improvement that are forgiven")},
    {AT(optim, min_lr), REAL(0, 1e6), WITH("optim.schedule=plateau|cosine"),
     ROW("0", "", FIXED, "floor of the learning rate")},
    {AT(optim, warmup_steps), INT(0, STEPS_MAX),
     ROW("0", "steps", FIXED, "linear rise from lr/warmup_steps to lr in front of the schedule; 0: none")},
    {AT(optim, cosine_steps), INT(0, STEPS_MAX), WITH("optim.schedule=cosine"),
     ROW("0", "steps", FIXED, "length of the cosine after the warm-up; 0: all steps of train.epochs")},
    {AT(optim, cut_frac), BELOW(0, 1), WITH("optim.schedule=slanted"),
     ROW("0.1", "", FIXED, "share of all steps of train.epochs in which the rate rises; then it falls")},
    {AT(optim, ratio), REAL(1, ANY_MAX), WITH("optim.schedule=slanted"),
     ROW("32", "", FIXED, "lr over the rate at the start and at the end")},
    {AT(optim, layer_decay), REAL(1, 1000),
     ROW("1", "", FIXED,
         "rates by layer: output lr, last recurrent layer lr / layer_decay, ..., embedding the lowest")},
    {AT(optim, unfreeze_every_epochs), INT(0, 1e6),
     ROW("0", "epochs", FIXED,
         "gradual unfreezing: the output first, after each so many the next layer down; 0: off")},

    {AT(train, epochs), INT(1, 1e6), ROW("1", "epochs", FREE, "passes over the training split")},
    {AT(train, seed), INT(0, INT64_TOP), ROW("1", "", FIXED, "of initial parameters and dropout")},
    {AT(train, steps), INT(0, STEPS_MAX),
     ROW("0", "steps", FREE, "pause: save and stop after that step; 0: none")},
    {AT(train, eval_every_steps), INT(0, STEPS_MAX),
     ROW("0", "steps", FIXED, "validate that often; 0: at each epoch's end")},
    {AT(train, early_stop), INT(0, 1e6),
     ROW("0", "validations", FREE, "stop after that many without improvement; 0: off")},

    {AT(eval, batch_size), INT(0, ROWS_MAX),
     ROW("auto", "rows", FIXED,
         "rows of a validation while training; 0 or auto: data.batch_size, of a language model at most 10")},

    {AT(run, dir), .type = KEY_TEXT,
     ROW("runs/default", "", FREE, "run directory: configuration, logs, metrics, status and checkpoints")},
    {AT(run, checkpoint_every_steps), INT(0, STEPS_MAX), ROW("0", "steps", FREE, "save that often; 0: off")},
    {AT(run, checkpoint_every_seconds), REAL(0, ANY_MAX),
     ROW("600", "seconds", FREE, "save that often; 0: off")},
    {AT(run, checkpoint_every_epochs), INT(0, 1e6), ROW("1", "epochs", FREE, "save that often; 0: off")},
    {AT(run, keep_last), INT(1, 1e6), ROW("3", "files", FREE, "newest checkpoints that are kept")},
    {AT(run, keep_best), INT(0, 1e6),
     ROW("1", "files", FREE, "best checkpoints that are kept, beside the newest; 0: none are written")},
    {AT(run, log_every_steps), INT(0, STEPS_MAX),
     ROW("200", "steps", FREE, "a line and a record that often; 0: off")},
};
const int config_schema_size = sizeof config_schema / sizeof config_schema[0];

const config_key *config_find(const char *section, const char *name)
{
    for (int i = 0; i < config_schema_size; i++) {
        const config_key *k = &config_schema[i];
        if (strcmp(k->section, section) == 0 && strcmp(k->name, name) == 0)
            return k;
    }
    return NULL;
}
