/* net.h - the program's own model, whole and on one thread team, beside an oracle of the same shape: what
 * tests that compare the two have in common.  A net is one rank's share of the rows; its parameters are
 * set from the oracle by name, and gradients are read back by name. */
#ifndef TESTS_TRAINER_NET_H
#define TESTS_TRAINER_NET_H

#include "tests/oracle.h"
#include "trainer/model.h"

typedef struct net_plan {
    const kernels *table;
    int threads;
    int T, B, S;    /* largest window, rows and shards over all ranks */
    int rank, size; /* which share of them */
    double dropout;
    uint64_t seed;
} net_plan;

typedef struct net {
    team *team;
    arena arena;
    params list;
    shards rows;
    model model;
    float *value;                 /* (list.floats) */
    float *gradient;              /* (rows.nodes, list.gradient_floats) */
    double nats[SHARD_NODES_MAX]; /* of the last window, per node */
} net;

void net_open(net *n, const net_plan *plan, const oracle *o);
void net_close(net *n);
/* Parameters of the oracle, rounded to float. */
void net_copy(net *n, const oracle *o);

/* One window of this rank: x, y are (T,B) of all rows.  Gradients land in n->gradient; returns its nats. */
double net_train(net *n, const uint32_t *x, const uint32_t *y, int T, uint32_t step);
/* out[i] += gradient of parameter `name`, summed over the rank's nodes and, when tied, over both uses. */
void net_add_gradient(const net *n, const char *name, double *out);
/* The carried state of this rank's rows into the oracle's layout for all B rows. */
void net_read_state(const net *n, const oracle *o, double *state);

#endif
