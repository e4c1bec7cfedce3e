/* values.h - values for every key of the configuration, made from the schema, so that a new key is tested
 * without a new test. */
#ifndef TESTS_CONFIG_VALUES_H
#define TESTS_CONFIG_VALUES_H

#include "io/config.h"

#include <stdint.h>

/* splitmix64 (Steele et al. 2014): the same sequence everywhere. */
uint64_t values_random(uint64_t *state);
/* A valid value of the key as text, malloc'ed: bounds, small and large numbers, any choice, texts full of
 * YAML's signs. */
char *values_valid(const config_key *key, uint64_t *state);
/* The n-th text that the key must refuse, as YAML; NULL after the last.  Borrowed. */
const char *values_bad(const config_key *key, int n);
/* The text as a double-quoted YAML scalar, malloc'ed. */
char *values_quoted(const char *text);
/* `section: {key: value}` as a YAML text, malloc'ed. */
char *values_yaml(const config_key *key, const char *value);

#endif
