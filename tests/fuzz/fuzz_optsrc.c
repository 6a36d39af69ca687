/* SPDX-License-Identifier: BSD-3-Clause */
/* An options file: an error names the line; a name has no blank, a value no line end and no blank
 * at its ends. */
#include "config.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/optsrc.h"
#include "util/poison.h"

static int check(void *arg, const struct hr_optsrc_line *line, struct hr_err *e)
{
	size_t n = line->value ? strlen(line->value) : 0;

	(void)e;
	*(size_t *)arg += 1;
	FUZZ_CHECK(line->name[0] != '\0' && !strpbrk(line->name + 1, " \t\n="));
	FUZZ_CHECK(!line->value || !strchr(line->value, '\n'));
	FUZZ_CHECK(n == 0 || !strchr(" \t\r", line->value[n - 1]));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	hr_autofree char *text = hr_xmalloc(n + 1);
	struct hr_err e = { 0 };
	size_t lines = 0;

	memcpy(text, p, n);
	if (hr_optsrc_parse(text, "file", check, &lines, &e) < 0)
		FUZZ_CHECK(e.kind == HR_USAGE && strncmp(e.text, "file, line ", 11) == 0);
	FUZZ_CHECK(lines <= n);
	return 0;
}
