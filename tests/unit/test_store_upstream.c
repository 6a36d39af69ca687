/* SPDX-License-Identifier: BSD-3-Clause */
/* A server asks its helper for lost chunks, and believes nothing that it is told. The helper here
 * is a script that says what a file has, whoever asks. */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/upstream.h"
#include "tests/unit/chunk_rig.h"
#include "tests/unit/store_rig.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

#define GATE	 7 /* a chunk that is in the cache: what is asked for after it is one round */
#define WAIT_S	 30
#define WHY	 "pack p is gone"
#define HINT	 "look for it"
#define REGISTRY "localhost:1/lost/image"

_Static_assert((int)GATE == CHUNKS - 1 && BY_DIGEST_ALONE < GATE, "each has its use");

static const char script[] =
	"#!/bin/sh\n"
	"cd \"${0%/*}\" && echo $$ >pid && echo \"$@\" >args && cat >asked &&\n"
	"cat <&3 >index && cat <&4 >loc && cat answer && . ./end\n";

/* ---- in place of the C library's ---- */

static char program[80];
static time_t later_s;

/* The helper lies beside this program. */
ssize_t readlink(const char *path, char *buf, size_t n)
{
	if (strcmp(path, "/proc/self/exe") != 0)
		return syscall(SYS_readlink, path, buf, n);
	assert_true(strlen(program) < n);
	memcpy(buf, program, strlen(program));
	return (ssize_t)strlen(program);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, clock, t);

	t->tv_sec += clock == CLOCK_MONOTONIC ? __atomic_load_n(&later_s, __ATOMIC_RELAXED) : 0;
	return r;
}

/* ---- what lands ---- */

struct landed {
	unsigned int times;
	bool right; /* the bytes of the chunk */
	struct hr_err e;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static struct landed landed[CHUNKS];
static unsigned int n_landed;
static bool open_gate;
static struct hr_stats stats;

static void land(void *arg, uint32_t chunk, const uint8_t *p, uint32_t bytes,
		 const struct hr_err *e)
{
	struct landed *l = &landed[chunk];
	uint32_t n;
	const uint8_t *want = chunk_rig_content(chunk, &n);

	(void)arg;
	pthread_mutex_lock(&lock);
	l->times++;
	l->right = !e && bytes == n && memcmp(p, want, n) == 0;
	l->e = e ? *e : (struct hr_err) { 0 };
	n_landed++;
	pthread_cond_broadcast(&change);
	while (chunk == GATE && !open_gate)
		pthread_cond_wait(&change, &lock);
	pthread_mutex_unlock(&lock);
}

static void wait_landed(unsigned int n)
{
	struct timespec end;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_S;
	pthread_mutex_lock(&lock);
	while (n_landed < n && r == 0)
		r = pthread_cond_timedwait(&change, &lock, &end);
	pthread_mutex_unlock(&lock);
	if (r != 0)
		fail_msg("%u landed, %u were expected", n_landed, n);
}

static void ask(struct store_upstream *u, uint32_t chunk, enum hr_kind kind)
{
	struct hr_err why = { 0 };

	(void)hr_fail(&why, kind, 0, WHY);
	hr_hint(&why, HINT);
	store_upstream_ask(u, chunk, &why);
}

static void forget_landed(void)
{
	memset(landed, 0, sizeof(landed));
	n_landed = 0;
	open_gate = false;
}

/* Ask for the chunks of a mask, in one round, and wait until they have landed. */
static void round_of(struct store_upstream *u, unsigned int mask)
{
	unsigned int n = 1;

	forget_landed();
	if (!chunk_rig_cached(GATE))
		chunk_rig_cache(GATE, false);
	ask(u, GATE, HR_NOTFOUND);
	wait_landed(1);
	for (uint32_t i = 0; i < GATE; i++)
		if (mask & 1u << i) {
			ask(u, i, HR_NOTFOUND);
			n++;
		}
	pthread_mutex_lock(&lock);
	open_gate = true;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&lock);
	wait_landed(n);
	ask(u, GATE, HR_NOTFOUND); /* the next round: this one is over */
	wait_landed(n + 1);
	assert_true(landed[GATE].right);
}

/* The chunks that landed as they should, once each; the others that landed were refused. */
static unsigned int got(void)
{
	unsigned int mask = 0;

	for (uint32_t i = 0; i < GATE; i++) {
		const struct landed *l = &landed[i];

		assert_true(l->times <= 1);
		assert_true(l->times == 0 || l->right == (l->e.kind == HR_OK));
		mask |= (unsigned int)(l->times == 1 && l->right) << i;
	}
	return mask;
}

/* ---- the helper ---- */

static void put_file(const char *name, const void *p, size_t n, mode_t mode)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", rig.top, name);
	MUST(hr_file_replace(AT_FDCWD, path, p, n, mode, &err));
}

static void get_file(const char *name, struct hr_buf *out)
{
	char path[96];

	out->len = 0;
	snprintf(path, sizeof(path), "%s/%s", rig.top, name);
	MUST(hr_file_read(AT_FDCWD, path, 1 << 20, out, &err));
}

static bool helper_ran(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/pid", rig.top);
	return unlink(path) == 0;
}

/* What it says, and what it does then, in the language of sh. */
static void helper_says(const struct hr_buf *b, const char *then)
{
	put_file("answer", b->p, b->len, 0600);
	put_file("end", then, strlen(then), 0600);
}

static void say(struct hr_buf *b, uint32_t chunk, uint32_t bytes, const void *p, size_t n)
{
	const struct store_upstream_reply head = { chunk, bytes };

	hr_buf_add(b, &head, sizeof(head));
	hr_buf_add(b, p, n);
}

static void say_chunk(struct hr_buf *b, uint32_t chunk)
{
	uint32_t n;
	const uint8_t *p = chunk_rig_content(chunk, &n);

	say(b, chunk, n, p, n);
}

static void say_failure(struct hr_buf *b, enum hr_kind kind, const char *text)
{
	struct hr_err e = { 0 };

	(void)hr_fail(&e, kind, 0, "%s", text);
	say(b, STORE_UPSTREAM_FAILED, sizeof(e), &e, sizeof(e));
}

static struct store_upstream *new_upstream(const char *image, store_chunk_sha256 *sha256)
{
	const struct store_upstream_options o = { .img = rig.img,
						  .image = image,
						  .advisor = rig.store_path,
						  .cache = rig.cache_path,
						  .sha256 = sha256,
						  .stats = &stats };
	struct store_upstream *u = store_upstream_new(&o);

	store_upstream_deliver(u, land, NULL);
	return u;
}

static struct store_upstream *usual(void)
{
	return new_upstream(REGISTRY ":1", fetch_digest_of);
}

static int setup(void **state)
{
	chunk_rig_setup(state);
	snprintf(program, sizeof(program), "%s/hpcrun-serve", rig.top);
	put_file("hpcrun-store", script, strlen(script), 0700);
	memset(&stats, 0, sizeof(stats));
	forget_landed();
	return 0;
}

/* ---- what a helper may say ---- */

enum saying {
	THE_CHUNK = 1,
	OF_ANOTHER, /* chunk 1's bytes */
	A_BIT,	    /* another in the last byte */
	A_BYTE_LESS,
	A_BYTE_MORE,
	NO_BYTES,
	TOO_MANY, /* more than a chunk can have */
	A_HEAD,	  /* half of one */
	A_PART	  /* a head, and the chunk without its last byte */
};

#define ASKED 0xfu /* chunks 0, 1, 2 and LARGEST; not 4 */

static const struct {
	const char *what;
	struct {
		uint32_t chunk;
		enum saying how;
	} says[5];
	unsigned int got;
} sayings[] = {
	{ "all", { { 0, THE_CHUNK }, { 1, THE_CHUNK }, { 2, THE_CHUNK }, { 3, THE_CHUNK } }, 0xf },
	{ "order",
	  { { 3, THE_CHUNK }, { 1, THE_CHUNK }, { 0, THE_CHUNK }, { 2, THE_CHUNK } },
	  0xf },
	{ "nothing", { { 0 } }, 0 },
	{ "some", { { 2, THE_CHUNK } }, 0x4 },
	{ "one twice", { { 0, THE_CHUNK }, { 0, THE_CHUNK }, { 1, THE_CHUNK } }, 0x3 },
	{ "not asked for", { { 4, THE_CHUNK }, { 1, THE_CHUNK } }, 0x2 },
	{ "no chunk of the image", { { CHUNKS, NO_BYTES }, { 1, THE_CHUNK } }, 0x2 },
	{ "another's bytes", { { 0, OF_ANOTHER }, { 1, THE_CHUNK } }, 0x2 },
	{ "wrong bytes", { { 0, A_BIT }, { 1, THE_CHUNK }, { 3, A_BIT } }, 0x2 },
	{ "wrong bytes, then right ones", { { 0, A_BIT }, { 0, THE_CHUNK } }, 0x1 },
	{ "right bytes, then wrong ones", { { 0, THE_CHUNK }, { 0, A_BIT } }, 0x1 },
	{ "a byte less", { { 0, A_BYTE_LESS }, { 1, THE_CHUNK } }, 0x2 },
	{ "a byte more", { { 0, A_BYTE_MORE }, { 1, THE_CHUNK } }, 0x2 },
	{ "no bytes", { { 0, NO_BYTES }, { 1, THE_CHUNK } }, 0x2 },
	{ "too many", { { 1, THE_CHUNK }, { 0, TOO_MANY }, { 2, THE_CHUNK } }, 0x2 },
	{ "half a head", { { 1, THE_CHUNK }, { 0, A_HEAD } }, 0x2 },
	{ "not to its end", { { 1, THE_CHUNK }, { 0, A_PART } }, 0x2 },
};

static void say_so(struct hr_buf *b, uint32_t chunk, enum saying how)
{
	hr_autofree uint8_t *room = hr_xmalloc(STORE_CHUNK_MAX + 1);
	uint32_t n = 0;

	if (chunk < CHUNKS)
		memcpy(room, chunk_rig_content(how == OF_ANOTHER ? 1 : chunk, &n), 1000);
	if (chunk == LARGEST)
		memcpy(room, chunk_rig_content(chunk, &n), n);
	if (how == A_BIT)
		room[n - 1] ^= 1;
	if (how == THE_CHUNK || how == OF_ANOTHER || how == A_BIT)
		say(b, chunk, n, room, n);
	else if (how == A_BYTE_LESS || how == A_BYTE_MORE)
		say(b, chunk, how == A_BYTE_LESS ? n - 1 : n + 1, room,
		    how == A_BYTE_LESS ? n - 1 : n + 1);
	else if (how == NO_BYTES)
		say(b, chunk, 0, NULL, 0);
	else if (how == TOO_MANY)
		say(b, chunk, STORE_CHUNK_MAX + 1, room, STORE_CHUNK_MAX + 1);
	else if (how == A_PART)
		say(b, chunk, n, room, n - 1);
	else if (how == A_HEAD)
		hr_buf_add(b, &chunk, sizeof(chunk));
}

static void what_is_said_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(sayings); i++) {
		hr_autobuf struct hr_buf b = { 0 };

		for (size_t k = 0; k < HR_COUNT(sayings[i].says); k++)
			say_so(&b, sayings[i].says[k].chunk, sayings[i].says[k].how);
		helper_says(&b, ":");
		round_of(usual(), ASKED);
		if (got() != sayings[i].got || landed[4].times != 0)
			fail_msg("%s: got chunks %#x, not %#x", sayings[i].what, got(),
				 sayings[i].got);
		assert_true(helper_ran());
	}
}

static void by_sha256_or_by_check_sum(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };

	(void)state;
	say_chunk(&b, BY_CRC_ALONE);
	say_chunk(&b, BY_DIGEST_ALONE);
	helper_says(&b, ":");
	round_of(usual(), 1u << BY_CRC_ALONE | 1u << BY_DIGEST_ALONE);
	assert_int_equal(got(), 0);
	round_of(new_upstream(REGISTRY, NULL), 1u << BY_CRC_ALONE | 1u << BY_DIGEST_ALONE);
	assert_int_equal(got(), 1u << BY_CRC_ALONE);
}

/* ---- why not ---- */

static void both_reasons_are_told(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };

	(void)state;
	say_failure(&b, HR_DENIED, "no entry");
	helper_says(&b, ":");
	ask(usual(), 1, HR_USAGE);
	wait_landed(1);
	assert_int_equal(landed[1].e.kind, HR_USAGE);
	round_of(usual(), 1);
	assert_int_equal(landed[0].e.kind, HR_DENIED);
	assert_string_equal(landed[0].e.text, WHY "; and not from the registry: no entry");
	assert_string_equal(landed[0].e.hint, HINT);
}

/* A failure of which not all comes, of no known kind, that does not end, or is not for a log. */
static void a_failure_is_not_believed_either(void **state)
{
	static const struct {
		const char *what;
		unsigned int kind, got_kind, bytes;
		char text;
		size_t cut;
		const char *got;
	} rows[] = {
		{ "as it is", HR_NET, HR_NET, sizeof(struct hr_err), 'x', 0, "xxx" },
		{ "cut", HR_NET, HR_SYS, sizeof(struct hr_err), 'x', 1, "ended early" },
		{ "another size", HR_NET, HR_SYS, sizeof(struct hr_err) - 1, 'x', 0,
		  "ended early" },
		{ "no kind", HR_SYS + 1, HR_SYS, sizeof(struct hr_err), 'x', 0, "xxx" },
		{ "no failure", HR_OK, HR_SYS, sizeof(struct hr_err), 'x', 0, "xxx" },
		{ "an escape", HR_NET, HR_NET, sizeof(struct hr_err), '\033', 0, "\\x1b\\x1b" },
		{ "no words", HR_NET, HR_NET, sizeof(struct hr_err), '\0', 0, "registry: " },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };
		struct hr_err e = { .kind = rows[i].kind };

		memset(e.text, rows[i].text, sizeof(e.text));
		memset(e.hint, '#', sizeof(e.hint));
		say(&b, STORE_UPSTREAM_FAILED, rows[i].bytes, &e, sizeof(e) - rows[i].cut);
		helper_says(&b, ":");
		round_of(usual(), 1);
		if (landed[0].e.kind != rows[i].got_kind ||
		    !strstr(landed[0].e.text, rows[i].got) || strchr(landed[0].e.text, '#'))
			fail_msg("%s: got kind %d, '%s'", rows[i].what, (int)landed[0].e.kind,
				 landed[0].e.text);
	}
}

static void a_helper_that_is_killed_or_cannot_be_started_is_a_failure(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };
	char path[96];

	(void)state;
	say_chunk(&b, 1);
	helper_says(&b, "kill -9 $$");
	round_of(usual(), 3);
	assert_int_equal(got(), 2);
	assert_string_equal(landed[0].e.text,
			    WHY "; and not from the registry: hpcrun-store ended early");
	snprintf(path, sizeof(path), "%s/hpcrun-store", rig.top);
	unlink(path);
	round_of(usual(), 3);
	assert_int_equal(got(), 0);
	assert_int_equal(landed[1].e.kind, HR_SYS);
	assert_non_null(strstr(landed[1].e.text, "cannot start"));
}

/* ---- a helper that does not end ---- */

static pid_t helper_pid(void)
{
	hr_autobuf struct hr_buf b = { 0 };

	get_file("pid", &b);
	return (pid_t)strtol((const char *)b.p, NULL, 10);
}

static void what_it_has_said_is_there_while_it_goes_on(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_upstream *u = usual();

	(void)state;
	say_chunk(&b, 1);
	helper_says(&b, "exec sleep 600");
	forget_landed();
	ask(u, 1, HR_NOTFOUND);
	wait_landed(1);
	assert_true(landed[1].right);
	ask(u, 0, HR_NOTFOUND); /* it can be waited for no longer than the other is */
	assert_int_equal(n_landed, 1);
	helper_says(&b, "exit 1");
	assert_int_equal(kill(helper_pid(), SIGKILL), 0);
	wait_landed(2);
	assert_int_equal(landed[0].e.kind, HR_SYS);
}

/* Nobody waits for one that has said the last thing that is listened to. */
static void one_that_talks_nonsense_is_not_waited_for(void **state)
{
	static const char *const ends[] = { "exec sleep 600", "exec >&-; exec sleep 600",
					    "exec cat /dev/zero" };

	(void)state;
	for (size_t i = 0; i < HR_COUNT(ends); i++) {
		hr_autobuf struct hr_buf b = { 0 };

		say_chunk(&b, 1);
		if (i != 1)
			say_so(&b, 0, TOO_MANY);
		helper_says(&b, ends[i]);
		round_of(usual(), 3);
		assert_int_equal(got(), 2);
		assert_int_equal(kill(helper_pid(), 0), -1);
	}
}

/* ---- when it is asked, and what ---- */

static void it_is_told_what_there_is_to_know(void **state)
{
	hr_autobuf struct hr_buf b = { 0 }, got_bytes = { 0 };
	static const uint32_t asked[] = { 0, 2 };
	char args[256];
	size_t n;
	const uint8_t *index = store_index_bytes(store_image_index(rig.img), &n);

	(void)state;
	chunk_rig_cache(1, false);
	say_chunk(&b, 0);
	say_chunk(&b, 2);
	helper_says(&b, ":");
	round_of(usual(), 7);
	assert_int_equal(got(), 7);
	snprintf(args, sizeof(args), "refill --cache=%s --advisor=%s " REGISTRY "\n",
		 rig.cache_path, rig.store_path);
	get_file("args", &got_bytes);
	assert_string_equal((char *)got_bytes.p, args);
	get_file("asked", &got_bytes); /* not for what is in the cache */
	assert_int_equal(got_bytes.len, sizeof(asked));
	assert_memory_equal(got_bytes.p, asked, sizeof(asked));
	get_file("index", &got_bytes);
	assert_int_equal(got_bytes.len, n);
	assert_memory_equal(got_bytes.p, index, n);
	get_file("loc", &got_bytes);
	assert_true(got_bytes.len > STORE_LOC_HEADER_BYTES);
	assert_string_equal(stats.origins[0].name, REGISTRY);
	assert_int_equal(stats.origins[0].requests, 1);
	assert_int_equal(stats.origins[0].bytes, 2000);
	assert_int_equal(stats.origins[0].failures, 0);
}

static void what_is_damaged_in_the_cache_is_asked_for(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };

	(void)state;
	chunk_rig_cache(0, true);
	chunk_rig_cache(BY_CRC_ALONE, false);
	say_chunk(&b, 0);
	helper_says(&b, ":");
	round_of(usual(), 1 | 1u << BY_CRC_ALONE);
	assert_int_equal(got(), 1);
	assert_false(chunk_rig_cached(0)); /* who put it there is not the server */
	assert_false(chunk_rig_cached(BY_CRC_ALONE));
}

/* Whether the helper was asked for it. */
static bool asked_for(struct store_upstream *u, uint32_t chunk)
{
	bool ran;

	round_of(u, 1u << chunk);
	ran = helper_ran();
	assert_int_not_equal(landed[chunk].e.kind, HR_OK);
	if (!ran)
		assert_non_null(strstr(landed[chunk].e.text, "a moment ago"));
	return ran;
}

static void after_a_refusal_it_is_left_alone_for_a_while(void **state)
{
	struct store_upstream *u = usual();
	hr_autobuf struct hr_buf none = { 0 }, silent = { 0 };

	(void)state;
	say_failure(&none, HR_NOTFOUND, "not there");
	helper_says(&none, ":");
	assert_true(asked_for(u, 0));
	assert_false(asked_for(u, 0));
	assert_true(asked_for(u, 1)); /* the registry answers, the chunk is not there */
	later_s += 25;
	assert_false(asked_for(u, 0));
	later_s += 10;
	assert_true(asked_for(u, 0));

	say_failure(&silent, HR_NET, "no answer");
	helper_says(&silent, ":");
	assert_true(asked_for(u, 2));
	assert_false(asked_for(u, 4)); /* it gives nothing at all */
	later_s += 35;
	assert_true(asked_for(u, 4));
	assert_int_equal(stats.origins[0].failures, 5);
}

/* ---- of whom ---- */

static void the_registry_is_that_of_any_reference_of_the_image(void **state)
{
	const struct fetch_digest another = { { 1 } };
	hr_autobuf struct hr_buf b = { 0 }, args = { 0 };

	(void)state;
	say_chunk(&b, 0);
	helper_says(&b, ":");
	chunk_rig_name("localhost:1/from/files:1", false, NULL);
	round_of(usual(), 1); /* it came from somewhere, and not from a registry */
	assert_false(helper_ran());
	assert_int_equal(landed[0].e.kind, HR_NOTFOUND);
	assert_non_null(strstr(landed[0].e.text, "no reference says which one '" REGISTRY));

	chunk_rig_name("localhost:1/another/image:1", true, &another);
	chunk_rig_name("localhost:2/another/name:1", true, NULL);
	round_of(usual(), 1);
	assert_int_equal(got(), 1);
	get_file("args", &args);
	assert_non_null(strstr((char *)args.p, " localhost:2/another/name\n"));
}

static void without_a_reference_a_digest_says_no_registry(void **state)
{
	hr_autobuf struct hr_buf b = { 0 };
	char name[] = "sha256:"
		      "0000000000000000000000000000000000000000000000000000000000000000";

	(void)state;
	say_chunk(&b, 0);
	helper_says(&b, ":");
	round_of(new_upstream(name, fetch_digest_of), 1);
	assert_false(helper_ran());
	assert_int_equal(landed[0].e.kind, HR_NOTFOUND);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, chunk_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(what_is_said_is_checked),
		EACH(by_sha256_or_by_check_sum),
		EACH(both_reasons_are_told),
		EACH(a_failure_is_not_believed_either),
		EACH(a_helper_that_is_killed_or_cannot_be_started_is_a_failure),
		EACH(what_it_has_said_is_there_while_it_goes_on),
		EACH(one_that_talks_nonsense_is_not_waited_for),
		EACH(it_is_told_what_there_is_to_know),
		EACH(what_is_damaged_in_the_cache_is_asked_for),
		EACH(after_a_refusal_it_is_left_alone_for_a_while),
		EACH(the_registry_is_that_of_any_reference_of_the_image),
		EACH(without_a_reference_a_digest_says_no_registry),
	};

	return cmocka_run_group_tests_name("store upstream", tests, NULL, NULL);
}
