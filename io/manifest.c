/* manifest.c - the manifest's rules, and writing it.  manifest_parse.c reads it. */
#include "io/manifest.h"

#include "io/bug.h"
#include "io/record_json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

uint64_t manifest_alignment(dtype t)
{
    return t == DTYPE_U32 ? 4096 : 64;
}

uint64_t manifest_hash_block(dtype t)
{
    return t == DTYPE_U32 ? MANIFEST_HASH_BLOCK : UINT64_MAX;
}

size_t manifest_hash_count(dtype t, uint64_t bytes)
{
    uint64_t block = manifest_hash_block(t);
    return (size_t)(bytes / block + (bytes % block != 0));
}

static bool name_ok(const char *name)
{
    size_t n = strnlen(name, sizeof((tensor *)0)->name);
    if (n == 0 || n == sizeof((tensor *)0)->name)
        return false;
    for (size_t i = 0, part = 0; i <= n; i++) {
        if (name[i] != '/' && name[i] != '\0') {
            if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '.')
                return false;
            continue;
        }
        bool dots =
            i - part <= 2 && strspn(name + part, ".") >= i - part; /* "", "." and ".." name no child */
        if (dots)
            return false;
        part = i + 1;
    }
    return true;
}

bool manifest_tensor_ok(const tensor *t, uint64_t *bytes)
{
    if (!name_ok(t->name) || t->dims < 0 || t->dims > TENSOR_DIMS || dtype_bytes(t->type) == 0)
        return false;
    uint64_t n = dtype_bytes(t->type);
    for (int i = 0; i < t->dims; i++)
        if (t->shape[i] == 0 || __builtin_mul_overflow(n, t->shape[i], &n))
            return false;
    *bytes = n;
    return n <= INT64_MAX;
}

/* By name, with '/' before every other character, so that what lies in a folder follows it at once. */
static int by_name(const void *a, const void *b)
{
    const char *x = (*(const tensor *const *)a)->name, *y = (*(const tensor *const *)b)->name;
    while (*x && *x == *y) {
        x++;
        y++;
    }
    int cx = *x == '/' ? 1 : (unsigned char)*x, cy = *y == '/' ? 1 : (unsigned char)*y;
    return cx - cy;
}

const char *manifest_clash(const tensor *const *tensors, size_t count)
{
    if (count < 2)
        return NULL;
    const tensor **sorted = malloc(count * sizeof *sorted);
    BUG_IF(sorted == NULL, "no memory for %zu names", count);
    memcpy(sorted, tensors, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_name);
    const char *found = NULL;
    for (size_t i = 1; i < count && found == NULL; i++) {
        const char *a = sorted[i - 1]->name, *b = sorted[i]->name;
        size_t n = strlen(a);
        if (strncmp(a, b, n) == 0 && (b[n] == '\0' || b[n] == '/'))
            found = b;
    }
    free(sorted);
    return found;
}

status manifest_prepare(manifest *m, const char *kind, const tensor *tensors, size_t count, error *e)
{
    BUG_IF(strlen(kind) >= sizeof m->kind, "kind '%s' is too long", kind);
    *m = (manifest){.count = count};
    strcpy(m->kind, kind);
    m->entries = calloc(count ? count : 1, sizeof *m->entries);
    if (m->entries == NULL)
        return fail(e, STATUS_NO_MEMORY, "no memory for %zu tensors", count);
    const tensor **list = malloc((count ? count : 1) * sizeof *list);
    BUG_IF(list == NULL, "no memory for %zu names", count);
    for (size_t i = 0; i < count; i++) {
        manifest_entry *entry = &m->entries[i];
        entry->t = tensors[i];
        list[i] = &tensors[i];
        BUG_IF(!manifest_tensor_ok(&entry->t, &entry->bytes),
               "tensor %zu '%.95s' has a bad name, type or shape", i, tensors[i].name);
        entry->hash_count = manifest_hash_count(entry->t.type, entry->bytes);
        entry->hashes = calloc(entry->hash_count, sizeof *entry->hashes);
        if (entry->hashes == NULL) {
            free(list);
            manifest_free_entries(m);
            return fail(e, STATUS_NO_MEMORY, "no memory for the %zu hashes of %s", entry->hash_count,
                        entry->t.name);
        }
    }
    const char *clash = manifest_clash(list, count);
    BUG_IF(clash != NULL, "the name '%s' is used twice or inside another", clash);
    free(list);
    return STATUS_OK;
}

void manifest_free_entries(manifest *m)
{
    for (size_t i = 0; m->entries != NULL && i < m->count; i++)
        free(m->entries[i].hashes);
    free(m->entries);
    m->entries = NULL;
    m->count = 0;
}

static json_t *entry_json(const manifest_entry *entry)
{
    json_t *shape = json_array(), *hashes = json_array();
    for (int i = 0; i < entry->t.dims; i++)
        json_array_append_new(shape, json_integer((json_int_t)entry->t.shape[i]));
    for (size_t i = 0; i < entry->hash_count; i++)
        json_array_append_new(hashes, json_string(entry->hashes[i]));
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:o}", "name", entry->t.name, "type",
                     dtype_name(entry->t.type), "shape", shape, "offset", (json_int_t)entry->offset, "bytes",
                     (json_int_t)entry->bytes, "xxh3_128", hashes);
}

char *manifest_to_text(const manifest *m)
{
    json_t *entries = json_array();
    for (size_t i = 0; i < m->count; i++)
        BUG_IF(json_array_append_new(entries, entry_json(&m->entries[i])) != 0, "no memory for the manifest");
    json_t *top =
        json_pack("{s:s, s:O, s:o}", "kind", m->kind, "meta", record_json(m->meta), "tensors", entries);
    BUG_IF(top == NULL, "no memory for the manifest");
    char *text = json_dumps(top, JSON_REAL_PRECISION(17));
    BUG_IF(text == NULL, "no memory for the manifest");
    json_decref(top);
    return text;
}

size_t manifest_bound(const manifest *m, size_t meta_bytes)
{
    size_t n = 256 + meta_bytes;
    for (size_t i = 0; i < m->count;
         i++) /* keys and six numbers of 20 digits; 32 digits, quotes and a comma per hash */
        n += 256 + sizeof m->entries[i].t.name + m->entries[i].hash_count * 36;
    return n;
}
