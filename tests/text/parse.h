/* parse.h - the grammar of trainer/tasks/grammar.h read the other way: from words to their one derivation.
 *
 * A recursive descent written from the rules in that header and its weights, not from the generator: it
 * decides by the next word alone, which is what "unambiguous" means, and shares no line with what it
 * checks. */
#ifndef TESTS_TEXT_PARSE_H
#define TESTS_TEXT_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#define PARSE_VERBS 32

typedef struct parse {
    double nats;
    int verbs, position[PARSE_VERBS], subject[PARSE_VERBS];
} parse;

/* Parses n words, <eos> last.  false: not a sentence of the grammar (a verb of the wrong number is none). */
bool parse_sentence(parse *p, const uint8_t *words, int n);

#endif
