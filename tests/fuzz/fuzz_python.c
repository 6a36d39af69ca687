/* SPDX-License-Identifier: BSD-3-Clause */
/* A compiled module of Python that an image brings: every name that it imports lies inside of it,
 * and a module is told before what is taken out of it. */
#include "config.h"

#include <stdbool.h>

#include "store/python.h"
#include "tests/fuzz/fuzz.h"
#include "util/poison.h"

struct seen {
	const uint8_t *p;
	size_t n;
	bool module;
};

static void inside(const struct seen *s, const char *p, size_t n)
{
	size_t at = (size_t)((const uint8_t *)p - s->p);

	FUZZ_CHECK((const uint8_t *)p >= s->p && at <= s->n && n <= s->n - at);
}

static void import(void *arg, const struct store_python_import *i)
{
	struct seen *s = arg;

	inside(s, i->module, i->module_len);
	if (i->name_len == 0)
		s->module = true;
	else
		inside(s, i->name, i->name_len);
	FUZZ_CHECK(s->module);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct seen s = { p, n, false };
	bool ok = store_python_imports(p, n, import, &s);

	FUZZ_CHECK(ok || !s.module);
	return 0;
}
