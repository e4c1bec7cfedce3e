#include "tests/text/parse.h"

#include "trainer/tasks/grammar.h"

#include <math.h>
#include <stddef.h>

typedef struct reader {
    parse *p;
    const uint8_t *words;
    int n, at;
    bool bad;
} reader;

/* What the words say of a noun. */
typedef struct head {
    int number, kind, position;
} head;

static int look(const reader *r)
{
    return r->at < r->n ? r->words[r->at] : -1;
}

static bool among(int word, int first, int count)
{
    return word >= first && word < first + count;
}

static void pay(reader *r, const uint8_t *weights, int count, int i)
{
    double sum = 0;
    for (int k = 0; k < count; k++)
        sum += weights[k];
    if (i < 0 || i >= count || weights[i] == 0)
        r->bad = true;
    else
        r->p->nats += log(sum / weights[i]);
}

static int take(reader *r, int first, int count)
{
    int word = look(r);
    if (!among(word, first, count)) {
        r->bad = true;
        return 0;
    }
    r->at++;
    return word - first;
}

/* Number of a noun that stands in a clause or phrase of one of number `outer`; -1: in none. */
static void pay_number(reader *r, int number, int outer)
{
    if (outer < 0)
        pay(r, grammar_rules.number, 2, number);
    else
        pay(r, grammar_rules.other, 2, number == outer);
}

static head parse_noun(reader *r)
{
    int determiner = take(r, WORD_DET, 5);
    int noun = take(r, WORD_NOUN, 2 * GRAMMAR_KINDS * GRAMMAR_NOUNS);
    head h = {noun % 2, noun / 2 / GRAMMAR_NOUNS, r->at - 1};
    if (determiner > 0 && (determiner - 1) / 2 != h.number)
        r->bad = true;
    pay(r, grammar_rules.determiner, 3, determiner == 0 ? 0 : (determiner - 1) % 2 + 1);
    pay(r, grammar_rules.of8, 8, noun / 2 % GRAMMAR_NOUNS);
    return h;
}

static int parse_verb(reader *r, head subject, const uint8_t *classes)
{
    bool adverb = among(look(r), WORD_ADVERB, 8);
    pay(r, grammar_rules.adverb, 2, !adverb);
    if (adverb)
        pay(r, grammar_rules.of8, 8, take(r, WORD_ADVERB, 8));
    int verb = take(r, WORD_VERB, 2 * GRAMMAR_KINDS * GRAMMAR_CLASSES * GRAMMAR_VERBS),
        list = verb / 2 / GRAMMAR_VERBS;
    if (verb % 2 != subject.number || list / GRAMMAR_CLASSES != subject.kind || r->p->verbs == PARSE_VERBS) {
        r->bad = true;
        return 0;
    }
    r->p->position[r->p->verbs] = r->at - 1;
    r->p->subject[r->p->verbs++] = subject.position;
    pay(r, classes, GRAMMAR_CLASSES, list % GRAMMAR_CLASSES);
    pay(r, grammar_rules.of6, 6, verb / 2 % GRAMMAR_VERBS);
    return list % GRAMMAR_CLASSES;
}

static void parse_verb_phrase(reader *r, head subject, int depth);

static head parse_noun_phrase(reader *r, const uint8_t *forms, int outer, int depth)
{
    if (depth == GRAMMAR_DEPTH)
        forms = grammar_rules.deepest;
    if (among(look(r), WORD_PROPER, 8)) {
        head h = {SINGULAR, KIND_PEOPLE, r->at};
        pay_number(r, h.number, outer);
        pay(r, grammar_rules.kind, GRAMMAR_KINDS, h.kind);
        pay(r, forms, 3, 0);
        pay(r, grammar_rules.proper, 2, 0);
        pay(r, grammar_rules.of8, 8, take(r, WORD_PROPER, 8));
        return h;
    }
    head h = parse_noun(r);
    int form = among(look(r), WORD_PREP, 4) ? 1 : look(r) == WORD_WHO ? 2 : 0;
    pay_number(r, h.number, outer);
    pay(r, grammar_rules.kind, GRAMMAR_KINDS, h.kind);
    pay(r, forms, 3, form);
    if (r->bad)
        return h;
    if (form == 0 && h.number == SINGULAR && h.kind == KIND_PEOPLE)
        pay(r, grammar_rules.proper, 2, 1);
    if (form == 1) {
        pay(r, grammar_rules.of4, 4, take(r, WORD_PREP, 4));
        head inside = parse_noun(r);
        pay_number(r, inside.number, h.number);
        pay(r, grammar_rules.kind, GRAMMAR_KINDS, inside.kind);
    } else if (form == 2) {
        take(r, WORD_WHO, 1);
        bool of_object = among(look(r), WORD_DET, 5) || among(look(r), WORD_PROPER, 8);
        pay(r, grammar_rules.clause, 2, !of_object);
        if (of_object) {
            head subject = parse_noun_phrase(r, grammar_rules.inner, h.number, depth + 1);
            parse_verb(r, subject, grammar_rules.gap);
        } else {
            parse_verb_phrase(r, h, depth + 1);
        }
    }
    return h;
}

static void parse_verb_phrase(reader *r, head subject, int depth)
{
    int class = parse_verb(r, subject, grammar_rules.verb);
    bool object = among(look(r), WORD_DET, 5) || among(look(r), WORD_PROPER, 8);
    if (class == VERB_OPTIONAL)
        pay(r, grammar_rules.with_object, 2, !object);
    else if (object != (class == VERB_TRANSITIVE))
        r->bad = true;
    if (object && !r->bad)
        parse_noun_phrase(r, depth > 0 ? grammar_rules.inner : grammar_rules.object, subject.number, depth);
}

bool parse_sentence(parse *p, const uint8_t *words, int n)
{
    reader r = {.p = p, .words = words, .n = n};
    *p = (parse){0};
    parse_verb_phrase(&r, parse_noun_phrase(&r, grammar_rules.subject, -1, 0), 0);
    take(&r, WORD_EOS, 1);
    return !r.bad && r.at == n;
}
