/* wire.c - all of the project's MPI. */
#include "trainer/comm/wire.h"

#include "io/bug.h"

#include <limits.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAG_BLOCKING 0 /* wire_send; batches have tags of their own, from 1 */

struct wire {
    MPI_Comm world;
    int rank, size, host_rank, host_size, hosts;
    size_t limit;
    uint64_t sent;
    int *count, *offset; /* size entries each, for wire_all_gather */
};

struct wire_batch {
    int tag;
    size_t places, started;
    MPI_Request request[];
};

bool wire_launched(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") != NULL || getenv("PMI_RANK") != NULL ||
           getenv("PMIX_RANK") != NULL;
}

/* Slurm's come last: mpirun hands them on to the ranks that it starts inside a step of its own. */
int wire_launched_size(int *rank, const char **told_by)
{
    static const char *const names[][2] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
                                           {"PMI_SIZE", "PMI_RANK"},
                                           {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *size = getenv(names[i][0]), *mine = getenv(names[i][1]);
        if (size == NULL || mine == NULL)
            continue;
        *rank = atoi(mine);
        *told_by = names[i][0];
        return atoi(size);
    }
    *rank = 0;
    *told_by = NULL;
    return 1;
}

static void find_hosts(wire *w)
{
    MPI_Comm host;
    MPI_Comm_split_type(w->world, MPI_COMM_TYPE_SHARED, w->rank, MPI_INFO_NULL, &host);
    MPI_Comm_rank(host, &w->host_rank);
    MPI_Comm_size(host, &w->host_size);
    MPI_Comm_free(&host);
    int first = w->host_rank == 0;
    MPI_Allreduce(&first, &w->hosts, 1, MPI_INT, MPI_SUM, w->world);
}

status wire_open(wire **out, error *e)
{
    int provided = MPI_THREAD_SINGLE;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    wire *w = calloc(1, sizeof *w + 2 * (size_t)size * sizeof(int));
    /* Agreed upon by hand, since there is no communicator yet to agree with; the library is the same or alike
     * on all ranks. */
    int trouble = w == NULL ? 2 : provided < MPI_THREAD_FUNNELED, worst;
    MPI_Allreduce(&trouble, &worst, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    if (worst != 0) {
        free(w);
        MPI_Finalize();
        return worst == 2
                   ? fail(e, STATUS_NO_MEMORY, "no memory to set up %d ranks", size)
                   : fail(e, STATUS_INTERNAL,
                          "%s offers no MPI_THREAD_FUNNELED, which threads beside MPI need", wire_library());
    }
    MPI_Comm_dup(MPI_COMM_WORLD, &w->world);
    MPI_Comm_rank(w->world, &w->rank);
    w->size = size;
    w->limit = WIRE_LIMIT;
    w->count = (int *)(w + 1);
    w->offset = w->count + size;
    find_hosts(w);
    *out = w;
    return STATUS_OK;
}

void wire_close(wire *w)
{
    MPI_Comm_free(&w->world);
    MPI_Finalize();
    free(w);
}

_Noreturn void wire_abort(wire *w, int exit_code)
{
    MPI_Abort(w->world, exit_code);
    _exit(exit_code); /* MPI_Abort need not end us by itself */
}

const char *wire_library(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    MPI_Get_library_version(text, &length);
    text[strcspn(text, "\n")] = '\0'; /* some libraries print a page */
    return text;
}

int wire_rank(const wire *w)
{
    return w->rank;
}

int wire_size(const wire *w)
{
    return w->size;
}

int wire_host_rank(const wire *w)
{
    return w->host_rank;
}

int wire_host_size(const wire *w)
{
    return w->host_size;
}

int wire_hosts(const wire *w)
{
    return w->hosts;
}

uint64_t wire_sent(const wire *w)
{
    return w->sent;
}

void wire_set_limit(wire *w, size_t bytes)
{
    BUG_IF(bytes < 1 || bytes > WIRE_LIMIT, "limit %zu", bytes);
    w->limit = bytes;
}

static void count_to_others(wire *w, size_t n)
{
    w->sent += (uint64_t)n * (uint64_t)(w->size - 1);
}

uint32_t wire_or(wire *w, uint32_t mine)
{
    uint32_t all;
    MPI_Allreduce(&mine, &all, 1, MPI_UINT32_T, MPI_BOR, w->world);
    count_to_others(w, sizeof mine);
    return all;
}

int64_t wire_min(wire *w, int64_t mine)
{
    int64_t least;
    MPI_Allreduce(&mine, &least, 1, MPI_INT64_T, MPI_MIN, w->world);
    count_to_others(w, sizeof mine);
    return least;
}

/* Length of the message that begins at offset `at` of n bytes. */
static int cut_length(const wire *w, size_t n, size_t at)
{
    return (int)(n - at < w->limit ? n - at : w->limit);
}

void wire_broadcast(wire *w, void *bytes, size_t n, int root)
{
    for (size_t at = 0; at < n; at += w->limit)
        MPI_Bcast((char *)bytes + at, cut_length(w, n, at), MPI_BYTE, root, w->world);
    if (w->rank == root)
        count_to_others(w, n);
}

void wire_all_gather(wire *w, const void *mine, void *all, const size_t *n)
{
    size_t total = 0, place = 0;
    for (int r = 0; r < w->size; r++) {
        place += r < w->rank ? n[r] : 0;
        total += n[r];
    }
    memmove((char *)all + place, mine, n[w->rank]);
    if (total > w->limit) { /* offsets would not fit */
        for (int r = 0; r < w->size; r++) {
            wire_broadcast(w, all, n[r], r);
            all = (char *)all + n[r];
        }
        return;
    }
    int offset = 0;
    for (int r = 0; r < w->size; r++) {
        w->offset[r] = offset;
        w->count[r] = (int)n[r];
        offset += w->count[r];
    }
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, w->count, w->offset, MPI_BYTE, w->world);
    count_to_others(w, n[w->rank]);
}

void wire_send(wire *w, const void *bytes, size_t n, int to)
{
    for (size_t at = 0; at < n; at += w->limit)
        MPI_Send((const char *)bytes + at, cut_length(w, n, at), MPI_BYTE, to, TAG_BLOCKING, w->world);
    w->sent += n;
}

void wire_receive(wire *w, void *bytes, size_t n, int from)
{
    for (size_t at = 0; at < n; at += w->limit)
        MPI_Recv((char *)bytes + at, cut_length(w, n, at), MPI_BYTE, from, TAG_BLOCKING, w->world,
                 MPI_STATUS_IGNORE);
}

size_t wire_messages(const wire *w, size_t n)
{
    return n / w->limit + (n % w->limit != 0);
}

wire_batch *wire_batch_open(size_t places, int tag)
{
    wire_batch *b = calloc(1, sizeof *b + places * sizeof(MPI_Request));
    if (b != NULL) {
        b->tag = tag;
        b->places = places;
    }
    return b;
}

void wire_batch_close(wire_batch *b)
{
    free(b);
}

static MPI_Request *next_place(wire_batch *b)
{
    BUG_IF(b->started == b->places, "tag %d, %zu places", b->tag, b->places);
    return &b->request[b->started++];
}

void wire_start_send(wire *w, wire_batch *b, const void *bytes, size_t n, int to)
{
    for (size_t at = 0; at < n; at += w->limit)
        MPI_Isend((const char *)bytes + at, cut_length(w, n, at), MPI_BYTE, to, b->tag, w->world,
                  next_place(b));
    w->sent += n;
}

void wire_start_receive(wire *w, wire_batch *b, void *bytes, size_t n, int from)
{
    for (size_t at = 0; at < n; at += w->limit)
        MPI_Irecv((char *)bytes + at, cut_length(w, n, at), MPI_BYTE, from, b->tag, w->world, next_place(b));
}

size_t wire_started(const wire_batch *b)
{
    return b->started;
}

void wire_wait(wire_batch *b, size_t first, size_t last)
{
    BUG_IF(first > last || last > b->started || last - first > INT_MAX, "[%zu,%zu) of %zu", first, last,
           b->started);
    MPI_Waitall((int)(last - first), b->request + first, MPI_STATUSES_IGNORE);
}

void wire_wait_all(wire_batch *b)
{
    wire_wait(b, 0, b->started);
    b->started = 0;
}
