/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files of the node cache, mounted over files of a container: those that the list means, and
 * nothing that came in their place since.
 */
#include "config.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/native.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/serve_proto.h"
#include "util/poison.h"

/* What there is in the container. */
enum { BIG, LINK, DIRECTORY, ELSEWHERE, NODES };

static const char *const targets[NODES] = { "/big", "/link", "/dir", "/other/big" };

static struct {
	char top[64];
	char source[80], dir[80]; /* on the host */
	struct stat source_st, dir_st;
	pid_t pid; /* of who holds the container */
	int user, mnt, hold;
	uint64_t nodes[NODES];
} box;

static bool put(const char *path, const char *text)
{
	hr_autofd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* A tmpfs as the root, with another one below; the host's mounts are left behind. */
static bool make_root(const char *at, uid_t uid, gid_t gid)
{
	char uids[64], gids[64];

	snprintf(uids, sizeof(uids), "%u %u 1", uid, uid);
	snprintf(gids, sizeof(gids), "%u %u 1", gid, gid);
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && put("/proc/self/setgroups", "deny") &&
	       put("/proc/self/uid_map", uids) && put("/proc/self/gid_map", gids) &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("x", at, "tmpfs", 0, NULL) == 0 && chdir(at) == 0 && put("big", "image") &&
	       symlink("big", "link") == 0 && mkdir("dir", 0700) == 0 &&
	       mkdir("other", 0700) == 0 && mount("y", "other", "tmpfs", 0, NULL) == 0 &&
	       put("other/big", "bind") && syscall(SYS_pivot_root, ".", ".") == 0 &&
	       umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
}

static void hold_container(const char *at, int out, int hold)
{
	uint64_t nodes[NODES] = { 0 };
	struct stat st;
	char end;

	if (make_root(at, geteuid(), getegid()))
		for (int i = 0; i < NODES && lstat(targets[i], &st) == 0; i++)
			nodes[i] = st.st_ino;
	if (write(out, nodes, sizeof(nodes)) == sizeof(nodes))
		while (read(hold, &end, 1) < 0)
			;
	_exit(0);
}

static int ns_of(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int setup(void **state)
{
	int nodes[2], hold[2];

	(void)state;
	snprintf(box.top, sizeof(box.top), "/tmp/hpcrun-native.XXXXXX");
	if (!mkdtemp(box.top) || pipe2(nodes, O_CLOEXEC) < 0 || pipe2(hold, O_CLOEXEC) < 0)
		return -1;
	snprintf(box.source, sizeof(box.source), "%s/source", box.top);
	snprintf(box.dir, sizeof(box.dir), "%s/dir", box.top);
	if (!put(box.source, "cache") || mkdir(box.dir, 0700) < 0 ||
	    stat(box.source, &box.source_st) < 0 || stat(box.dir, &box.dir_st) < 0)
		return -1;
	box.pid = fork();
	if (box.pid == 0) {
		close(hold[1]);
		hold_container(box.dir, nodes[1], hold[0]);
	}
	close(nodes[1]);
	close(hold[0]);
	box.hold = hold[1];
	if (box.pid < 0 || read(nodes[0], box.nodes, sizeof(box.nodes)) != sizeof(box.nodes))
		return -1;
	close(nodes[0]);
	box.user = ns_of(box.pid, "user");
	box.mnt = ns_of(box.pid, "mnt");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(box.user);
	close(box.mnt);
	close(box.hold); /* which the holder waits for */
	waitpid(box.pid, NULL, 0);
	unlink(box.source);
	rmdir(box.dir);
	return rmdir(box.top);
}

/* Mount a list of one; whether there is a mount more, and how it is mounted. */
static bool mounted(const struct hr_native *n, struct hr_buf *info)
{
	hr_autofd int list = memfd_create("list", MFD_CLOEXEC);
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };
	char path[64];
	int status;
	pid_t pid;

	hr_native_add(&b, n);
	assert_int_equal(hr_write_all(list, b.p, b.len, "the list", &e), 0);
	pid = rt_native_start(list, box.user, box.mnt, &e);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)box.pid);
	assert_int_equal(hr_file_read(AT_FDCWD, path, 1 << 20, info, &e), 0);
	return strstr((const char *)info->p, "/source ") != NULL;
}

static void test_what_is_not_what_it_was_stays(void **state)
{
	const struct {
		const char *what;
		bool directory; /* the source */
		uint64_t dev, ino;
		int target;
		uint64_t other; /* added to its number */
	} rows[] = {
		{ "another source", false, 0, 1, BIG, 0 },
		{ "a source elsewhere", false, 1, 0, BIG, 0 },
		{ "a directory as source", true, 0, 0, DIRECTORY, 0 },
		{ "another target", false, 0, 0, BIG, 1 },
		{ "a symlink as target", false, 0, 0, LINK, 0 },
		{ "a directory as target", false, 0, 0, DIRECTORY, 0 },
		{ "a bind of the user as target", false, 0, 0, ELSEWHERE, 0 },
	};

	(void)state;
	if (box.nodes[NODES - 1] == 0)
		skip(); /* no namespaces here */
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		const struct stat *st = rows[i].directory ? &box.dir_st : &box.source_st;
		const struct hr_native n = { .node = box.nodes[rows[i].target] + rows[i].other,
					     .dev = st->st_dev + rows[i].dev,
					     .ino = st->st_ino + rows[i].ino,
					     .source = rows[i].directory ? box.dir : box.source,
					     .target = targets[rows[i].target] };
		hr_autobuf struct hr_buf info = { 0 };

		if (mounted(&n, &info) || strstr((const char *)info.p, " /dir "))
			fail_msg("%s was mounted: %s", rows[i].what, (const char *)info.p);
	}
}

/* The last one: it stays mounted. */
static void test_what_is_what_it_was_is_mounted(void **state)
{
	const struct hr_native n = { .node = box.nodes[BIG],
				     .dev = box.source_st.st_dev,
				     .ino = box.source_st.st_ino,
				     .source = box.source,
				     .target = targets[BIG] };
	hr_autobuf struct hr_buf info = { 0 };

	(void)state;
	if (box.nodes[NODES - 1] == 0)
		skip();
	assert_true(mounted(&n, &info));
	assert_non_null(strstr((const char *)info.p, "/source /big ro,nosuid,nodev"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_what_it_was_stays),
		cmocka_unit_test(test_what_is_what_it_was_is_mounted),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
