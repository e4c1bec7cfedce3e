#include "launch/explain_page.h"

#include "io/escape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --a is a word's share of the full colour.  The colours are Okabe and Ito's orange and blues; the darker ones
 * leave white letters a contrast of 5 to 1. */
static const char style[] =
    ":root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --quiet: #595959;\n"
    "  --for: 230 159 0; --against: 86 180 233; --line: 0 0 0 }\n"
    "@media screen and (prefers-color-scheme: dark) { :root { --ink: #ececec; --paper: #161616;\n"
    "  --quiet: #a6a6a6; --for: 150 84 0; --against: 0 98 160; --line: 255 255 255 } }\n"
    "body { margin: 2em auto; max-width: 46em; padding: 0 1em; color: var(--ink); background: var(--paper);\n"
    "  font: 1em/1.7 system-ui, sans-serif; overflow-wrap: anywhere }\n"
    "h1 { font-size: 1.4em } h2 { font-size: 1em; margin: 2em 0 0 }\n"
    ".label { margin: 0; color: var(--quiet) } .text { margin: .5em 0 0 }\n"
    ".for, .against { border-radius: 2px; print-color-adjust: exact; -webkit-print-color-adjust: exact }\n"
    ".for { background: rgb(var(--for) / var(--a)); border-bottom: 2px solid rgb(var(--line) / var(--a)) }\n"
    ".against { background: rgb(var(--against) / var(--a));\n"
    "  border-bottom: 2px dotted rgb(var(--line) / var(--a)) }\n"
    "@media print { body { max-width: none; margin: 0 } section { break-inside: avoid } }\n";

/* ---- pieces ---- */

static void put_character(FILE *out, const char *at, size_t n)
{
    switch (*at) {
    case '&':
        fputs("&amp;", out);
        break;
    case '<':
        fputs("&lt;", out);
        break;
    case '>':
        fputs("&gt;", out);
        break;
    case '"':
        fputs("&quot;", out);
        break;
    case '\'':
        fputs("&#39;", out);
        break;
    default:
        fwrite(at, 1, n, out);
    }
}

static void put_bytes(FILE *out, const char *bytes, size_t n)
{
    for (size_t i = 0, step; i < n; i += step) {
        step = escape_printable(bytes + i, n - i);
        if (step > 0) {
            put_character(out, bytes + i, step);
        } else {
            fputs("\xef\xbf\xbd", out); /* U+FFFD */
            step = 1;
        }
    }
}

static void put_text(FILE *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

static void put_word(FILE *out, const explain_document *d, size_t i, double largest)
{
    const double value = d->contribution[i] == 0 ? 0.0 : d->contribution[i]; /* no negative zero */
    fputs("<span", out);
    if (isfinite(value) && value != 0)
        fprintf(out, " class=\"%s\" style=\"--a:%.3f\"", value > 0 ? "for" : "against",
                fabs(value) / largest);
    fprintf(out, " title=\"%+.4g\">", value);
    put_bytes(out, d->word[i], d->bytes[i]);
    fputs("</span>\n", out);
}

static double largest_of(const explain_document *d)
{
    double largest = 0;
    for (size_t i = 0; i < d->words; i++)
        if (isfinite(d->contribution[i]))
            largest = fmax(largest, fabs(d->contribution[i]));
    return largest;
}

static void put_document(FILE *out, const explain_document *d)
{
    const double largest = largest_of(d);
    fputs("<section>\n<h2>", out);
    put_text(out, d->place);
    fputs("</h2>\n<p class=\"label\">predicted <b>", out);
    put_text(out, d->predicted);
    fprintf(out, "</b>, probability %.4f", d->probability);
    if (d->truth != NULL) {
        fputs("; it is <b>", out);
        put_text(out, d->truth);
        fprintf(out, "</b>: %s", strcmp(d->truth, d->predicted) == 0 ? "right" : "wrong");
    }
    if (d->note != NULL) {
        fputs("</p>\n<p class=\"label\">", out);
        put_text(out, d->note);
    }
    fputs("</p>\n<p class=\"text\" lang=\"\" dir=\"auto\">\n", out);
    for (size_t i = 0; i < d->words; i++)
        put_word(out, d, i, largest);
    fputs("</p>\n", out);
    if (d->words == 0)
        fputs("<p class=\"label\">no words</p>\n", out);
    fputs("</section>\n", out);
}

static void put_head(FILE *out, const char *title)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
          out);
    put_text(out, title);
    fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", style);
    put_text(out, title);
    fputs(
        "</h1>\n<p class=\"label\"><span class=\"for\" style=\"--a:1\">Orange</span> words speak for the "
        "predicted class,\n<span class=\"against\" style=\"--a:1\">blue</span> ones against it; each has its "
        "number as a tooltip.\nThe largest number of a document has the full colour.</p>\n",
        out);
}

/* ---- the page ---- */

status explain_page_open(explain_page *p, const char *path, const char *title, error *e)
{
    p->documents = 0;
    status s = output_open(&p->out, path, e);
    if (s == STATUS_OK)
        put_head(p->out.stream, title); /* what cannot be written shows when the first document is */
    return s;
}

status explain_page_add(explain_page *p, const explain_document *document, error *e)
{
    put_document(p->out.stream, document);
    status s = output_flush(&p->out, e);
    p->documents += s == STATUS_OK;
    return s;
}

status explain_page_close(explain_page *p, error *e)
{
    fputs("</body>\n</html>\n", p->out.stream);
    return output_close(&p->out, e);
}

void explain_page_discard(explain_page *p)
{
    output_discard(&p->out);
}
