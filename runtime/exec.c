/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/exec.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/le.h"
#include "util/poison.h"

#define HEAD_BYTES 4096 /* of a file, to tell why it cannot be executed */

const char *rt_path_next(struct rt_path_walk *w, const char *name, char *buf, size_t size)
{
	while (w->rest && *w->rest) {
		const char *dir = w->rest;
		size_t len = strcspn(dir, ":");
		int n;

		w->rest = dir + len + (dir[len] == ':');
		if (len == 0 || dir[0] != '/' || len >= size)
			continue;
		n = snprintf(buf, size, "%.*s/%s", (int)len, dir, name);
		if (n > 0 && (size_t)n < size)
			return buf;
	}
	return NULL;
}

static bool copy_word(const uint8_t *p, size_t n, char *out, size_t size)
{
	size_t len = 0;

	while (len < n && p[len] != '\0' && p[len] != '\n' && p[len] != ' ' && p[len] != '\t' &&
	       p[len] != '\r')
		len++;
	if (len == 0 || len == n || len >= size)
		return false;
	memcpy(out, p, len);
	out[len] = '\0';
	return true;
}

static bool elf_interpreter(const uint8_t *p, size_t n, char *out, size_t size)
{
	uint64_t at, count, off, len;

	if (n < sizeof(Elf64_Ehdr) || p[EI_CLASS] != ELFCLASS64 || p[EI_DATA] != ELFDATA2LSB)
		return false;
	at = hr_le64(p + offsetof(Elf64_Ehdr, e_phoff));
	count = hr_le16(p + offsetof(Elf64_Ehdr, e_phnum));
	if (hr_le16(p + offsetof(Elf64_Ehdr, e_phentsize)) != sizeof(Elf64_Phdr))
		return false;
	for (; count > 0; count--, at += sizeof(Elf64_Phdr)) {
		if (at > n || n - at < sizeof(Elf64_Phdr))
			return false;
		if (hr_le32(p + at + offsetof(Elf64_Phdr, p_type)) != PT_INTERP)
			continue;
		off = hr_le64(p + at + offsetof(Elf64_Phdr, p_offset));
		len = hr_le64(p + at + offsetof(Elf64_Phdr, p_filesz));
		if (off > n || len > n - off)
			return false;
		return copy_word(p + off, (size_t)len, out, size);
	}
	return false;
}

bool rt_exec_interpreter(const uint8_t *p, size_t n, char *out, size_t size)
{
	size_t skip = 2;

	if (n >= SELFMAG && memcmp(p, ELFMAG, SELFMAG) == 0)
		return elf_interpreter(p, n, out, size);
	if (n < 2 || p[0] != '#' || p[1] != '!')
		return false;
	while (skip < n && (p[skip] == ' ' || p[skip] == '\t'))
		skip++;
	return copy_word(p + skip, n - skip, out, size);
}

static size_t read_head(const char *file, uint8_t *buf, size_t size)
{
	hr_autofd int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd >= 0 ? read(fd, buf, size) : -1;

	return n > 0 ? (size_t)n : 0;
}

/* execve said ENOENT of a file that is there: what it names to load it is not. */
static int explain_missing(const char *file, struct hr_err *e)
{
	uint8_t head[HEAD_BYTES];
	char interpreter[PATH_MAX];
	size_t n = read_head(file, head, sizeof(head));

	if (!rt_exec_interpreter(head, n, interpreter, sizeof(interpreter)))
		return hr_fail(e, HR_NOTFOUND, 0,
			       "cannot execute '%s': it needs a file that the image does not have",
			       file);
	hr_fail(e, HR_NOTFOUND, 0,
		"cannot execute '%s': its interpreter '%s' does not exist in the "
		"container",
		file, interpreter);
	if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
		hr_hint(e, "the program was linked for another C library or distribution than the "
			   "image's");
	else
		hr_hint(e, "name an interpreter of the image in the first line of '%s'", file);
	return -1;
}

static int explain_format(const char *file, struct hr_err *e)
{
	uint8_t head[64];
	struct utsname uts = { 0 };
	size_t n = read_head(file, head, sizeof(head));

	hr_fail(e, HR_SYS, ENOEXEC, "cannot execute '%s'", file);
	(void)uname(&uts); /* cannot fail with a valid pointer */
	if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
		hr_hint(e, "is it built for another architecture than %s?", uts.machine);
	else if (n == 0)
		hr_hint(e, "the file is empty or cannot be read");
	else
		hr_hint(e,
			"neither a program nor a script with '#!' in its first line; try 'sh %s'",
			file);
	return -1;
}

/* Why FILE, which is there, could not be executed; the exit status. */
static int explain(const char *file, int err, struct hr_err *e)
{
	struct stat st;

	switch (err) {
	case ENOENT:
		explain_missing(file, e);
		break;
	case ENOEXEC:
		explain_format(file, e);
		break;
	case EACCES:
		hr_fail(e, HR_DENIED, err, "cannot execute '%s'", file);
		if (stat(file, &st) == 0 && S_ISDIR(st.st_mode))
			hr_hint(e, "it is a directory");
		else
			hr_hint(e, "it has no execute permission, or lies on a file system mounted "
				   "noexec");
		break;
	case E2BIG:
		hr_fail(e, HR_SYS, err, "cannot execute '%s'", file);
		hr_hint(e, "arguments and environment are too large together; see 'ulimit -s' and "
			   "--cleanenv");
		break;
	default:
		hr_fail(e, HR_SYS, err, "cannot execute '%s'", file);
	}
	return HR_EXIT_NOEXEC;
}

static bool exists(const char *file)
{
	struct stat st;

	return lstat(file, &st) == 0;
}

static bool not_there(int err)
{
	return err == ENOENT || err == ENOTDIR || err == ELOOP || err == ENAMETOOLONG;
}

static int exec_file(const char *file, char *const *argv, char *const *env, struct hr_err *e)
{
	int err;

	execve(file, argv, env);
	err = errno;
	if (not_there(err) && !(err == ENOENT && exists(file))) {
		hr_fail(e, HR_NOTFOUND, err, "command '%s' does not exist in the container", file);
		return HR_EXIT_NOTFOUND;
	}
	return explain(file, err, e);
}

int rt_exec(char *const *argv, char *const *env, const char *path, struct hr_err *e)
{
	struct rt_path_walk walk = { path };
	char file[PATH_MAX], refused[PATH_MAX] = "";

	if (argv[0][0] == '\0') {
		hr_fail(e, HR_NOTFOUND, 0, "the command has an empty name");
		return HR_EXIT_NOTFOUND;
	}
	if (strchr(argv[0], '/'))
		return exec_file(argv[0], argv, env, e);
	while (rt_path_next(&walk, argv[0], file, sizeof(file))) {
		int err;

		execve(file, argv, env);
		err = errno;
		if (not_there(err) && !(err == ENOENT && exists(file)))
			continue;
		/* found, but: look further only where a shell would, never past an I/O error */
		if (err != EACCES)
			return explain(file, err, e);
		if (!refused[0])
			memcpy(refused, file, sizeof(file));
	}
	if (refused[0])
		return explain(refused, EACCES, e);
	hr_fail(e, HR_NOTFOUND, 0, "command '%s' does not exist in the container, PATH is '%s'",
		argv[0], path);
	return HR_EXIT_NOTFOUND;
}

int rt_exec_first(const char *const *programs, char *const *env, struct hr_err *e)
{
	for (; *programs; programs++) {
		char *argv[] = { (char *)(uintptr_t)*programs, NULL };

		execve(argv[0], argv, env);
		if (!not_there(errno) || exists(argv[0]))
			return explain(argv[0], errno, e);
	}
	hr_fail(e, HR_NOTFOUND, 0, "the image has neither /bin/bash nor /bin/sh");
	return HR_EXIT_NOTFOUND;
}
