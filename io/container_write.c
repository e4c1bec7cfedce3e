/* container_write.c - two ways to make one file: container_image in memory, container_create .. finish
 * piece by piece.
 *
 *   shapes --layout_make--> offsets --> data there --> hashes --> manifest --> SHA-256 of all behind it
 *
 * Both go through write_head, which is the only place that knows what the first bytes look like. */
#include "io/container.h"

#include "io/bug.h"
#include "io/container_layout.h"
#include "io/manifest.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What container_create keeps free for a meta that is not known yet. */
static const layout_room later = {.keys = 64, .bytes = 8192};

static void put_u64(unsigned char *to, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static void put_hex(unsigned char *to, const char *hex)
{
    for (size_t i = 0; hex[2 * i] != '\0'; i++) {
        int high = hex[2 * i] <= '9' ? hex[2 * i] - '0' : hex[2 * i] - 'a' + 10;
        int low = hex[2 * i + 1] <= '9' ? hex[2 * i + 1] - '0' : hex[2 * i + 1] - 'a' + 10;
        to[i] = (unsigned char)(high << 4 | low);
    }
}

/* HDF5 wants a power of two from 512; the data behind it are aligned only if it is at least their
 * alignment. */
static uint64_t user_block_for(const manifest *m, size_t meta_bytes)
{
    uint64_t block = 512, need = MANIFEST_HEADER + manifest_bound(m, meta_bytes);
    for (size_t i = 0; i < m->count; i++)
        if (manifest_alignment(m->entries[i].t.type) > block)
            block = manifest_alignment(m->entries[i].t.type);
    while (block < need)
        block *= 2;
    return block;
}

/* Takes over the offsets and makes sure that the reader's rules hold: in order, no overlap, inside. */
static status place(manifest *m, const layout *l, error *e)
{
    uint64_t floor = 0;
    for (size_t i = 0; i < m->count; i++) {
        manifest_entry *entry = &m->entries[i];
        entry->offset = l->offsets[i];
        if (entry->offset < floor)
            return fail(e, STATUS_INTERNAL, "HDF5 put the dataset '%s' before the one before it",
                        entry->t.name);
        floor = entry->offset + entry->bytes;
    }
    if (floor > l->file_bytes)
        return fail(e, STATUS_INTERNAL, "HDF5 made the file shorter than its datasets");
    return STATUS_OK;
}

/* Header and manifest into the user block; the digest follows when all else is in place. */
static status write_head(unsigned char *head, uint64_t user_block, uint64_t file_bytes, const manifest *m,
                         error *e)
{
    char *text = manifest_to_text(m);
    size_t n = strlen(text);
    status s = STATUS_OK;
    if (n > MANIFEST_MAX || n > user_block - MANIFEST_HEADER) {
        s = fail(e, STATUS_INTERNAL, "the manifest takes %zu bytes, only %" PRIu64 " are there", n,
                 user_block - MANIFEST_HEADER);
    } else {
        memcpy(head, MANIFEST_MAGIC, 8);
        put_u64(head + 8, CONTAINER_VERSION);
        put_u64(head + 48, file_bytes);
        put_u64(head + 56, user_block);
        put_u64(head + 64, n);
        memcpy(head + MANIFEST_HEADER, text, n);
    }
    free(text);
    return s;
}

static void hash_entry(manifest_entry *entry, const unsigned char *data)
{
    uint64_t block = manifest_hash_block(entry->t.type);
    for (size_t i = 0; i < entry->hash_count; i++) {
        uint64_t at = i * block, left = entry->bytes - at;
        xxh128_of(data + at, left < block ? left : block, entry->hashes[i]);
    }
}

/* Fills an image whose head is laid out: data, hashes, manifest, digest. */
static status fill_image(unsigned char *image, uint64_t user_block, const layout *l, manifest *m, error *e)
{
    memcpy(image, l->head, l->head_bytes);
    for (size_t i = 0; i < m->count; i++) {
        manifest_entry *entry = &m->entries[i];
        memcpy(image + entry->offset, entry->t.data, entry->bytes);
        hash_entry(entry, image + entry->offset);
    }
    status s = write_head(image, user_block, l->file_bytes, m, e);
    if (s != STATUS_OK)
        return s;
    char digest[SHA256_HEX];
    sha256_of(image + MANIFEST_DIGEST_FROM, l->file_bytes - MANIFEST_DIGEST_FROM, digest);
    put_hex(image + MANIFEST_DIGEST_AT, digest);
    return STATUS_OK;
}

status container_image(unsigned char **image, size_t *bytes, const char *kind, const record *meta,
                       const tensor *tensors, size_t count, error *e)
{
    manifest m;
    status s = manifest_prepare(&m, kind, tensors, count, e);
    if (s != STATUS_OK)
        return s;
    m.meta = (record *)(uintptr_t)meta; /* only read from here on */
    char *meta_text = record_to_text(meta);
    layout_room meta_room = layout_room_of(meta, meta_text);
    free(meta_text);
    uint64_t user_block = user_block_for(&m, meta_room.bytes);
    layout l = {0};
    unsigned char *made = NULL;
    s = layout_make(&l, user_block, meta, meta_room, tensors, count, e);
    if (s == STATUS_OK)
        s = place(&m, &l, e);
    if (s == STATUS_OK && (made = calloc(1, l.file_bytes)) == NULL)
        s = fail(e, STATUS_NO_MEMORY, "no memory for a %s of %" PRIu64 " bytes", kind, l.file_bytes);
    if (s == STATUS_OK)
        s = fill_image(made, user_block, &l, &m, e);
    if (s == STATUS_OK) {
        *image = made;
        *bytes = l.file_bytes;
    } else {
        free(made);
    }
    layout_free(&l);
    manifest_free_entries(&m);
    return s;
}

struct container_writer {
    disk_file file;
    manifest m;
    tensor *tensors;        /* (count) copies, without data */
    atomic_ullong *written; /* (count) elements so far */
    uint64_t user_block;
    uint64_t file_bytes, head_bytes;
};

static void writer_free(container_writer *w)
{
    disk_discard(&w->file);
    manifest_free_entries(&w->m);
    free(w->tensors);
    free(w->written);
    free(w);
}

static status writer_init(container_writer *w, const char *kind, const tensor *tensors, size_t count,
                          error *e)
{
    w->tensors = calloc(count ? count : 1, sizeof *w->tensors);
    w->written = calloc(count ? count : 1, sizeof *w->written);
    if (w->tensors == NULL || w->written == NULL)
        return fail(e, STATUS_NO_MEMORY, "no memory for %zu tensors", count);
    for (size_t i = 0; i < count; i++)
        w->tensors[i] = tensors[i];
    status s = manifest_prepare(&w->m, kind, w->tensors, count, e);
    if (s != STATUS_OK)
        return s;
    if (manifest_bound(&w->m, later.bytes) > MANIFEST_MAX)
        return fail(e, STATUS_BAD_DATA, "the tensors are too large or too many for one %s", kind);
    w->user_block = user_block_for(&w->m, later.bytes);
    layout l;
    s = layout_make(&l, w->user_block, NULL, later, w->tensors, count, e);
    if (s != STATUS_OK)
        return s;
    w->file_bytes = l.file_bytes;
    w->head_bytes = l.head_bytes;
    s = place(&w->m, &l, e);
    layout_free(&l);
    return s;
}

status container_create(container_writer **w, const char *path, const char *kind, const tensor *tensors,
                        size_t count, error *e)
{
    *w = NULL;
    container_writer *made = calloc(1, sizeof *made);
    if (made == NULL)
        return fail(e, STATUS_NO_MEMORY, "%s: no memory to write it", path);
    made->file.fd = -1;
    status s = writer_init(made, kind, tensors, count, e);
    if (s == STATUS_OK)
        s = disk_create(&made->file, path, made->file_bytes, e);
    if (s == STATUS_OK)
        *w = made;
    else
        writer_free(made);
    return s;
}

status container_write(container_writer *w, size_t tensor_index, uint64_t first, const void *data, uint64_t n,
                       error *e)
{
    BUG_IF(tensor_index >= w->m.count, "tensor %zu of %zu", tensor_index, w->m.count);
    const manifest_entry *entry = &w->m.entries[tensor_index];
    uint64_t count = tensor_count(&entry->t), size = dtype_bytes(entry->t.type);
    BUG_IF(first > count || n > count - first, "%s: elements %" PRIu64 " to %" PRIu64 " of %" PRIu64,
           entry->t.name, first, first + n, count);
    status s = disk_write_at(&w->file, data, n * size, entry->offset + first * size, e);
    if (s == STATUS_OK)
        atomic_fetch_add(&w->written[tensor_index], n);
    return s;
}

void container_abandon(container_writer *w)
{
    if (w != NULL)
        writer_free(w);
}

enum { PIECE = 1 << 20 };

/* Reads a tensor back, so that what is hashed is what the file holds. */
static status hash_written(container_writer *w, manifest_entry *entry, unsigned char *piece, error *e)
{
    uint64_t block = manifest_hash_block(entry->t.type), done = 0;
    status s = STATUS_OK;
    for (size_t i = 0; i < entry->hash_count; i++) {
        uint64_t left = entry->bytes - done, end = done + (left < block ? left : block);
        xxh128 *h = xxh128_new();
        while (s == STATUS_OK && done < end) {
            size_t n = end - done < PIECE ? (size_t)(end - done) : PIECE;
            s = disk_read_at(&w->file, piece, n, entry->offset + done, e);
            if (s == STATUS_OK)
                xxh128_add(h, piece, n);
            done += n;
        }
        xxh128_end(h, entry->hashes[i]);
    }
    return s;
}

/* SHA-256 over the head in memory and the rest of the file. */
static status digest_written(container_writer *w, unsigned char *head, unsigned char *piece, error *e)
{
    sha256 *h = sha256_new();
    sha256_add(h, head + MANIFEST_DIGEST_FROM, w->head_bytes - MANIFEST_DIGEST_FROM);
    status s = STATUS_OK;
    for (uint64_t at = w->head_bytes; s == STATUS_OK && at < w->file_bytes; at += PIECE) {
        size_t n = w->file_bytes - at < PIECE ? (size_t)(w->file_bytes - at) : PIECE;
        s = disk_read_at(&w->file, piece, n, at, e);
        if (s == STATUS_OK)
            sha256_add(h, piece, n);
    }
    char digest[SHA256_HEX];
    sha256_end(h, digest);
    put_hex(head + MANIFEST_DIGEST_AT, digest);
    return s;
}

/* The layout once more, now with the attributes: they fit into the room kept for them, so nothing else may
 * move. */
static status lay_out_again(container_writer *w, layout *l, const record *meta, error *e)
{
    char *text = record_to_text(meta);
    layout_room need = layout_room_of(meta, text);
    free(text);
    if (need.keys > later.keys || need.bytes > later.bytes)
        return fail(e, STATUS_INTERNAL, "%s: metadata of %zu keys and %zu bytes, at most %zu and %zu fit",
                    w->file.path, need.keys, need.bytes, later.keys, later.bytes);
    status s = layout_make(l, w->user_block, meta, later, w->tensors, w->m.count, e);
    if (s != STATUS_OK)
        return s;
    bool moved = l->file_bytes != w->file_bytes || l->head_bytes != w->head_bytes;
    for (size_t i = 0; i < w->m.count; i++)
        moved = moved || l->offsets[i] != w->m.entries[i].offset;
    return moved ? fail(e, STATUS_INTERNAL, "%s: HDF5 moved the data", w->file.path) : STATUS_OK;
}

static status finish(container_writer *w, layout *l, unsigned char *piece, error *e)
{
    status s = STATUS_OK;
    for (size_t i = 0; s == STATUS_OK && i < w->m.count; i++)
        s = hash_written(w, &w->m.entries[i], piece, e);
    if (s == STATUS_OK)
        s = write_head(l->head, w->user_block, w->file_bytes, &w->m, e);
    if (s == STATUS_OK)
        s = digest_written(w, l->head, piece, e);
    if (s == STATUS_OK)
        s = disk_write_at(&w->file, l->head, l->head_bytes, 0, e);
    return s == STATUS_OK ? disk_commit(&w->file, e) : s;
}

status container_finish(container_writer *w, const record *meta, error *e)
{
    for (size_t i = 0; i < w->m.count; i++)
        BUG_IF(w->written[i] != tensor_count(&w->tensors[i]), "%s: %llu of %" PRIu64 " elements written",
               w->tensors[i].name, w->written[i], tensor_count(&w->tensors[i]));
    w->m.meta = (record *)(uintptr_t)meta; /* only read */
    layout l = {0};
    unsigned char *piece = malloc(PIECE);
    status s = piece ? STATUS_OK : fail(e, STATUS_NO_MEMORY, "%s: no memory to finish it", w->file.path);
    if (s == STATUS_OK)
        s = lay_out_again(w, &l, meta, e);
    if (s == STATUS_OK)
        s = finish(w, &l, piece, e);
    free(piece);
    layout_free(&l);
    writer_free(w);
    return s;
}
