/* test_grammar.c - that the grammar is unambiguous and its probabilities are what the generator says.
 *
 *   sum of p over all derivations of up to 8 words, by enumeration  ==  by the length distribution worked out from the rules
 *   no two of those derivations give the same words                     (so a string's probability is its derivation's)
 *   p that the generator states   ==   p that a parser finds, which sees the words alone
 *   frequencies of drawn lengths   ~   their probabilities
 *
 * The first two make probabilities of short sentences exact, the third carries this over to sentences of
 * any length as they are drawn, the fourth ties the random numbers to it. */
#include "tests/text/parse.h"
#include "trainer/tasks/grammar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_words(void **state)
{
    (void)state;
    for (int i = 0; i < GRAMMAR_WORDS; i++) {
        assert_non_null(grammar_words[i]);
        assert_true(strlen(grammar_words[i]) > 0 && strpbrk(grammar_words[i], " \t\n") == NULL);
        for (int k = 0; k < i; k++)
            if (strcmp(grammar_words[i], grammar_words[k]) == 0)
                fail_msg("%s is word %d and word %d", grammar_words[i], k, i);
    }
    assert_string_equal(grammar_words[WORD_EOS], "<eos>");
    assert_string_equal(grammar_words[WORD_WHO], "who");
    assert_string_equal(grammar_words[WORD_DET], "the");
    assert_string_equal(grammar_words[WORD_PROPER], "anna");
    assert_string_equal(grammar_words[WORD_VERB + 1], "thank");
    assert_string_equal(grammar_words[WORD_ADVERB], "often");
    assert_string_equal(grammar_words[WORD_PREP], "near");
}

static void check_sum(const uint8_t *weights, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += weights[i];
    assert_true(sum > 0 && (sum & (sum - 1)) ==
                               0); /* a random word's upper bits then hit each choice exactly so often */
}

static void test_weights(void **state)
{
    (void)state;
    const grammar_weights *g = &grammar_rules;
    check_sum(g->number, 2);
    check_sum(g->other, 2);
    check_sum(g->kind, GRAMMAR_KINDS);
    check_sum(g->subject, 3);
    check_sum(g->object, 3);
    check_sum(g->inner, 3);
    check_sum(g->deepest, 3);
    check_sum(g->proper, 2);
    check_sum(g->clause, 2);
    check_sum(g->verb, GRAMMAR_CLASSES);
    check_sum(g->gap, GRAMMAR_CLASSES);
    check_sum(g->with_object, 2);
    check_sum(g->adverb, 2);
    check_sum(g->determiner, 3);
    check_sum(g->of8, 8);
    check_sum(g->of6, 6);
    check_sum(g->of4, 4);
    assert_int_equal(g->deepest[2], 0);
    assert_int_equal(g->gap[VERB_INTRANSITIVE], 0);
}

/* Probability of each length: a polynomial in x, where x^n stands for n words. */
#define MOST 64
typedef struct lengths {
    double p[MOST];
} lengths;

static lengths words(int n)
{
    lengths a = {{0}};
    a.p[n] = 1;
    return a;
}

static lengths plus(lengths a, double weight, lengths b)
{
    for (int i = 0; i < MOST; i++)
        a.p[i] += weight * b.p[i];
    return a;
}

static lengths times(lengths a, lengths b)
{
    lengths c = {{0}};
    for (int i = 0; i < MOST; i++)
        for (int k = 0; i + k < MOST; k++)
            c.p[i + k] += a.p[i] * b.p[k];
    return c;
}

static double share(const uint8_t *weights, int n, int i)
{
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += weights[k];
    return weights[i] / sum;
}

static lengths none;
static lengths length_of_verb(void)
{
    double adverb = share(grammar_rules.adverb, 2, 0);
    return plus(plus(none, 1 - adverb, words(1)), adverb, words(2));
}

static lengths length_of_verb_phrase(int number, int depth);
static lengths length_of_noun_phrase(const uint8_t *forms, int number, int depth)
{
    forms = depth == GRAMMAR_DEPTH ? grammar_rules.deepest : forms;
    double people = share(grammar_rules.kind, GRAMMAR_KINDS, KIND_PEOPLE),
           same = share(grammar_rules.other, 2, 1);
    double proper = number == SINGULAR ? people * share(grammar_rules.proper, 2, 0) : 0;
    double plain = share(forms, 3, 0), phrase = share(forms, 3, 1), clause = share(forms, 3, 2);
    lengths all = plus(none, plain * proper, words(1));
    all = plus(all, plain * (1 - proper), words(2));
    all = plus(all, phrase, words(5));
    if (clause == 0)
        return all;
    lengths subject = plus(none, same, length_of_noun_phrase(grammar_rules.inner, number, depth + 1));
    subject = plus(subject, 1 - same, length_of_noun_phrase(grammar_rules.inner, !number, depth + 1));
    double of_object = share(grammar_rules.clause, 2, 0);
    lengths inside = plus(none, of_object, times(subject, length_of_verb()));
    inside = plus(inside, 1 - of_object, length_of_verb_phrase(number, depth + 1));
    return plus(all, clause, times(words(3), inside)); /* determiner, noun, who */
}

static lengths length_of_verb_phrase(int number, int depth)
{
    const uint8_t *forms = depth > 0 ? grammar_rules.inner : grammar_rules.object;
    double same = share(grammar_rules.other, 2, 1);
    lengths object = plus(none, same, length_of_noun_phrase(forms, number, depth));
    object = plus(object, 1 - same, length_of_noun_phrase(forms, !number, depth));
    double with = share(grammar_rules.verb, 3, VERB_TRANSITIVE) +
                  share(grammar_rules.verb, 3, VERB_OPTIONAL) * share(grammar_rules.with_object, 2, 0);
    return times(length_of_verb(), plus(plus(none, 1 - with, words(0)), with, object));
}

static lengths length_of_sentence(void)
{
    lengths all = none;
    for (int number = 0; number < 2; number++)
        all = plus(all, share(grammar_rules.number, 2, number),
                   times(times(length_of_noun_phrase(grammar_rules.subject, number, 0),
                               length_of_verb_phrase(number, 0)),
                         words(1)));
    return all;
}

/* Walks through all derivations: the answers of the last one, of which the last that has a successor is
 * moved on.  Words of the same standing are not told apart: the first one stands for all of them. */
#define SHORT 8
typedef struct walk {
    const grammar_sentence *s;
    int answer[256], choices[256], n, asked;
    double p;   /* of this derivation, words of the same standing together */
    int usable; /* answers up to where the sentence became too long; -1: it did not */
} walk;

static int choose_next(void *context, const uint8_t *weight, int n, bool is_word)
{
    walk *w = context;
    if (is_word || w->usable >= 0)
        return 0; /* `weight[0]` is never 0 */
    if (w->s->length >= SHORT) {
        w->usable = w->asked;
        return 0;
    }
    if (w->asked == w->n) {
        w->choices[w->n] = n;
        w->answer[w->n++] = 0;
    }
    int i = w->answer[w->asked++];
    w->p *= share(weight, n, i);
    return w->p > 0 ? i : 0;
}

static bool move_on(walk *w)
{
    if (w->usable >= 0)
        w->n = w->usable;
    while (w->n > 0 && w->answer[w->n - 1] + 1 == w->choices[w->n - 1])
        w->n--;
    if (w->n > 0)
        w->answer[w->n - 1]++;
    return w->n > 0;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_all_short_sentences(void **state)
{
    (void)state;
    grammar_sentence s;
    walk w = {.s = &s};
    double sum[SHORT + 1] = {0};
    size_t count = 0, capacity = 1 << 21;
    uint64_t *strings = malloc(capacity * sizeof *strings);
    do {
        w.asked = 0;
        w.p = 1;
        w.usable = -1;
        grammar_derive(&s, choose_next, &w);
        if (w.usable >= 0 || w.p == 0 || s.length > SHORT)
            continue;
        sum[s.length] += w.p;
        uint64_t string = 0; /* eight words of one byte; no word is 255 */
        for (int i = 0; i < SHORT; i++)
            string = string << 8 | (i < s.length ? s.word[i] : 255u);
        assert_true(count < capacity);
        strings[count++] = string;
    } while (move_on(&w));

    lengths exact = length_of_sentence();
    double all = 0;
    for (int n = 0; n <= SHORT; n++) {
        if (fabs(sum[n] - exact.p[n]) > 1e-13)
            fail_msg("%d words: %.17g by enumeration, %.17g by the rules", n, sum[n], exact.p[n]);
        all += sum[n];
    }
    assert_true(all > 0.3 && all < 1);
    qsort(strings, count, sizeof *strings, by_value);
    for (size_t i = 1; i < count; i++)
        assert_true(strings[i] != strings[i - 1]);
    print_message("%zu sentences of up to %d words, probability %.6f\n", count, SHORT, all);
    assert_true(count > 10000);
    free(strings);
}

static void test_lengths(void **state)
{
    (void)state;
    lengths exact = length_of_sentence();
    enum { DRAWN = 40000 };
    double all = 0, seen[MOST] = {0};
    int longest = 0;
    for (int n = 0; n < MOST; n++) {
        all += exact.p[n];
        longest = exact.p[n] > 0 ? n : longest;
    }
    assert_true(fabs(all - 1) < 1e-12);
    assert_int_equal(longest, 43); /* as the header says; GRAMMAR_LENGTH_MAX has room for it */
    for (uint32_t i = 0; i < DRAWN; i++) {
        grammar_sentence s;
        grammar_sentence_at(&s, 99, 0, i);
        seen[s.length]++;
    }
    for (int n = 0; n < MOST; n++) {
        double want = DRAWN * exact.p[n], off = fabs(seen[n] - want);
        if (!(off <= 5 * sqrt(want) + 2))
            fail_msg("%d words: %.0f times, %.1f expected", n, seen[n], want);
    }
}

static void test_parser_agrees(void **state)
{
    (void)state;
    int deep = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        grammar_sentence s;
        parse p;
        grammar_sentence_at(&s, 7, (int)(i % 3), i);
        assert_true(parse_sentence(&p, s.word, s.length));
        if (!(fabs(p.nats - s.nats) <= 1e-10 * s.nats))
            fail_msg("sentence %u: %.17g, parsed %.17g", i, s.nats, p.nats);
        assert_int_equal(p.verbs, s.verbs);
        for (int v = 0; v < s.verbs; v++) {
            assert_int_equal(s.verb[v].position, p.position[v]);
            assert_int_equal(s.verb[v].distance, p.position[v] - p.subject[v]);
            deep += s.verb[v].distance >= 15;

            int subject = s.word[p.subject[v]], number = subject >= WORD_PROPER ? SINGULAR : subject % 2;
            bool crossed = false; /* by spelling: nouns and names are known by their place in the list */
            for (int k = p.subject[v] + 1; k < p.position[v]; k++) {
                int x = s.word[k];
                bool noun = x < WORD_VERB, name = x >= WORD_PROPER && x < WORD_DET;
                crossed |= (noun && x % 2 != number) || (name && number == PLURAL);
            }
            assert_int_equal(s.verb[v].crossed, crossed);

            s.word[p.position[v]] ^= 1; /* the other form makes it ungrammatical */
            assert_false(parse_sentence(&(parse){0}, s.word, s.length));
            s.word[p.position[v]] ^= 1;
        }
    }
    assert_true(deep > 20);
}

static void test_a_sentence_is_a_function_of_its_place(void **state)
{
    (void)state;
    grammar_sentence a, b;
    int same = 0;
    for (uint32_t i = 0; i < 200; i++) {
        grammar_sentence_at(&a, 1, 0, i);
        grammar_sentence_at(&b, 1, 0, i);
        assert_int_equal(a.length, b.length);
        assert_memory_equal(a.word, b.word, (size_t)a.length);
        const struct {
            uint64_t seed;
            int split;
            uint32_t index;
        } others[] = {{2, 0, i}, {1, 1, i}, {1, 0, i + 1}, {1 + ((uint64_t)1 << 32), 0, i}};
        for (int k = 0; k < 4; k++) {
            grammar_sentence_at(&b, others[k].seed, others[k].split, others[k].index);
            same += a.length == b.length && memcmp(a.word, b.word, (size_t)a.length) == 0;
        }
    }
    assert_true(same < 8); /* short ones repeat now and then */

    /* A known answer: the corpus of a seed stays what it is. */
    char text[512] = "";
    for (uint32_t i = 0; i < 3; i++) {
        grammar_sentence_at(&a, 1, 0, i);
        for (int k = 0; k < a.length; k++)
            strcat(strcat(text, grammar_words[a.word[k]]), " ");
    }
    assert_string_equal(
        text,
        "every storm who the trucks lift often floods <eos> a cat who a truck moves usually sleeps <eos> "
        "every storm sometimes roars <eos> ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_all_short_sentences),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_parser_agrees),
        cmocka_unit_test(test_a_sentence_is_a_function_of_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
