/* manifest_parse.c - reading a manifest that may lie.  jansson bounds the nesting; all the rest is checked
 * here. */
#include "io/manifest.h"

#include "io/record_json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool parse_type(dtype *type, const json_t *value)
{
    static const dtype all[] = {DTYPE_F32, DTYPE_F64, DTYPE_U8, DTYPE_U32, DTYPE_U64, DTYPE_I64};
    for (size_t i = 0; json_is_string(value) && i < sizeof all / sizeof all[0]; i++)
        if (strcmp(json_string_value(value), dtype_name(all[i])) == 0) {
            *type = all[i];
            return true;
        }
    return false;
}

static bool parse_count(uint64_t *number, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *number = (uint64_t)json_integer_value(value);
    return true;
}

static bool parse_shape(tensor *t, const json_t *value)
{
    if (!json_is_array(value) || json_array_size(value) > TENSOR_DIMS)
        return false;
    t->dims = (int)json_array_size(value);
    for (int i = 0; i < t->dims; i++)
        if (!parse_count(&t->shape[i], json_array_get(value, (size_t)i)))
            return false;
    return true;
}

/* As many hashes as the length asks for: the length was checked against the file before, so the number is
 * bounded by it. */
static bool parse_hashes(manifest_entry *entry, const json_t *value)
{
    size_t want = manifest_hash_count(entry->t.type, entry->bytes);
    if (!json_is_array(value) || json_array_size(value) != want)
        return false;
    entry->hashes = calloc(want, sizeof *entry->hashes);
    if (entry->hashes == NULL)
        return false;
    entry->hash_count = want;
    for (size_t i = 0; i < want; i++) {
        const json_t *hash = json_array_get(value, i);
        const char *text = json_string_value(hash);
        if (text == NULL || json_string_length(hash) != XXH128_HEX - 1 ||
            strspn(text, "0123456789abcdef") != XXH128_HEX - 1)
            return false;
        memcpy(entry->hashes[i], text, XXH128_HEX);
    }
    return true;
}

/* What is wrong with an entry, in words; NULL when all is well.  `floor`: the end of the tensor before it. */
static const char *parse_entry(manifest_entry *entry, const json_t *value, uint64_t floor,
                               uint64_t file_bytes)
{
    tensor *t = &entry->t;
    const char *name = json_string_value(json_object_get(value, "name"));
    if (json_object_size(value) != 6 || name == NULL)
        return "is not an object of name, type, shape, offset, bytes, xxh3_128";
    strncpy(t->name, name, sizeof t->name - 1);
    if (strlen(name) >= sizeof t->name || !parse_type(&t->type, json_object_get(value, "type")) ||
        !parse_shape(t, json_object_get(value, "shape")))
        return "has a name, type or shape that is not allowed";
    uint64_t bytes;
    if (!manifest_tensor_ok(t, &bytes))
        return "has a name or shape that is not allowed";
    if (!parse_count(&entry->bytes, json_object_get(value, "bytes")) || entry->bytes != bytes)
        return "has a length that does not follow from its shape";
    if (!parse_count(&entry->offset, json_object_get(value, "offset")) ||
        entry->offset % manifest_alignment(t->type) != 0)
        return "has an offset that is not aligned";
    if (entry->offset < floor)
        return "overlaps what stands before it";
    if (entry->bytes > file_bytes || entry->offset > file_bytes - entry->bytes)
        return "reaches beyond the end of the file";
    return parse_hashes(entry, json_object_get(value, "xxh3_128")) ? NULL : "has hashes that are not allowed";
}

static status parse_entries(manifest *m, const json_t *list, const manifest_frame *frame, error *e)
{
    size_t count = json_array_size(list);
    m->entries = calloc(count ? count : 1, sizeof *m->entries);
    if (m->entries == NULL)
        return fail(e, STATUS_NO_MEMORY, "%s: no memory for %zu tensors", frame->path, count);
    uint64_t floor = frame->user_block;
    for (size_t i = 0; i < count; i++) {
        manifest_entry *entry = &m->entries[i];
        m->count = i + 1;
        const char *wrong = parse_entry(entry, json_array_get(list, i), floor, frame->file_bytes);
        if (wrong != NULL)
            return fail(e, frame->code, "%s: tensor %zu '%s' of the manifest %s", frame->path, i,
                        entry->t.name, wrong);
        floor = entry->offset + entry->bytes;
    }
    return STATUS_OK;
}

static status check_names(const manifest *m, const manifest_frame *frame, error *e)
{
    const tensor **list = malloc((m->count ? m->count : 1) * sizeof *list);
    if (list == NULL)
        return fail(e, STATUS_NO_MEMORY, "%s: no memory for %zu names", frame->path, m->count);
    for (size_t i = 0; i < m->count; i++)
        list[i] = &m->entries[i].t;
    const char *clash = manifest_clash(list, m->count);
    status s = STATUS_OK;
    if (clash != NULL)
        s = fail(e, frame->code, "%s: the manifest uses the name '%s' twice or inside another", frame->path,
                 clash);
    free(list);
    return s;
}

static status parse_top(manifest *m, json_t *top, const manifest_frame *frame, error *e)
{
    const json_t *kind = json_object_get(top, "kind"), *list = json_object_get(top, "tensors");
    size_t n = json_string_length(kind);
    if (json_object_size(top) != 3 || !json_is_string(kind) || n == 0 || n >= sizeof m->kind ||
        !json_is_array(list))
        return fail(e, frame->code, "%s: the manifest is not an object of kind, meta and tensors",
                    frame->path);
    memcpy(m->kind, json_string_value(kind), n + 1);
    status s = record_from_json(&m->meta, json_object_get(top, "meta"), "meta", e);
    if (s != STATUS_OK)
        return fail_as(e, frame->code, "%s: manifest", frame->path);
    s = parse_entries(m, list, frame, e);
    return s == STATUS_OK ? check_names(m, frame, e) : s;
}

status manifest_parse(manifest *m, const char *text, size_t n, const manifest_frame *frame, error *e)
{
    *m = (manifest){0};
    json_error_t why;
    json_t *top = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (top == NULL)
        return fail(e, frame->code, "%s: the manifest is not valid JSON at byte %d: %s", frame->path,
                    why.position, why.text);
    status s = parse_top(m, top, frame, e);
    json_decref(top);
    if (s != STATUS_OK)
        manifest_free(m);
    return s;
}

void manifest_free(manifest *m)
{
    record_free(m->meta);
    m->meta = NULL;
    manifest_free_entries(m);
}
