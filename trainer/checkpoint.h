/* checkpoint.h - all of a run's state as one container (io/container.h), and back, on any number of ranks.
 *
 *   params/<name>            parameters, true shapes
 *   optim/<state>/<name>     optimiser state, true shapes ("optim/exp_avg/encoder.weight")
 *   rows/h_l0, rows/c_l0 ... carried state by global row, (B,H)
 *   vocab/bytes, vocab/start the vocabulary
 *   labels/bytes, .../start  the classes of a classifier
 *   meta                     progress.h's fields, "config" (resolved YAML), "corpus" (digest), "level", "tokenizer" and "lower" if it has them, "version", "rng_layout", "gemm" (back ends)
 *
 * Nothing in it depends on ranks, threads, hosts, times or paths, except the path keys of the configuration.
 * Rank 0 alone reads and writes; states travel to and from the ranks that own them. */
#ifndef TRAINER_CHECKPOINT_H
#define TRAINER_CHECKPOINT_H

#include "io/config.h"
#include "io/container.h"
#include "io/corpus.h"
#include "trainer/comm/comm.h"
#include "trainer/optimizer.h"
#include "trainer/progress.h"
#include "trainer/trunk.h"

/* Borrowed views of the parts of a run. */
typedef struct run_state_view {
    const config *config;
    const corpus *corpus;
    const params *list;
    const shards *rows; /* of training */
    float *value;
    trunk *carried; /* whose rows carry state from step to step; NULL: none do */
    optimizer *optimizer;
    train_progress *progress;
} run_state_view;

/* Collective.  The whole file, in malloc'ed memory of rank 0 (NULL elsewhere). */
status checkpoint_image(const run_state_view *v, comm *group, unsigned char **image, size_t *bytes, error *e);

/* Collective.  Opens `path` on rank 0 (checked byte by byte), compares configuration, corpus and layouts
 * with v's, and fills v. changed: told (rank 0) of free keys that differ; may be NULL. */
status checkpoint_restore(const run_state_view *v, comm *group, const char *path,
                          void (*changed)(const char *line, void *arg), void *arg, error *e);

/* Not collective.  The one-line digest: SHA-256 over names, types, shapes and bytes of params/, optim/, rows/
 * in the order of the file and over the progress. */
status checkpoint_digest(const container *c, char hex[SHA256_HEX], error *e);

/* For eval and sample: the configuration (into one that config_init has made) and vocabulary in a
 * checkpoint, and its parameters into a slab laid out by `list`. */
status checkpoint_config(const container *c, config *out, error *e);
status checkpoint_vocabulary(const container *c, vocabulary *out, error *e);
status checkpoint_labels(const container *c, vocabulary *out, error *e); /* of a classifier */
status checkpoint_parameters(const container *c, const params *list, float *value, error *e);

#endif
