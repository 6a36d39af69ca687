/* SPDX-License-Identifier: BSD-3-Clause */
/* store: gc removes what no reference reaches and nothing else, or nothing at all. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/digest_set.h"
#include "store/gc.h"
#include "store/lease.h"
#include "store/loc.h"
#include "store/repack.h"
#include "tests/unit/store_rig.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

/* ---- a store of two images by hand ---- */

static struct fetch_digest dg(char kind, uint8_t n)
{
	struct fetch_digest d = { { n, (uint8_t)kind } };

	return d;
}

static void put(struct store *st, enum store_kind kind, struct fetch_digest d)
{
	MUST(store_object_write(st, kind, &d, "x", 1, &err));
}

static void put_loc(struct store *st, enum store_kind kind, struct fetch_digest d, uint8_t pack)
{
	struct store_loc_pack p = { dg('p', pack), 1 };
	struct store_loc_chunk c = { 0, 0, 1, 0, 0 };
	hr_autobuf struct hr_buf b = { 0 };

	store_loc_write(&p, 1, &c, 1, &b);
	MUST(store_object_write(st, kind, &d, b.p, b.len, &err));
}

/* Layer N with its own pack and alias. */
static void put_layer(struct store *st, uint8_t n)
{
	struct store_blob_record blob = { dg('l', n), 1 };
	struct fetch_digest d = dg('b', n);
	hr_autobuf struct hr_buf b = { 0 };

	put(st, STORE_PACK, dg('p', n));
	put(st, STORE_LAYER, dg('l', n));
	put_loc(st, STORE_LAYER_LOC, dg('l', n), n);
	store_blob_record_write(&blob, &b);
	MUST(store_object_write(st, STORE_BLOB, &d, b.p, b.len, &err));
}

/* Image N of the layers A and B. */
static void put_image(struct store *st, uint8_t n, uint8_t layer_a, uint8_t layer_b)
{
	struct store_record_layer layers[] = { { dg('l', layer_a), dg('b', layer_a) },
					       { dg('l', layer_b), dg('b', layer_b) } };
	char created[] = "-";
	struct store_image_record r = { .index = dg('i', n),
					.config = dg('c', n),
					.created = created,
					.layers = layers,
					.n_layers = 2 };
	struct fetch_digest d = dg('m', n);
	hr_autobuf struct hr_buf b = { 0 };

	store_image_record_write(&r, &b);
	MUST(store_object_write(st, STORE_IMAGE, &d, b.p, b.len, &err));
	put(st, STORE_INDEX, dg('i', n));
	put_loc(st, STORE_INDEX_LOC, dg('i', n), layer_a);
	put(st, STORE_DOC, dg('m', n));
	put(st, STORE_DOC, dg('c', n));
}

static void put_ref(struct store *st, const char *name, uint8_t image)
{
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
	char server[] = "h";
	struct store_ref_record r = { dg('m', image), dg('x', image), 1, server };

	put(st, STORE_DOC, dg('x', image));
	MUST(fetch_ref_parse(name, &ref, &err));
	MUST(store_ref_write(st, &ref, &r, &err));
}

#define BY_DIGEST                                                                                  \
	"h.example/a@sha256:0378000000000000000000000000000000000000000000000000000000000000"

/* Images 1 (layers 1, 2), 2 (layers 1, 3), 3 (layers 3, 4); only 1 and 3 have a reference. */
static int setup(void **state)
{
	struct store *st;

	assert_int_equal(store_rig_setup(state), 0);
	st = *state;
	for (uint8_t n = 1; n <= 5; n++)
		put_layer(st, n);
	put_image(st, 1, 1, 2);
	put_image(st, 2, 1, 3);
	put_image(st, 3, 3, 4);
	put_ref(st, "h.example/a:1", 1);
	put_ref(st, BY_DIGEST, 3);
	put(st, STORE_DICT, dg('d', 1));
	return 0;
}

/* Which of the objects 1 to 9 of a kind are there, as digits. */
static const char *there(const struct store *st, enum store_kind kind, char name)
{
	static char digits[10];
	size_t k = 0;

	for (uint8_t n = 1; n <= 9; n++) {
		struct fetch_digest d = dg(name, n);

		if (store_object_exists(st, kind, &d))
			digits[k++] = (char)('0' + n);
	}
	digits[k] = '\0';
	return digits;
}

static void assert_untouched(const struct store *st)
{
	assert_string_equal(there(st, STORE_IMAGE, 'm'), "123");
	assert_string_equal(there(st, STORE_INDEX, 'i'), "123");
	assert_string_equal(there(st, STORE_LAYER, 'l'), "12345");
	assert_string_equal(there(st, STORE_BLOB, 'b'), "12345");
	assert_string_equal(there(st, STORE_PACK, 'p'), "12345");
	assert_string_equal(there(st, STORE_DICT, 'd'), "1");
}

/* ---- tests ---- */

static void what_is_not_reached_goes(void **state)
{
	struct store *st = *state;
	const struct store_gc_options o = { 0 };
	struct store_gc_result r;

	MUST(store_gc(st, &o, &r, &err));
	assert_string_equal(there(st, STORE_IMAGE, 'm'), "13");
	assert_string_equal(there(st, STORE_INDEX, 'i'), "13");
	assert_string_equal(there(st, STORE_INDEX_LOC, 'i'), "13");
	assert_string_equal(there(st, STORE_DOC, 'm'), "13");
	assert_string_equal(there(st, STORE_DOC, 'c'), "13");
	assert_string_equal(there(st, STORE_DOC, 'x'), "13");
	assert_string_equal(there(st, STORE_LAYER, 'l'), "1234");
	assert_string_equal(there(st, STORE_LAYER_LOC, 'l'), "1234");
	assert_string_equal(there(st, STORE_BLOB, 'b'), "1234");
	assert_string_equal(there(st, STORE_PACK, 'p'), "1234");
	assert_string_equal(there(st, STORE_DICT, 'd'), "");
	assert_int_equal(r.images, 1);
	assert_int_equal(r.layers, 1);
	assert_int_equal(r.packs, 1);
	/* index, its locations, two documents; locations and alias of a layer; the dict */
	assert_int_equal(r.others, 7);
	MUST(store_gc(st, &o, &r, &err));
	assert_int_equal(r.bytes, 0);
}

static void a_dry_run_counts_the_same_and_removes_nothing(void **state)
{
	struct store *st = *state;
	struct store_gc_options o = { .dry = true };
	struct store_gc_result dry, wet;

	MUST(store_gc(st, &o, &dry, &err));
	assert_untouched(st);
	o.dry = false;
	MUST(store_gc(st, &o, &wet, &err));
	assert_memory_equal(&dry, &wet, sizeof(dry));
}

static void what_cannot_be_read_stops_it_before_it_begins(void **state)
{
	struct store *st = *state;
	static const struct {
		enum store_kind kind;
		char name;
		const char *message;
	} rows[] = {
		{ STORE_IMAGE, 'm', "the record of image 'h.example/a:1': line 1" },
		{ STORE_INDEX_LOC, 'i', ".loc': 'location file' ends at 1, expected 16 bytes" },
		{ STORE_LAYER_LOC, 'l', ".loc': 'location file' ends at 1, expected 16 bytes" },
	};

	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct fetch_digest d = dg(rows[i].name, 1);
		hr_autobuf struct hr_buf old = { 0 };
		const struct store_gc_options o = { 0 };
		struct store_gc_result r;
		struct hr_err e = { 0 };

		MUST(store_object_read(st, rows[i].kind, &d, 65536, &old, &err));
		put(st, rows[i].kind, d);
		assert_int_equal(store_gc(st, &o, &r, &e), -1);
		assert_int_equal(e.kind, HR_CORRUPT);
		if (!strstr(e.text, rows[i].message))
			fail_msg("%s", e.text);
		assert_untouched(st);
		MUST(store_object_write(st, rows[i].kind, &d, old.p, old.len, &err));
	}
}

/* No more than what the mark is made of: each of the two in turn. */
static void locations_that_cannot_be_read_stop_it_and_compact(void **state)
{
	struct store *st = *state;
	static const struct {
		enum store_kind kind;
		char name;
		const char *dir; /* in its place, which is neither damage nor absence */
	} rows[] = {
		{ STORE_INDEX_LOC, 'i', "index" },
		{ STORE_LAYER_LOC, 'l', "layers" },
	};

	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct fetch_digest d = dg(rows[i].name, 1);
		const struct store_repack_options compact = { .st = st };
		const struct store_gc_options o = { 0 };
		char path[STORE_OBJECT_PATH];
		hr_autobuf struct hr_buf old = { 0 };
		struct store_repack_result packed;
		struct store_gc_result r;
		struct hr_err e = { 0 };

		MUST(store_object_read(st, rows[i].kind, &d, 65536, &old, &err));
		put(st, rows[i].kind, d);
		assert_int_equal(store_repack(&compact, &packed, &e), -1);
		assert_int_equal(e.kind, HR_CORRUPT);
		if (!strstr(e.text, ": 1 bytes"))
			fail_msg("%s", e.text);
		MUST(store_object_remove(st, rows[i].kind, &d, &err));
		assert_int_equal(mkdirat(st->fd, store_object_path(rows[i].kind, &d, path), 0755),
				 0);
		hr_err_clear(&e);
		assert_int_equal(store_gc(st, &o, &r, &e), -1);
		if (!strstr(e.text, "is not a regular file"))
			fail_msg("%s", e.text);
		assert_untouched(st);
		assert_int_equal(unlinkat(st->fd, path, AT_REMOVEDIR), 0);
		MUST(store_object_write(st, rows[i].kind, &d, old.p, old.len, &err));
	}
}

/* Damage as well, but there is nothing to be read wrong: what it alone reached cannot be read. */
static void a_missing_location_file_reaches_nothing(void **state)
{
	struct store *st = *state;
	const struct store_gc_options o = { 0 };
	struct fetch_digest layer = dg('l', 2), index = dg('i', 1);
	struct store_gc_result r;

	MUST(store_object_remove(st, STORE_INDEX_LOC, &index, &err));
	MUST(store_gc(st, &o, &r, &err));
	assert_string_equal(there(st, STORE_PACK, 'p'), "1234");
	MUST(store_object_remove(st, STORE_LAYER_LOC, &layer, &err));
	MUST(store_gc(st, &o, &r, &err));
	assert_int_equal(r.packs, 1);
	assert_string_equal(there(st, STORE_PACK, 'p'), "134");
	assert_string_equal(there(st, STORE_LAYER, 'l'), "1234");
	assert_string_equal(there(st, STORE_IMAGE, 'm'), "13");
}

/* A list that ends early would let gc remove what the rest of it reaches. */
static void what_cannot_be_listed_stops_it(void **state)
{
	struct store *st = *state;
	const struct store_gc_options o = { .dry = true };
	struct store_gc_result r;
	struct rlimit before, few;
	struct hr_err e = { 0 };
	int done = -1, first = dup(st->fd);

	assert_true(first >= 0 && close(first) == 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	for (rlim_t more = 0; done < 0; more++) {
		assert_true(more < 16);
		few.rlim_cur = (rlim_t)first + more;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		hr_err_clear(&e);
		done = store_gc(st, &o, &r, &e);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	}
	assert_int_equal(r.images, 1);
	assert_int_equal(r.packs, 1);
}

/* Whether a lease can be had at once: who would have to wait for one is stopped. */
static bool is_free(const struct store *st, enum store_lease_kind kind)
{
	const atomic_bool stop = true;
	struct fetch_digest blob = dg('b', 9);
	struct store_lease *l = NULL;
	struct hr_err e = { 0 };

	if (store_lease_take(st, kind, &blob, &stop, NULL, &l, &e) < 0) {
		if (!strstr(e.text, "stopped waiting"))
			fail_msg("%s", e.text);
		return false;
	}
	store_lease_release(l);
	return true;
}

static void a_lease_of_whom_nothing_is_known_is_held(void **state)
{
	struct store *st = *state;

	assert_true(is_free(st, STORE_LEASE_IMPORT));
	assert_true(is_free(st, STORE_LEASE_GC));
	/* its maker may be about to write who he is */
	MUST(hr_file_replace(st->fd, "leases/gc", "", 0, 0644, &err));
	assert_false(is_free(st, STORE_LEASE_GC));
	assert_false(is_free(st, STORE_LEASE_IMPORT));
	assert_int_equal(unlinkat(st->fd, "leases/gc", 0), 0);
	/* what cannot be read says nothing of its maker's end */
	assert_int_equal(mkdirat(st->fd, "leases/gc", 0755), 0);
	assert_false(is_free(st, STORE_LEASE_IMPORT));
	assert_int_equal(unlinkat(st->fd, "leases/gc", AT_REMOVEDIR), 0);
	assert_true(is_free(st, STORE_LEASE_IMPORT));
}

static void unfinished_files_of_unseen_processes_stay_for_a_day(void **state)
{
	struct store *st = *state;
	const struct store_gc_options o = { 0 };
	const struct timespec old[2] = { { .tv_sec = time(NULL) - 90000 },
					 { .tv_sec = time(NULL) - 90000 } };
	static const char name[] = "tmp/elsewhere";
	struct store_tmp ours = STORE_TMP_EMPTY;
	struct store_gc_result r;

	MUST(hr_file_replace(st->fd, name, "x", 1, 0644, &err));
	MUST(store_gc(st, &o, &r, &err));
	assert_int_equal(faccessat(st->fd, name, F_OK, 0), 0);
	assert_int_equal(utimensat(st->fd, name, old, 0), 0);
	MUST(store_gc(st, &o, &r, &err));
	assert_int_equal(faccessat(st->fd, name, F_OK, 0), -1);
	/* those of who is alive as long as that */
	MUST(store_tmp_open(st, &ours, &err));
	assert_int_equal(futimens(ours.fd, old), 0);
	MUST(store_gc(st, &o, &r, &err));
	assert_int_equal(faccessat(st->fd, ours.name, F_OK, 0), 0);
	store_tmp_discard(&ours);
}

static void a_reference_that_cannot_be_read_stops_it(void **state)
{
	struct store *st = *state;
	const struct store_gc_options o = { 0 };
	struct store_gc_result r;
	struct hr_err e = { 0 };

	MUST(hr_file_replace(st->fd, "refs/h.example/a/_tags/1", "x", 1, 0644, &err));
	assert_int_equal(store_gc(st, &o, &r, &e), -1);
	assert_int_equal(e.kind, HR_CORRUPT);
	assert_non_null(strstr(e.text, "1 reference cannot be read"));
	assert_untouched(st);
}

static void it_does_not_run_while_a_pull_does(void **state)
{
	struct store *st = *state;
	const struct store_gc_options o = { 0 };
	struct fetch_digest blob = dg('b', 9);
	struct store_lease *import = NULL;
	struct store_gc_result r;
	struct hr_err e = { 0 };
	char pid[32];

	MUST(store_lease_take(st, STORE_LEASE_IMPORT, &blob, NULL, NULL, &import, &err));
	assert_int_equal(store_gc(st, &o, &r, &e), -1);
	snprintf(pid, sizeof(pid), "process %d on host", (int)getpid());
	if (!strstr(e.text, pid) || !strstr(e.text, "is pulling an image into it"))
		fail_msg("%s", e.text);
	assert_untouched(st);
	store_lease_release(import);
	MUST(store_gc(st, &o, &r, &err));
	assert_int_equal(r.images, 1);
}

/* What this program is when it is started with the path of a store: one that dies at its work. */
static int die_at_work(const char *path)
{
	struct fetch_digest blob = dg('b', 9);
	struct store_tmp t = STORE_TMP_EMPTY;
	struct store_lease *lease;
	struct store *st;
	struct hr_err e = { 0 };

	if (store_open(path, STORE_WRITE, NULL, &st, &e) < 0 ||
	    store_lease_take(st, STORE_LEASE_IMPORT, &blob, NULL, NULL, &lease, &e) < 0 ||
	    store_tmp_open(st, &t, &e) < 0)
		return 1;
	_exit(0);
}

static void what_the_dead_left_is_no_hindrance_and_goes(void **state)
{
	struct store *st = *state;
	const struct store_gc_options o = { 0 };
	struct store_gc_result r;
	pid_t child = fork();
	int status;

	/* a new program, for the name of a process is looked up once */
	if (child == 0) {
		execl("/proc/self/exe", "test_store_gc", st->path, (char *)NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(unlinkat(st->fd, "leases", AT_REMOVEDIR), -1);
	MUST(store_gc(st, &o, &r, &err));
	assert_int_equal(r.images, 1);
	assert_int_equal(unlinkat(st->fd, "leases", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(st->fd, "tmp", AT_REMOVEDIR), 0);
}

static void a_sealed_set_has_each_once(void **state)
{
	struct store_digest_set s = { 0 };
	struct fetch_digest d;

	(void)state;
	d = dg('a', 1);
	store_digest_set_seal(&s);
	assert_false(store_digest_set_has(&s, &d));
	for (unsigned int i = 0; i < 1000; i++) {
		d = dg('a', (uint8_t)(i * 7));
		store_digest_set_add(&s, &d);
	}
	store_digest_set_seal(&s);
	assert_int_equal(s.n, 256);
	assert_true(store_digest_set_has(&s, &d));
	d = dg('b', 1);
	assert_false(store_digest_set_has(&s, &d));
	store_digest_set_release(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_not_reached_goes, setup,
						store_rig_teardown),
		cmocka_unit_test_setup_teardown(a_dry_run_counts_the_same_and_removes_nothing,
						setup, store_rig_teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_stops_it_before_it_begins,
						setup, store_rig_teardown),
		cmocka_unit_test_setup_teardown(locations_that_cannot_be_read_stop_it_and_compact,
						setup, store_rig_teardown),
		cmocka_unit_test_setup_teardown(a_missing_location_file_reaches_nothing, setup,
						store_rig_teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_listed_stops_it, setup,
						store_rig_teardown),
		cmocka_unit_test_setup_teardown(a_lease_of_whom_nothing_is_known_is_held, setup,
						store_rig_teardown),
		cmocka_unit_test_setup_teardown(unfinished_files_of_unseen_processes_stay_for_a_day,
						setup, store_rig_teardown),
		cmocka_unit_test_setup_teardown(a_reference_that_cannot_be_read_stops_it, setup,
						store_rig_teardown),
		cmocka_unit_test_setup_teardown(it_does_not_run_while_a_pull_does, setup,
						store_rig_teardown),
		cmocka_unit_test_setup_teardown(what_the_dead_left_is_no_hindrance_and_goes, setup,
						store_rig_teardown),
		cmocka_unit_test(a_sealed_set_has_each_once),
	};

	if (argc > 1)
		return die_at_work(argv[1]);
	return cmocka_run_group_tests_name("store gc", tests, NULL, NULL);
}
