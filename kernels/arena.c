/* arena.c - see arena.h. */
#include "kernels/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_ALIGN 64
#define SLAB_ALIGN  ((size_t)2 << 20) /* a huge page */
#define BYTES_MAX \
    (SIZE_MAX / 4) /* of a block and of all: far beyond any memory, and sums of two do not wrap */

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

void arena_add(arena *a, const char *name, void **pointer, size_t bytes)
{
    assert(!a->slab && pointer);
    if (a->blocks == a->capacity) {
        size_t capacity = a->capacity ? 2 * a->capacity : 32;
        arena_block *more = realloc(a->block, capacity * sizeof *more);
        if (!more) { /* remembered until commit, which then fails: planning code stays free of error paths */
            arena_refuse(a);
            return;
        }
        a->block = more;
        a->capacity = capacity;
    }
    *pointer = NULL;
    size_t size = round_up(bytes, BLOCK_ALIGN);
    a->block[a->blocks++] = (arena_block){name, pointer, a->bytes, bytes};
    const bool fits = bytes <= BYTES_MAX && a->bytes <= BYTES_MAX;
    a->bytes = fits ? a->bytes + size : SIZE_MAX;
}

void arena_refuse(arena *a)
{
    a->bytes = SIZE_MAX;
}

size_t arena_bytes(const arena *a)
{
    return a->bytes;
}

bool arena_commit(arena *a)
{
    if (a->bytes > BYTES_MAX)
        return false;
    size_t bytes = round_up(a->bytes ? a->bytes : 1, SLAB_ALIGN);
    a->slab = aligned_alloc(SLAB_ALIGN, bytes);
    if (!a->slab)
        return false;
    madvise(a->slab, bytes, MADV_HUGEPAGE); /* a wish: without it everything works, slower */
    memset(a->slab, 0, bytes);
    for (size_t i = 0; i < a->blocks; i++)
        *a->block[i].pointer = (char *)a->slab + a->block[i].offset;
    return true;
}

void arena_free(arena *a)
{
    free(a->block);
    free(a->slab);
    *a = (arena){0};
}
