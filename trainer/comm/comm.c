/* comm.c - opening and closing, agreements, and moving bytes that are not in a hurry. */
#include "trainer/comm/comm.h"

#include "io/bug.h"
#include "io/hash.h"
#include "trainer/comm/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

status comm_alone(comm **out, error *e)
{
    comm *c = *out = calloc(1, sizeof *c);
    if (c == NULL)
        return fail(e, STATUS_NO_MEMORY, "no memory for the communicator");
    c->size = 1;
    if (gethostname(c->host_name, sizeof c->host_name - 1) != 0)
        snprintf(c->host_name, sizeof c->host_name, "unknown host");
    return STATUS_OK;
}

status comm_open(comm **out, error *e)
{
    status s = comm_alone(out, e);
    if (s != STATUS_OK || !wire_launched())
        return s;
    comm *c = *out;
    s = wire_open(&c->wire, e);
    if (s != STATUS_OK) {
        free(c);
        *out = NULL;
        return s;
    }
    c->rank = wire_rank(c->wire);
    c->size = wire_size(c->wire);
    char label[sizeof c->host_name + 32];
    snprintf(label, sizeof label, "rank %d on %s", c->rank, c->host_name);
    bug_label(label);
    return STATUS_OK;
}

void comm_close(comm *c)
{
    exchange_free(c->exchange);
    if (c->wire != NULL)
        wire_close(c->wire);
    free(c);
}

_Noreturn void comm_abort(comm *c, int exit_code)
{
    if (c->wire != NULL)
        wire_abort(c->wire, exit_code);
    _exit(exit_code); /* as MPI_Abort does: no handlers at exit, which other threads might not survive */
}

int comm_launched(int *rank, const char **told_by)
{
    return wire_launched_size(rank, told_by);
}

int comm_rank(const comm *c)
{
    return c->rank;
}

int comm_size(const comm *c)
{
    return c->size;
}

int comm_host_rank(const comm *c)
{
    return c->wire != NULL ? wire_host_rank(c->wire) : 0;
}

int comm_host_size(const comm *c)
{
    return c->wire != NULL ? wire_host_size(c->wire) : 1;
}

int comm_hosts(const comm *c)
{
    return c->wire != NULL ? wire_hosts(c->wire) : 1;
}

const char *comm_host_name(const comm *c)
{
    return c->host_name;
}

const char *comm_library(void)
{
    return wire_library();
}

uint64_t comm_bytes_sent(const comm *c)
{
    return c->wire != NULL ? wire_sent(c->wire) : 0;
}

status comm_agree(comm *c, status mine, error *e)
{
    if (c->size == 1)
        return mine;
    /* One number whose minimum is the worst status at its lowest rank. */
    int64_t least = wire_min(c->wire, (int64_t)c->rank - ((int64_t)mine << 32));
    status worst = (status)((UINT32_MAX - least) >> 32);
    if (worst == STATUS_OK)
        return STATUS_OK;
    int speaker = (int)(least + ((int64_t)worst << 32));

    error said = {.code = worst};
    if (c->rank == speaker) {
        const char *sentence = e != NULL && e->text[0] != '\0' ? e->text : status_text(mine);
        if (speaker == 0)
            fail(&said, worst, "%s", sentence);
        else
            fail(&said, worst, "rank %d on %s: %s", c->rank, c->host_name, sentence);
    }
    wire_broadcast(c->wire, said.text, sizeof said.text, speaker);
    return fail(e, worst, "%s", said.text);
}

uint32_t comm_any(comm *c, uint32_t flags)
{
    return c->size == 1 ? flags : wire_or(c->wire, flags);
}

int64_t comm_min(comm *c, int64_t mine)
{
    return c->size == 1 ? mine : wire_min(c->wire, mine);
}

bool comm_same(comm *c, const void *bytes, size_t n, int *odd_rank)
{
    *odd_rank = -1;
    if (c->size == 1)
        return true;
    char mine[XXH128_HEX], first[XXH128_HEX];
    xxh128_of(bytes, n, mine);
    memcpy(first, mine, sizeof first);
    wire_broadcast(c->wire, first, sizeof first, 0);
    int64_t lowest = wire_min(c->wire, memcmp(mine, first, sizeof mine) == 0 ? c->size : c->rank);
    if (lowest == c->size)
        return true;
    *odd_rank = (int)lowest;
    return false;
}

void comm_broadcast(comm *c, void *bytes, size_t n, int root)
{
    if (c->size > 1)
        wire_broadcast(c->wire, bytes, n, root);
}

void comm_all_gather(comm *c, const void *mine, void *all, const size_t *n)
{
    if (c->size == 1)
        memmove(all, mine, n[0]);
    else
        wire_all_gather(c->wire, mine, all, n);
}

/* Straight to the root, one rank after another: the root's memory takes no more, and a large gathering (a
 * snapshot) needs no room beside `all`. */
void comm_gather(comm *c, const void *mine, void *all, const size_t *n, int root)
{
    if (c->rank != root) {
        wire_send(c->wire, mine, n[c->rank], root);
        return;
    }
    for (int r = 0; r < c->size; r++) {
        if (r == root)
            memmove(all, mine, n[r]);
        else
            wire_receive(c->wire, all, n[r], r);
        all = (char *)all + n[r];
    }
}

void comm_scatter(comm *c, const void *all, void *mine, const size_t *n, int root)
{
    if (c->rank != root) {
        wire_receive(c->wire, mine, n[c->rank], root);
        return;
    }
    for (int r = 0; r < c->size; r++) {
        if (r == root)
            memmove(mine, all, n[r]);
        else
            wire_send(c->wire, all, n[r], r);
        all = (const char *)all + n[r];
    }
}
