/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun.conf: an error names the line; what is accepted is accepted again. */
#include "config.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/conf.h"
#include "util/mem.h"
#include "util/poison.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	hr_autofree char *s = hr_xmalloc(n + 1);
	struct hr_err e = { 0 };
	struct hr_conf c;

	memcpy(s, p, n);
	s[n] = '\0';
	hr_conf_init(&c);
	if (hr_conf_parse(&c, "conf", s, HR_CONF_SITE, &e) < 0)
		FUZZ_CHECK(e.kind == HR_USAGE && strncmp(e.text, "conf, line ", 11) == 0);
	else
		FUZZ_CHECK(hr_conf_parse(&c, "conf", s, HR_CONF_SITE, &e) == 0);
	hr_conf_release(&c);
	return 0;
}
