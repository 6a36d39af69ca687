/* SPDX-License-Identifier: BSD-3-Clause */
/* Large files as files of their own in the node cache: which, what they are called, how they are
 * made, and what happens when they are not as they should be. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/native.h"
#include "store/native_make.h"
#include "store/prefetch_files.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define MIB (1u << 20)

static const struct fetch_digest manifest = { { 1, 2, 3 } };

/* /dir/big: MiB of chunk 0, MiB of hole, 5 bytes of chunk 1; /dir/small; /part: a part of chunk 0
 */
enum { ROOT, BIG, SMALL, PART, DIRECTORY };

static char top[64];
static struct store_cache *cache;
static struct store_index *ix;
static struct hr_buf bytes; /* of the index */
static uint8_t chunk0[MIB];
static const uint8_t chunk1[5] = "12345";
static struct store_native_maker *maker;
static unsigned int asked, allowed; /* chunks that were asked for; that may be, before a stop */
static bool missing, wrong;	    /* what the source does */
static uint32_t absent;		    /* the chunk that it does not have */

static const uint8_t *content(uint32_t chunk, uint32_t *n)
{
	*n = chunk == 0 ? sizeof(chunk0) : sizeof(chunk1);
	return chunk == 0 ? chunk0 : chunk1;
}

static uint32_t add_chunk(struct store_index_builder *b, uint32_t chunk)
{
	struct fetch_digest d;
	uint32_t n;
	const uint8_t *p = content(chunk, &n);

	fetch_digest_of(p, n, &d);
	return store_index_builder_chunk(b, &d, store_crc64(p, n), n);
}

static struct store_inode regular(uint64_t size, uint32_t first, uint32_t count)
{
	return (struct store_inode) { .mode = S_IFREG | 04751,
				      .nlink = 1,
				      .size = size,
				      .mtime = 1000000000,
				      .mtime_ns = 123456789,
				      .first = first,
				      .count = count };
}

static void build(struct store_index_builder *b)
{
	uint32_t c0 = add_chunk(b, 0), c1 = add_chunk(b, 1), x, first;
	struct store_inode dir = { .mode = S_IFDIR | 0755, .nlink = 3, .count = 2 }, i;

	dir.first = store_index_builder_entry(b, "dir", 3, DIRECTORY);
	store_index_builder_entry(b, "part", 4, PART);
	store_index_builder_inode(b, &dir);
	x = store_index_builder_extent(b, 0, c0, 0);
	store_index_builder_extent(b, MIB, STORE_HOLE, 0);
	store_index_builder_extent(b, 2 * MIB, c1, 0);
	i = regular(2 * MIB + 5, x, 3);
	store_index_builder_inode(b, &i);
	x = store_index_builder_extent(b, 0, c0, 0);
	i = regular(MIB - 1, x, 1);
	store_index_builder_inode(b, &i);
	x = store_index_builder_extent(b, 0, c0, 1);
	store_index_builder_extent(b, MIB - 1, c1, 0);
	i = regular(MIB + 4, x, 2);
	store_index_builder_inode(b, &i);
	first = store_index_builder_entry(b, "big", 3, BIG);
	store_index_builder_entry(b, "small", 5, SMALL);
	dir = (struct store_inode) {
		.mode = S_IFDIR | 0755, .nlink = 2, .first = first, .count = 2
	};
	store_index_builder_inode(b, &dir);
}

static bool plain(void *arg, uint32_t chunk, uint8_t *out, uint32_t n)
{
	uint32_t have;
	const uint8_t *p = content(chunk, &have);

	(void)arg;
	asked++;
	assert_int_equal(n, have);
	memcpy(out, p, n);
	out[0] ^= wrong;
	return !missing;
}

static bool has(void *arg, uint32_t chunk)
{
	(void)arg;
	return chunk != absent;
}

static bool go_on(void *arg)
{
	(void)arg;
	return allowed-- > 0;
}

static int setup_all(void **state)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	struct hr_err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(chunk0); i++)
		chunk0[i] = (uint8_t)(i * 7 + i / 251);
	build(b);
	if (store_index_builder_finish(b, &manifest, &manifest, "{}", 2, &bytes, &e) < 0 ||
	    store_index_parse(bytes.p, bytes.len, &ix, &e) < 0)
		fail_msg("%s", e.text);
	return 0;
}

static int teardown_all(void **state)
{
	(void)state;
	store_index_free(ix);
	hr_buf_release(&bytes);
	return 0;
}

static int setup(void **state)
{
	struct store_native_maker_options o = { .ix = ix,
						.sha256 = fetch_digest_of,
						.source = { .plain = plain },
						.has = has,
						.cache_bytes = 64 * MIB,
						.go_on = go_on };
	struct hr_err e = { 0 };

	(void)state;
	snprintf(top, sizeof(top), "/tmp/test_store_native.XXXXXX");
	if (!mkdtemp(top) || store_cache_open(top, &cache, &e) < 0)
		return -1;
	o.cache = cache;
	maker = store_native_maker_new(&o);
	asked = 0;
	allowed = 1000;
	missing = wrong = false;
	absent = UINT32_MAX;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	store_native_maker_free(maker);
	store_cache_close(cache);
	return nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct store_inode inode_of(uint32_t ino)
{
	struct store_inode i;

	assert_true(store_index_inode(ix, ino, &i));
	return i;
}

static struct store_cache_file_want big_want(void)
{
	struct store_inode big = inode_of(BIG);
	struct store_cache_file_want want;

	assert_true(store_native_want(ix, &big, fetch_digest_of, &want));
	return want;
}

static enum store_native_made make_big(struct store_cache_file **f, struct hr_err *e)
{
	struct store_inode big = inode_of(BIG);

	return store_native_make(maker, &big, f, e);
}

/* The file with this ending, in the cache. */
static void path_of(const char *suffix, char out[256])
{
	struct store_cache_file_want want = big_want();
	char hex[FETCH_DIGEST_HEX];

	fetch_digest_hex(&want.name, hex);
	snprintf(out, 256, "%s/files/%.2s/%s%s", top, hex, hex, suffix);
}

static void make_it(void)
{
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };

	if (make_big(&f, &e) != STORE_NATIVE_WHOLE)
		fail_msg("%s", e.text);
	store_cache_file_close(f);
}

static enum store_cache_file_state state_now(void)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct store_cache_file_want want = big_want();
	struct hr_err e = { 0 };

	if (store_cache_file_open(cache, &want, true, &f, &e) < 0)
		fail_msg("%s", e.text);
	return store_cache_file_state(f);
}

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
	struct store_inode big = inode_of(BIG), part = inode_of(PART), other;
	struct store_cache_file_want a, b;

	(void)state;
	assert_true(store_native_want(ix, &big, fetch_digest_of, &a));
	assert_int_equal(a.mode, 0751); /* suid is not shown */
	assert_int_equal(a.size, big.size);
	for (int i = 0; i < 4; i++) {
		other = big;
		other.mode ^= i == 0 ? 0001 : 0;
		other.mtime += i == 1;
		other.mtime_ns += i == 2;
		other.size -= i == 3 ? 5 : 0;
		assert_true(store_native_want(ix, &other, fetch_digest_of, &b));
		assert_memory_not_equal(&a.name, &b.name, sizeof(a.name));
	}
	other = big;
	other.mode &= ~(uint32_t)S_ISUID;
	assert_true(store_native_want(ix, &other, fetch_digest_of, &b));
	assert_memory_equal(&a.name, &b.name, sizeof(a.name));
	assert_false(store_native_want(ix, &part, fetch_digest_of, &b));
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
	store_native_walk(ix, &w);
	assert_string_equal((const char *)b.p, "1=dir/big 3=part ");
	assert_true(store_native_lookup(ix, "dir/big", &ino, &i));
	assert_int_equal(ino, BIG);
	assert_false(store_native_lookup(ix, "dir/none", &ino, &i));
	assert_false(store_native_lookup(ix, "part/big", &ino, &i));
	assert_false(store_native_lookup(ix, "dir//big", &ino, &i));
}

/* ---- lists ---- */

static void test_list_round_trip(void **state)
{
	HR_CLEANUP(store_native_list_release) struct store_native_list l = { 0 }, back = { 0 };
	const struct fetch_digest name = { { 5 } }, other = { { 6 } };
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	store_native_list_add(&l, "usr/lib/a", &name);
	store_native_list_add(&l, "b", &name);
	store_native_list_add(&l, "b", &name);
	assert_int_equal(l.n, 2);
	store_native_list_write(&l, &manifest, &b);
	assert_int_equal(store_native_list_parse(b.p, b.len, &manifest, &back, &e), 0);
	assert_int_equal(back.n, 2);
	assert_string_equal(back.v[0].path, "usr/lib/a");
	assert_int_equal(store_native_list_parse(b.p, b.len, &other, &l, &e), -1);
	assert_string_equal(e.text, "the list of files is of another image");
	for (size_t cut = 0; cut < b.len; cut++) {
		hr_err_clear(&e);
		assert_int_equal(store_native_list_parse(b.p, cut, &manifest, &l, &e), -1);
		assert_int_equal(e.kind, HR_CORRUPT);
	}
	hr_buf_add(&b, "", 1);
	hr_err_clear(&e);
	assert_int_equal(store_native_list_parse(b.p, b.len, &manifest, &l, &e), -1);
	assert_string_equal(e.text, "1 bytes behind the list of files");
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
	assert_int_equal(make_big(&f, &e), STORE_NATIVE_WHOLE);
	path_of("", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	assert_int_equal(st.st_mtim.tv_sec, 1000000000);
	assert_int_equal(st.st_mtim.tv_nsec, 123456789);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(hr_file_read(AT_FDCWD, path, 8 * MIB, &b, &e), 0);
	assert_int_equal(b.len, 2 * MIB + 5);
	assert_memory_equal(b.p, chunk0, MIB);
	for (size_t i = MIB; i < 2 * MIB; i++)
		assert_int_equal(b.p[i], 0);
	assert_memory_equal(b.p + 2 * MIB, chunk1, 5);
	/* what somebody has open for writing cannot be executed; nor leased, fcntl(2) */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
	assert_int_equal(store_cache_usage(cache, &usage, &e), 0);
	assert_int_equal(usage.files, 1);
	assert_true(usage.bytes >= 2 * MIB);
}

static void test_made_once(void **state)
{
	unsigned int first;

	(void)state;
	make_it();
	first = asked;
	make_it();
	assert_int_equal(first, 2);
	assert_int_equal(asked, first);
	assert_int_equal(state_now(), STORE_CACHE_FILE_WHOLE);
}

static void test_wrong_chunk(void **state)
{
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };
	char path[256];

	(void)state;
	wrong = true; /* PLAIN is the only source here: what it has is not at hand */
	assert_int_equal(make_big(&f, &e), STORE_NATIVE_LATER);
	path_of("", path);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(state_now(), STORE_CACHE_FILE_NONE);
}

/* The same of a store on files, of which chunks come as frames. */
static int frame(void *arg, uint32_t chunk, uint8_t *out, size_t cap, size_t *len, struct hr_err *e)
{
	static uint8_t copy[MIB];
	uint32_t n;
	const uint8_t *p = content(chunk, &n);

	(void)arg;
	(void)e;
	memcpy(copy, p, n);
	copy[n - 1] ^= wrong;
	*len = ZSTD_compress(out, cap, copy, n, 1);
	return ZSTD_isError(*len) ? -1 : 0;
}

static void test_wrong_frame(void **state)
{
	struct store_native_maker_options o = { .ix = ix,
						.cache = cache,
						.sha256 = fetch_digest_of,
						.source = { .frame = frame },
						.cache_bytes = 64 * MIB,
						.go_on = go_on };
	struct store_native_maker *of_frames = store_native_maker_new(&o);
	struct store_inode big = inode_of(BIG);
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };

	(void)state;
	wrong = true;
	assert_int_equal(store_native_make(of_frames, &big, &f, &e), STORE_NATIVE_NOT);
	assert_int_equal(e.kind, HR_CORRUPT);
	assert_int_equal(state_now(), STORE_CACHE_FILE_NONE);
	hr_err_clear(&e);
	wrong = false;
	assert_int_equal(store_native_make(of_frames, &big, &f, &e), STORE_NATIVE_WHOLE);
	store_cache_file_close(f);
	store_native_maker_free(of_frames);
}

static void test_goes_on(void **state)
{
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };

	(void)state;
	allowed = 1;
	assert_int_equal(make_big(&f, &e), STORE_NATIVE_LATER);
	assert_int_equal(state_now(), STORE_CACHE_FILE_NONE);
	allowed = 10;
	make_it();
}

/* Nothing is begun, and nothing is counted on, of which a chunk is not at hand. */
static void test_possible(void **state)
{
	struct store_inode big = inode_of(BIG), small = inode_of(SMALL), part = inode_of(PART);
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };
	uint64_t takes = 0;

	(void)state;
	assert_true(store_native_possible(maker, &big, &takes));
	assert_int_equal(takes, big.size);
	assert_false(store_native_possible(maker, &small, &takes));
	assert_false(store_native_possible(maker, &part, &takes));
	big.size = 16 * MIB + 1; /* of a cache of 64 */
	assert_false(store_native_possible(maker, &big, &takes));
	big = inode_of(BIG);
	absent = 1;
	assert_false(store_native_possible(maker, &big, &takes));
	assert_int_equal(make_big(&f, &e), STORE_NATIVE_LATER);
	assert_int_equal(asked, 0);
	absent = UINT32_MAX;
	make_it();
	assert_true(store_native_possible(maker, &big, &takes));
	assert_int_equal(takes, 0);
}

static void test_list_kept(void **state)
{
	HR_CLEANUP(store_native_list_release) struct store_native_list l = { 0 }, back = { 0 };
	const struct fetch_digest name = { { 5 } };
	struct hr_err e = { 0 };

	(void)state;
	store_native_list_add(&l, "b", &name);
	assert_int_equal(store_native_list_save(cache, &l, &manifest, "app", &e), 0);
	assert_int_equal(store_native_list_load(cache, &manifest, "", &back, &e), -1);
	assert_int_equal(e.kind, HR_NOTFOUND);
	hr_err_clear(&e);
	assert_int_equal(store_native_list_load(cache, &manifest, "app", &back, &e), 0);
	assert_int_equal(back.n, 1);
	assert_memory_equal(&back.v[0].name, &name, sizeof(name));
}

/* Beforehand, as far as the cache may grow; others make room unless they are in use. */
static void test_beforehand(void **state)
{
	const struct store_prefetch_files_options o = { .ix = ix,
							.cache = cache,
							.cache_bytes = 12 * MIB,
							.program = "",
							.source = { .plain = plain },
							.has = has };
	const struct fetch_digest pack = { { 9 } };
	struct store_prefetch_files out;
	struct store_cache_pack *p;
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(store_cache_pack_open(cache, &pack, 11, &p, &e), 0);
	for (uint32_t i = 0; i < 11; i++)
		assert_int_equal(
			store_cache_put(p, i, (uint64_t)i * MIB, chunk0, sizeof(chunk0), &e), 0);
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
	assert_int_equal(state_now(), STORE_CACHE_FILE_WHOLE);
	/* what is there stays, and takes no room a second time */
	assert_int_equal(store_prefetch_files(&o, &out, &e), 0);
	assert_int_equal(out.n, 1);
}

static void test_one_maker(void **state)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *other = NULL;
	struct store_cache_file_want want = big_want();
	enum store_cache_file_state s;
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(store_cache_file_open(cache, &want, true, &other, &e), 0);
	assert_int_equal(store_cache_file_claim(other, &s, &e), 0);
	assert_int_equal(s, STORE_CACHE_FILE_NONE);
	assert_int_equal(make_big(&f, &e), STORE_NATIVE_LATER);
	assert_int_equal(asked, 0);
	store_cache_file_close(hr_steal(&other)); /* as a process that dies does */
	make_it();
}

/* What somebody does to the file, and how it is found. */
static void change_content(const char *path, off_t at)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	const struct timespec old[2] = { { 1000000000, 123456789 }, { 1000000000, 123456789 } };

	assert_int_equal(pwrite(fd, "x", 1, at), 1);
	assert_int_equal(futimens(fd, old), 0); /* as a bad disk does it: no other time */
	close(fd);
}

static void change_time(const char *path)
{
	assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
}

static void change_size(const char *path)
{
	assert_int_equal(truncate(path, MIB), 0);
	change_content(path, 0); /* and the time is as it was */
}

static void change_type(const char *path)
{
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0751), 0);
}

static void change_owner(const char *path) /* nobody but root can */
{
	if (geteuid() != 0)
		change_type(path);
	else if (chown(path, 12345, (gid_t)-1) < 0 || chmod(path, 0751) < 0)
		fail();
}

static void change_mode(const char *path)
{
	assert_int_equal(chmod(path, 0777), 0);
}

static void add_link(const char *path)
{
	char other[300];

	snprintf(other, sizeof(other), "%s.other", path);
	assert_int_equal(link(path, other), 0);
}

static void test_changed(void **state)
{
	static const struct {
		const char *what;
		void (*change)(const char *path);
	} rows[] = {
		{ "time", change_time },   { "size", change_size }, { "type", change_type },
		{ "owner", change_owner }, { "mode", change_mode }, { "links", add_link },
	};
	char path[256];

	(void)state;
	path_of("", path);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		make_it();
		assert_int_equal(state_now(), STORE_CACHE_FILE_WHOLE);
		rows[i].change(path);
		if (state_now() != STORE_CACHE_FILE_NONE || access(path, F_OK) == 0)
			fail_msg("%s", rows[i].what);
	}
}

/* An access control list that files of a directory get, "user 1: rwx", as the file system keeps it.
 */
static bool give_acl(const char *dir)
{
	static const char acl[] =
		"\2\0\0\0\1\0\7\0\377\377\377\377\2\0\7\0\1\0\0\0\4\0\0\0\377\377\377\377"
		"\20\0\7\0\377\377\377\377\40\0\0\0\377\377\377\377";

	return setxattr(dir, "system.posix_acl_default", acl, sizeof(acl) - 1, 0) == 0;
}

/* A group that is not ours, which files of a directory get. */
static bool give_group(const char *dir)
{
	return geteuid() == 0 && chown(dir, (uid_t)-1, 12345) == 0 && chmod(dir, 02700) == 0;
}

/* What a directory gives to its files would be seen in the container: no such file is made. */
static void test_inherited(void **state)
{
	static const struct {
		const char *what;
		bool (*give)(const char *dir);
	} rows[] = { { "another set of extended attributes", give_acl },
		     { "another group", give_group } };
	char dir[80];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/files", top);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct store_cache_file *f = NULL;
		struct hr_err e = { 0 };

		assert_int_equal(mkdir(dir, 0700), 0);
		if (rows[i].give(dir) && (make_big(&f, &e) != STORE_NATIVE_NOT ||
					  e.kind != HR_DENIED || !strstr(e.text, rows[i].what)))
			fail_msg("%s: '%s'", rows[i].what, e.text);
		assert_int_equal(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	}
}

/* A file that was given to another group since is left where it is, unused. */
static void test_regrouped(void **state)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct store_cache_file_want want = big_want();
	struct hr_err e = { 0 };
	char path[256];

	(void)state;
	if (geteuid() != 0) /* nobody else can */
		return;
	make_it();
	path_of("", path);
	assert_int_equal(chown(path, (uid_t)-1, 12345), 0);
	assert_int_equal(chmod(path, 0751), 0);
	assert_int_equal(store_cache_file_open(cache, &want, true, &f, &e), -1);
	assert_int_equal(e.kind, HR_DENIED);
}

/* A seal of another boot: the node may have lost power since. */
static void other_boot(void)
{
	char path[256];
	int fd;

	path_of(".seal", path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "00000000", 8, 8), 8);
	close(fd);
}

static void test_old(void **state)
{
	/* first byte, first and last of the hole, last byte */
	static const off_t places[] = { 0, MIB, 2 * MIB - 1, 2 * MIB + 4 };
	unsigned int before;
	char path[256];

	(void)state;
	make_it();
	before = asked;
	other_boot();
	assert_int_equal(state_now(), STORE_CACHE_FILE_OLD);
	make_it(); /* compares */
	assert_int_equal(asked, before);
	assert_int_equal(state_now(), STORE_CACHE_FILE_WHOLE);
	path_of("", path);
	for (size_t i = 0; i < HR_COUNT(places); i++) {
		before = asked;
		other_boot();
		change_content(path, places[i]);
		make_it(); /* makes it again */
		assert_true(asked > before);
		assert_int_equal(state_now(), STORE_CACHE_FILE_WHOLE);
	}
}

static void test_old_part(void **state)
{
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };

	(void)state;
	allowed = 1;
	assert_int_equal(make_big(&f, &e), STORE_NATIVE_LATER);
	other_boot();
	allowed = 10;
	asked = 0;
	make_it();
	assert_int_equal(asked, 2); /* from the beginning */
}

static void test_evicted(void **state)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct store_cache_usage left;
	struct hr_err e = { 0 };
	char path[256];

	(void)state;
	path_of("", path);
	assert_int_equal(make_big(&f, &e), STORE_NATIVE_WHOLE);
	assert_int_equal(store_cache_evict(cache, 0, &left, &e), 0);
	assert_int_equal(left.files, 1); /* in use */
	assert_int_equal(access(path, F_OK), 0);
	store_cache_file_close(hr_steal(&f));
	assert_int_equal(store_cache_evict(cache, 0, &left, &e), 0);
	assert_int_equal(left.files, 0);
	assert_int_equal(left.bytes, 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(errno, ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_list_round_trip),
		cmocka_unit_test_setup_teardown(test_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_made_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(test_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_possible, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_beforehand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_maker, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inherited, setup, teardown),
		cmocka_unit_test_setup_teardown(test_regrouped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_part, setup, teardown),
		cmocka_unit_test_setup_teardown(test_evicted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
