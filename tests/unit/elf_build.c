/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "tests/unit/elf_build.h"

#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

extern char **environ;
static char *dir;

static void run(char *command)
{
	static char shell[] = "sh", option[] = "-c";
	char *argv[] = { shell, option, command, NULL };
	int status = -1;
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("%s", command);
}

void elf_build_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	dir = hr_xasprintf("%s/hpcrun-elf.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
}

void elf_build(const struct elf_build_lib *lib)
{
	hr_autofree char *command = NULL;
	struct hr_err e = { 0 };
	const char *map = lib->versions ? lib->versions : "";

	assert_int_equal(
		hr_file_replace(AT_FDCWD, "source.c", lib->code, strlen(lib->code), 0644, &e), 0);
	assert_int_equal(hr_file_replace(AT_FDCWD, "source.map", map, strlen(map), 0644, &e), 0);
	command =
		hr_xasprintf("mkdir -p \"$(dirname '%s')\" && " TEST_CC
			     " -shared -fPIC -nostdlib -ffreestanding -o '%s' %s%s %s source.c %s",
			     lib->file, lib->file, lib->soname ? "-Wl,-soname," : "",
			     lib->soname ? lib->soname : "",
			     lib->versions ? "-Wl,--version-script=source.map" : "",
			     lib->links ? lib->links : "");
	run(command);
}

void elf_build_end(void)
{
	hr_autofree char *command = hr_xasprintf("rm -rf '%s'", dir);

	assert_int_equal(chdir("/"), 0);
	run(command);
	free(hr_steal(&dir));
}
