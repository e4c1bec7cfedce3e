#include "launch/session.h"

#include "launch/binding.h"
#include "launch/options.h"

#include <stdio.h>
#include <stdlib.h>

/* Collective.  The best table that every rank can use: tables are ordered, so the minimum of the ranks' best
 * is common to all. */
static status common_kernels(comm *group, const kernels **out, error *e)
{
    int count;
    const char *name = getenv("UNROLL_KERNELS");
    const kernels *const *all = kernels_all(&count), *mine = kernels_select(name);
    status s = STATUS_OK;
    if (!mine)
        s = fail(e, STATUS_USAGE,
                 "UNROLL_KERNELS: \"%s\" is no kernel table that this machine can use; allowed are scalar, "
                 "avx2, avx512 and neon as far as the CPU has them",
                 name);
    s = comm_agree(group, s, e);
    if (s != STATUS_OK)
        return s;
    int64_t index = 0;
    for (int i = 0; i < count; i++)
        if (all[i] == mine)
            index = i;
    *out = all[comm_min(group, index)];
    return STATUS_OK;
}

status session_open(session *s, bool with_mpi, int threads, error *e)
{
    char warning[512] = "";
    *s = (session){0};
    status st = with_mpi ? comm_open(&s->group, e) : comm_alone(&s->group, e);
    if (st != STATUS_OK)
        return st;
    const kernels *k = NULL;
    st = comm_agree(s->group, option_threads_check((uint64_t)threads, e), e);
    if (st == STATUS_OK)
        st = common_kernels(s->group, &k, e);
    if (st != STATUS_OK)
        return st;
    int team_size = launch_threads(s->group, threads, warning, sizeof warning);
    if (warning[0] && comm_rank(s->group) == 0)
        fprintf(stderr, "unroll: warning: %s\n", warning);
    s->team = team_open(team_size, k);
    if (!s->team)
        st = fail(e, STATUS_NO_MEMORY, "no memory for %d threads", team_size);
    return comm_agree(s->group, st, e);
}

int session_close(session *s, const char *command, status result, const error *e)
{
    if (result != STATUS_OK && (!s->group || comm_rank(s->group) == 0))
        option_failed(command, result, e);
    if (s->team)
        team_close(s->team);
    if (s->group)
        comm_close(s->group);
    return status_exit_code(result);
}
