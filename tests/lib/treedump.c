/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Print one line for each entry of a tree, so that two trees can be compared with diff(1).
 *
 * usage: treedump [-s] [-x PATH]... [-m PATH]... DIR
 *
 *   -s        leave set-user-id and set-group-id out of the mode (hpcrun never shows them)
 *   -x PATH   leave out PATH (as printed) and what is below it
 *   -m PATH   do not print the modification time of PATH
 *
 * Linked statically, so that it runs inside any image. What is mounted below DIR is left out. The
 * line holds: path, type, mode, size, number of links, first path of the same inode, target, time,
 * user.* attributes, and a hash of the content (64-bit FNV-1a: the trees come from the tests,
 * nobody is trying to fool it). Owners are left out: hpcrun shows everything as the caller's. An
 * entry that cannot be read says so in its line and makes the exit status 1.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/poison.h"

struct inode {
	ino_t ino;
	char *path;
};

struct dump {
	bool mask_suid;
	const char **skip, **no_time;
	size_t skips, no_times;
	struct inode *links;
	size_t link_count;
	dev_t dev;
	bool failed;
};

static void out_of_memory(const void *p)
{
	if (!p) {
		fputs("treedump: out of memory\n", stderr);
		exit(2);
	}
}

static void print_escaped(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = s[i];

		if (c > 0x20 && c < 0x7f && c != '\\')
			putchar(c);
		else
			printf("\\x%02x", c);
	}
}

static bool listed(const char **list, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], path))
			return true;
	return false;
}

static void print_error(struct dump *d, const char *what)
{
	printf(" %s-error=%d", what, errno);
	d->failed = true;
}

/* The first path this inode was met under. */
static const char *first_path(struct dump *d, ino_t ino, const char *path)
{
	for (size_t i = 0; i < d->link_count; i++)
		if (d->links[i].ino == ino)
			return d->links[i].path;
	d->links = realloc(d->links, (d->link_count + 1) * sizeof(*d->links));
	out_of_memory(d->links);
	d->links[d->link_count].ino = ino;
	d->links[d->link_count].path = strdup(path);
	out_of_memory(d->links[d->link_count].path);
	return d->links[d->link_count++].path;
}

static void print_content(struct dump *d, int dir, const char *name, off_t size)
{
	static unsigned char buf[1 << 20];
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	off_t total = 0;
	ssize_t n;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		print_error(d, "open");
		return;
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			hash = (hash ^ buf[i]) * UINT64_C(0x100000001b3);
		total += n;
	}
	if (n < 0)
		print_error(d, "read");
	else if (total != size)
		printf(" read=%jd", (intmax_t)total);
	close(fd);
	printf(" hash=%016" PRIx64, hash);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The user.* attributes in order of their names. PROC_PATH leads to the entry itself. */
static void print_xattrs(struct dump *d, const char *proc_path)
{
	static char list[65536], value[65536];
	char *names[1024];
	size_t count = 0;
	ssize_t n = llistxattr(proc_path, list, sizeof(list));

	if (n < 0 && errno != ENOTSUP)
		print_error(d, "xattr");
	for (char *p = list; n > 0 && p < list + n && count < 1024; p += strlen(p) + 1)
		if (!strncmp(p, "user.", 5) && strcmp(p, "user.rootlesscontainers"))
			names[count++] = p;
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++) {
		ssize_t len = lgetxattr(proc_path, names[i], value, sizeof(value));

		printf(" xattr:");
		print_escaped(names[i], strlen(names[i]));
		putchar('=');
		if (len < 0)
			print_error(d, "value");
		else
			print_escaped(value, len);
	}
}

static char type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	case S_IFSOCK:
		return 's';
	default:
		return '?';
	}
}

static void print_entry(struct dump *d, int dir, const char *name, const char *path,
			const struct stat *st)
{
	static char target[PATH_MAX + 1];
	char proc_path[64 + NAME_MAX];
	mode_t mode = st->st_mode & 07777;
	const char *first;

	if (d->mask_suid)
		mode &= ~06000;
	print_escaped(path, strlen(path));
	printf(" %c %04o", type_of(st->st_mode), (unsigned int)mode);
	if (S_ISREG(st->st_mode))
		printf(" size=%jd nlink=%ju", (intmax_t)st->st_size, (uintmax_t)st->st_nlink);
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1) {
		printf(" same-as=");
		first = first_path(d, st->st_ino, path);
		print_escaped(first, strlen(first));
	}
	if (S_ISLNK(st->st_mode)) {
		ssize_t n = readlinkat(dir, name, target, sizeof(target));

		printf(" ->");
		if (n < 0)
			print_error(d, "readlink");
		else
			print_escaped(target, n);
	}
	if (!listed(d->no_time, d->no_times, path))
		printf(" mtime=%jd.%09ld", (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) {
		snprintf(proc_path, sizeof(proc_path), "/proc/self/fd/%d/%s", dir, name);
		print_xattrs(d, proc_path);
	}
	if (S_ISREG(st->st_mode))
		print_content(d, dir, name, st->st_size);
}

/* All names of directory FD, sorted; *COUNT of them. */
static char **read_names(struct dump *d, int fd, size_t *count)
{
	char **names = NULL;
	struct dirent *de;
	DIR *dir = fdopendir(dup(fd));

	*count = 0;
	if (!dir) {
		print_error(d, "readdir");
		return NULL;
	}
	rewinddir(dir);
	while ((errno = 0, de = readdir(dir))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		names = realloc(names, (*count + 1) * sizeof(*names));
		out_of_memory(names);
		names[*count] = strdup(de->d_name);
		out_of_memory(names[(*count)++]);
	}
	if (errno)
		print_error(d, "readdir");
	closedir(dir);
	if (*count)
		qsort(names, *count, sizeof(*names), by_name);
	return names;
}

static void dump_dir(struct dump *d, int fd, const char *path);

static void dump_entry(struct dump *d, int dir, const char *name, const char *path)
{
	struct stat st;
	int fd = -1;

	if (listed(d->skip, d->skips, path))
		return;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		print_escaped(path, strlen(path));
		print_error(d, "stat");
		putchar('\n');
		return;
	}
	if (st.st_dev != d->dev)
		return;
	print_entry(d, dir, name, path, &st);
	if (S_ISDIR(st.st_mode)) {
		fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			print_error(d, "open");
	}
	putchar('\n');
	if (fd >= 0) {
		dump_dir(d, fd, path);
		close(fd);
	}
}

static void dump_dir(struct dump *d, int fd, const char *path)
{
	size_t count;
	char **names = read_names(d, fd, &count);

	for (size_t i = 0; i < count; i++) {
		char *sub = NULL;

		if (asprintf(&sub, "%s%s%s", strcmp(path, ".") ? path : "",
			     strcmp(path, ".") ? "/" : "", names[i]) < 0)
			out_of_memory(NULL);
		dump_entry(d, fd, names[i], sub);
		free(sub);
		free(names[i]);
	}
	free(names);
}

int main(int argc, char **argv)
{
	struct dump d = { 0 };
	struct rlimit files;
	struct stat st;
	int opt, fd;

	d.skip = calloc(argc, sizeof(*d.skip));
	d.no_time = calloc(argc, sizeof(*d.no_time));
	out_of_memory(d.skip);
	out_of_memory(d.no_time);
	while ((opt = getopt(argc, argv, "sx:m:")) != -1) {
		if (opt == 's')
			d.mask_suid = true;
		else if (opt == 'x')
			d.skip[d.skips++] = optarg;
		else if (opt == 'm')
			d.no_time[d.no_times++] = optarg;
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fputs("usage: treedump [-s] [-x PATH]... [-m PATH]... DIR\n", stderr);
		return 2;
	}
	/* one fd for each level of the tree */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	fd = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "treedump: %s: %s\n", argv[optind], strerror(errno));
		return 2;
	}
	d.dev = st.st_dev;
	dump_entry(&d, fd, ".", ".");
	return d.failed;
}
