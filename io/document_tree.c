#include "io/document_tree.h"

#include "io/bug.h"
#include "io/disk.h"
#include "io/labelled.h"
#include "io/source.h"
#include "io/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A file that may be a document, or a folder that may be a label's. */
typedef struct candidate {
    char *path;      /* relative to its source, without "./" */
    const char *key; /* in path: SPLIT/LABEL/NAME or LABEL/NAME */
    int split;       /* -1: in none */
    int source;
    bool folder;
    size_t document; /* number in the set, of a file */
} candidate;

typedef struct tree {
    document_set *set;
    const tree_rules *rules;
    char *const *sources;
    int source; /* that is being read */
    candidate *all;
    size_t count, capacity;
    size_t first; /* documents of the set that were there before */
    uint64_t documents, passed_over, replaced;
    bool split_seen;
    error
        doubt; /* what is wrong with the first file outside of splits, which may be one to pass over; "": nothing */
    text_block text; /* of one file */
} tree;

const char *const tree_imdb_labels[] = {"neg", "pos", NULL};

static int split_of(const char *name, size_t n)
{
    for (int s = 0; s < SPLIT_COUNT; s++)
        if (strlen(split_names[s]) == n && memcmp(split_names[s], name, n) == 0)
            return s;
    return -1;
}

static bool is_in(const char *const *names, const char *name, size_t n)
{
    for (; *names != NULL; names++)
        if (strlen(*names) == n && memcmp(*names, name, n) == 0)
            return true;
    return false;
}

/* Start of the component that ends before `end`, which is not the start of the path. */
static const char *component(const char *path, const char *end)
{
    const char *at = end;
    while (at > path && at[-1] != '/')
        at--;
    return at;
}

typedef struct label_name {
    const char *at;
    size_t n;
} label_name;

/* Finds label and split in a path.  False: no place for a document, or one that the rules pass over. */
static bool parse_path(const tree *t, candidate *c, label_name *label)
{
    const char *path = c->path, *end = path + strlen(path), *name = component(path, end);
    if (!c->folder && (strlen(name) < 5 || strcmp(end - 4, ".txt") != 0))
        return false;
    const char *label_end = c->folder ? end : name - 1;
    if (!c->folder && name == path)
        return false;
    label->at = component(path, label_end);
    label->n = (size_t)(label_end - label->at);
    c->key = label->at;
    if (label->at > path) {
        const char *split_end = label->at - 1, *split = component(path, split_end);
        c->split = split_of(split, (size_t)(split_end - split));
        c->key = c->split >= 0 ? split : c->key;
    }
    const char *none = t->rules->unlabelled;
    if (none != NULL && strlen(none) == label->n && memcmp(none, label->at, label->n) == 0) {
        label->at = NULL;
        return !t->rules->must_split || c->split >= 0;
    }
    return label->n > 0 && (t->rules->labels == NULL || is_in(t->rules->labels, label->at, label->n)) &&
           (!t->rules->must_split || c->split >= 0);
}

static candidate *add_candidate(tree *t, const char *path, bool folder)
{
    if (t->count == t->capacity) {
        t->capacity = 2 * t->capacity + 1024;
        t->all = realloc(t->all, t->capacity * sizeof *t->all);
        BUG_IF(t->all == NULL, "out of memory for %zu files", t->capacity);
    }
    candidate *c = &t->all[t->count];
    *c = (candidate){.path = strdup(path), .split = -1, .source = t->source, .folder = folder};
    BUG_IF(c->path == NULL, "out of memory for a path");
    c->key = c->path;
    return c;
}

/* Checks t->text and adds it to the set. */
static status add_document(tree *t, candidate *c, label_name label, const char *place, error *e)
{
    text_block *b = &t->text;
    b->label = place;
    b->line = b->column = 1;
    if (b->n >= 3 && memcmp(b->bytes, "\xef\xbb\xbf", 3) == 0)
        memmove(b->bytes, b->bytes + 3, b->n -= 3);
    status s = text_check(b, LEVEL_CHAR, t->rules->replace_invalid, &t->replaced, e);
    if (s != STATUS_OK)
        return s;
    const document_text d = {.split = c->split,
                             .label = (const uint8_t *)label.at,
                             .label_bytes = label.n,
                             .text = b->bytes,
                             .bytes = b->n,
                             .place = place};
    c->document = documents_count(t->set);
    s = documents_add(t->set, &d, e);
    if (s != STATUS_OK)
        return s;
    t->split_seen = t->split_seen || c->split >= 0;
    t->documents++;
    progress_at(t->rules->bar, t->documents);
    return STATUS_OK;
}

static bool is_passed_over(tree *t, const candidate *c)
{
    const bool beside_splits = t->split_seen && c->split < 0;
    t->passed_over += beside_splits;
    return beside_splits;
}

/* A file outside of splits that is no document counts only if all are outside, which the end tells. */
static status judge(tree *t, const candidate *c, status s, error *e)
{
    if (s != STATUS_BAD_DATA || c->split >= 0)
        return s;
    if (!*t->doubt.text)
        t->doubt = *e;
    *e = (error){0};
    t->passed_over++;
    return STATUS_OK;
}

/* ---- archives ---------------------------------------------------------------------------------------------- */

static status read_member(tree *t, source *from, error *e)
{
    text_block *b = &t->text;
    for (b->n = 0;;) {
        if (b->capacity - b->n < 2) {
            size_t capacity = 2 * b->capacity + 65536;
            uint8_t *bytes = realloc(b->bytes, capacity);
            if (bytes == NULL)
                return fail(e, STATUS_NO_MEMORY, "%s: no memory for %zu bytes", source_label(from), capacity);
            b->bytes = bytes;
            b->capacity = capacity;
        }
        size_t room = b->capacity - b->n - 1, n;
        status s = source_read(from, b->bytes + b->n, room, &n, e);
        b->n += n;
        if (s != STATUS_OK || n < room)
            return s;
        if (b->n > LABELLED_RECORD_MAX)
            return fail(e, STATUS_BAD_DATA, "%s: a document of more than %zu bytes", source_label(from),
                        LABELLED_RECORD_MAX);
    }
}

static bool is_hidden(const char *path)
{
    return path[0] == '.' || strstr(path, "/.") != NULL;
}

static status read_archive(tree *t, const char *where, error *e)
{
    source *from = NULL;
    const char *name;
    bool folder, more;
    status s = source_open_members(&from, where, e);
    while (s == STATUS_OK && (s = source_next(from, &name, &folder, &more, e)) == STATUS_OK && more) {
        while (name[0] == '.' && name[1] == '/')
            name += 2;
        if (is_hidden(name))
            continue;
        label_name label;
        candidate *c = add_candidate(t, name, folder);
        if (!parse_path(t, c, &label)) {
            t->passed_over += !folder;
            free(c->path);
            continue;
        }
        t->count++;
        if (folder || is_passed_over(t, c))
            continue;
        s = read_member(t, from, e);
        if (s == STATUS_OK)
            s = judge(t, c, add_document(t, c, label, source_label(from), e), e);
    }
    source_close(from);
    return s;
}

/* ---- directories ------------------------------------------------------------------------------------------- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_visible(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static status read_file(tree *t, candidate *c, label_name label, const char *path, error *e)
{
    unsigned char *bytes;
    size_t n;
    status s = disk_read_file(path, LABELLED_RECORD_MAX, &bytes, &n, e);
    if (s != STATUS_OK)
        return s == STATUS_IO_FAILED ? fail_as(e, STATUS_BAD_DATA, "a document") : s;
    free(t->text.bytes);
    t->text = (text_block){.bytes = bytes, .n = n, .capacity = n + 1};
    return add_document(t, c, label, path, e);
}

static status read_folder(tree *t, const char *path, size_t root, int depth, error *e);

/* One name in a folder; root: bytes of the source's path and the '/' behind it. */
static status read_entry(tree *t, const char *path, size_t root, int depth, error *e)
{
    struct stat st;
    label_name label;
    if (stat(path, &st) != 0)
        return fail(e, STATUS_BAD_DATA, "%s: %s", path, strerror(errno));
    bool folder = S_ISDIR(st.st_mode);
    if (!folder && !S_ISREG(st.st_mode))
        return STATUS_OK;
    candidate *c = add_candidate(t, path + root, folder);
    bool fits = parse_path(t, c, &label);
    t->count += fits;
    t->passed_over += !fits && !folder;
    if (!fits)
        free(c->path);
    if (folder)
        return depth < TREE_DEPTH ? read_folder(t, path, root, depth + 1, e) : STATUS_OK;
    return fits && !is_passed_over(t, c) ? judge(t, c, read_file(t, c, label, path, e), e) : STATUS_OK;
}

static status read_folder(tree *t, const char *folder, size_t root, int depth, error *e)
{
    struct dirent **names;
    int n = scandir(folder, &names, is_visible, by_name);
    if (n < 0)
        return fail(e, STATUS_BAD_DATA, "%s: %s", folder, strerror(errno));
    status s = STATUS_OK;
    for (int i = 0; i < n; i++) {
        char *path = NULL;
        BUG_IF(asprintf(&path, "%s/%s", folder, names[i]->d_name) < 0, "out of memory for a path");
        if (s == STATUS_OK)
            s = read_entry(t, path, root, depth, e);
        free(path);
        free(names[i]);
    }
    free(names);
    return s;
}

/* ---- what all of them are together -------------------------------------------------------------------------- */

/* A document's place: in a split if any document is. */
static bool is_placed(const tree *t, const candidate *c)
{
    return t->split_seen == (c->split >= 0);
}

static int by_key(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    if (a->split != b->split)
        return a->split < b->split ? -1 : 1;
    return strcmp(a->key, b->key);
}

static status fail_twice(const tree *t, const candidate *a, const candidate *b, error *e)
{
    return fail(e, STATUS_BAD_DATA, "%s is there twice: %s of %s and %s of %s", a->key, a->path,
                t->sources[a->source], b->path, t->sources[b->source]);
}

/* All documents of a source stand below one folder: else one tree would be inside another. */
static status check_prefixes(const tree *t, error *e)
{
    const candidate *first = NULL;
    for (size_t i = 0; i < t->count; i++) {
        const candidate *c = &t->all[i];
        if (c->folder || !is_placed(t, c))
            continue;
        first = first == NULL || first->source != c->source ? c : first;
        size_t n = (size_t)(first->key - first->path);
        if (n != (size_t)(c->key - c->path) || memcmp(first->path, c->path, n) != 0)
            return fail(
                e, STATUS_BAD_DATA, "%s: labels stand at different places: %s and %s (all must be %s)",
                t->sources[c->source], first->path, c->path,
                t->split_seen ? "SPLIT/LABEL/NAME.txt below one folder" : "LABEL/NAME.txt below one folder");
    }
    return STATUS_OK;
}

/* Does a document (right) stand before, in or behind a folder (left)?  In the order of by_key. */
static int in_folder(const void *left, const void *right)
{
    const candidate *folder = left, *d = right;
    if (folder->split != d->split)
        return folder->split < d->split ? -1 : 1;
    size_t n = strlen(folder->key);
    int order = strncmp(folder->key, d->key, n);
    return order != 0 ? order : '/' - (unsigned char)d->key[n];
}

/* Does a folder stand where the folders of its source's labels stand? */
static bool beside_labels(const tree *t, const candidate *folder)
{
    size_t n = (size_t)(folder->key - folder->path);
    for (size_t i = 0; i < t->count; i++) {
        const candidate *c = &t->all[i];
        if (c->source == folder->source && !c->folder && is_placed(t, c))
            return n == (size_t)(c->key - c->path) && memcmp(c->path, folder->path, n) == 0;
    }
    return false;
}

/* A class without example shows as an empty folder; kept is sorted. */
static status check_folders(const tree *t, const candidate *kept, size_t n, error *e)
{
    for (size_t i = 0; i < t->count; i++) {
        const candidate *c = &t->all[i];
        if (c->folder && is_placed(t, c) && beside_labels(t, c) &&
            bsearch(c, kept, n, sizeof *kept, in_folder) == NULL)
            return fail(e, STATUS_BAD_DATA, "%s: %s holds no .txt file: a class without example",
                        t->sources[c->source], c->path);
    }
    return STATUS_OK;
}

/* Files that would be documents if there were no splits; what stands in a folder of a split itself would not. */
static uint64_t count_outside(const tree *t)
{
    uint64_t n = 0;
    for (size_t i = 0; t->split_seen && i < t->count; i++) {
        const candidate *c = &t->all[i];
        n += !c->folder && c->split < 0 && split_of(c->key, strcspn(c->key, "/")) < 0;
    }
    return n;
}

static status arrange(tree *t, error *e)
{
    candidate *kept = malloc((t->count + 1) * sizeof *kept);
    size_t *order = malloc((t->count + 1) * sizeof *order), n = 0;
    int *split = malloc((t->count + 1) * sizeof *split);
    BUG_IF(kept == NULL || order == NULL || split == NULL, "out of memory for %zu files", t->count);
    status s = check_prefixes(t, e);
    for (size_t i = 0; i < t->count; i++)
        if (!t->all[i].folder && is_placed(t, &t->all[i]))
            kept[n++] = t->all[i];
    t->passed_over += t->documents - n;
    qsort(kept, n, sizeof *kept, by_key);
    for (size_t i = 0; i < n; i++) {
        order[i] = kept[i].document;
        split[i] = kept[i].split >= 0 ? kept[i].split : SPLIT_TRAIN;
        if (s == STATUS_OK && i > 0 && by_key(&kept[i - 1], &kept[i]) == 0)
            s = fail_twice(t, &kept[i - 1], &kept[i], e);
    }
    if (s == STATUS_OK)
        s = check_folders(t, kept, n, e);
    if (s == STATUS_OK && n == 0)
        s = fail(e, STATUS_BAD_DATA, "%s: holds no document (%s)", t->sources[0],
                 t->rules->must_split ? "{train,test}/{neg,pos}/*.txt is looked for"
                                      : "LABEL/*.txt or {train,valid,test}/LABEL/*.txt is looked for");
    if (s == STATUS_OK)
        documents_select(t->set, t->first, order, split, n);
    free(kept);
    free(order);
    free(split);
    return s;
}

status tree_read(document_set *set, char *const *sources, int count, const tree_rules *rules,
                 tree_report *report, error *e)
{
    tree t = {.set = set, .rules = rules, .sources = sources, .first = documents_count(set)};
    status s = STATUS_OK;
    for (t.source = 0; s == STATUS_OK && t.source < count; t.source++) {
        const char *where = sources[t.source];
        source_kind kind;
        s = source_classify(&kind, where, e);
        if (s == STATUS_OK && kind == SOURCE_FILE)
            s = fail(e, STATUS_BAD_DATA, "%s: is neither a directory nor an archive", where);
        else if (s == STATUS_OK && kind == SOURCE_ARCHIVE)
            s = read_archive(&t, where, e);
        else if (s == STATUS_OK)
            s = read_folder(&t, where, strlen(where) + 1, 0, e);
    }
    if (s == STATUS_OK && *t.doubt.text && !t.split_seen)
        s = fail(e, STATUS_BAD_DATA, "%s", t.doubt.text);
    if (s == STATUS_OK)
        s = arrange(&t, e);
    *report =
        (tree_report){.passed_over = t.passed_over, .outside = count_outside(&t), .replaced = t.replaced};
    for (size_t i = 0; i < t.count; i++)
        free(t.all[i].path);
    free(t.all);
    free(t.text.bytes);
    return s;
}
