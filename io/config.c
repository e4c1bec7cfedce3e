/* config.c - the life of a configuration and its sources other than YAML text: files, environment, --set. */
#include "io/config.h"

#include "io/bug.h"
#include "io/config_internal.h"
#include "io/disk.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_FILE_BYTES = 1 << 20 };

void config_init(config *c)
{
    *c = (config){0};
    c->origin = calloc((size_t)config_schema_size, sizeof *c->origin);
    BUG_IF(!c->origin, "out of memory");
    for (int i = 0; i < config_schema_size; i++)
        value_default(c, &config_schema[i]);
}

void config_free(config *c)
{
    for (int i = 0; i < config_schema_size; i++) {
        if (config_schema[i].type == KEY_TEXT)
            free(*(char **)((char *)c + config_schema[i].offset));
        if (c->origin)
            free(c->origin[i]);
    }
    free(c->origin);
    *c = (config){0};
}

status config_read_file(config *c, const char *path, error *e)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    status s = disk_read_file(path, MOST_FILE_BYTES, &bytes, &n, e);
    if (s != STATUS_OK)
        return fail_as(e, STATUS_BAD_CONFIG, "configuration");
    s = config_read_text(c, (const char *)bytes, n, path, e);
    free(bytes);
    return s;
}

static const config_key *key_of_environment(const char *name)
{
    for (int i = 0; i < config_schema_size; i++) {
        char *known = environment_name(&config_schema[i]);
        bool same = strcmp(known, name) == 0;
        free(known);
        if (same)
            return &config_schema[i];
    }
    return NULL;
}

/* UNROLL_OPTIM_LR: a key's name with one underscore for two? */
static bool lacks_underscore(const char *name)
{
    bool lacks = false;
    for (int i = 0; i < config_schema_size && !lacks; i++) {
        char *known = environment_name(&config_schema[i]), *second = strstr(known, "__") + 1;
        memmove(second, second + 1, strlen(second));
        lacks = strcmp(known, name) == 0;
        free(known);
    }
    return lacks;
}

/* One entry of the environment, "NAME=value". */
static status read_variable(config *c, const char *entry, error *e)
{
    static const char prefix[] = "UNROLL_";
    size_t n = strcspn(entry, "=");
    if (entry[n] == '\0' || strncmp(entry, prefix, sizeof prefix - 1) != 0)
        return STATUS_OK;
    char *name = strndup(entry, n), *where = NULL;
    BUG_IF(!name, "out of memory");
    status s = STATUS_OK;
    const config_key *key = key_of_environment(name);
    /* Without two underscores it is meant for others (UNROLL_KERNELS, UNROLL_DATA), unless one was forgotten. */
    if (key || strstr(name + sizeof prefix - 1, "__") || lacks_underscore(name)) {
        char *shown = text_shown(name, n);
        text_add(&where, "environment %s", shown);
        if (key) {
            const char *value = entry + n + 1;
            s = value_assign(c, key, (scalar){value, strlen(value), SCALAR_LITERAL}, where, e);
        } else {
            char *hint = nearest_environment_hint(name);
            s = fail(e, STATUS_BAD_CONFIG, "%s: there is no such key%s", where, hint);
            free(hint);
        }
        free(shown);
    }
    free(where);
    free(name);
    return s;
}

status config_read_environment(config *c, error *e)
{
    for (char **entry = environ; entry && *entry; entry++) {
        status s = read_variable(c, *entry, e);
        if (s != STATUS_OK)
            return s;
    }
    return STATUS_OK;
}

static status refuse_name(const char *name, const char *section, const char *key, error *e)
{
    char *shown = text_shown(name, strlen(name));
    char *hint = key ? nearest_key_hint(section, key) : nearest_section_hint(section);
    status s = fail(e, STATUS_BAD_CONFIG, "--set %s: there is no such key%s", shown, hint);
    free(shown);
    free(hint);
    return s;
}

status config_set(config *c, const char *assignment, error *e)
{
    const char *equals = strchr(assignment, '=');
    if (!equals) {
        char *shown = text_shown(assignment, strlen(assignment));
        status s = fail(e, STATUS_BAD_CONFIG, "--set %s: expected SECTION.KEY=VALUE, as optim.lr=1.0", shown);
        free(shown);
        return s;
    }
    char *name = strndup(assignment, (size_t)(equals - assignment)), *section = strdup(name ? name : "");
    BUG_IF(!name || !section, "out of memory");
    char *dot = strchr(section, '.'), *where = NULL;
    if (dot)
        *dot = '\0';
    const config_key *key = dot ? config_find(section, dot + 1) : NULL;
    status s;
    if (key) {
        text_add(&where, "--set %s", name);
        s = value_assign(c, key, (scalar){equals + 1, strlen(equals + 1), SCALAR_LITERAL}, where, e);
    } else {
        s = refuse_name(name, section, dot ? dot + 1 : NULL, e);
    }
    free(where);
    free(section);
    free(name);
    return s;
}
