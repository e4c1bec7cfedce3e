/* container_read.c - opening a file that may be damaged, of another kind, of another time, or hostile.
 *
 * Order of belief: header (72 bytes) -> SHA-256 of all the rest -> manifest -> one hash per tensor.  When
 * the SHA-256 is wrong the manifest is still read, under the same bounds as ever, to be able to say which
 * tensor is damaged. */
#include "io/container.h"

#include "io/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t dtype_bytes(dtype t)
{
    static const size_t bytes[] = {
        [DTYPE_F32] = 4, [DTYPE_F64] = 8, [DTYPE_U8] = 1, [DTYPE_U32] = 4, [DTYPE_U64] = 8, [DTYPE_I64] = 8};
    return (size_t)t < sizeof bytes / sizeof bytes[0] ? bytes[t] : 0;
}

const char *dtype_name(dtype t)
{
    static const char *const names[] = {[DTYPE_F32] = "f32", [DTYPE_F64] = "f64", [DTYPE_U8] = "u8",
                                        [DTYPE_U32] = "u32", [DTYPE_U64] = "u64", [DTYPE_I64] = "i64"};
    return (size_t)t < sizeof names / sizeof names[0] ? names[t] : "?";
}

uint64_t tensor_count(const tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->dims; i++)
        n *= t->shape[i];
    return n;
}

tensor tensor_of(const char *name, dtype type, const void *data, int dims, const uint64_t *shape)
{
    tensor t = {.type = type, .dims = dims, .data = data};
    snprintf(t.name, sizeof t.name, "%s", name);
    for (int i = 0; i < dims && i < TENSOR_DIMS; i++)
        t.shape[i] = shape[i];
    return t;
}

static uint64_t get_u64(const unsigned char *from)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static const char *or_any(const char *kind)
{
    return kind != NULL ? kind : "corpus or checkpoint";
}

/* Magic, version, lengths. */
static status check_header(manifest_frame *f, uint64_t *text_bytes, const disk_map *map, const char *kind,
                           error *e)
{
    const unsigned char *b = map->bytes;
    if (map->n < 16 || memcmp(b, MANIFEST_MAGIC, 8) != 0)
        return fail(e, f->code, "%s: not a %s of this program: the first bytes are not ours", f->path,
                    or_any(kind));
    uint64_t version = get_u64(b + 8);
    if (version > CONTAINER_VERSION)
        return fail(e, f->code,
                    "%s: has format version %" PRIu64
                    "; this program reads versions up to %d: use a newer one",
                    f->path, version, CONTAINER_VERSION);
    if (version == 0)
        return fail(e, f->code, "%s: is damaged: there is no format version 0", f->path);
    if (map->n < MANIFEST_HEADER || get_u64(b + 48) != map->n)
        return fail(e, f->code, "%s: is truncated or damaged: %zu bytes long, its header says %" PRIu64,
                    f->path, map->n, map->n < MANIFEST_HEADER ? 0 : get_u64(b + 48));
    f->file_bytes = map->n;
    f->user_block = get_u64(b + 56);
    *text_bytes = get_u64(b + 64);
    if (f->user_block < 512 || f->user_block > map->n || (f->user_block & (f->user_block - 1)) != 0 ||
        *text_bytes > f->user_block - MANIFEST_HEADER || *text_bytes > MANIFEST_MAX)
        return fail(e, f->code,
                    "%s: is damaged: a user block of %" PRIu64 " bytes with a manifest of %" PRIu64, f->path,
                    f->user_block, *text_bytes);
    return STATUS_OK;
}

static bool digest_holds(const container *c)
{
    char found[SHA256_HEX];
    sha256_of(c->map.bytes + MANIFEST_DIGEST_FROM, c->map.n - MANIFEST_DIGEST_FROM, found);
    return strcmp(found, c->digest) == 0;
}

/* The first tensor whose bytes do not have their hash; NULL when all have. */
static const manifest_entry *damaged_entry(const manifest *m, const unsigned char *bytes, uint64_t *at)
{
    for (size_t i = 0; i < m->count; i++) {
        const manifest_entry *entry = &m->entries[i];
        uint64_t block = manifest_hash_block(entry->t.type);
        for (size_t j = 0; j < entry->hash_count; j++) {
            char found[XXH128_HEX];
            uint64_t left = entry->bytes - j * block;
            *at = j * block;
            xxh128_of(bytes + entry->offset + *at, left < block ? left : block, found);
            if (strcmp(found, entry->hashes[j]) != 0)
                return entry;
        }
    }
    return NULL;
}

static status check_digests(const container *c, const manifest *m, bool sha_holds, status code, error *e)
{
    uint64_t at = 0;
    const manifest_entry *bad = damaged_entry(m, c->map.bytes, &at);
    if (bad != NULL)
        return fail(e, code,
                    "%s: is damaged: the bytes of '%s' from %" PRIu64
                    " on do not have the hash in the manifest",
                    c->path, bad->t.name, at);
    if (!sha_holds)
        return fail(e, code, "%s: is damaged: its content does not have the SHA-256 that it carries",
                    c->path);
    return STATUS_OK;
}

static status take_tensors(container *c, manifest *m, error *e)
{
    c->tensors = calloc(m->count ? m->count : 1, sizeof *c->tensors);
    if (c->tensors == NULL)
        return fail(e, STATUS_NO_MEMORY, "%s: no memory for %zu tensors", c->path, m->count);
    for (size_t i = 0; i < m->count; i++) {
        c->tensors[i] = m->entries[i].t;
        c->tensors[i].data = c->map.bytes + m->entries[i].offset;
    }
    c->count = m->count;
    memcpy(c->kind, m->kind, sizeof c->kind);
    c->meta = m->meta;
    m->meta = NULL;
    return STATUS_OK;
}

static status wrong_kind(const container *c, const char *kind, status code, error *e)
{
    return fail(e, code, "%s: is a %s; a %s is wanted here", c->path, c->kind, kind);
}

static status open_mapped(container *c, const char *kind, container_trust trust, status code, error *e)
{
    manifest_frame frame = {.path = c->path, .code = code};
    uint64_t text_bytes = 0;
    status s = check_header(&frame, &text_bytes, &c->map, kind, e);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0; i < 32; i++)
        snprintf(c->digest + 2 * i, 3, "%02x", c->map.bytes[MANIFEST_DIGEST_AT + i]);
    bool sha_holds = trust == CONTAINER_TRUST || digest_holds(c);
    manifest m;
    s = manifest_parse(&m, (const char *)c->map.bytes + MANIFEST_HEADER, text_bytes, &frame, e);
    if (s != STATUS_OK)
        return sha_holds ? s : fail_as(e, code, "%s: is damaged", c->path);
    if (trust == CONTAINER_CHECK)
        s = check_digests(c, &m, sha_holds, code, e);
    if (s == STATUS_OK)
        s = take_tensors(c, &m, e);
    manifest_free(&m);
    if (s == STATUS_OK && kind != NULL && strcmp(c->kind, kind) != 0)
        s = wrong_kind(c, kind, code, e);
    return s;
}

status container_open(container *c, const char *path, const char *kind, container_trust trust, error *e)
{
    status code = kind != NULL && strcmp(kind, "checkpoint") == 0 ? STATUS_BAD_CHECKPOINT : STATUS_BAD_DATA;
    *c = (container){.path = strdup(path)};
    if (c->path == NULL)
        return fail(e, STATUS_NO_MEMORY, "%s: no memory for its name", path);
    status s = disk_map_file(&c->map, path, e);
    if (s != STATUS_OK)
        s = fail_as(e, code, "%s", or_any(kind));
    else
        s = open_mapped(c, kind, trust, code, e);
    if (s != STATUS_OK)
        container_close(c);
    return s;
}

void container_close(container *c)
{
    record_free(c->meta);
    free(c->tensors);
    disk_unmap(&c->map);
    free(c->path);
    *c = (container){0};
}

const tensor *container_find(const container *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->tensors[i].name, name) == 0)
            return &c->tensors[i];
    return NULL;
}

/* "f32 (2600,650)"; '*' for a size that may be anything. */
static void describe(char *text, size_t room, dtype type, int dims, const uint64_t *shape)
{
    size_t used = (size_t)snprintf(text, room, "%s (", dtype_name(type));
    for (int i = 0; i < dims && used < room; i++) {
        char size[24] = "*";
        if (shape[i] != 0)
            snprintf(size, sizeof size, "%" PRIu64, shape[i]);
        used += (size_t)snprintf(text + used, room - used, "%s%s", i > 0 ? "," : "", size);
    }
    if (used < room)
        snprintf(text + used, room - used, ")");
}

status container_need(const container *c, const char *name, dtype type, int dims, const uint64_t *shape,
                      const tensor **out, error *e)
{
    status code = strcmp(c->kind, "checkpoint") == 0 ? STATUS_BAD_CHECKPOINT : STATUS_BAD_DATA;
    char want[128], have[128];
    describe(want, sizeof want, type, dims, shape);
    const tensor *t = container_find(c, name);
    if (t == NULL)
        return fail(e, code, "%s: holds no '%s', %s is wanted", c->path, name, want);
    bool same = t->type == type && t->dims == dims;
    for (int i = 0; same && i < dims; i++)
        same = shape[i] == 0 || shape[i] == t->shape[i];
    if (!same) {
        describe(have, sizeof have, t->type, t->dims, t->shape);
        return fail(e, code, "%s: '%s' is %s, %s is wanted", c->path, name, have, want);
    }
    *out = t;
    return STATUS_OK;
}
