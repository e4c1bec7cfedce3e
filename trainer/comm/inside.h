/* inside.h - what comm.c and exchange.c share.  Private to trainer/comm. */
#ifndef TRAINER_COMM_INSIDE_H
#define TRAINER_COMM_INSIDE_H

#include "trainer/comm/comm.h"
#include "trainer/comm/wire.h"

typedef struct exchange exchange;

struct comm {
    wire *wire; /* NULL: a group of one without a launcher */
    int rank, size;
    exchange *exchange; /* NULL before comm_plan */
    char host_name[256];
};

void exchange_free(exchange *x); /* NULL is fine */

#endif
