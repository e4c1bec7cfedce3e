/* config_nearest.c - "did you mean": the known name that is nearest to a mistyped one.
 *
 * Distance: insertions, deletions, substitutions and swaps of neighbours, each 1 (optimal string
 * alignment, Damerau 1964).
 * A name counts as near when at most a third of its letters, and at least one, would have to change. */
#include "io/bug.h"
#include "io/config_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 63 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int distance(const char *a, const char *b)
{
    int n = (int)strlen(a), m = (int)strlen(b);
    if (n > LONGEST || m > LONGEST)
        return LONGEST + 1;
    int d[LONGEST + 1][LONGEST + 1];
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            int same = a[i - 1] == b[j - 1] ? 0 : 1;
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n][m];
}

/* The index of the nearest name, -1 when none is near enough to be meant. */
static int nearest(const char *found, const char *const *known, int count)
{
    int best = -1, best_distance = 0;
    for (int i = 0; i < count; i++) {
        int away = distance(found, known[i]), letters = (int)strlen(known[i]);
        if (away <= (letters >= 6 ? letters / 3 : 1) && (best < 0 || away < best_distance)) {
            best = i;
            best_distance = away;
        }
    }
    return best;
}

char *nearest_hint(const char *found, const char *const *known, int count)
{
    char *out = NULL;
    int near = nearest(found, known, count);
    if (near >= 0) {
        text_add(&out, "; did you mean '%s'?", known[near]);
        return out;
    }
    text_add(&out, "; known are ");
    for (int i = 0; i < count; i++)
        text_add(&out, "%s%s", i ? ", " : "", known[i]);
    return out;
}

enum { MOST_NAMES = 128 };

/* Names of the keys of a section, or of the sections themselves (section NULL); returns their number. */
static int names_of(const char *section, const char *names[MOST_NAMES])
{
    int count = 0;
    BUG_IF(config_schema_size < 1 || config_schema_size > MOST_NAMES, "%d keys", config_schema_size);
    for (int i = 0; i < config_schema_size; i++) {
        const config_key *k = &config_schema[i];
        if (section && strcmp(k->section, section) == 0)
            names[count++] = k->name;
        if (!section && (i == 0 || strcmp(k->section, config_schema[i - 1].section) != 0))
            names[count++] = k->section;
    }
    return count;
}

static const config_key *key_named(const char *name)
{
    for (int i = 0; i < config_schema_size; i++)
        if (strcmp(config_schema[i].name, name) == 0)
            return &config_schema[i];
    return NULL;
}

char *nearest_section_hint(const char *section)
{
    const config_key *k = key_named(section);
    const char *dot = strchr(section, '.');
    char *out = NULL;
    if (dot && key_named(dot + 1))
        k = key_named(dot + 1);
    if (k) {
        text_add(&out, "; '%s' is a key of section '%s': write %s: {%s: ...}", k->name, k->section,
                 k->section, k->name);
        return out;
    }
    const char *names[MOST_NAMES];
    return nearest_hint(section, names, names_of(NULL, names));
}

char *nearest_key_hint(const char *section, const char *name)
{
    const char *names[MOST_NAMES];
    int count = names_of(section, names);
    if (count == 0)
        return nearest_section_hint(section);
    const config_key *elsewhere = key_named(name);
    if (elsewhere) {
        char *out = NULL;
        text_add(&out, "; did you mean '%s.%s'?", elsewhere->section, elsewhere->name);
        return out;
    }
    return nearest_hint(name, names, count);
}

char *environment_name(const config_key *key)
{
    char *out = NULL;
    text_add(&out, "UNROLL_%s__%s", key->section, key->name);
    for (char *p = out; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return out;
}

char *nearest_environment_hint(const char *name)
{
    char *names[MOST_NAMES], *out = NULL;
    BUG_IF(config_schema_size < 1 || config_schema_size > MOST_NAMES, "%d keys", config_schema_size);
    for (int i = 0; i < config_schema_size; i++)
        names[i] = environment_name(&config_schema[i]);
    int near = nearest(name, (const char *const *)names, config_schema_size);
    if (near >= 0)
        text_add(&out, "; did you mean %s?", names[near]);
    else
        text_add(&out, "; names are UNROLL_SECTION__KEY, as %s", names[0]);
    for (int i = 0; i < config_schema_size; i++)
        free(names[i]);
    return out;
}
