/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime: resolving a path by hand gives what openat2 gives, or fails as it does. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/walk.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

static char dir[] = "/tmp/test_runtime_walk.XXXXXX";

static int make_tree(void **state)
{
	static const char *const dirs[] = { "root", "root/a", "root/a/b", "root/etc", "out" };
	static const char *const files[] = { "root/a/b/file", "root/etc/file", "out/file" };
	static const struct {
		const char *name, *to;
	} links[] = {
		{ "root/abs", "/etc/file" },	{ "root/up", "../../../etc" },
		{ "root/a/rel", "../etc" },	{ "root/loop", "loop" },
		{ "root/loop1", "loop2" },	{ "root/loop2", "loop1" },
		{ "root/dangling", "nowhere" }, { "root/a/self", "." },
		{ "root/slash", "/" },		{ "root/trailing", "a/" },
		{ "root/out", "/../../out" },
	};
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	for (size_t i = 0; i < HR_COUNT(dirs); i++)
		assert_int_equal(mkdir(dirs[i], 0755), 0);
	for (size_t i = 0; i < HR_COUNT(files); i++) {
		fd = open(files[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		assert_true(fd >= 0);
		close(fd);
	}
	for (size_t i = 0; i < HR_COUNT(links); i++)
		assert_int_equal(symlink(links[i].to, links[i].name), 0);
	return 0;
}

static int remove_tree(void **state)
{

	(void)state;
	/* few and known: no need for a walk */
	static const char *const names[] = { "root/abs",      "root/up",     "root/a/rel",
					     "root/loop",     "root/loop1",  "root/loop2",
					     "root/dangling", "root/a/self", "root/slash",
					     "root/trailing", "root/out",    "root/a/b/file",
					     "root/etc/file", "out/file" };
	static const char *const dirs[] = { "root/a/b", "root/a", "root/etc", "root", "out" };

	for (size_t i = 0; i < HR_COUNT(names); i++)
		unlink(names[i]);
	for (size_t i = 0; i < HR_COUNT(dirs); i++)
		rmdir(dirs[i]);
	return chdir("/") < 0 ? -1 : rmdir(dir);
}

/* What FD is, or why it is not: comparable as text. */
static void describe(int fd, int err, char text[64])
{
	struct stat st;

	if (fd < 0) {
		snprintf(text, 64, "errno %d", err);
		return;
	}
	assert_int_equal(fstat(fd, &st), 0);
	snprintf(text, 64, "%lu:%lu mode %o", (unsigned long)st.st_dev, (unsigned long)st.st_ino,
		 (unsigned int)st.st_mode);
	close(fd);
}

static void compare(int root, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	char want[64], got[64];
	int fd;

	do { /* EAGAIN: something was renamed or mounted meanwhile, anywhere on the machine */
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN);
	if (fd < 0 && errno == ENOSYS)
		skip();
	describe(fd, errno, want);
	fd = rt_walk_open(root, path, flags);
	describe(fd, errno, got);
	if (strcmp(want, got) != 0)
		fail_msg("'%s' with flags %o: %s, not %s", path, (unsigned int)flags, got, want);
}

static void as_openat2(void **state)
{
	static const char *const paths[] = {
		"",
		"/",
		".",
		"..",
		"a",
		"/a/b/file",
		"a//b/./file",
		"a/b/../b/file",
		"../../etc/file",
		"abs",
		"up",
		"up/file",
		"a/rel/file",
		"a/self/self/b",
		"slash/a/b/file",
		"trailing/b",
		"trailing",
		"dangling",
		"loop",
		"loop1",
		"missing",
		"a/missing/x",
		"etc/file/x",
		"out",
		"out/file",
		"a/b/file/.",
		"slash",
		"a/..",
		"a/rel/../a",
	};
	static const int flags[] = { O_PATH, O_PATH | O_NOFOLLOW, O_RDONLY | O_NONBLOCK,
				     O_PATH | O_DIRECTORY };
	hr_autofd int root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(root >= 0);
	for (size_t i = 0; i < HR_COUNT(paths); i++)
		for (size_t k = 0; k < HR_COUNT(flags); k++)
			compare(root, paths[i], flags[k]);
}

static void links_of_proc(void **state)
{
	hr_autofd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	compare(root, "/proc/self/status", O_PATH);
	compare(root, "/proc/mounts", O_PATH);
	compare(root, "/proc/self/root/etc", O_PATH);
	compare(root, "/proc/self/cwd", O_PATH);
	compare(root, "/proc/self/exe", O_RDONLY);
}

static void long_paths(void **state)
{
	hr_autofd int root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[5000];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[255] = '\0';
	compare(root, path, O_PATH);
	path[255] = 'x';
	path[256] = '\0';
	compare(root, path, O_PATH);
	path[256] = 'x';
	path[4999] = '\0';
	compare(root, path, O_PATH);
	for (size_t i = 0; i < 4000; i++)
		path[i] = "a/../"[i % 5];
	path[4000] = '\0';
	compare(root, path, O_PATH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_openat2),
		cmocka_unit_test(links_of_proc),
		cmocka_unit_test(long_paths),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
