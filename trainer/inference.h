/* inference.h - a model from a checkpoint, for eval, sample and predict: configuration, vocabulary and parameters,
 * nothing of the training state.
 *
 * Not collective: each rank opens the file for itself.  Memory: one arena, freed by inference_close. */
#ifndef TRAINER_INFERENCE_H
#define TRAINER_INFERENCE_H

#include "io/config.h"
#include "io/container.h"
#include "io/corpus.h"
#include "kernels/arena.h"
#include "kernels/team.h"
#include "trainer/classifier.h"
#include "trainer/model.h"

typedef struct inference {
    container file;
    bool is_open;
    config config;
    vocabulary vocab;
    const char *level;     /* of its corpus: "word", "char" or "byte" */
    const char *tokenizer; /* likewise, as corpus.h has it; NULL: white space */
    bool lower;
    params list;
    arena memory;
    float *value;
    /* a language model's (config.task.name) */
    model_shape shape;
    model model;
    /* a classifier's */
    vocabulary labels;
    classifier_shape classes;
    classifier classifier;
} inference;

/* Opens and checks the file, which must hold a model of this task (config.task.name): BAD_CHECKPOINT tells which command
 * is for the other.  Then inference_plan takes the memory for windows of T steps and B rows; once more, for
 * others. */
status inference_open(inference *f, const char *path, config_task wanted, error *e);
/* The same for a command that takes both. */
status inference_open_any(inference *f, const char *path, error *e);
status inference_plan(inference *f, team *t, int T, int B, error *e);
void inference_close(inference *f);

/* Does a corpus have this model's vocabulary, word by word, and were its texts cut as the model's were?
 * BAD_CHECKPOINT says where they first differ. */
status inference_same_words(const inference *f, const corpus *c, error *e);
/* How the texts were cut that this model has learnt from (io/tokenizer.h). */
const char *inference_rule(const inference *f);

#endif
