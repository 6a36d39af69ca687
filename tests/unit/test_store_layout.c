/* SPDX-License-Identifier: BSD-3-Clause */
/* store: what is a store, whose it may be, what its files must be; which reference means what. */
#include "config.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/layout.h"
#include "tests/unit/store_rig.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define HANG_S 60 /* an open that waits for another process ends the test */

static struct fetch_digest dg(uint8_t n)
{
	struct fetch_digest d = { { n } };

	return d;
}

/* Opening the store at PATH fails with MESSAGE; NULL: it does not. */
static void assert_open(const char *path, enum store_mode mode, const char *message)
{
	HR_CLEANUP(store_closep) struct store *st = NULL;
	struct hr_err e = { 0 };
	int r = store_open(path, mode, NULL, &st, &e);

	if ((r < 0) != (message != NULL) || (message && !strstr(e.text, message)))
		fail_msg("%d '%s', expected '%s'", r, e.text, message ? message : "");
}

/* ---- the first one ---- */

static const char *made_by_another; /* a store, when our next look into its directory begins */

/* In place of the C library's. */
int openat(int dirfd, const char *name, int flags, ...)
{
	const char *path = made_by_another;
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (path && strcmp(name, ".") == 0) {
		HR_CLEANUP(store_closep) struct store *st = NULL;

		made_by_another = NULL;
		MUST(store_open(path, STORE_WRITE, NULL, &st, &err));
		MUST(store_object_write(st, STORE_DOC, &(struct fetch_digest) { { 1 } }, "x", 1,
					&err));
	}
	return (int)syscall(SYS_openat, dirfd, name, flags, mode);
}

static void who_is_slower_to_make_it_opens_it(void **state)
{
	static const enum store_mode modes[] = { STORE_WRITE, STORE_READ };
	const struct store *st = *state;

	for (size_t i = 0; i < HR_COUNT(modes); i++) {
		char path[256];

		snprintf(path, sizeof(path), "%s/new%zu", st->path, i);
		assert_int_equal(mkdir(path, 0755), 0);
		made_by_another = path;
		assert_open(path, modes[i], NULL);
		assert_null(made_by_another);
	}
}

/* ---- whose ---- */

static void what_others_can_write_is_refused(void **state)
{
	struct store *st = *state;
	static const struct {
		mode_t mode;
		bool good;
	} rows[] = { { 0700, true },  { 0755, true },  { 0750, true },	{ 0720, false },
		     { 0702, false }, { 0770, false }, { 0777, false }, { 01777, false } };
	struct fetch_digest d = dg(1);
	char path[STORE_OBJECT_PATH];

	MUST(store_object_write(st, STORE_DOC, &d, "x", 1, &err));
	store_object_path(STORE_DOC, &d, path);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		hr_autofd int fd = -1;

		assert_int_equal(fchmodat(st->fd, path, rows[i].mode, 0), 0);
		fd = store_object_open(st, STORE_DOC, &d, NULL, &e);
		if ((fd >= 0) != rows[i].good || (fd < 0 && e.kind != HR_DENIED))
			fail_msg("object of mode %o: '%s'", rows[i].mode, e.text);
		assert_int_equal(fchmod(st->fd, rows[i].mode), 0);
		assert_open(st->path, STORE_READ, rows[i].good ? NULL : "others may write");
	}
}

/* To the one id of a user namespace that is not root's, the files of root are those of nobody. */
static int enter_namespace(void)
{
	char map[64];
	hr_autofd int fd = -1;

	snprintf(map, sizeof(map), "7 %u 1", (unsigned int)geteuid());
	if (unshare(CLONE_NEWUSER) < 0)
		return -1;
	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, map, strlen(map)) > 0 ? 0 : -1;
}

/* PATH is a directory of user UID, who is not us. */
static int try_theirs(const char *path, uid_t uid)
{
	const struct store_owners others = { { uid + 1 }, 1 }, trusted = { { uid + 1, uid }, 2 };
	HR_CLEANUP(store_closep) struct store *st = NULL;
	char message[64];
	struct hr_err e[3] = { 0 };

	snprintf(message, sizeof(message), "belongs to user %u, neither to you nor to root", uid);
	if (store_open(path, STORE_READ, NULL, &st, &e[0]) == 0 || !strstr(e[0].text, message))
		return 1;
	if (store_open(path, STORE_READ, &others, &st, &e[1]) == 0 || !strstr(e[1].text, message))
		return 2;
	/* then it is looked into */
	return store_open(path, STORE_READ, &trusted, &st, &e[2]) < 0 &&
			       !strstr(e[2].text, "it is no store")
		       ? 3
		       : 0;
}

static void others_are_trusted_by_name_alone(void **state)
{
	struct store *st = *state;
	int status = 0;
	pid_t child;

	if (geteuid() == 0) {
		assert_int_equal(chown(st->path, 4242, (gid_t)-1), 0);
		assert_int_equal(try_theirs(st->path, 4242), 0);
		return;
	}
	/* root's is trusted */
	assert_open("/", STORE_READ, "it is no store");
	child = fork();
	if (child == 0)
		_exit(enter_namespace() < 0 ? 77 : try_theirs("/", 65534));
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void owners_are_numbers_of_users(void **state)
{
	static const struct {
		const char *word;
		size_t times;
		const char *message;
	} rows[] = {
		{ "0", 1, NULL },
		{ "4294967294", 1, NULL },
		{ "4294967295", 1, "store_owner: '4294967295' is not a number" },
		{ "-1", 1, "store_owner: '-1' is not a number" },
		{ "1000", STORE_OWNERS_MAX, NULL },
		{ "1000", STORE_OWNERS_MAX + 1, "lines of 'store_owner'" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		/* what comes behind is not to be written to */
		struct {
			struct store_owners o;
			uint64_t behind;
		} out = { .behind = 1 };
		struct hr_conf conf = { .owners = { 0 } };
		struct hr_err e = { 0 };
		int r;

		for (size_t k = 0; k < rows[i].times; k++)
			hr_strv_add(&conf.owners, rows[i].word);
		r = store_trust(&conf, &out.o, &e);
		if ((r < 0) != (rows[i].message != NULL) ||
		    (r < 0 ? !strstr(e.text, rows[i].message) : out.o.n != rows[i].times))
			fail_msg("row %zu: %d '%s'", i, r, e.text);
		hr_strv_release(&conf.owners);
	}
}

/* ---- what ---- */

static void only_an_empty_directory_becomes_a_store(void **state)
{
	struct store *st = *state;
	const char *path = st->path;

	MUST(hr_file_replace(st->fd, "format", "hpcrun store 99999\n", 19, 0644, &err));
	assert_open(path, STORE_READ, "its format is not");
	assert_open(path, STORE_WRITE, "its format is not");
	/* as long as the right one */
	{
		hr_autobuf struct hr_buf right = { 0 };
		static const char file[] = STORE_FORMAT "\n";

		hr_buf_add(&right, file, sizeof(file) - 1);
		right.p[0] ^= 1;
		MUST(hr_file_replace(st->fd, "format", right.p, right.len, 0644, &err));
		assert_open(path, STORE_READ, "its format is not");
	}
	assert_int_equal(unlinkat(st->fd, "format", 0), 0);
	assert_open(path, STORE_READ, "the directory is empty");
	MUST(hr_file_replace(st->fd, "mine", "x", 1, 0644, &err));
	assert_open(path, STORE_READ, "it is no store");
	assert_open(path, STORE_WRITE, "it is no store");
	assert_int_equal(faccessat(st->fd, "format", F_OK, 0), -1);
	assert_int_equal(unlinkat(st->fd, "mine", 0), 0);
	/* one that cannot be read is not one that is missing */
	assert_int_equal(mkdirat(st->fd, "format", 0755), 0);
	assert_open(path, STORE_WRITE, "'format' is not a regular file");
	assert_int_equal(unlinkat(st->fd, "format", AT_REMOVEDIR), 0);
	assert_open(path, STORE_WRITE, NULL);
	assert_open(path, STORE_READ, NULL);
}

static void an_object_is_a_file_of_its_own_name(void **state)
{
	struct store *st = *state;
	struct fetch_digest d = dg(1), other = dg(2);
	char path[STORE_OBJECT_PATH], to[STORE_OBJECT_PATH];
	struct hr_err e = { 0 };

	MUST(store_object_write(st, STORE_DOC, &d, "x", 1, &err));
	MUST(store_object_prepare(st, STORE_DOC, &other, &err));
	store_object_path(STORE_DOC, &other, path);
	/* a link to another object, which is one */
	snprintf(to, sizeof(to), "../../%.*s", (int)sizeof(to) - 8,
		 store_object_path(STORE_DOC, &d, (char[STORE_OBJECT_PATH]) { 0 }));
	assert_int_equal(symlinkat(to, st->fd, path), 0);
	assert_int_equal(store_object_open(st, STORE_DOC, &other, NULL, &e), -1);
	assert_false(store_object_exists(st, STORE_DOC, &other));
	assert_int_equal(unlinkat(st->fd, path, 0), 0);
	/* one that would wait for a writer */
	assert_int_equal(mkfifoat(st->fd, path, 0644), 0);
	(void)alarm(HANG_S);
	hr_err_clear(&e);
	assert_int_equal(store_object_open(st, STORE_DOC, &other, NULL, &e), -1);
	(void)alarm(0);
	assert_non_null(strstr(e.text, "is not a regular file"));
	assert_false(store_object_exists(st, STORE_DOC, &other));
}

static void what_is_of_a_time_to_come_is_new(void **state)
{
	struct store *st = *state;
	const struct timespec later[2] = { { .tv_sec = time(NULL) + 5000 },
					   { .tv_sec = time(NULL) + 5000 } };
	struct fetch_digest d = dg(1);
	char path[STORE_OBJECT_PATH];
	uint64_t age = 1;

	MUST(store_object_write(st, STORE_DOC, &d, "x", 1, &err));
	store_object_path(STORE_DOC, &d, path);
	assert_int_equal(utimensat(st->fd, path, later, 0), 0);
	assert_true(store_object_age(st, STORE_DOC, &d, &age));
	assert_int_equal(age, 0);
}

/* ---- references ---- */

static void put_ref(struct store *st, const char *name, struct fetch_digest manifest,
		    struct fetch_digest document)
{
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
	char server[] = "h";
	struct store_ref_record r = { manifest, document, 1, server };

	MUST(fetch_ref_parse(name, &ref, &err));
	MUST(store_ref_write(st, &ref, &r, &err));
}

/* The document of an index is known by the references that it was fetched by. */
static void a_document_is_found_in_its_repository(void **state)
{
	struct store *st = *state;
#define DOC "@sha256:0900000000000000000000000000000000000000000000000000000000000000"
	static const struct {
		const char *name;
		uint8_t manifest; /* 0: there is none */
	} rows[] = {
		{ "h.example/a" DOC, 1 },
		{ "h.example/b" DOC, 2 },
		{ "g.example/a" DOC, 0 },
		{ "h.example/c" DOC, 0 },
	};

	put_ref(st, "h.example/a:0", dg(3), dg(8));
	put_ref(st, "h.example/a:1", dg(1), dg(9));
	put_ref(st, "h.example/b:1", dg(2), dg(9));
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
		struct fetch_digest found = dg(0);
		struct hr_err e = { 0 };
		int r;

		MUST(fetch_ref_parse(rows[i].name, &ref, &err));
		r = store_ref_resolve(st, &ref, &found, &e);
		if ((r == 0) != (rows[i].manifest != 0) || found.b[0] != rows[i].manifest ||
		    (r < 0 && e.kind != HR_NOTFOUND))
			fail_msg("%s: %d, %u, '%s'", rows[i].name, r, found.b[0], e.text);
	}
	/* an image that is there needs no reference */
	{
		HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
		struct fetch_digest image = dg(9), found = dg(0);

		MUST(fetch_ref_parse("g.example/a" DOC, &ref, &err));
		MUST(store_object_write(st, STORE_IMAGE, &image, "x", 1, &err));
		MUST(store_ref_resolve(st, &ref, &found, &err));
		assert_int_equal(found.b[0], 9);
	}
#undef DOC
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_is_slower_to_make_it_opens_it, store_rig_setup,
						store_rig_teardown),
		cmocka_unit_test_setup_teardown(what_others_can_write_is_refused, store_rig_setup,
						store_rig_teardown),
		cmocka_unit_test_setup_teardown(others_are_trusted_by_name_alone, store_rig_setup,
						store_rig_teardown),
		cmocka_unit_test(owners_are_numbers_of_users),
		cmocka_unit_test_setup_teardown(only_an_empty_directory_becomes_a_store,
						store_rig_setup, store_rig_teardown),
		cmocka_unit_test_setup_teardown(an_object_is_a_file_of_its_own_name,
						store_rig_setup, store_rig_teardown),
		cmocka_unit_test_setup_teardown(what_is_of_a_time_to_come_is_new, store_rig_setup,
						store_rig_teardown),
		cmocka_unit_test_setup_teardown(a_document_is_found_in_its_repository,
						store_rig_setup, store_rig_teardown),
	};

	return cmocka_run_group_tests_name("store layout", tests, NULL, NULL);
}
