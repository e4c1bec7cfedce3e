#include "io/splits.h"

#include "io/corpus.h"

#include <stdio.h>
#include <string.h>

const char *const text_format_names[3] = {"ptb", "wikitext", "text"};

#define NAMES_MAX 3 /* with the NULL at the end */

/* File names of a format's splits, in order of preference; "%s" is the split. */
static void patterns_of(const char *patterns[NAMES_MAX], text_format format, text_level level)
{
    static const char *const table[][NAMES_MAX] = {
        {"ptb.%s.txt", "ptb.char.%s.txt"},
        {"wiki.%s.tokens", "wiki.%s.raw"},
        {"%s.txt"},
    };
    memcpy(patterns, table[format], sizeof table[format]);
    if (format == FORMAT_PTB &&
        level == LEVEL_CHAR) { /* the corpus comes in characters too, and those are the published ones */
        patterns[0] = table[format][1];
        patterns[1] = table[format][0];
    }
}

static status find_split(text_list *l, bool *found, int split, const char *where, const char *const *patterns,
                         error *e)
{
    char text[NAMES_MAX][64];
    const char *names[NAMES_MAX] = {NULL};
    for (int i = 0; i < NAMES_MAX && patterns[i] != NULL; i++) {
        char *out = text[i];
        const char *hole = strstr(patterns[i], "%s");
        snprintf(out, sizeof text[i], "%.*s%s%s", (int)(hole - patterns[i]), patterns[i], split_names[split],
                 hole + 2);
        names[i] = out;
    }
    source_place place;
    status s = source_find(&place, found, where, names, e);
    if (s == STATUS_OK && *found)
        text_list_add(l, place, split);
    return s;
}

/* All three splits of one directory or archive; *none when it holds no training text at all. */
static status find_all(text_list *l, bool *none, text_format format, const char *where, error *e)
{
    const char *patterns[NAMES_MAX];
    patterns_of(patterns, format, l->level);
    *none = false;
    for (int split = 0; split < SPLIT_COUNT; split++) {
        bool found;
        status s = find_split(l, &found, split, where, patterns, e);
        if (s != STATUS_OK)
            return s;
        if (!found && split == SPLIT_TRAIN) {
            *none = true;
            return STATUS_OK;
        }
        if (!found)
            return fail(e, STATUS_BAD_DATA, "%s: holds the training text but no %s text", where,
                        split_names[split]);
    }
    return STATUS_OK;
}

static status not_there(text_format format, const char *where, error *e)
{
    static const char *const wanted[] = {
        "ptb.{train,valid,test}.txt", "wiki.{train,valid,test}.tokens (or .raw)", "{train,valid,test}.txt"};
    return fail(e, STATUS_BAD_DATA, "%s: holds no %s, which format %s looks for", where, wanted[format],
                text_format_names[format]);
}

static status take_files(text_list *l, char *const *sources, error *e)
{
    for (int split = 0; split < SPLIT_COUNT; split++) {
        source_place place;
        status s = source_single(&place, sources[split], e);
        if (s != STATUS_OK)
            return s;
        text_list_add(l, place, split);
    }
    return STATUS_OK;
}

/* The last part of a member's or file's name says whether it is Mikolov's character version. */
static bool is_char_version(const source_place *p)
{
    return strstr(p->member != NULL ? p->member : p->path, "ptb.char.") != NULL;
}

status splits_find(text_list *l, const char **level_name, text_format format, char *const *sources, int count,
                   error *e)
{
    *level_name = text_level_names[l->level];
    if (count != 1 && count != 3)
        return fail(
            e, STATUS_USAGE,
            "format %s takes one directory, archive or file, or three files (train, valid, test), not %d",
            text_format_names[format], count);
    if (count == 3) {
        status s = take_files(l, sources, e);
        if (s != STATUS_OK)
            return s;
    } else {
        source_kind kind;
        bool none = true;
        status s = source_classify(&kind, sources[0], e);
        if (s == STATUS_OK && kind != SOURCE_FILE)
            s = find_all(l, &none, format, sources[0], e);
        if (s != STATUS_OK)
            return s;
        if (none && (format != FORMAT_TEXT || kind == SOURCE_DIRECTORY))
            return not_there(format, sources[0], e);
        if (none) {
            source_place place;
            s = source_single(&place, sources[0], e);
            if (s != STATUS_OK)
                return s;
            text_list_add(l, place, SPLIT_TRAIN);
            l->cut = true;
        }
    }
    if (format == FORMAT_PTB && l->level == LEVEL_CHAR && is_char_version(&l->parts[0].place))
        l->level = LEVEL_WORD; /* its characters stand between blanks, a blank of the text is '_' */
    return STATUS_OK;
}
