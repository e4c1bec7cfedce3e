/* test_config.c - one value after another: every key by every way in, valid and not, and back out as YAML.
 *
 * The identities, each over the whole schema:
 *   print(read(print(c))) == print(c) for random valid c    nothing is lost on the way into a checkpoint
 *   a bad value of any key is refused, with the key's name  no value slips through a type's parser
 *   file, environment and --set store the same value        one path for all of them
 *   later source wins                                       the documented precedence */
#include "io/config.h"
#include "tests/config/values.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static status set(config *c, const config_key *key, const char *value, error *e)
{
    char *assignment = NULL;
    assert_true(asprintf(&assignment, "%s.%s=%s", key->section, key->name, value) > 0);
    status s = config_set(c, assignment, e);
    free(assignment);
    return s;
}

static char *variable_of(const config_key *key)
{
    char *name = NULL;
    assert_true(asprintf(&name, "UNROLL_%s__%s", key->section, key->name) > 0);
    for (char *p = name; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    return name;
}

static void must(status s, const error *e)
{
    if (s != STATUS_OK)
        fail_msg("%s", e->text);
}

static void assert_same_values(const config *a, const config *b)
{
    for (int i = 0; i < config_schema_size; i++) {
        char *x = config_value_text(a, &config_schema[i]), *y = config_value_text(b, &config_schema[i]);
        assert_string_equal(x, y);
        free(x);
        free(y);
    }
}

static void test_random_configurations_survive_printing(void **state)
{
    (void)state;
    uint64_t seed = 1;
    int finished = 0;
    for (int round = 0; round < 1500; round++) {
        config c, back;
        error e = {0};
        config_init(&c);
        config_init(&back);
        uint64_t rarely = round % 3 == 0 ? 1 : 12; /* few changes, so that some break no rule across keys */
        must(config_set(&c, "data.corpus=x.h5", &e), &e);
        for (int i = 0; i < config_schema_size; i++)
            if (values_random(&seed) % rarely == 0) {
                char *value = values_valid(&config_schema[i], &seed);
                must(set(&c, &config_schema[i], value, &e), &e);
                free(value);
            }
        status finish = round % 2 ? config_finish(&c, &e) : STATUS_OK;
        finished += round % 2 && finish == STATUS_OK;
        char *yaml = config_to_yaml(&c, round % 4 >= 2);
        must(config_read_text(&back, yaml, strlen(yaml), "printed", &e), &e);
        if (round % 2) /* automatic values without effect are not printed; the rules fill them again */
            assert_int_equal(config_finish(&back, NULL), finish);
        assert_same_values(&c, &back);
        char *again = config_to_yaml(&back, round % 4 >= 2);
        assert_string_equal(yaml, again);
        free(yaml);
        free(again);
        config_free(&c);
        config_free(&back);
    }
    assert_true(finished > 50);
}

/* A finished configuration is accepted when it is read back and finished again, and finishing changes
 * nothing more. */
static void test_finishing_is_idempotent(void **state)
{
    (void)state;
    static const char *const names[] = {"sgd", "adam", "adamw", "rmsprop", "adagrad"};
    for (int i = 0; i < 5; i++) {
        config c, back;
        error e = {0};
        char assignment[64];
        config_init(&c);
        config_init(&back);
        snprintf(assignment, sizeof assignment, "optim.name=%s", names[i]);
        must(config_set(&c, "data.corpus=x.h5", &e), &e);
        must(config_set(&c, assignment, &e), &e);
        must(config_finish(&c, &e), &e);
        char *yaml = config_to_yaml(&c, true);
        must(config_read_text(&back, yaml, strlen(yaml), "printed", &e), &e);
        must(config_finish(&back, &e), &e);
        assert_same_values(&c, &back);
        free(yaml);
        config_free(&c);
        config_free(&back);
    }
}

static void test_every_key_refuses_bad_values(void **state)
{
    (void)state;
    for (int i = 0; i < config_schema_size; i++) {
        const config_key *key = &config_schema[i];
        char name[64], place[16];
        snprintf(name, sizeof name, "%s.%s", key->section, key->name);
        snprintf(place, sizeof place, "bad.yaml:2:");
        const char *bad;
        int n = 0;
        for (; (bad = values_bad(key, n)) != NULL; n++) {
            config c, untouched;
            error e = {0};
            config_init(&c);
            config_init(&untouched);
            char *yaml = values_yaml(key, bad);
            if (config_read_text(&c, yaml, strlen(yaml), "bad.yaml", &e) != STATUS_BAD_CONFIG)
                fail_msg("%s takes %s", name, bad);
            bool is_syntax = strstr(e.text, "allowed") || strstr(e.text, "not valid YAML"); /* knows no key */
            if (!is_syntax && !strstr(e.text, name))
                fail_msg("%s refuses %s without its name: %s", name, bad, e.text);
            if (strncmp(e.text, place, strlen(place)) != 0 && !strstr(e.text, "bad.yaml:3:"))
                fail_msg("%s refuses %s without the place: %s", name, bad, e.text);
            assert_same_values(&c, &untouched);
            free(yaml);
            config_free(&c);
            config_free(&untouched);
        }
        assert_true(n >= 20);
    }
}

/* One step outside each bound; the bounds themselves are in by the other tests. */
static void test_every_range_has_edges(void **state)
{
    (void)state;
    for (int i = 0; i < config_schema_size; i++) {
        const config_key *key = &config_schema[i];
        if (key->type != KEY_INT && key->type != KEY_REAL)
            continue;
        char text[2][64];
        config c;
        error e = {0};
        config_init(&c);
        if (key->type == KEY_INT) {
            snprintf(text[0], sizeof text[0], "%lld", (long long)key->min - 1);
            if (key->max < 0x1p63)
                snprintf(text[1], sizeof text[1], "%lld", (long long)key->max + 1);
            else
                snprintf(text[1], sizeof text[1], "9223372036854775808");
        } else {
            snprintf(text[0], sizeof text[0], "%.17g",
                     key->above_min ? key->min : nextafter(key->min, -1e300));
            snprintf(text[1], sizeof text[1], "%.17g",
                     key->below_max ? key->max : nextafter(key->max, 1e300));
        }
        for (int side = 0; side < 2; side++) {
            assert_int_equal(set(&c, key, text[side], &e), STATUS_BAD_CONFIG);
            assert_non_null(strstr(e.text, "out of range"));
            assert_true(*key->unit == '\0' || strstr(e.text, key->unit));
        }
        config_free(&c);
    }
}

/* Whatever can be said in a file can be said in the environment and with --set, with the same effect. */
static void test_every_key_by_every_way(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int i = 0; i < config_schema_size; i++)
        for (int round = 0; round < 8; round++) {
            const config_key *key = &config_schema[i];
            char *value = values_valid(key, &seed), *variable = variable_of(key);
            char *written = key->type == KEY_TEXT ? values_quoted(value) : strdup(value);
            char *yaml = values_yaml(key, written);
            config by_file, by_environment, by_set;
            error e = {0};
            config_init(&by_file);
            config_init(&by_environment);
            config_init(&by_set);
            must(config_read_text(&by_file, yaml, strlen(yaml), "f", &e), &e);
            setenv(variable, value, 1);
            must(config_read_environment(&by_environment, &e), &e);
            unsetenv(variable);
            must(set(&by_set, key, value, &e), &e);
            assert_same_values(&by_file, &by_environment);
            assert_same_values(&by_file, &by_set);
            char *seen = config_value_text(&by_file, key);
            if (key->type == KEY_TEXT || key->type == KEY_CHOICE || key->type == KEY_BOOL)
                assert_string_equal(seen, value);
            else if (strcmp(seen, "auto") != 0)
                assert_true(strtod(seen, NULL) == strtod(value, NULL));
            free(seen);
            free(value);
            free(variable);
            free(written);
            free(yaml);
            config_free(&by_file);
            config_free(&by_environment);
            config_free(&by_set);
        }
}

static void test_later_sources_win(void **state)
{
    (void)state;
    char path[] = "/tmp/unroll-config-XXXXXX";
    int fd = mkstemp(path);
    const char text[] = "data: {batch_size: 2, bptt: 2, shards: 2}\n";
    assert_true(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
    close(fd);
    config c;
    error e = {0};
    config_init(&c);
    must(config_read_file(&c, path, &e), &e);
    setenv("UNROLL_DATA__BPTT", "3", 1);
    setenv("UNROLL_DATA__SHARDS", "3", 1);
    setenv("UNROLL_KERNELS", "scalar", 1);
    setenv("UNROLL_DATA", "/somewhere", 1);
    must(config_read_environment(&c, &e), &e);
    must(config_set(&c, "data.shards=4", &e), &e);
    assert_int_equal(c.data.batch_size, 2);
    assert_int_equal(c.data.bptt, 3);
    assert_int_equal(c.data.shards, 4);
    assert_int_equal(c.model.hidden, 200);
    unsetenv("UNROLL_DATA__BPTT");
    unsetenv("UNROLL_DATA__SHARDS");
    unlink(path);
    config_free(&c);
}

static void test_wrong_names_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *assignment, *hint;
    } sets[] = {
        {"optim.lt=1", "did you mean 'lr'?"},
        {"model.hiden=1", "did you mean 'hidden'?"},
        {"modle.hidden=1", "did you mean 'model'?"},
        {"data.epochs=1", "did you mean 'train.epochs'?"},
        {"hidden=1", "'hidden' is a key of section 'model'"},
        {"train.xyzzy=1", "known are epochs, seed"},
        {"nothing=1", "known are task, data, model"},
        {"optim.lr", "expected SECTION.KEY=VALUE"},
        {"=1", "no such key"},
        {".=1", "no such key"},
        {"optim.=1", "no such key"},
        {"optim.lr.x=1", "no such key"},
        {"model.cell=ltsm", "did you mean 'lstm'?"},
        {"optim.name=adamm", "did you mean 'adam'?"},
        {"optim.name=x\x1b[31m", "found 'x\\x1b[31m'"},
        {"data.corpus=a\xff", "not UTF-8"},
        {"data.corpus=", "not empty"},
    };
    config c;
    config_init(&c);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        error e = {0};
        assert_int_equal(config_set(&c, sets[i].assignment, &e), STATUS_BAD_CONFIG);
        if (!strstr(e.text, sets[i].hint) || strncmp(e.text, "--set ", 6) != 0)
            fail_msg("%s: %s", sets[i].assignment, e.text);
    }
    static const char *const variables[][2] = {
        {"UNROLL_OPTIM__LT", "did you mean UNROLL_OPTIM__LR?"},
        {"UNROLL_optim__lr", "no such key"},
        {"UNROLL_OPTIM__LR__", "did you mean UNROLL_OPTIM__LR?"},
        {"UNROLL_OPTIM_LR", "did you mean UNROLL_OPTIM__LR?"},
        {"UNROLL_RUN_KEEP_LAST", "did you mean UNROLL_RUN__KEEP_LAST?"},
        {"UNROLL___", "no such key"}};
    for (int i = 0; i < 6; i++) {
        error e = {0};
        setenv(variables[i][0], "1", 1);
        assert_int_equal(config_read_environment(&c, &e), STATUS_BAD_CONFIG);
        unsetenv(variables[i][0]);
        if (!strstr(e.text, variables[i][1]) || !strstr(e.text, variables[i][0]))
            fail_msg("%s: %s", variables[i][0], e.text);
    }
    config_free(&c);
}

/* The printed number is the shortest that reads back, and an integer keeps its zeros. */
static void test_reals_print_shortly(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"600", "600"},
                                           {"1e6", "1000000"},
                                           {"0.1", "0.1"},
                                           {"1e-8", "1e-08"},
                                           {"0.30000000000000004", "0.30000000000000004"},
                                           {"5e-1", "0.5"},
                                           {"20.", "20"},
                                           {"+.25", "0.25"},
                                           {"4.94e-324", "5e-324"},
                                           {"123456.75", "123456.75"}};
    const config_key *key = config_find("optim", "lr");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        config c;
        error e = {0};
        config_init(&c);
        must(set(&c, key, pairs[i][0], &e), &e);
        char *text = config_value_text(&c, key);
        assert_string_equal(text, pairs[i][1]);
        free(text);
        config_free(&c);
    }
    config c;
    error e = {0};
    config_init(&c);
    must(config_set(&c, "optim.momentum=-0.0", &e), &e);
    assert_false(signbit(c.optim.momentum));
    config_free(&c);
}

static char *printed_by(void (*print)(FILE *))
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    print(out);
    fclose(out);
    return text;
}

/* Help and manual come from the schema: each key with its meaning, and nothing that roff would take for a
 * request. */
static void test_help_and_manual_hold_every_key(void **state)
{
    (void)state;
    char *help = printed_by(config_print_help), *man = printed_by(config_print_man);
    for (int i = 0; i < config_schema_size; i++) {
        char heading[64];
        assert_non_null(strstr(help, config_schema[i].meaning));
        snprintf(heading, sizeof heading, ".B %s\n", config_schema[i].name);
        assert_non_null(strstr(man, heading));
    }
    for (const char *line = man; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (*line == '.' || *line == '\'')
            assert_true(strncmp(line, ".TH ", 4) == 0 || strncmp(line, ".SH ", 4) == 0 ||
                        strncmp(line, ".TP\n", 4) == 0 || strncmp(line, ".B ", 3) == 0 ||
                        strncmp(line, ".br\n", 4) == 0 || strncmp(line, ".PP\n", 4) == 0 ||
                        strncmp(line, ".nf\n", 4) == 0 || strncmp(line, ".fi\n", 4) == 0);
    free(help);
    free(man);
}

static void test_files_that_cannot_be_read(void **state)
{
    (void)state;
    config c;
    config_init(&c);
    error e = {0};
    assert_int_equal(config_read_file(&c, "/nonexistent/a.yaml", &e), STATUS_BAD_CONFIG);
    assert_non_null(strstr(e.text, "/nonexistent/a.yaml"));
    assert_int_equal(config_read_file(&c, "/tmp", &e), STATUS_BAD_CONFIG);
    config_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_configurations_survive_printing),
        cmocka_unit_test(test_finishing_is_idempotent),
        cmocka_unit_test(test_every_key_refuses_bad_values),
        cmocka_unit_test(test_every_range_has_edges),
        cmocka_unit_test(test_every_key_by_every_way),
        cmocka_unit_test(test_later_sources_win),
        cmocka_unit_test(test_wrong_names_are_told),
        cmocka_unit_test(test_reals_print_shortly),
        cmocka_unit_test(test_help_and_manual_hold_every_key),
        cmocka_unit_test(test_files_that_cannot_be_read),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
