#include "trainer/tasks/grammar.h"

#include "io/bug.h"
#include "kernels/dmath.h"
#include "kernels/rng.h"

#include <stddef.h>

/* clang-format off */
const char *const grammar_words[GRAMMAR_WORDS] = {
    /* nouns: people, animals, machines, nature */
    "boy", "boys", "girl", "girls", "teacher", "teachers", "farmer", "farmers",
    "doctor", "doctors", "sailor", "sailors", "painter", "painters", "driver", "drivers",
    "dog", "dogs", "cat", "cats", "horse", "horses", "bird", "birds",
    "rabbit", "rabbits", "lion", "lions", "frog", "frogs", "bear", "bears",
    "truck", "trucks", "train", "trains", "robot", "robots", "tractor", "tractors",
    "engine", "engines", "crane", "cranes", "drone", "drones", "pump", "pumps",
    "storm", "storms", "river", "rivers", "cloud", "clouds", "glacier", "glaciers",
    "wave", "waves", "forest", "forests", "comet", "comets", "shadow", "shadows",
    /* verbs of people, then of the other kinds: transitive, intransitive, optional */
    "thanks", "thank", "invites", "invite", "praises", "praise", "hires", "hire", "greets", "greet", "warns", "warn",
    "laughs", "laugh", "argues", "argue", "smiles", "smile", "works", "work", "dreams", "dream", "travels", "travel",
    "paints", "paint", "teaches", "teach", "visits", "visit", "calls", "call", "reads", "read", "helps", "help",
    "bites", "bite", "licks", "lick", "chases", "chase", "scares", "scare", "sniffs", "sniff", "fears", "fear",
    "sleeps", "sleep", "growls", "growl", "jumps", "jump", "hides", "hide", "barks", "bark", "wanders", "wander",
    "hunts", "hunt", "eats", "eat", "hears", "hear", "follows", "follow", "watches", "watch", "smells", "smell",
    "lifts", "lift", "pulls", "pull", "crushes", "crush", "carries", "carry", "hits", "hit", "drags", "drag",
    "rusts", "rust", "rattles", "rattle", "stalls", "stall", "beeps", "beep", "hums", "hum", "idles", "idle",
    "moves", "move", "passes", "pass", "stops", "stop", "heats", "heat", "turns", "turn", "cleans", "clean",
    "surrounds", "surround", "threatens", "threaten", "reaches", "reach", "covers", "cover", "cools", "cool", "dwarfs", "dwarf",
    "grows", "grow", "fades", "fade", "vanishes", "vanish", "rises", "rise", "glows", "glow", "roars", "roar",
    "changes", "change", "floods", "flood", "shakes", "shake", "freezes", "freeze", "burns", "burn", "drowns", "drown",
    /* proper nouns */
    "anna", "boris", "clara", "david", "emma", "felix", "greta", "hugo",
    /* determiners, prepositions, adverbs */
    "the", "a", "every", "some", "many",
    "near", "behind", "beside", "above",
    "often", "never", "always", "rarely", "still", "sometimes", "usually", "clearly",
    "who", "<eos>",
};
/* clang-format on */

/* Chosen so that more than a third of the verbs stand three or more words from their subject with a noun
 * of the other number between, that an interpolated trigram stays some 20 % above the floor, and that two
 * layers of 200 units learn it in minutes. */
const grammar_weights grammar_rules = {
    .number = {8, 8},
    .other = {11, 5},
    .kind = {4, 4, 4, 4},
    .subject = {4, 6, 6},
    .object = {9, 3, 4},
    .inner = {8, 4, 4},
    .deepest = {10, 6, 0},
    .proper = {8, 8},
    .clause = {10, 6},
    .verb = {6, 4, 6},
    .gap = {8, 0, 8},
    .with_object = {8, 8},
    .adverb = {3, 13},
    .determiner = {8, 5, 3},
    .of8 = {22, 11, 8, 6, 5, 5, 4, 3},
    .of6 = {24, 13, 9, 7, 6, 5},
    .of4 = {29, 15, 11, 9},
};

/* A derivation under way. */
typedef struct derivation {
    grammar_sentence *s;
    grammar_choose *choose;
    void *context;
} derivation;

/* A noun that a verb may have to agree with. */
typedef struct noun {
    grammar_number number;
    grammar_kind kind;
    int position;
} noun;

static int pick(derivation *d, const uint8_t *weight, int n, bool is_word)
{
    int sum = 0, i = d->choose(d->context, weight, n, is_word);
    for (int k = 0; k < n; k++)
        sum += weight[k];
    d->s->nats -= d_log((double)weight[i] / sum);
    return i;
}

static void say(derivation *d, int word)
{
    BUG_IF(d->s->length == GRAMMAR_LENGTH_MAX, "a sentence longer than %d words", GRAMMAR_LENGTH_MAX);
    d->s->word[d->s->length++] = (uint8_t)word;
}

static void say_determiner(derivation *d, grammar_number number)
{
    int i = pick(d, grammar_rules.determiner, 3, false); /* "the" tells no number, the others do */
    say(d, i == 0 ? WORD_DET : WORD_DET + 2 * (int)number + i);
}

static noun say_noun(derivation *d, grammar_number number, grammar_kind kind)
{
    say_determiner(d, number);
    int i = pick(d, grammar_rules.of8, 8, true);
    say(d, WORD_NOUN + 2 * (GRAMMAR_NOUNS * (int)kind + i) + (int)number);
    return (noun){number, kind, d->s->length - 1};
}

static grammar_number other_or_same(derivation *d, grammar_number number)
{
    return pick(d, grammar_rules.other, 2, false) == 0 ? (grammar_number)!number : number;
}

static bool is_noun_of(int word, grammar_number number)
{
    if (word >= WORD_PROPER && word < WORD_DET)
        return number == SINGULAR;
    return word < WORD_VERB && word % 2 == (int)number;
}

static void note_verb(derivation *d, noun subject)
{
    grammar_sentence *s = d->s;
    grammar_verb *v = &s->verb[s->verbs++];
    *v = (grammar_verb){.position = s->length - 1, .distance = s->length - 1 - subject.position};
    for (int i = subject.position + 1; i < v->position; i++)
        v->crossed = v->crossed || is_noun_of(s->word[i], (grammar_number)!subject.number);
}

static grammar_class say_verb(derivation *d, noun subject, const uint8_t *classes)
{
    if (pick(d, grammar_rules.adverb, 2, false) == 0)
        say(d, WORD_ADVERB + pick(d, grammar_rules.of8, 8, true));
    int class = pick(d, classes, GRAMMAR_CLASSES, false);
    int list = GRAMMAR_CLASSES * (int)subject.kind + class;
    int i = pick(d, grammar_rules.of6, 6, true);
    say(d, WORD_VERB + 2 * (GRAMMAR_VERBS * list + i) + (int)subject.number);
    note_verb(d, subject);
    return (grammar_class) class;
}

static void say_verb_phrase(derivation *d, noun subject, int depth);

/* depth: relative clauses around it; head: the noun whose clause it stands in, NULL in the main clause. */
static noun say_noun_phrase(derivation *d, const uint8_t *forms, const noun *head, int depth)
{
    grammar_number number = head != NULL ? other_or_same(d, head->number)
                                         : (grammar_number)pick(d, grammar_rules.number, 2, false);
    grammar_kind kind = (grammar_kind)pick(d, grammar_rules.kind, GRAMMAR_KINDS, false);
    int form = pick(d, depth == GRAMMAR_DEPTH ? grammar_rules.deepest : forms, 3, false);
    if (form == 0 && kind == KIND_PEOPLE && number == SINGULAR &&
        pick(d, grammar_rules.proper, 2, false) == 0) {
        say(d, WORD_PROPER + pick(d, grammar_rules.of8, 8, true));
        return (noun){number, kind, d->s->length - 1};
    }
    noun n = say_noun(d, number, kind);
    if (form == 1) {
        say(d, WORD_PREP + pick(d, grammar_rules.of4, 4, true));
        grammar_number inside = other_or_same(d, number);
        say_noun(d, inside, (grammar_kind)pick(d, grammar_rules.kind, GRAMMAR_KINDS, false));
    } else if (form == 2) {
        say(d, WORD_WHO);
        if (pick(d, grammar_rules.clause, 2, false) == 0)
            say_verb(d, say_noun_phrase(d, grammar_rules.inner, &n, depth + 1), grammar_rules.gap);
        else
            say_verb_phrase(d, n, depth + 1);
    }
    return n;
}

static void say_verb_phrase(derivation *d, noun subject, int depth)
{
    grammar_class class = say_verb(d, subject, grammar_rules.verb);
    bool has_object = class == VERB_TRANSITIVE ||
                      (class == VERB_OPTIONAL && pick(d, grammar_rules.with_object, 2, false) == 0);
    if (has_object)
        say_noun_phrase(d, depth > 0 ? grammar_rules.inner : grammar_rules.object, &subject, depth);
}

void grammar_derive(grammar_sentence *s, grammar_choose *choose, void *context)
{
    derivation d = {.s = s, .choose = choose, .context = context};
    s->length = s->verbs = 0;
    s->nats = 0;
    say_verb_phrase(&d, say_noun_phrase(&d, grammar_rules.subject, NULL, 0), 0);
    say(&d, WORD_EOS);
}

typedef struct draws {
    rng_place place;
    uint32_t unit, word[4];
} draws;

/* The upper bits of one random word, as many as the sum of the weights has. */
static int choose_at_random(void *context, const uint8_t *weight, int n, bool is_word)
{
    draws *r = context;
    (void)is_word;
    uint32_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += weight[i];
    if (r->unit % 4 == 0)
        rng_block(&r->place, r->unit / 4, r->word);
    uint64_t x = ((uint64_t)r->word[r->unit++ % 4] * sum) >> 32;
    int i = 0;
    for (; x >= weight[i]; i++)
        x -= weight[i];
    return i;
}

void grammar_sentence_at(grammar_sentence *s, uint64_t seed, int split, uint32_t index)
{
    draws r = {.place = {.seed = seed, .row = index, .step = (uint32_t)split, .purpose = RNG_GRAMMAR}};
    grammar_derive(s, choose_at_random, &r);
}
