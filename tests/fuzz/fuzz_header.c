/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers that servers send: numbers are in their bounds, and what was read is read again. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fetch/header.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

static void check_range(const char *s)
{
	struct fetch_range r, again;
	char text[80];

	if (!fetch_range_parse(s, &r))
		return;
	FUZZ_CHECK(r.first <= r.last && r.last < r.total);
	snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, r.first, r.last,
		 r.total);
	FUZZ_CHECK(fetch_range_parse(text, &again) && again.first == r.first &&
		   again.last == r.last && again.total == r.total);
	FUZZ_CHECK(fetch_unsatisfied_total(s) == 0);
}

static void check_upload(const char *s)
{
	uint64_t bytes, again;
	char text[40];

	if (!fetch_upload_range_parse(s, &bytes) || bytes == 0)
		return;
	FUZZ_CHECK(bytes >= 2 && bytes <= UINT64_C(1) << 63);
	snprintf(text, sizeof(text), "0-%" PRIu64, bytes - 1);
	FUZZ_CHECK(fetch_upload_range_parse(text, &again) && again == bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	hr_autofree char *s = hr_xmalloc(n + 1);
	uint64_t ms;

	memcpy(s, p, n);
	s[n] = '\0';
	check_range(s);
	check_upload(s);
	if (fetch_retry_after_parse(s, 784111777, &ms))
		FUZZ_CHECK(ms <= 600000);
	return 0;
}
