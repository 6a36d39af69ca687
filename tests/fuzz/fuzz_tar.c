/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A layer's archive: content lies within its file and in order, however the stream is cut; an
 * error says at which offset.
 */
#include "config.h"

#include <string.h>

#include "store/tar.h"
#include "tests/fuzz/fuzz.h"
#include "util/mem.h"
#include "util/poison.h"

struct stream {
	const uint8_t *p;
	size_t n, piece;
};

static int more(void *arg, const uint8_t **p, size_t *n, struct hr_err *e)
{
	struct stream *s = arg;

	(void)e;
	*p = s->p;
	*n = s->n < s->piece ? s->n : s->piece;
	s->p += *n;
	s->n -= *n;
	return 0;
}

/* Bytes of content, and how it ended. */
struct result {
	uint64_t entries, bytes;
	struct hr_err e;
};

static int read_entry(struct store_tar *t, const struct store_tar_entry *entry, struct result *r)
{
	uint64_t off, end = 0;
	const uint8_t *p;
	size_t n;
	int got;

	FUZZ_CHECK(!memchr(entry->path.p, '\0', entry->path.len));
	while ((got = store_tar_data(t, &off, &p, &n, &r->e)) > 0) {
		FUZZ_CHECK(off >= end && n <= entry->attr.size && off <= entry->attr.size - n);
		end = off + n;
		r->bytes += n;
	}
	return got;
}

static void read_all(const uint8_t *p, size_t n, size_t piece, struct result *r)
{
	struct stream s = { p, n, piece };
	struct store_tar_entry entry = { 0 };
	struct store_tar t;
	int got;

	store_tar_init(&t, more, &s);
	while ((got = store_tar_next(&t, &entry, &r->e)) > 0) {
		r->entries++;
		if (read_entry(&t, &entry, r) < 0)
			break;
	}
	if (got == 0 && store_tar_drain(&t, &r->e) == 0)
		FUZZ_CHECK(s.n == 0);
	store_tar_entry_release(&entry);
	store_tar_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct result whole = { 0 }, pieces = { 0 };

	read_all(p, n, n ? n : 1, &whole);
	FUZZ_CHECK(whole.e.kind == HR_OK ||
		   (whole.e.kind == HR_CORRUPT && whole.e.text[0] != '\0'));
	read_all(p, n, 511, &pieces);
	FUZZ_CHECK(whole.entries == pieces.entries && whole.bytes == pieces.bytes);
	FUZZ_CHECK(strcmp(whole.e.text, pieces.e.text) == 0);
	return 0;
}
