/* config_print.c - the configuration as YAML, and the schema as help and as a manual page. */
#include "io/bug.h"
#include "io/config_internal.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static bool begins_section(int i)
{
    return i == 0 || strcmp(config_schema[i].section, config_schema[i - 1].section) != 0;
}

/* Double-quoted, so that no text is mistaken for null, a number, a comment or a map. */
static void add_quoted(char **out, const char *text)
{
    text_add(out, "\"");
    for (size_t n = strlen(text); n > 0;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t length =
            utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &point);
        BUG_IF(length <= 0, "a text that is not UTF-8 passed the checks");
        if (*text == '"' || *text == '\\')
            text_add(out, "\\%c", *text);
        else if (point == 0xFFFE || point == 0xFFFF) /* not allowed raw in YAML */
            text_add(out, "\\u%04X", (unsigned)point);
        else
            text_add(out, "%.*s", (int)length, text);
        text += length;
        n -= (size_t)length;
    }
    text_add(out, "\"");
}

static void add_line(char **out, const config *c, const config_key *key, bool comments)
{
    char *line = NULL, *value = config_value_text(c, key);
    text_add(&line, "  %s: ", key->name);
    if (key->type == KEY_TEXT)
        add_quoted(&line, value);
    else
        text_add(&line, "%s", value);
    text_add(out, "%-*s", comments ? 34 : 0, line);
    if (comments && key->type == KEY_CHOICE)
        text_add(out, " # %s: %s", key->choices, key->meaning);
    else if (comments)
        text_add(out, " # %s%s%s", key->unit, *key->unit ? ": " : "", key->meaning);
    text_add(out, "\n");
    free(value);
    free(line);
}

char *config_to_yaml(const config *c, bool comments)
{
    char *out = NULL;
    const char *section = "";
    for (int i = 0; i < config_schema_size; i++) {
        const config_key *k = &config_schema[i];
        bool is_missing =
            k->type == KEY_TEXT && !k->fallback && !*(char *const *)((const char *)c + k->offset);
        if (is_missing || (!rules_applies(c, k) && rules_is_default(c, k)))
            continue;
        if (strcmp(section, k->section) != 0)
            text_add(&out, "%s:\n", k->section);
        section = k->section;
        add_line(&out, c, k, comments);
    }
    return out;
}

/* "20", "required", "empty" */
static const char *default_text(const config_key *key)
{
    if (!key->fallback)
        return "required";
    return *key->fallback ? key->fallback : "empty";
}

void config_print_help(FILE *out)
{
    fprintf(
        out,
        "Keys of the configuration, as section: {key: value} in a YAML file, --set section.key=value, or\n"
        "UNROLL_SECTION__KEY=value in the environment; files < environment < --set. [default]\n");
    for (int i = 0; i < config_schema_size; i++) {
        const config_key *k = &config_schema[i];
        if (begins_section(i))
            fprintf(out, "\n%s:\n", k->section);
        char *domain = value_domain(k);
        fprintf(out, "  %-24s %s [%s]\n", k->name, k->meaning, default_text(k));
        fprintf(out, "  %-24s %s%s%s%s\n", "", domain, k->applies ? "; only with " : "",
                k->applies ? k->applies : "", k->is_free ? "; may change on resume" : "");
        free(domain);
    }
}

/* Text for roff: backslashes, and a '.' or ''' that would begin a request. */
static void print_roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

static void print_man_key(FILE *out, const config_key *key)
{
    char *domain = value_domain(key);
    fprintf(out, ".TP\n.B %s\n", key->name);
    print_roff(out, key->meaning);
    fputs(".\n.br\nTakes ", out);
    print_roff(out, domain);
    fputs("; default: ", out);
    print_roff(out, default_text(key));
    if (key->applies) {
        fputs("; only with ", out);
        print_roff(out, key->applies);
    }
    fputs(key->is_free ? ".\nMay change when a run is resumed.\n" : ".\n", out);
    free(domain);
}

void config_print_man(FILE *out)
{
    fputs(".TH UNROLL\\-CONFIG 5 \"\" \"Unroll " UNROLL_VERSION "\" \"File formats\"\n"
          ".SH NAME\nunroll\\-config \\- configuration of a training run\n"
          ".SH DESCRIPTION\n"
          "A configuration is a YAML file of sections that hold keys with single values:\n"
          ".PP\n.nf\n"
          "    data:  {corpus: ptb.h5, batch_size: 20, bptt: 20}\n"
          "    model: {cell: lstm, layers: 2, hidden: 200}\n"
          "    optim: {name: sgd, lr: 1.0}\n"
          ".fi\n.PP\n"
          "Later sources override earlier ones: defaults, files in their order, the environment, the command "
          "line.\n"
          "Unknown and duplicate sections and keys, null, anchors, aliases, tags and further documents are "
          "errors.\n"
          "Booleans are true and false; whole numbers are plain decimals; reals may have an exponent.\n"
          "A key that has no effect beside the others is refused unless it holds its default.\n",
          out);
    for (int i = 0; i < config_schema_size; i++) {
        if (begins_section(i))
            fprintf(out, ".SH SECTION %s\n", config_schema[i].section);
        print_man_key(out, &config_schema[i]);
    }
    fputs(".SH ENVIRONMENT\n"
          "UNROLL_SECTION__KEY, in capitals, sets a key: UNROLL_OPTIM__LR=0.5.\n"
          "A name that begins with UNROLL_, has two underscores and is no key is an error.\n"
          ".SH SEE ALSO\nunroll config \\-\\-help\n",
          out);
}
