/* SPDX-License-Identifier: BSD-3-Clause */
/* From the bytes of a frame to a chunk: what is not the chunk that was asked for is refused. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/frame.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define BYTES 3000
#define AT    1000

/*
 * The generator polynomial of the check sum: XORed into any bytes it leaves their sum as it was, so
 * whoever writes a pack can choose bytes with the sum that the index says. The digest is for that.
 */
#define NEUTRAL                                                                                    \
	{                                                                                          \
		0x85, 0x1e, 0x0e, 0xaf, 0x2b, 0xaf, 0xd8, 0x92, 0x01                               \
	}

static void fill(uint8_t p[BYTES], struct store_chunk *chunk)
{
	for (size_t i = 0; i < BYTES; i++)
		p[i] = (uint8_t)(i * 7 + i / 256);
	*chunk = (struct store_chunk) { .bytes = BYTES, .crc = store_crc64(p, BYTES) };
	fetch_digest_of(p, BYTES, &chunk->digest);
}

static void a_chunk_is_what_its_sum_and_its_digest_say(void **state)
{
	static const struct {
		const char *what;
		uint8_t xor [9];
		bool sum, digest; /* is it as it should be */
		const char *text;
	} rows[] = {
		{ "unchanged", { 0 }, true, true, "" },
		{ "a bit", { 1 }, false, false, "check sum is" },
		{ "bytes chosen to keep the sum", NEUTRAL, true, false, "digest is" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err sum = { 0 }, digest = { 0 };
		struct store_chunk chunk;
		uint8_t p[BYTES];

		fill(p, &chunk);
		for (size_t k = 0; k < sizeof(rows[i].xor); k++)
			p[AT + k] ^= rows[i].xor [k];
		if ((store_frame_verify(&chunk, p, NULL, &sum) == 0) != rows[i].sum ||
		    (store_frame_verify(&chunk, p, fetch_digest_of, &digest) == 0) !=
			    rows[i].digest)
			fail_msg("%s: '%s', '%s'", rows[i].what, sum.text, digest.text);
		if (!rows[i].digest &&
		    (digest.kind != HR_CORRUPT || !strstr(digest.text, rows[i].text)))
			fail_msg("%s: '%s'", rows[i].what, digest.text);
	}
}

static void a_frame_holds_as_many_bytes_as_its_chunk(void **state)
{
	static const struct {
		const char *what;
		uint32_t want;
		const char *text; /* NULL: it is right */
	} rows[] = {
		{ "one too few", BYTES + 1, "frame holds 3000 bytes, expected 3001" },
		{ "as many", BYTES, NULL },
		{ "one too many", BYTES - 1, "zstd frame of" },
	};
	uint8_t p[BYTES], frame[ZSTD_COMPRESSBOUND(BYTES)], out[BYTES + 2];
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	struct store_chunk chunk;
	size_t len;

	(void)state;
	fill(p, &chunk);
	len = ZSTD_compress(frame, sizeof(frame), p, BYTES, 1);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		int r;

		memset(out, 0xee, sizeof(out));
		chunk.bytes = rows[i].want;
		r = store_frame_open(zstd, frame, len, &chunk, out, &e);
		if ((r == 0) != !rows[i].text || (r < 0 && !strstr(e.text, rows[i].text)))
			fail_msg("%s: %d '%s'", rows[i].what, r, e.text);
		assert_int_equal(out[rows[i].want], 0xee);
		if (r == 0)
			assert_memory_equal(out, p, BYTES);
	}
	ZSTD_freeDCtx(zstd);
}

static void a_frame_that_is_cut_or_followed_by_bytes_is_refused(void **state)
{
	uint8_t p[BYTES], frame[ZSTD_COMPRESSBOUND(BYTES) + 1], out[BYTES];
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	struct store_chunk chunk;
	size_t len;

	(void)state;
	fill(p, &chunk);
	len = ZSTD_compress(frame, sizeof(frame) - 1, p, BYTES, 1);
	frame[len] = 0;
	for (size_t n = 0; n <= len + 1; n++) {
		struct hr_err e = { 0 };
		bool good = store_frame_open(zstd, frame, n, &chunk, out, &e) == 0;

		if (good != (n == len) || (!good && e.kind != HR_CORRUPT))
			fail_msg("%zu of %zu bytes: '%s'", n, len, e.text);
	}
	ZSTD_freeDCtx(zstd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chunk_is_what_its_sum_and_its_digest_say),
		cmocka_unit_test(a_frame_holds_as_many_bytes_as_its_chunk),
		cmocka_unit_test(a_frame_that_is_cut_or_followed_by_bytes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
