/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of mirrored images and their state: errors name a line; what was read is read again. */
#include "config.h"

#include <string.h>

#include "store/site.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

static void check_list(const char *s)
{
	HR_CLEANUP(store_site_release) struct store_site site = { 0 };
	struct hr_err e = { 0 };

	if (store_site_parse(s, "list", &site, &e) < 0)
		FUZZ_CHECK(e.kind == HR_USAGE && strncmp(e.text, "list, line ", 11) == 0);
	for (size_t i = 0; i < site.n; i++)
		FUZZ_CHECK(site.images[i].listed && site.images[i].name[0] != '\0');
}

static void check_state(const char *s)
{
	HR_CLEANUP(store_site_release) struct store_site site = { 0 }, again = { 0 };
	hr_autobuf struct hr_buf once = { 0 }, twice = { 0 };
	struct hr_err e = { 0 };

	if (store_site_parse_state(s, &site, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && strncmp(e.text, "line ", 5) == 0);
		return;
	}
	store_site_write_state(&site, &once);
	hr_buf_str(&once, "");
	FUZZ_CHECK(store_site_parse_state((const char *)once.p, &again, &e) == 0);
	store_site_write_state(&again, &twice);
	hr_buf_str(&twice, "");
	FUZZ_CHECK(strcmp((const char *)once.p, (const char *)twice.p) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	hr_autofree char *s = hr_xmalloc(n + 1);
	static const char name[] = "h.example/new:1", line[] = "image h.example/new:1\n";
	hr_autobuf struct hr_buf once = { 0 }, twice = { 0 };

	memcpy(s, p, n);
	s[n] = '\0';
	check_list(s);
	check_state(s);
	/* what was put on the list is on it once, and editing it so again changes nothing */
	(void)store_site_edit(s, name, line, &once);
	FUZZ_CHECK(!store_site_edit((const char *)once.p, name, line, &twice));
	return 0;
}
