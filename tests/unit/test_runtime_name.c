/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime: names of sessions are the same for all ranks, secret, and the first one's; what somebody
 * else has taken is replaced. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/name.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define KEY   "0123456789abcdef0123456789abcdef"
#define OTHER "0123456789abcdef0123456789abcdee"
#define ALIEN 65534

static char dir[] = "/tmp/test_runtime_name.XXXXXX";
static int fd = -1;

static int make_dir(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlinkat(fd, RT_NAME_FILE, 0);
	close(fd);
	return rmdir(dir);
}

static struct rt_name find(const char *key)
{
	struct rt_name n;

	rt_name_find(fd, key, &n);
	assert_int_equal(strlen(n.text), strlen("hpcrun-") + 32);
	return n;
}

static bool has_secret(const struct rt_name *n)
{
	static const uint8_t none[RT_SIPHASH_SECRET];

	return memcmp(n->secret, none, sizeof(none)) != 0;
}

static void assert_renews(const struct rt_name *taken)
{
	struct hr_err e = { 0 };

	assert_int_equal(rt_name_renew(fd, KEY, taken, &e), 0);
}

static int connect_to(const struct rt_name *n, bool alien_expected)
{
	struct hr_err e = { 0 };
	bool alien;
	int sock = rt_name_connect(n, &alien, &e);

	assert_int_equal(e.kind, HR_OK);
	assert_int_equal(alien, alien_expected);
	return sock;
}

static int listen_at(const struct rt_name *n)
{
	struct hr_err e = { 0 };
	int sock = rt_name_listen(n, &e);

	assert_int_equal(e.kind, HR_OK);
	return sock;
}

/* The reference implementation's test vectors: the secret and the text are 00 01 02... */
static void test_siphash(void **state)
{
	static const struct {
		size_t n;
		uint64_t digest;
	} rows[] = {
		{ 0, 0x726fdb47dd0e0e31 },  { 1, 0x74f839c593dc67fd },	{ 7, 0xab0200f58b01d137 },
		{ 8, 0x93f5f5799a932462 },  { 15, 0xa129ca6149be45e5 }, { 16, 0x3f2acc7f57c29bdb },
		{ 33, 0xa7f32346f95978e3 },
	};
	uint8_t bytes[40];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < HR_COUNT(rows); i++)
		assert_int_equal(rt_siphash(bytes, bytes, rows[i].n), rows[i].digest);
}

static void test_one_name_for_all_ranks(void **state)
{
	struct rt_name first, again, other;
	mode_t old = umask(0777);
	struct stat st;

	(void)state;
	first = find(KEY);
	(void)umask(old);
	again = find(KEY);
	other = find(OTHER);
	assert_true(has_secret(&first));
	assert_string_equal(first.text, again.text);
	assert_string_not_equal(first.text, other.text);
	assert_null(strstr(first.text, "0123456789abcdef"));
	assert_int_equal(fstatat(fd, RT_NAME_FILE, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, RT_NAME_SECRETS * RT_SIPHASH_SECRET);
}

/* Ranks that come at once, where there is no file yet. */
static void test_many_at_once(void **state)
{
	char names[16][RT_NAME_SIZE];
	int pair[2];

	(void)state;
	for (int round = 0; round < 20; round++) {
		assert_int_equal(pipe(pair), 0);
		unlinkat(fd, RT_NAME_FILE, 0);
		for (size_t i = 0; i < HR_COUNT(names); i++)
			if (fork() == 0) {
				struct rt_name n;

				rt_name_find(fd, KEY, &n);
				_exit(write(pair[1], n.text, sizeof(n.text)) < 0);
			}
		for (size_t i = 0; i < HR_COUNT(names); i++) {
			assert_int_equal(read(pair[0], names[i], RT_NAME_SIZE), RT_NAME_SIZE);
			assert_string_equal(names[i], names[0]);
		}
		while (wait(NULL) > 0)
			;
		close(pair[0]);
		close(pair[1]);
	}
}

static void test_renew(void **state)
{
	struct rt_name first = find(KEY), second, key;
	char text[33], before[64][RT_NAME_SIZE];
	size_t kept = 0;

	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		snprintf(text, sizeof(text), "%032x", i);
		key = find(text);
		memcpy(before[i], key.text, sizeof(key.text));
	}
	assert_renews(&first);
	second = find(KEY);
	assert_true(has_secret(&second));
	assert_string_not_equal(first.text, second.text);
	/* who found the first one taken, too */
	assert_renews(&first);
	key = find(KEY);
	assert_string_equal(key.text, second.text);
	for (unsigned int i = 0; i < 64; i++) {
		snprintf(text, sizeof(text), "%032x", i);
		key = find(text);
		kept += strcmp(key.text, before[i]) == 0;
	}
	assert_in_range(kept, 50, 64);
}

/* Killed while it was made, or the disk was full then. */
static void test_a_file_that_ends_early(void **state)
{
	static const off_t sizes[] = { 0, 1, 15, 16, 17, 4095 };
	struct rt_name n;
	struct stat st;

	(void)state;
	for (size_t i = 0; i < HR_COUNT(sizes); i++) {
		for (unsigned int k = 0; k < 40; k++) {
			hr_autofd int file = openat(fd, RT_NAME_FILE, O_WRONLY | O_CLOEXEC);
			char text[33];

			assert_int_equal(ftruncate(file, sizes[i]), 0);
			snprintf(text, sizeof(text), "%032x", k);
			n = find(text);
			assert_true(has_secret(&n));
		}
		/* one of them was not there */
		assert_int_equal(fstatat(fd, RT_NAME_FILE, &st, 0), 0);
		if (sizes[i] < 1000)
			assert_int_equal(st.st_size, RT_NAME_SECRETS * RT_SIPHASH_SECRET);
	}
}

static void test_no_place_for_secrets(void **state)
{
	struct rt_name n;
	struct hr_err e = { 0 };

	(void)state;
	unlinkat(fd, RT_NAME_FILE, 0);
	assert_int_equal(mkdirat(fd, RT_NAME_FILE, 0700), 0);
	n = find(KEY);
	assert_false(has_secret(&n));
	assert_int_equal(rt_name_renew(fd, KEY, &n, &e), -1);
	assert_int_equal(e.kind, HR_SYS);
	assert_int_equal(unlinkat(fd, RT_NAME_FILE, AT_REMOVEDIR), 0);
}

static void test_one_listens(void **state)
{
	struct rt_name n = find(KEY);
	int first, client;

	(void)state;
	assert_int_equal(connect_to(&n, false), -1);
	first = listen_at(&n);
	assert_true(first >= 0);
	assert_int_equal(listen_at(&n), -1);
	client = connect_to(&n, false);
	assert_true(client >= 0);
	close(client);
	/* the name goes with the socket */
	close(first);
	assert_int_equal(connect_to(&n, false), -1);
	first = listen_at(&n);
	assert_true(first >= 0);
	close(first);
}

/* A process that listens at N, as somebody else or in another network namespace; -1: cannot be. */
static pid_t listener(const struct rt_name *n, bool elsewhere)
{
	int pair[2];
	char there = 0;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		struct hr_err e = { 0 };
		int r = elsewhere ? unshare(CLONE_NEWUSER | CLONE_NEWNET) : setuid(ALIEN);
		int sock = r < 0 ? -1 : rt_name_listen(n, &e);

		if (sock < 0 || write(pair[1], "1", 1) != 1)
			_exit(1);
		pause();
	}
	close(pair[1]);
	assert_true(read(pair[0], &there, 1) >= 0);
	close(pair[0]);
	if (there)
		return pid;
	waitpid(pid, NULL, 0);
	return -1;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_somebody_else_listens(void **state)
{
	struct rt_name n = find(KEY);
	pid_t pid;

	(void)state;
	pid = geteuid() == 0 ? listener(&n, false) : -1;
	if (pid < 0)
		skip();
	assert_int_equal(connect_to(&n, true), -1);
	assert_int_equal(listen_at(&n), -1);
	end(pid);
}

static void test_another_network_namespace(void **state)
{
	struct rt_name n = find(KEY);
	pid_t pid = listener(&n, true);
	int sock;

	(void)state;
	if (pid < 0)
		skip();
	assert_int_equal(connect_to(&n, false), -1);
	sock = listen_at(&n);
	assert_true(sock >= 0);
	close(sock);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_one_name_for_all_ranks),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_renew),
		cmocka_unit_test(test_a_file_that_ends_early),
		cmocka_unit_test(test_no_place_for_secrets),
		cmocka_unit_test(test_one_listens),
		cmocka_unit_test(test_somebody_else_listens),
		cmocka_unit_test(test_another_network_namespace),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
