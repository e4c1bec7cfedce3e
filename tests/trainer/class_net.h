/* class_net.h - the program's classifier, whole and on one thread team: what its tests have in common.  A net is one
 * rank's share of the rows; batches are those of all rows. */
#ifndef TESTS_TRAINER_CLASS_NET_H
#define TESTS_TRAINER_CLASS_NET_H

#include "trainer/classifier.h"

typedef struct class_plan {
    const kernels *table;
    int threads;
    int T, B, S;    /* of windows; rows and shards over all ranks */
    int rank, size; /* which share of them */
    bool evaluates; /* planned without backward */
} class_plan;

typedef struct class_net {
    team *team;
    arena arena;
    params list;
    shards rows;
    classifier model;
    float *value;    /* (list.floats), drawn: the same for all nets of a shape */
    float *gradient; /* (rows.nodes, list.gradient_floats) */
    double nats[SHARD_NODES_MAX];
    float *left; /* what each bucket held when it was said to be ready */
    int ready;   /* how many were */
} class_net;

/* Parameters are uniform in [-scale, scale). */
void class_net_open(class_net *n, const class_plan *plan, const classifier_shape *s, float scale);
void class_net_close(class_net *n);
/* Gradients of this rank's rows land in n->gradient; fails the test unless each bucket is ready once, in order and with
 * what it holds at the end.  Returns the rank's loss. */
double class_net_train(class_net *n, const class_batch *all, uint32_t step);
/* Gradients of the rows of all ranks, added as the communicator adds them; malloc'ed (list.floats); *nats likewise. */
float *class_net_sum(class_net *rank, int ranks, double *nats);

/* Documents of these lengths, drawn ids and labels: right-aligned in `steps` steps; free with class_batch_close. */
class_batch class_batch_open(const classifier_shape *s, const int *length, int B, int steps);
/* Rows [row0, row0 + rows) of it, with so many more steps of padding (or fewer). */
class_batch class_batch_part(const class_batch *all, int row0, int rows, int more);
void class_batch_close(class_batch *batch);

#endif
