/* config_internal.h - what the files of the configuration share; nobody else includes it.
 *
 *   schema.c         the table of keys
 *   config_value.c   one value: text -> member and back, ranges, defaults
 *   config_nearest.c "did you mean"
 *   config_yaml.c    YAML text -> values
 *   config.c         life, files, environment, --set
 *   config_rules.c   automatic values, rules across keys, comparison with a checkpoint
 *   config_print.c   YAML, help, manual page */
#ifndef IO_CONFIG_INTERNAL_H
#define IO_CONFIG_INTERNAL_H

#include "io/config.h"

/* How a value was written.  PLAIN: bare in YAML, where null means nothing.  QUOTED: text, never a number. 
 * LITERAL: from the command line or the environment, where everything is text and nothing is null. */
typedef enum { SCALAR_PLAIN, SCALAR_QUOTED, SCALAR_LITERAL } scalar_style;
typedef struct scalar {
    const char *text; /* n bytes, then a NUL */
    size_t n;
    scalar_style style;
} scalar;

/* Checks one value against its key and stores it, with `where` ("ptb.yaml:3:10", "--set optim.lr") as its
 * origin. */
status value_assign(config *c, const config_key *key, scalar v, const char *where, error *e);
void value_default(config *c, const config_key *key);
/* What a key takes, as "a number above 0 and at most 1e+06"; malloc'ed. */
char *value_domain(const config_key *key);
/* Where the key was set, or "default". */
const char *value_origin(const config *c, const config_key *key);
/* The name of choice i of a key: *n bytes, NULL when there are not so many. */
const char *value_choice(const config_key *key, int i, size_t *n);

/* Whether a key has an effect beside the others (key->applies), and whether it holds its default, an
 * automatic one as config_finish would fill it. */
bool rules_applies(const config *c, const config_key *key);
bool rules_is_default(const config *c, const config_key *key);

/* Appends to *text (malloc'ed, NULL at first); memory is BUG_IF's. */
void text_add(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Malloc'ed copy of at most 60 characters, fit to be shown in a message. */
char *text_shown(const char *text, size_t n);

/* "; did you mean 'batch_size'?" or "; known are a, b, c" when nothing is near.  malloc'ed. */
char *nearest_hint(const char *found, const char *const *known, int count);
/* The same for keys and sections, with a look into the other sections.  section may be unknown itself. */
char *nearest_key_hint(const char *section, const char *name);
char *nearest_section_hint(const char *section);
/* UNROLL_OPTIM__LR for a key; malloc'ed. */
char *environment_name(const config_key *key);
char *nearest_environment_hint(const char *name);

#endif
