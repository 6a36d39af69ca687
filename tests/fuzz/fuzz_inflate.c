/* SPDX-License-Identifier: BSD-3-Clause */
/* A compressed layer: the same bytes however the stream is cut, and never more than there is room.
 */
#include "config.h"

#include <string.h>

#include "store/inflate.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define LIMIT (4u << 20) /* a bomb ends here */

struct result {
	uint8_t room[4096];
	uint64_t bytes, sum;
	struct hr_err e;
};

static uint8_t *on_room(void *arg, size_t *cap, struct hr_err *e)
{
	struct result *r = arg;

	(void)e;
	*cap = sizeof(r->room);
	return r->room;
}

static int on_done(void *arg, size_t n, struct hr_err *e)
{
	struct result *r = arg;

	FUZZ_CHECK(n > 0 && n <= sizeof(r->room));
	for (size_t i = 0; i < n; i++)
		r->sum = r->sum * 31 + r->room[i];
	r->bytes += n;
	return r->bytes > LIMIT ? hr_fail(e, HR_CORRUPT, 0, "too much") : 0;
}

static void inflate(const uint8_t *p, size_t n, size_t piece, enum fetch_compression type,
		    struct result *r)
{
	struct store_inflate_out out = { on_room, on_done, r };
	HR_CLEANUP(store_inflate_freep)
	struct store_inflate *s = store_inflate_new(type, &out);

	for (size_t at = 0; at < n; at += piece)
		if (store_inflate_feed(s, p + at, n - at < piece ? n - at : piece, &r->e) < 0)
			return;
	if (store_inflate_end(s, &r->e) < 0)
		FUZZ_CHECK(r->e.kind != HR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const enum fetch_compression types[] = { FETCH_PLAIN, FETCH_GZIP, FETCH_ZSTD };

	for (size_t i = 0; i < HR_COUNT(types); i++) {
		struct result whole = { .bytes = 0 }, pieces = { .bytes = 0 };

		inflate(p, n, n ? n : 1, types[i], &whole);
		inflate(p, n, 7, types[i], &pieces);
		FUZZ_CHECK(whole.e.kind == pieces.e.kind);
		if (whole.e.kind == HR_OK)
			FUZZ_CHECK(whole.bytes == pieces.bytes && whole.sum == pieces.sum);
		else
			FUZZ_CHECK(whole.e.kind == HR_CORRUPT && whole.e.text[0] != '\0');
	}
	return 0;
}
