/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define NAME_WIDTH 17

static const struct {
	const char *word, *json;
} results[] = {
	[HR_RESULT_OK] = { "ok", "ok" },
	[HR_RESULT_WARN] = { "warn", "warn" },
	[HR_RESULT_FAIL] = { "FAIL", "fail" },
};

/* RFC 8259, section 7; what is no ASCII becomes '?': names of files may be in any encoding. */
static void add_string(struct hr_buf *b, const char *key, const char *s)
{
	hr_buf_printf(b, "%s\"%s\":\"", b->len > 1 ? "," : "", key);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			hr_buf_printf(b, "\\%c", c);
		else if (c < ' ')
			hr_buf_printf(b, "\\u%04x", c);
		else
			hr_buf_printf(b, "%c", c < 0x7f ? c : '?');
	}
	hr_buf_printf(b, "\"");
}

static void add_json(struct hr_buf *b, const char *check, enum hr_result r, const char *text,
		     const char *remedy)
{
	hr_buf_printf(b, "{");
	add_string(b, "check", check);
	add_string(b, "result", results[r].json);
	add_string(b, "text", text);
	if (remedy[0])
		add_string(b, "remedy", remedy);
	hr_buf_printf(b, "}\n");
}

static void add_text(struct hr_buf *b, const char *check, enum hr_result r, const char *text,
		     const char *remedy)
{
	hr_buf_printf(b, "%-5s %-*s ", results[r].word, NAME_WIDTH, check);
	hr_buf_untrusted(b, text, strlen(text));
	hr_buf_printf(b, "\n");
	if (remedy[0]) {
		hr_buf_printf(b, "%*s", 6 + NAME_WIDTH + 1, "");
		hr_buf_untrusted(b, remedy, strlen(remedy));
		hr_buf_printf(b, "\n");
	}
}

void hr_finding(struct hr_findings *f, const char *check, enum hr_result result, const char *remedy,
		const char *fmt, ...)
{
	hr_autobuf struct hr_buf b = { 0 };
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f->warned += result == HR_RESULT_WARN;
	f->failed += result == HR_RESULT_FAIL;
	(f->json ? add_json : add_text)(&b, check, result, text, remedy ? remedy : "");
	fwrite(b.p, 1, b.len, stdout);
}

void hr_finding_err(struct hr_findings *f, const char *check, enum hr_result result,
		    struct hr_err *e)
{
	hr_finding(f, check, result, e->hint, "%s", e->text);
	hr_err_clear(e);
}
