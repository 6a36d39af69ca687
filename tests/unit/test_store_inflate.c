/* SPDX-License-Identifier: BSD-3-Clause */
/* store: gzip, zstd and plain blobs, whole, in many parts, cut at each byte, and mislabelled. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <isa-l.h>
#include <zstd.h>

#include "store/inflate.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

struct out {
	struct hr_buf got;
	uint8_t room[333]; /* small: decoders must go on with their output */
};

static uint8_t *on_room(void *arg, size_t *cap, struct hr_err *e)
{
	(void)e;
	*cap = sizeof(((struct out *)arg)->room);
	return ((struct out *)arg)->room;
}

static int on_done(void *arg, size_t n, struct hr_err *e)
{
	struct out *o = arg;

	(void)e;
	assert_in_range(n, 1, sizeof(o->room));
	hr_buf_add(&o->got, o->room, n);
	return 0;
}

/* What callers leave on the stack between two pieces: a decoder that keeps state there fails. */
static __attribute__((noinline)) void dirty_stack(uint8_t with)
{
	volatile uint8_t rubbish[8192];

	for (size_t i = 0; i < sizeof(rubbish); i++)
		rubbish[i] = with;
}

/* Inflate P in pieces of STEP bytes. */
static int inflate_all(enum fetch_compression type, const uint8_t *p, size_t n, size_t step,
		       struct hr_buf *got, struct hr_err *e)
{
	struct out o = { .got = { 0 } };
	struct store_inflate_out out = { on_room, on_done, &o };
	HR_CLEANUP(store_inflate_freep) struct store_inflate *s = store_inflate_new(type, &out);
	int r = 0;

	for (size_t at = 0; r == 0 && at < n; at += step) {
		dirty_stack((uint8_t)(0xff - at));
		r = store_inflate_feed(s, p + at, n - at < step ? n - at : step, e);
	}
	if (r == 0)
		r = store_inflate_end(s, e);
	*got = o.got;
	return r;
}

/* An "archive": its magic where a tar has it, and lines. */
static void make_plain(struct hr_buf *b)
{
	for (int i = 0; i < 100; i++)
		hr_buf_printf(b, "line %d of something that compresses\n", i);
	memcpy(b->p + 257, "ustar", 5);
}

static void add_gzip(struct hr_buf *b, const uint8_t *p, size_t n)
{
	struct isal_zstream z;

	hr_buf_reserve(b, n + 1000);
	isal_deflate_stateless_init(&z);
	z.gzip_flag = IGZIP_GZIP;
	z.end_of_stream = 1;
	z.next_in = (uint8_t *)(uintptr_t)p;
	z.avail_in = (uint32_t)n;
	z.next_out = b->p + b->len;
	z.avail_out = (uint32_t)(n + 1000);
	assert_int_equal(isal_deflate_stateless(&z), COMP_OK);
	b->len += z.total_out;
}

static void add_zstd(struct hr_buf *b, const uint8_t *p, size_t n)
{
	size_t r;

	hr_buf_reserve(b, ZSTD_compressBound(n));
	r = ZSTD_compress(b->p + b->len, ZSTD_compressBound(n), p, n, 1);
	assert_false(ZSTD_isError(r));
	b->len += r;
}

/* An empty member with all optional fields but the check sum, as eStargz ends a layer with one. */
static void add_gzip_fields(struct hr_buf *b)
{
	static const uint8_t member[] = {
		0x1f, 0x8b, 8,	 0x1c, 0, 0, 0, 0,   0,	  255, /* FEXTRA, FNAME, FCOMMENT */
		7,    0,    'S', 'G',  3, 0, 1, 2,   3,	       /* extra field */
		'n',  0,    'c', 0,    1, 0, 0, 255, 255,      /* name, comment, block */
		0,    0,    0,	 0,    0, 0, 0, 0,	       /* CRC32, ISIZE */
	};

	hr_buf_add(b, member, sizeof(member));
}

/* What is in the blob: g, z: half of the plain bytes each time; s: a skippable frame; 0: zeros;
 * j: junk; p: all of it plain; e: an empty member or frame of the kind before; f: an empty member
 * with many fields. */
static void make_blob(const char *recipe, const struct hr_buf *plain, struct hr_buf *b)
{
	size_t half = plain->len / 2, at = 0;

	for (const char *c = recipe; *c; c++) {
		size_t n = at ? plain->len - at : half;

		if (*c == 'g')
			add_gzip(b, plain->p + at, n);
		else if (*c == 'z')
			add_zstd(b, plain->p + at, n);
		else if (*c == 'p')
			hr_buf_add(b, plain->p, plain->len);
		else if (*c == 's')
			hr_buf_add(b, "\x53\x2a\x4d\x18\x03\0\0\0abc", 11);
		else if (*c == '0')
			hr_buf_add(b, "\0\0\0\0\0\0\0\0", 8);
		else if (*c == 'j')
			hr_buf_str(b, "junk");
		else if (*c == 'f')
			add_gzip_fields(b);
		else if (*c == 'e' && recipe[0] == 'g')
			add_gzip(b, plain->p, 0);
		else if (*c == 'e')
			add_zstd(b, plain->p, 0);
		else if (*c == 'x')
			hr_buf_add(b,
				   "\xfd"
				   "7zXZ\0 and so on",
				   16);
		if (*c == 'g' || *c == 'z')
			at = half;
	}
}

static const struct {
	const char *what, *recipe;
	enum fetch_compression type;
	const char *message; /* NULL: the plain bytes come out */
} rows[] = {
	{ "two members", "gg", FETCH_GZIP, NULL },
	{ "an empty member between", "geg", FETCH_GZIP, NULL },
	{ "a member with fields behind", "ggf", FETCH_GZIP, NULL },
	{ "a member with fields between", "gfg", FETCH_GZIP, NULL },
	{ "zeros behind", "gg0", FETCH_GZIP, NULL },
	{ "junk behind", "ggj", FETCH_GZIP, "other data behind the end" },
	{ "a member behind zeros", "g0g", FETCH_GZIP, "other data behind the end" },
	{ "two frames", "zz", FETCH_ZSTD, NULL },
	{ "an empty frame between", "zez", FETCH_ZSTD, NULL },
	{ "frames to be skipped", "szszs", FETCH_ZSTD, NULL },
	{ "junk behind a frame", "zzj", FETCH_ZSTD, "damaged zstd data" },
	{ "plain", "p", FETCH_PLAIN, NULL },
	{ "zstd that Docker calls gzip", "zz", FETCH_GZIP, NULL },
	{ "plain that Docker calls gzip", "p", FETCH_GZIP, NULL },
	{ "gzip called zstd", "gg", FETCH_ZSTD, "the blob is gzip, the manifest says it is zstd" },
	{ "gzip called plain", "gg", FETCH_PLAIN,
	  "the blob is gzip, the manifest says it is a plain archive" },
	{ "xz called gzip", "x", FETCH_GZIP, "the blob is xz, the manifest says it is gzip" },
	{ "nothing called gzip", "", FETCH_GZIP, "the blob is empty" },
	{ "nothing called zstd", "", FETCH_ZSTD, "the blob is empty" },
	{ "junk called gzip", "j", FETCH_GZIP, "of an unknown form" },
};

static void forms(void **state)
{
	static const size_t steps[] = { 1, 7, 333, 100000 };
	hr_autobuf struct hr_buf plain = { 0 };

	(void)state;
	make_plain(&plain);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf blob = { 0 };

		make_blob(rows[i].recipe, &plain, &blob);
		for (size_t k = 0; k < HR_COUNT(steps); k++) {
			hr_autobuf struct hr_buf got = { 0 };
			struct hr_err e = { 0 };
			int r = inflate_all(rows[i].type, blob.p, blob.len, steps[k], &got, &e);

			if ((r == 0) != !rows[i].message ||
			    (r < 0 && (e.kind != HR_CORRUPT || !strstr(e.text, rows[i].message))))
				fail_msg("row '%s', steps of %zu: %d '%s'", rows[i].what, steps[k],
					 r, e.text);
			if (r == 0) {
				assert_int_equal(got.len, plain.len);
				assert_memory_equal(got.p, plain.p, plain.len);
			}
		}
	}
}

static void an_empty_plain_blob_is_empty(void **state)
{
	hr_autobuf struct hr_buf got = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(inflate_all(FETCH_PLAIN, NULL, 0, 1, &got, &e), 0);
	assert_int_equal(got.len, 0);
}

static void every_cut_is_refused(void **state)
{
	static const struct {
		const char *recipe;
		enum fetch_compression type;
	} kinds[] = { { "g", FETCH_GZIP }, { "z", FETCH_ZSTD } };
	hr_autobuf struct hr_buf plain = { 0 };

	(void)state;
	make_plain(&plain);
	for (size_t i = 0; i < HR_COUNT(kinds); i++) {
		hr_autobuf struct hr_buf blob = { 0 };

		make_blob(kinds[i].recipe, &plain, &blob);
		for (size_t n = 0; n < blob.len; n++) {
			hr_autobuf struct hr_buf got = { 0 };
			hr_autofree uint8_t *copy = hr_xmalloc(n); /* for the address sanitizer */
			struct hr_err e = { 0 };

			memcpy(copy, blob.p, n);
			if (inflate_all(kinds[i].type, copy, n, 64, &got, &e) == 0)
				fail_msg("'%s' cut at %zu passes", kinds[i].recipe, n);
			assert_int_equal(e.kind, HR_CORRUPT);
		}
	}
}

static void flipped_bits_never_crash(void **state)
{
	hr_autobuf struct hr_buf plain = { 0 };
	struct hr_buf blobs[2] = { { 0 }, { 0 } };

	(void)state;
	make_plain(&plain);
	make_blob("gg", &plain, &blobs[0]);
	make_blob("zsz", &plain, &blobs[1]);
	for (size_t bit = 0; bit < 8 * blobs[0].len; bit++) {
		hr_autobuf struct hr_buf got = { 0 };
		struct hr_err e = { 0 };
		int r;

		blobs[0].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		r = inflate_all(FETCH_GZIP, blobs[0].p, blobs[0].len, 100, &got, &e);
		blobs[0].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* names and times in the header are covered by nothing; content is */
		if (r == 0)
			assert_memory_equal(got.p, plain.p, plain.len);
	}
	for (size_t bit = 0; bit < 8 * blobs[1].len; bit++) {
		hr_autobuf struct hr_buf got = { 0 };
		struct hr_err e = { 0 };

		blobs[1].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (inflate_all(FETCH_ZSTD, blobs[1].p, blobs[1].len, 100, &got, &e) < 0)
			assert_int_equal(e.kind, HR_CORRUPT);
		blobs[1].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	hr_buf_release(&blobs[0]);
	hr_buf_release(&blobs[1]);
}

static void a_window_of_a_gigabyte_is_refused(void **state)
{
	/* magic, descriptor without single segment, window: 2^30 */
	static const uint8_t frame[300] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, (30 - 10) << 3 };
	hr_autobuf struct hr_buf got = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(inflate_all(FETCH_ZSTD, frame, sizeof(frame), 1000, &got, &e), -1);
	assert_non_null(strstr(e.text, "window is larger than 128 MiB"));
	assert_string_not_equal(e.hint, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(an_empty_plain_blob_is_empty),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(flipped_bits_never_crash),
		cmocka_unit_test(a_window_of_a_gigabyte_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
