/* grammar.h - the corpus that needs no download: sentences of a small probabilistic grammar in the manner of
 * Elman (1991), "Distributed representations, simple recurrent networks, and grammatical structure".
 *
 *   S    -> NP VP <eos>                          a verb agrees in number with its subject ...
 *   NP   -> Proper                               ... and is one of the verbs that its subject's kind (people, animals, machines,
 *         | Det N                                    nature) does
 *         | Det N Prep Det N
 *         | Det N RC                             RC nest to depth 3
 *   RC   -> who VP  |  who NP [Adverb] Verb      the second verb's object is the noun before "who": it has none of its own
 *   VP   -> [Adverb] Verb [NP]                   transitive verbs have an object, intransitive ones none, the others may
 *
 *   the boy who the dogs behind a truck often chase sleeps <eos>
 *       |___________________________________________|         distance 9, with two nouns between; a trigram sees "often chase"
 *
 * What comes last decides nothing: number and kind of a subject must be carried over relative clauses and
 * phrases, whose nouns are more often than not of the other number.  The grammar is unambiguous (each "who"
 * belongs to the noun before it and each verb to the innermost subject that waits for one), so a sentence's
 * probability is that of its one derivation, and the cross-entropy of a text under the grammar, the floor
 * below which no model comes by anything but luck, is known exactly.
 *
 * Every choice has weights whose sum is a power of two and takes the upper bits of one random word, so its
 * probability is exact. Sentence i of a split is a function of (seed, split, i).  Errors: none.  Threads:
 * any number of them, each on its own sentence. */
#ifndef TRAINER_TASKS_GRAMMAR_H
#define TRAINER_TASKS_GRAMMAR_H

#include <stdbool.h>
#include <stdint.h>

#define GRAMMAR_DEPTH      3
#define GRAMMAR_LENGTH_MAX 64 /* words of a sentence; the longest that the rules allow has 43 */
#define GRAMMAR_NOUNS      8  /* a kind has as many */
#define GRAMMAR_VERBS      6  /* a kind and class has as many */

typedef enum { SINGULAR, PLURAL } grammar_number;
typedef enum { KIND_PEOPLE, KIND_ANIMALS, KIND_MACHINES, KIND_NATURE, GRAMMAR_KINDS } grammar_kind;
typedef enum { VERB_TRANSITIVE, VERB_INTRANSITIVE, VERB_OPTIONAL, GRAMMAR_CLASSES } grammar_class;

/* Words are numbers 0..GRAMMAR_WORDS-1.  Nouns and verbs come in pairs, singular even, plural odd: word ^ 1
 * is the other form. */
enum {
    WORD_NOUN = 0, /* + 2 * (8 * kind + i) + number */
    WORD_VERB =
        WORD_NOUN + 2 * GRAMMAR_KINDS * GRAMMAR_NOUNS, /* + 2 * (6 * (3 * kind + class) + i) + number */
    WORD_PROPER = WORD_VERB + 2 * GRAMMAR_KINDS * GRAMMAR_CLASSES * GRAMMAR_VERBS, /* 8: people, singular */
    WORD_DET = WORD_PROPER + 8,  /* the (both), a, every (singular), some, many (plural) */
    WORD_PREP = WORD_DET + 5,    /* 4 */
    WORD_ADVERB = WORD_PREP + 4, /* 8 */
    WORD_WHO = WORD_ADVERB + 8,
    WORD_EOS,
    GRAMMAR_WORDS
};
extern const char *const grammar_words[GRAMMAR_WORDS];

/* The weights of every choice; each row sums to a power of two. */
typedef struct grammar_weights {
    uint8_t number[2];           /* of a noun on its own */
    uint8_t other[2];            /* of a noun in a clause or phrase of another: the other number, the same */
    uint8_t kind[GRAMMAR_KINDS]; /* of a noun */
    uint8_t subject[3], object[3],
        inner[3];                   /* main clause, and relative clauses: plain, with phrase, with clause */
    uint8_t deepest[3];             /* at GRAMMAR_DEPTH */
    uint8_t proper[2];              /* plain, people, singular: a proper noun, or not */
    uint8_t clause[2];              /* who NP Verb, who VP */
    uint8_t verb[GRAMMAR_CLASSES];  /* class of a verb */
    uint8_t gap[GRAMMAR_CLASSES];   /* of one whose object is the noun before "who" */
    uint8_t with_object[2];         /* optional verb: with, without */
    uint8_t adverb[2];              /* with, without */
    uint8_t determiner[3];          /* the; a or some; every or many */
    uint8_t of8[8], of6[6], of4[4]; /* words of one list, the first ones frequent */
} grammar_weights;
extern const grammar_weights grammar_rules;

typedef struct grammar_verb {
    int position, distance; /* of the verb; words from its subject to it, 1: it follows at once */
    bool crossed;           /* a noun of the other number stands between */
} grammar_verb;

typedef struct grammar_sentence {
    uint8_t word[GRAMMAR_LENGTH_MAX];
    int length;  /* <eos> included */
    double nats; /* -log of the probability */
    grammar_verb verb[GRAMMAR_LENGTH_MAX];
    int verbs;
} grammar_sentence;

/* Answers a choice: i with probability weight[i] / sum.  is_word: it is one between words of the same
 * standing, so that nothing but the word depends on it. */
typedef int grammar_choose(void *context, const uint8_t *weight, int n, bool is_word);
/* Derives a sentence from the answers. */
void grammar_derive(grammar_sentence *s, grammar_choose *choose, void *context);
/* The sentence that (seed, split, index) stands for. */
void grammar_sentence_at(grammar_sentence *s, uint64_t seed, int split, uint32_t index);

#endif
