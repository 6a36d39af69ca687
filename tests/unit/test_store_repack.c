/* SPDX-License-Identifier: BSD-3-Clause */
/* store: compacting moves what is in use, names it anew, and marks what it came from. */
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <zstd.h>

#include "store/gc.h"
#include "store/lease.h"
#include "store/loc.h"
#include "store/pack.h"
#include "store/pack_reader.h"
#include "store/repack.h"
#include "tests/unit/store_rig.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define CHUNK  4096u /* bytes; they do not compress */
#define CHUNKS 4u    /* of a pack */

/* ---- packs, and who uses what of them ---- */

struct pack {
	struct store_loc_pack name;
	struct store_loc_chunk at[CHUNKS];
};

/* Chunk I of pack N. */
static struct store_chunk chunk(unsigned int n, unsigned int i, uint8_t bytes[CHUNK])
{
	struct store_chunk c = { .bytes = CHUNK };
	uint32_t x = n * CHUNKS + i + 1;

	for (size_t k = 0; k < CHUNK; k++) {
		x = x * 1664525u + 1013904223u;
		bytes[k] = (uint8_t)(x >> 24);
	}
	fetch_digest_of(bytes, CHUNK, &c.digest);
	c.crc = store_crc64(bytes, CHUNK);
	return c;
}

/* A pack of CHUNKS chunks; with LIE the first one has not the digest that it says. */
static struct pack put_pack(const struct store *st, unsigned int n, bool lie)
{
	struct store_pack_writer *w = NULL;
	struct pack p;

	MUST(store_pack_new(st, &w, &err));
	for (unsigned int i = 0; i < CHUNKS; i++) {
		uint8_t bytes[CHUNK], frame[2 * CHUNK];
		struct store_chunk c = chunk(n, i, bytes);
		size_t len = ZSTD_compress(frame, sizeof(frame), bytes, CHUNK, 1);
		struct store_pack_frame f = { .p = frame, .len = (uint32_t)len };

		assert_false(ZSTD_isError(len));
		fetch_digest_of(frame, len, &f.digest);
		c.digest.b[0] ^= lie && i == 0;
		MUST(store_pack_add(w, &c, &f, &p.at[i], &err));
	}
	MUST(store_pack_finish(w, &p.name, &err));
	MUST(store_pack_publish(w, &err));
	store_pack_free(w);
	return p;
}

static struct fetch_digest dg(uint8_t n)
{
	struct fetch_digest d = { { n } };

	return d;
}

/* What is known by N uses the first USED chunks of P. */
static void use(const struct store *st, enum store_kind kind, uint8_t n, const struct pack *p,
		unsigned int used)
{
	struct store_loc_chunk rows[CHUNKS];
	struct fetch_digest d = dg(n);
	hr_autobuf struct hr_buf b = { 0 };

	for (unsigned int i = 0; i < used; i++) {
		rows[i] = p->at[i];
		rows[i].pack = 0;
	}
	store_loc_write(&p->name, 1, rows, used, &b);
	MUST(store_object_write(st, kind, &d, b.p, b.len, &err));
}

/* By the locations of N: the first USED chunks of what was pack FROM; the name of their pack. */
static struct fetch_digest assert_readable(const struct store *st, enum store_kind kind, uint8_t n,
					   unsigned int from, unsigned int used)
{
	struct store_pack_reader *r = store_pack_reader_new(st);
	struct fetch_digest d = dg(n);
	struct store_loc_pack pack = { .frames = 0 };
	hr_autobuf struct hr_buf b = { 0 };
	struct store_loc l;

	MUST(store_object_read(st, kind, &d, 65536, &b, &err));
	MUST(store_loc_parse(b.p, b.len, used, &l, &err));
	for (unsigned int i = 0; i < used; i++) {
		struct store_loc_chunk at = store_loc_chunk(&l, i);
		uint8_t bytes[CHUNK], got[CHUNK];
		struct store_chunk c = chunk(from, i, bytes);

		pack = store_loc_pack(&l, at.pack);
		MUST(store_pack_reader_open(r, &pack.name, &err));
		MUST(store_pack_reader_read(r, at.frame_off, at.frame_len, &c, got, NULL, &err));
		assert_memory_equal(got, bytes, CHUNK);
	}
	store_pack_reader_free(r);
	return pack.name;
}

static struct store_repack_result compact(struct store *st, unsigned int percent, bool dry)
{
	const struct store_repack_options o = { .st = st, .percent = percent, .dry = dry };
	struct store_repack_result r;

	MUST(store_repack(&o, &r, &err));
	return r;
}

static void assert_refused(struct store *st, const atomic_bool *cancel, const char *message)
{
	const struct store_repack_options o = { .st = st, .cancel = cancel };
	struct store_repack_result r;
	struct hr_err e = { 0 };

	if (store_repack(&o, &r, &e) == 0 || !strstr(e.text, message))
		fail_msg("'%s', expected '%s'", e.text, message);
}

/* ---- tests ---- */

static void what_is_in_use_moves_and_the_rest_can_go(void **state)
{
	struct store *st = *state;
	const struct pack p = put_pack(st, 1, false), unused = put_pack(st, 2, false);
	struct store_gc_options o = { .replaced_s = 1000 };
	struct store_gc_result gone;
	struct fetch_digest moved;

	/* a quarter, though two know of it */
	use(st, STORE_LAYER_LOC, 1, &p, 1);
	use(st, STORE_INDEX_LOC, 2, &p, 1);
	assert_int_equal(compact(st, 80, false).replaced, 0);
	assert_int_equal(compact(st, 60, true).replaced, 1);
	assert_memory_equal(
		&p.name.name,
		&(struct fetch_digest[]) { assert_readable(st, STORE_LAYER_LOC, 1, 1, 1) },
		FETCH_DIGEST_LEN);
	assert_false(store_object_exists(st, STORE_PACK_OLD, &p.name.name));
	assert_int_equal(compact(st, 60, false).replaced, 1);
	moved = assert_readable(st, STORE_LAYER_LOC, 1, 1, 1);
	assert_memory_not_equal(&moved, &p.name.name, FETCH_DIGEST_LEN);
	moved = assert_readable(st, STORE_INDEX_LOC, 2, 1, 1);
	assert_memory_not_equal(&moved, &p.name.name, FETCH_DIGEST_LEN);
	/* nothing but that: it is at its best now */
	assert_int_equal(compact(st, 0, false).replaced, 0);
	/* who read of it may still do so; what nothing reaches is gc's */
	assert_true(store_object_exists(st, STORE_PACK_OLD, &p.name.name));
	assert_false(store_object_exists(st, STORE_PACK_OLD, &unused.name.name));
	assert_true(store_object_exists(st, STORE_PACK, &unused.name.name));
	MUST(store_gc(st, &o, &gone, &err));
	assert_true(store_object_exists(st, STORE_PACK, &p.name.name));
	assert_true(store_object_exists(st, STORE_PACK_OLD, &p.name.name));
	assert_false(store_object_exists(st, STORE_PACK, &unused.name.name));
	o.replaced_s = 0;
	MUST(store_gc(st, &o, &gone, &err));
	assert_false(store_object_exists(st, STORE_PACK, &p.name.name));
	assert_false(store_object_exists(st, STORE_PACK_OLD, &p.name.name));
}

static void small_packs_become_one_when_they_are_many(void **state)
{
	struct store *st = *state;
	struct pack p[8];
	struct store_repack_result r;
	struct fetch_digest one;

	/* seven, and one that is nobody's, and one that is replaced anyway */
	for (uint8_t n = 0; n < 7; n++) {
		p[n] = put_pack(st, n, false);
		use(st, STORE_LAYER_LOC, n, &p[n], CHUNKS);
	}
	put_pack(st, 9, false);
	p[7] = put_pack(st, 7, false);
	use(st, STORE_LAYER_LOC, 7, &p[7], 1);
	r = compact(st, 50, true);
	assert_int_equal(r.small, 0);
	assert_int_equal(r.replaced, 1);
	use(st, STORE_LAYER_LOC, 7, &p[7], CHUNKS);
	r = compact(st, 50, false);
	assert_int_equal(r.small, 8);
	assert_int_equal(r.replaced, 8);
	one = assert_readable(st, STORE_LAYER_LOC, 0, 0, CHUNKS);
	for (uint8_t n = 0; n < 8; n++) {
		struct fetch_digest d = assert_readable(st, STORE_LAYER_LOC, n, n, CHUNKS);

		assert_memory_equal(&d, &one, FETCH_DIGEST_LEN);
	}
	assert_int_equal(compact(st, 50, false).replaced, 0);
}

static void a_pack_that_is_used_again_leaves_its_mark(void **state)
{
	struct store *st = *state;
	const struct pack p = put_pack(st, 1, false);
	const struct timespec old[2] = { { .tv_sec = time(NULL) - 5000 },
					 { .tv_sec = time(NULL) - 5000 } };
	char path[STORE_OBJECT_PATH];
	uint64_t age;

	use(st, STORE_LAYER_LOC, 1, &p, CHUNKS);
	assert_int_equal(compact(st, 0, true).replaced, 0);
	MUST(store_repack_mark(st, &p.name.name, &err));
	store_object_path(STORE_PACK_OLD, &p.name.name, path);
	assert_int_equal(utimensat(st->fd, path, old, 0), 0);
	/* replaced twice, it is as old as the first time */
	MUST(store_repack_mark(st, &p.name.name, &err));
	assert_true(store_object_age(st, STORE_PACK_OLD, &p.name.name, &age));
	assert_in_range(age, 4000, 6000);
	assert_int_equal(compact(st, 100, true).replaced, 1);
}

static void damage_stops_it_before_anything_is_changed(void **state)
{
	struct store *st = *state;
	const atomic_bool stop = true;
	struct store_lease *lease = NULL;
	struct pack p = put_pack(st, 1, false), wrong = put_pack(st, 2, true);

	use(st, STORE_LAYER_LOC, 1, &wrong, 1);
	assert_refused(st, NULL, "a chunk has another digest");
	assert_false(store_object_exists(st, STORE_PACK_OLD, &wrong.name.name));
	use(st, STORE_LAYER_LOC, 1, &p, 1);
	p.name.frames++;
	use(st, STORE_INDEX_LOC, 2, &p, 1);
	assert_refused(st, NULL, "a pack has 5 frames here, 4 elsewhere");
	use(st, STORE_LAYER_LOC, 1, &p, 1);
	assert_refused(st, NULL, "it has 4 frames, locations say 5");
	p.name.frames--;
	use(st, STORE_LAYER_LOC, 1, &p, CHUNKS);
	use(st, STORE_INDEX_LOC, 2, &p, CHUNKS);
	assert_refused(st, &stop, "stopped before anything was changed");
	assert_int_equal(compact(st, 50, false).replaced, 0);
	MUST(store_lease_take(st, STORE_LEASE_GC, NULL, NULL, NULL, &lease, &err));
	assert_refused(st, NULL, "is removing garbage from it");
	assert_int_equal(compact(st, 50, true).replaced, 0);
	store_lease_release(lease);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_in_use_moves_and_the_rest_can_go,
						store_rig_setup, store_rig_teardown),
		cmocka_unit_test_setup_teardown(small_packs_become_one_when_they_are_many,
						store_rig_setup, store_rig_teardown),
		cmocka_unit_test_setup_teardown(a_pack_that_is_used_again_leaves_its_mark,
						store_rig_setup, store_rig_teardown),
		cmocka_unit_test_setup_teardown(damage_stops_it_before_anything_is_changed,
						store_rig_setup, store_rig_teardown),
	};

	return cmocka_run_group_tests_name("store repack", tests, NULL, NULL);
}
