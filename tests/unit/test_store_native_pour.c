/* SPDX-License-Identifier: BSD-3-Clause */
/* Large files that are written while their chunks come: in any order, readable at once, and no
 * worse off when they do not become whole. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/native_pour.h"
#include "tests/unit/native_rig.h"
#include "util/cleanup.h"
#include "util/poison.h"

static const struct fetch_digest pack_name = { { 9, 8, 7 } };

/* Of the chunks of /dir/big; in its pack, chunk 0 is the only frame. */
enum { FIRST, LAST };

static bool comes(void *arg, uint32_t chunk)
{
	return rig_has(arg, chunk); /* but for rig.absent */
}

static struct store_native_pour *begin(void)
{
	const struct store_native_pour_options o = { .ix = rig.ix,
						     .cache = rig.cache,
						     .cache_bytes = 64 * MIB,
						     .sha256 = fetch_digest_of,
						     .comes = comes };

	return store_native_pour_new(&o);
}

/* A chunk comes. */
static bool place(struct store_native_pour *p, uint32_t chunk, struct store_cache_at *at)
{
	uint32_t n;
	const uint8_t *plain = rig_content(chunk, &n);

	return store_native_pour_place(p, chunk, plain, n, at);
}

static bool exists(const char *suffix)
{
	char path[256];

	rig_path(suffix, path);
	return access(path, F_OK) == 0;
}

/* Read chunk 0 by a reference to AT, as any process does. */
static void assert_first_is(const struct store_cache_at *at)
{
	static uint8_t got[MIB];
	struct store_cache_pack *pack;
	struct hr_err e = { 0 };

	if (store_cache_pack_open(rig.cache, &pack_name, 1, &pack, &e) < 0 ||
	    store_cache_refer(pack, 0, 0, at, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(store_cache_has(pack, 0));
	if (store_cache_get(pack, 0, 0, got, sizeof(got), &e) < 0)
		fail_msg("%s", e.text);
	store_cache_pack_close(pack);
	assert_memory_equal(got, rig.chunk0, sizeof(got));
}

static void assert_whole(void)
{
	static uint8_t got[2 * MIB + 5], want[2 * MIB + 5];
	hr_autofd int fd = -1;
	char path[256];

	assert_int_equal(rig_state(), STORE_CACHE_FILE_WHOLE);
	assert_false(exists(".loose"));
	assert_false(exists(".part"));
	rig_path("", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, got, sizeof(got)), sizeof(got));
	memcpy(want, rig.chunk0, MIB);
	memcpy(want + 2 * MIB, rig_chunk1, sizeof(rig_chunk1));
	assert_memory_equal(got, want, sizeof(want));
}

static void becomes_whole(void **state)
{
	struct store_native_pour *p = begin();
	struct store_cache_at at;

	(void)state;
	assert_false(place(p, LAST, &at)); /* written, and too small not to lie in the pack, too */
	assert_true(place(p, FIRST, &at));
	assert_int_equal(at.off, 0);
	assert_first_is(&at);
	store_native_pour_end(p);
	assert_whole();
	assert_first_is(&at);
}

static void is_readable_before(void **state)
{
	struct store_native_pour *p = begin();
	struct store_cache_at at;

	(void)state;
	assert_true(place(p, FIRST, &at));
	assert_first_is(&at);
	store_native_pour_end(p); /* or killed: the last chunk has not come */
	assert_first_is(&at);
	assert_int_equal(rig_state(), STORE_CACHE_FILE_NONE);
	/* the next one leaves alone what is referred to; who has all chunks makes the file */
	p = begin();
	assert_false(place(p, FIRST, &at));
	store_native_pour_end(p);
	assert_first_is(&at);
	rig_make_it();
	assert_whole();
	assert_first_is(&at);
}

static void is_left_alone(void **state)
{
	struct store_cache_file_want want = rig_big_want();
	enum store_cache_file_state found;
	struct store_native_pour *p;
	struct store_cache_file *f;
	struct store_cache_at at;
	struct hr_err e = { 0 };

	(void)state;
	rig.absent = LAST; /* is there already: nothing is begun */
	p = begin();
	assert_false(place(p, FIRST, &at));
	store_native_pour_end(p);
	assert_false(exists(".seal"));
	rig.absent = UINT32_MAX;
	/* another process makes it */
	if (store_cache_file_open(rig.cache, &want, true, &f, &e) < 0 ||
	    store_cache_file_claim(f, &found, &e) < 0)
		fail_msg("%s", e.text);
	p = begin();
	assert_false(place(p, FIRST, &at));
	store_native_pour_end(p);
	store_cache_file_close(f);
	assert_false(exists(".loose"));
}

static void fails_to_write(void **state)
{
	const struct rlimit none = { MIB / 2, RLIM_INFINITY };
	struct store_native_pour *p = begin();
	struct store_cache_at at;
	struct rlimit before;

	(void)state;
	assert_false(place(p, LAST, &at));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_false(place(p, FIRST, &at));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_false(place(p, FIRST, &at)); /* not tried again */
	store_native_pour_end(p);
	assert_int_equal(rig_state(), STORE_CACHE_FILE_NONE);
	rig_make_it();
	assert_whole();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(becomes_whole, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(is_readable_before, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(is_left_alone, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(fails_to_write, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, rig_setup_all, rig_teardown_all);
}
