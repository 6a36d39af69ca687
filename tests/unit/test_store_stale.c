/* SPDX-License-Identifier: BSD-3-Clause */
/* A store on NFS whose files another host replaces between our opening and our reading them: what
 * was opened is stale (ESTALE), the name leads to what is to be read. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/gc.h"
#include "store/pack.h"
#include "tests/unit/chunk_rig.h"
#include "tests/unit/index_sample.h"
#include "tests/unit/store_rig.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define REF "localhost:1/an/image:1"

/* ---- in place of the C library's ---- */

static struct {
	ino_t ino;		       /* of the file that cannot be read, or 0 */
	unsigned int times;	       /* that somebody tried */
	void (*replace)(unsigned int); /* what the other host does then, or NULL */
} stale;

static bool is_stale(int fd)
{
	void (*replace)(unsigned int) = stale.replace;
	struct stat st;

	if (stale.ino == 0 || fstat(fd, &st) < 0 || st.st_ino != stale.ino)
		return false;
	stale.times++;
	stale.replace = NULL;
	stale.ino = 0; /* not to the other host */
	if (replace)
		replace(2);
	stale.ino = st.st_ino;
	errno = ESTALE;
	return true;
}

ssize_t read(int fd, void *p, size_t n)
{
	return is_stale(fd) ? -1 : syscall(SYS_read, fd, p, n);
}

ssize_t pread(int fd, void *p, size_t n, off_t off)
{
	return is_stale(fd) ? -1 : syscall(SYS_pread64, fd, p, n, off);
}

/* ---- what is in the store, in versions 1 and 2, and which of them is read ---- */

static const struct fetch_digest an_object = { { 'o' } };
static struct fetch_digest pack_name;
static char removed[STORE_OBJECT_PATH];

static void path_of(enum store_kind kind, const struct fetch_digest *d, char path[256])
{
	store_object_path(kind, d, path);
}

static void put_ref(unsigned int version)
{
	const struct fetch_digest other = { { 2 } };

	chunk_rig_name(REF, true, version == 1 ? NULL : &other);
}

static int read_ref(void)
{
	HR_CLEANUP(store_ref_record_release) struct store_ref_record r = { .server = NULL };
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };

	if (fetch_ref_parse(REF, &ref, &err) < 0 || store_ref_read(rig.st, &ref, &r, &err) < 0)
		return -1;
	return r.manifest.b[0] == 2 ? 2 : 1;
}

static void ref_path(char path[256])
{
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
	hr_autofree char *below = NULL;

	MUST(fetch_ref_parse(REF, &ref, &err));
	below = store_ref_path(&ref);
	assert_true(strlen(below) < 256);
	memcpy(path, below, strlen(below) + 1);
}

static void put_trace(unsigned int version)
{
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_printf(&b, "%u", version);
	MUST(store_object_write(rig.st, STORE_TRACE, &an_object, b.p, b.len, &err));
}

/* Behind something, which stays. */
static int read_trace(void)
{
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_str(&b, "before ");
	if (store_object_read(rig.st, STORE_TRACE, &an_object, 100, &b, &err) < 0)
		return -1;
	assert_int_equal(b.len, 8);
	assert_memory_equal(b.p, "before ", 7);
	return b.p[7] - '0';
}

static void trace_path(char path[256])
{
	path_of(STORE_TRACE, &an_object, path);
}

/* A pack of one chunk; there is another one, that nothing names. */
static void put_pack(unsigned int version)
{
	static const uint8_t bytes[1000] = { 1 };
	struct store_chunk c = { .bytes = sizeof(bytes) };
	struct store_pack_frame f = { .p = bytes, .len = sizeof(bytes) };
	struct store_pack_writer *w = NULL;
	struct store_loc_chunk at;
	struct store_loc_pack name;

	(void)version;
	fetch_digest_of(bytes, sizeof(bytes), &c.digest);
	f.digest = c.digest;
	MUST(store_pack_new(rig.st, &w, &err));
	MUST(store_pack_add(w, &c, &f, &at, &err));
	MUST(store_pack_finish(w, &name, &err));
	MUST(store_pack_publish(w, &err));
	store_pack_free(w);
	pack_name = name.name;
}

static int read_table(void)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_pack_table t;

	if (store_pack_table_read(rig.st, &pack_name, &b, &t, &err) < 0)
		return -1;
	return 2;
}

static void pack_path(char path[256])
{
	path_of(STORE_PACK, &pack_name, path);
}

/* The pack of the image: no zstd of it is opened here. */
static void put_frames(unsigned int version)
{
	static uint8_t frames[CHUNKS * 1000];
	const struct store_loc_pack name = store_loc_pack(store_image_loc(rig.img), 0);

	memset(frames, (int)version, sizeof(frames));
	pack_name = name.name;
	MUST(store_object_write(rig.st, STORE_PACK, &pack_name, frames, sizeof(frames), &err));
}

static int read_frame(void)
{
	const struct store_chunk_source s = store_image_source(rig.img);
	uint8_t frame[2000];
	size_t len;

	if (s.frame(s.arg, 1, frame, sizeof(frame), &len, &err) < 0)
		return -1;
	assert_int_equal(len, 1000);
	assert_int_equal(frame[0], frame[len - 1]);
	return frame[0];
}

static void index_name(struct fetch_digest *d)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record r = { .created = NULL };

	MUST(store_image_record_read(rig.st, &index_sample_manifest, &r, &err));
	*d = r.index;
}

/* Version 2 has nothing in the pack. */
static void put_loc(unsigned int version)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_loc_pack pack;
	struct fetch_digest d;

	if (version == 1)
		put_pack(1);
	put_ref(1);
	index_name(&d);
	pack = (struct store_loc_pack) { pack_name, 1 };
	store_loc_write(&pack, version == 1, NULL, 0, &b);
	MUST(store_object_write(rig.st, STORE_INDEX_LOC, &d, b.p, b.len, &err));
}

static void on_removed(void *arg, const char *path, uint64_t bytes)
{
	(void)arg;
	(void)bytes;
	if (strncmp(path, "packs/", 6) == 0)
		memcpy(removed, path, strlen(path) + 1);
}

static int gc_reads_loc(void)
{
	const struct store_gc_options o = { .dry = true, .removed = on_removed };
	struct store_gc_result r;

	removed[0] = '\0';
	if (store_gc(rig.st, &o, &r, &err) < 0)
		return -1;
	return removed[0] ? 2 : 1;
}

static void loc_path(char path[256])
{
	struct fetch_digest d;

	index_name(&d);
	path_of(STORE_INDEX_LOC, &d, path);
}

/* ---- */

static const struct {
	const char *what;
	void (*put)(unsigned int version);
	int (*get)(void);
	void (*path)(char path[256]);
} rows[] = {
	{ "a reference", put_ref, read_ref, ref_path },
	{ "a trace", put_trace, read_trace, trace_path },
	{ "the table of a pack", put_pack, read_table, pack_path },
	{ "a frame of a pack", put_frames, read_frame, pack_path },
	{ "a location file, by gc", put_loc, gc_reads_loc, loc_path },
};

/* From now on, what is called so now cannot be read. */
static void arm(size_t row, bool replaced)
{
	char path[256];
	struct stat st;

	rows[row].path(path);
	assert_int_equal(fstatat(rig.st->fd, path, &st, 0), 0);
	stale.times = 0;
	stale.replace = replaced ? rows[row].put : NULL;
	stale.ino = st.st_ino;
}

static void what_was_replaced_is_read_by_its_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		int got;

		rows[i].put(1);
		err = (struct hr_err) { 0 };
		assert_true(rows[i].get() > 0);
		arm(i, true);
		err = (struct hr_err) { 0 };
		got = rows[i].get();
		stale.ino = 0;
		if (got != 2 || stale.times != 1)
			fail_msg("%s: version %d, tried %u times: %s", rows[i].what, got,
				 stale.times, err.text);
	}
}

static void what_stays_stale_is_a_failure_after_few_tries(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		int got;

		rows[i].put(1);
		arm(i, false);
		err = (struct hr_err) { 0 };
		got = rows[i].get();
		stale.ino = 0;
		if (got != -1 || err.kind != HR_SYS || err.sys != ESTALE || stale.times < 2 ||
		    stale.times > 5)
			fail_msg("%s: got %d, tried %u times: '%s'", rows[i].what, got, stale.times,
				 err.text);
	}
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, chunk_rig_setup, chunk_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(what_was_replaced_is_read_by_its_name),
		EACH(what_stays_stale_is_a_failure_after_few_tries),
	};

	return cmocka_run_group_tests_name("store stale", tests, NULL, NULL);
}
