/* SPDX-License-Identifier: BSD-3-Clause */
/* Large files as files of their own in the node cache: which, what they are called, how they are
 * made. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/prefetch_files.h"
#include "tests/unit/native_rig.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

/* ---- which files ---- */

static void test_which(void **state)
{
	static const struct {
		const char *what;
		struct store_inode i;
		bool fits;
	} rows[] = {
		{ "a large file", { .mode = S_IFREG | 0644, .nlink = 1, .size = MIB }, true },
		{ "one byte less", { .mode = S_IFREG | 0644, .nlink = 1, .size = MIB - 1 }, false },
		{ "a directory", { .mode = S_IFDIR | 0755, .nlink = 1, .size = MIB }, false },
		{ "two names", { .mode = S_IFREG | 0644, .nlink = 2, .size = MIB }, false },
		{ "unreadable", { .mode = S_IFREG | 0200, .nlink = 1, .size = MIB }, false },
		{ "an xattr",
		  { .mode = S_IFREG | 0644, .nlink = 1, .size = MIB, .n_xattrs = 1 },
		  false },
		{ "no size that is one",
		  { .mode = S_IFREG | 0644, .nlink = 1, .size = UINT64_MAX },
		  false },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++)
		if (store_native_fits(&rows[i].i) != rows[i].fits)
			fail_msg("%s", rows[i].what);
}

static void test_name(void **state)
{
	struct store_inode big = rig_inode(BIG), part = rig_inode(PART), other;
	struct store_cache_file_want a, b;

	(void)state;
	assert_true(store_native_want(rig.ix, &big, fetch_digest_of, &a));
	assert_int_equal(a.mode, 0751); /* suid is not shown */
	assert_int_equal(a.size, big.size);
	for (int i = 0; i < 4; i++) {
		other = big;
		other.mode ^= i == 0 ? 0001 : 0;
		other.mtime += i == 1;
		other.mtime_ns += i == 2;
		other.size -= i == 3 ? 5 : 0;
		assert_true(store_native_want(rig.ix, &other, fetch_digest_of, &b));
		assert_memory_not_equal(&a.name, &b.name, sizeof(a.name));
	}
	other = big;
	other.mode &= ~(uint32_t)S_ISUID;
	assert_true(store_native_want(rig.ix, &other, fetch_digest_of, &b));
	assert_memory_equal(&a.name, &b.name, sizeof(a.name));
	assert_false(store_native_want(rig.ix, &part, fetch_digest_of, &b));
}

static bool any(void *arg, uint32_t ino)
{
	(void)arg;
	return ino != SMALL;
}

static void note(void *arg, uint32_t ino, const struct store_inode *file, const char *path)
{
	(void)file;
	hr_buf_printf(arg, "%u=%s ", (unsigned int)ino, path);
}

static void test_paths(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };
	const struct store_native_walk w = { any, note, &b };
	struct store_inode i;
	uint32_t ino;

	(void)state;
	store_native_walk(rig.ix, &w);
	assert_string_equal((const char *)b.p, "1=dir/big 3=part ");
	assert_true(store_native_lookup(rig.ix, "dir/big", &ino, &i));
	assert_int_equal(ino, BIG);
	assert_false(store_native_lookup(rig.ix, "dir/none", &ino, &i));
	assert_false(store_native_lookup(rig.ix, "part/big", &ino, &i));
	assert_false(store_native_lookup(rig.ix, "dir//big", &ino, &i));
}

/* ---- files ---- */

static void test_made(void **state)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	hr_autobuf struct hr_buf b = { 0 };
	hr_autofd int fd = -1;
	struct store_cache_usage usage;
	struct hr_err e = { 0 };
	char path[256];
	struct stat st;

	(void)state;
	assert_int_equal(rig_make_big(&f, &e), STORE_NATIVE_WHOLE);
	rig_path("", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	assert_int_equal(st.st_mtim.tv_sec, 1000000000);
	assert_int_equal(st.st_mtim.tv_nsec, 123456789);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(hr_file_read(AT_FDCWD, path, 8 * MIB, &b, &e), 0);
	assert_int_equal(b.len, 2 * MIB + 5);
	assert_memory_equal(b.p, rig.chunk0, MIB);
	for (size_t i = MIB; i < 2 * MIB; i++)
		assert_int_equal(b.p[i], 0);
	assert_memory_equal(b.p + 2 * MIB, rig_chunk1, 5);
	/* what somebody has open for writing cannot be executed; nor leased, fcntl(2) */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
	assert_int_equal(store_cache_usage(rig.cache, &usage, &e), 0);
	assert_int_equal(usage.files, 1);
	assert_true(usage.bytes >= 2 * MIB);
}

static void test_made_once(void **state)
{
	unsigned int first;

	(void)state;
	rig_make_it();
	first = rig.asked;
	rig_make_it();
	assert_int_equal(first, 2);
	assert_int_equal(rig.asked, first);
	assert_int_equal(rig_state(), STORE_CACHE_FILE_WHOLE);
}

static void test_wrong_chunk(void **state)
{
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };
	char path[256];

	(void)state;
	rig.wrong = true; /* PLAIN is the only source here: what it has is not at hand */
	assert_int_equal(rig_make_big(&f, &e), STORE_NATIVE_LATER);
	rig_path("", path);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rig_state(), STORE_CACHE_FILE_NONE);
}

/* The same of a store on files, of which chunks come as frames. */
static int frame(void *arg, uint32_t chunk, uint8_t *out, size_t cap, size_t *len, struct hr_err *e)
{
	static uint8_t copy[MIB];
	uint32_t n;
	const uint8_t *p = rig_content(chunk, &n);

	(void)arg;
	(void)e;
	memcpy(copy, p, n);
	copy[n - 1] ^= rig.wrong;
	*len = ZSTD_compress(out, cap, copy, n, 1);
	return ZSTD_isError(*len) ? -1 : 0;
}

static void test_wrong_frame(void **state)
{
	struct store_native_maker_options o = { .ix = rig.ix,
						.cache = rig.cache,
						.sha256 = fetch_digest_of,
						.source = { .frame = frame },
						.cache_bytes = 64 * MIB,
						.go_on = rig_go_on };
	struct store_native_maker *of_frames = store_native_maker_new(&o);
	struct store_inode big = rig_inode(BIG);
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };

	(void)state;
	rig.wrong = true;
	assert_int_equal(store_native_make(of_frames, &big, &f, &e), STORE_NATIVE_NOT);
	assert_int_equal(e.kind, HR_CORRUPT);
	assert_int_equal(rig_state(), STORE_CACHE_FILE_NONE);
	hr_err_clear(&e);
	rig.wrong = false;
	assert_int_equal(store_native_make(of_frames, &big, &f, &e), STORE_NATIVE_WHOLE);
	store_cache_file_close(f);
	store_native_maker_free(of_frames);
}

static void test_goes_on(void **state)
{
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };

	(void)state;
	rig.allowed = 1;
	assert_int_equal(rig_make_big(&f, &e), STORE_NATIVE_LATER);
	assert_int_equal(rig_state(), STORE_CACHE_FILE_NONE);
	rig.allowed = 10;
	rig_make_it();
}

/* Nothing is begun, and nothing is counted on, of which a chunk is not at hand. */
static void test_possible(void **state)
{
	struct store_inode big = rig_inode(BIG), small = rig_inode(SMALL), part = rig_inode(PART);
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };
	uint64_t takes = 0;

	(void)state;
	assert_true(store_native_possible(rig.maker, &big, &takes));
	assert_int_equal(takes, big.size);
	assert_false(store_native_possible(rig.maker, &small, &takes));
	assert_false(store_native_possible(rig.maker, &part, &takes));
	big.size = 16 * MIB + 1; /* of a cache of 64 */
	assert_false(store_native_possible(rig.maker, &big, &takes));
	big = rig_inode(BIG);
	rig.absent = 1;
	assert_false(store_native_possible(rig.maker, &big, &takes));
	assert_int_equal(rig_make_big(&f, &e), STORE_NATIVE_LATER);
	assert_int_equal(rig.asked, 0);
	rig.absent = UINT32_MAX;
	rig_make_it();
	assert_true(store_native_possible(rig.maker, &big, &takes));
	assert_int_equal(takes, 0);
}

static void test_list_kept(void **state)
{
	HR_CLEANUP(store_native_list_release) struct store_native_list l = { 0 }, back = { 0 };
	const struct fetch_digest name = { { 5 } };
	struct hr_err e = { 0 };

	(void)state;
	store_native_list_add(&l, "b", &name);
	assert_int_equal(store_native_list_save(rig.cache, &l, &rig_manifest, "app", &e), 0);
	assert_int_equal(store_native_list_load(rig.cache, &rig_manifest, "", &back, &e), -1);
	assert_int_equal(e.kind, HR_NOTFOUND);
	hr_err_clear(&e);
	assert_int_equal(store_native_list_load(rig.cache, &rig_manifest, "app", &back, &e), 0);
	assert_int_equal(back.n, 1);
	assert_memory_equal(&back.v[0].name, &name, sizeof(name));
}

/* Beforehand, as far as the cache may grow; others make room unless they are in use. */
static void test_beforehand(void **state)
{
	const struct store_prefetch_files_options o = { .ix = rig.ix,
							.cache = rig.cache,
							.cache_bytes = 12 * MIB,
							.program = "",
							.source = { .plain = rig_plain },
							.has = rig_has };
	const struct fetch_digest pack = { { 9 } };
	struct store_prefetch_files out;
	struct store_cache_pack *p;
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(store_cache_pack_open(rig.cache, &pack, 11, &p, &e), 0);
	for (uint32_t i = 0; i < 11; i++)
		assert_int_equal(store_cache_put(p, i, (uint64_t)i * MIB, rig.chunk0,
						 sizeof(rig.chunk0), &e),
				 0);
	assert_int_equal(store_prefetch_files(&o, &out, &e), -1);
	assert_string_equal(e.text, "cache_size leaves no room for '/dir/big'");
	assert_int_equal(out.n, 0);
	assert_int_equal(out.left_out, 1);
	store_cache_pack_close(p);
	hr_err_clear(&e);
	if (store_prefetch_files(&o, &out, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.bytes, 2 * MIB + 5);
	assert_int_equal(out.left_out, 0);
	assert_int_equal(rig_state(), STORE_CACHE_FILE_WHOLE);
	/* what is there stays, and takes no room a second time */
	assert_int_equal(store_prefetch_files(&o, &out, &e), 0);
	assert_int_equal(out.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_paths),
		cmocka_unit_test_setup_teardown(test_made, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_made_once, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_wrong_chunk, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_wrong_frame, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_goes_on, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_possible, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_list_kept, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_beforehand, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, rig_setup_all, rig_teardown_all);
}
