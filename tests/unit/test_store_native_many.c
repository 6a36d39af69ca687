/* SPDX-License-Identifier: BSD-3-Clause */
/* Large files of many chunks, whose digests are computed several at once: whichever of them is
 * wrong is found, and every one comes to its place. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/native_make.h"
#include "store/sha256mb.h"
#include "tests/unit/native_rig.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define CHUNKS 20
#define LEN    (96u << 10)
#define HOLE   11 /* behind so many chunks, as long as one */
#define SIZE   ((CHUNKS + 1) * LEN)
#define NONE   UINT32_MAX

static struct store_index *ix;
static struct hr_buf bytes; /* of the index */
static uint8_t content[SIZE];
static uint32_t wrong_plain, wrong_frame; /* a chunk, or NONE */
static unsigned int sums;		  /* calls of sha256_many */
static uint32_t lie, hashed;		  /* the chunk of which it tells another digest, or NONE */

static uint32_t off_of(uint32_t chunk)
{
	return (chunk + (chunk >= HOLE)) * LEN;
}

static bool plain(void *arg, uint32_t chunk, uint8_t *out, uint32_t n)
{
	(void)arg;
	memcpy(out, content + off_of(chunk), n);
	out[n / 2] ^= chunk == wrong_plain;
	return true;
}

static int frame(void *arg, uint32_t chunk, uint8_t *out, size_t cap, size_t *len, struct hr_err *e)
{
	static uint8_t copy[LEN];

	(void)arg;
	(void)e;
	memcpy(copy, content + off_of(chunk), LEN);
	copy[0] ^= chunk == wrong_frame;
	*len = ZSTD_compress(out, cap, copy, LEN, 1);
	return ZSTD_isError(*len) ? -1 : 0;
}

static void many(const uint8_t *const *p, const size_t *len, size_t n, struct fetch_digest *out)
{
	sums++;
	store_sha256_many(p, len, n, out);
	for (size_t i = 0; i < n; i++)
		out[i].b[31] ^= hashed++ == lie;
}

/* What is wrong is hashed once more. */
static void digest_of(const void *p, size_t n, struct fetch_digest *out)
{
	fetch_digest_of(p, n, out);
	out->b[31] ^= lie != NONE;
}

static int setup(void **state)
{
	wrong_plain = wrong_frame = lie = NONE;
	return rig_setup(state);
}

static int setup_all(void **state)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	struct store_inode dir = { .mode = S_IFDIR | 0755, .nlink = 2, .count = 1 };
	struct store_inode file = {
		.mode = S_IFREG | 0644, .nlink = 1, .size = SIZE, .count = CHUNKS + 1
	};
	struct hr_err e = { 0 };
	struct fetch_digest d;

	for (uint32_t i = 0; i < SIZE; i++)
		content[i] = i / LEN == HOLE ? 0 : (uint8_t)(i * 7 + i / 251 + i / LEN);
	dir.first = store_index_builder_entry(b, "big", 3, 1);
	store_index_builder_inode(b, &dir);
	for (uint32_t i = 0, x; i < CHUNKS; i++) {
		const uint8_t *p = content + off_of(i);

		if (i == HOLE)
			store_index_builder_extent(b, HOLE * LEN, STORE_HOLE, 0);
		fetch_digest_of(p, LEN, &d);
		x = store_index_builder_chunk(b, &d, store_crc64(p, LEN), LEN);
		x = store_index_builder_extent(b, off_of(i), x, 0);
		file.first = i == 0 ? x : file.first;
	}
	store_index_builder_inode(b, &file);
	if (store_index_builder_finish(b, &rig_manifest, &rig_manifest, "{}", 2, &bytes, &e) < 0 ||
	    store_index_parse(bytes.p, bytes.len, &ix, &e) < 0)
		fail_msg("%s", e.text);
	return rig_setup_all(state);
}

static int teardown_all(void **state)
{
	store_index_free(ix);
	hr_buf_release(&bytes);
	return rig_teardown_all(state);
}

/* Have the file made, without FRAME or with it; its path in the cache if it is. */
static enum store_native_made make(bool frames, char path[128], struct hr_err *e)
{
	const struct store_native_maker_options o = { .ix = ix,
						      .cache = rig.cache,
						      .sha256 = digest_of,
						      .sha256_many = many,
						      .source = { .plain = plain,
								  .frame = frames ? frame : NULL },
						      .cache_bytes = 64 * MIB,
						      .go_on = rig_go_on };
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct store_native_maker *m = store_native_maker_new(&o);
	enum store_native_made r;
	struct store_inode big;

	sums = hashed = 0;
	rig.allowed = 1000;
	assert_true(store_index_inode(ix, 1, &big));
	r = store_native_make(m, &big, &f, e);
	if (r == STORE_NATIVE_WHOLE)
		snprintf(path, 128, "%s/%s", rig.top, store_cache_file_path(f));
	store_native_maker_free(m);
	return r;
}

static void assert_right(const char *path)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };

	assert_int_equal(hr_file_read(AT_FDCWD, path, 8 * MIB, &b, &e), 0);
	assert_int_equal(b.len, SIZE);
	assert_memory_equal(b.p, content, SIZE);
}

static void each_that_is_wrong_is_found(void **state)
{
	(void)state;
	for (wrong_plain = 0; wrong_plain < CHUNKS; wrong_plain++) {
		struct hr_err e = { 0 };
		char path[128];

		wrong_frame = wrong_plain;
		assert_int_equal(make(false, path, &e), STORE_NATIVE_LATER);
		assert_int_equal(make(true, path, &e), STORE_NATIVE_NOT);
		assert_int_equal(e.kind, HR_CORRUPT);
		wrong_frame = NONE;
		hr_err_clear(&e);
		assert_int_equal(make(true, path, &e), STORE_NATIVE_WHOLE);
		assert_int_equal(sums, 3); /* of 20 chunks */
		assert_right(path);
		assert_int_equal(unlink(path), 0);
	}
}

static void the_digest_of_each_is_compared(void **state)
{
	(void)state;
	for (lie = 0; lie < CHUNKS; lie++) {
		struct hr_err e = { 0 };
		char path[128];

		assert_int_equal(make(false, path, &e), STORE_NATIVE_LATER);
	}
}

static void what_another_boot_left_is_compared(void **state)
{
	static const char other_boot[] = "0000";
	char path[128], seal[160];

	(void)state;
	for (uint32_t at = LEN / 2; at < SIZE; at += LEN) {
		struct hr_err e = { 0 };
		struct stat st;
		hr_autofd int fd = -1;

		assert_int_equal(make(false, path, &e), STORE_NATIVE_WHOLE);
		snprintf(seal, sizeof(seal), "%s.seal", path);
		assert_int_equal(stat(path, &st), 0);
		fd = open(seal, O_WRONLY | O_CLOEXEC);
		assert_int_equal(pwrite(fd, other_boot, 4, 8), 4);
		assert_int_equal(make(false, path, &e), STORE_NATIVE_WHOLE); /* it was right */
		assert_int_equal(pwrite(fd, other_boot, 4, 8), 4);
		hr_fd_cleanup(&fd);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		assert_int_equal(pwrite(fd, "\xff\xfe", 2, at), 2);
		assert_int_equal(futimens(fd, (struct timespec[2]) { st.st_mtim, st.st_mtim }), 0);
		assert_int_equal(make(false, path, &e), STORE_NATIVE_WHOLE);
		assert_right(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_that_is_wrong_is_found, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(the_digest_of_each_is_compared, setup,
						rig_teardown),
		cmocka_unit_test_setup_teardown(what_another_boot_left_is_compared, setup,
						rig_teardown),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
