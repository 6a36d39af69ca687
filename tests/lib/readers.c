/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * readers [-e] REFERENCE TREE SECONDS THREADS: read at random from TREE what REFERENCE has.
 *
 * Each thread opens files, reads pieces of any size at any offset (around and past the end, too),
 * maps them, looks for names that are not there and lists directories, and compares with the same
 * in REFERENCE. Prints "N reads, N wrong, N failed, longest N ms"; the exit status is 1 when
 * anything was wrong or failed. -e: EIO is fine, wrong bytes never are.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define PIECE_MAX (300u << 10)

static struct hr_strv files, dirs; /* relative to the roots */
static size_t skip;		   /* length of REFERENCE and its slash */
static const char *reference, *tree;
static bool eio_is_fine;
static time_t deadline;
static atomic_ulong reads, wrong, failed, longest_ns;

static int collect(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	if (type == FTW_F && S_ISREG(st->st_mode))
		hr_strv_add(&files, path + skip);
	else if (type == FTW_D && ftw->level > 0)
		hr_strv_add(&dirs, path + skip);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void note_failure(const char *what, const char *name)
{
	if (errno == EIO && eio_is_fine)
		return;
	if (atomic_fetch_add(&failed, 1) < 5)
		fprintf(stderr, "readers: %s %s: %s\n", what, name, strerror(errno));
}

static void note_wrong(const char *what, const char *name, off_t off)
{
	if (atomic_fetch_add(&wrong, 1) < 5)
		fprintf(stderr, "readers: %s of %s at %jd differs\n", what, name, (intmax_t)off);
}

/* Compare a piece; mapped: through a page fault in place of read(2). */
static void compare(const char *name, int ref, int got, off_t off, size_t len, bool mapped)
{
	hr_autofree uint8_t *a = malloc(len + 1), *b = malloc(len + 1);
	uint64_t start = now_ns(), took;
	ssize_t n, m;

	m = pread(ref, a, len, off);
	if (mapped && m > 0) {
		off_t page = off & ~(off_t)4095;
		size_t bytes = (size_t)(off - page) + (size_t)m;
		uint8_t *map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, got, page);

		if (map == MAP_FAILED) {
			note_failure("map", name);
			return;
		}
		memcpy(b, map + (off - page), (size_t)m);
		munmap(map, bytes);
		n = m;
	} else {
		n = pread(got, b, len, off);
	}
	took = now_ns() - start;
	for (uint64_t old = atomic_load(&longest_ns);
	     took > old && !atomic_compare_exchange_weak(&longest_ns, &old, took);)
		;
	atomic_fetch_add(&reads, 1);
	if (n < 0)
		note_failure("read", name);
	else if (n != m || memcmp(a, b, (size_t)n) != 0)
		note_wrong("content", name, off);
}

static int open_in(const char *root, const char *name)
{
	hr_autofree char *path = hr_xasprintf("%s/%s", root, name);

	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static void read_file(unsigned int *seed)
{
	const char *name = files.v[(size_t)rand_r(seed) % files.n];
	hr_autofd int ref = open_in(reference, name), got = open_in(tree, name);
	struct stat a, b;

	if (ref < 0 || got < 0) {
		note_failure("open", name);
		return;
	}
	if (fstat(ref, &a) < 0 || fstat(got, &b) < 0) {
		note_failure("stat", name);
		return;
	}
	if (a.st_size != b.st_size || a.st_mtim.tv_sec != b.st_mtim.tv_sec)
		note_wrong("stat", name, 0);
	for (int i = 0; i < 4; i++) {
		off_t off = ((off_t)rand_r(seed) << 20 | rand_r(seed)) % (a.st_size + 4096);
		size_t len = (size_t)rand_r(seed) % PIECE_MAX;

		/* a mapping has no way to report an error but a signal */
		compare(name, ref, got, off, len, !eio_is_fine && rand_r(seed) % 4 == 0);
		/* what was read comes from the page cache next time */
		if (rand_r(seed) % 4 == 0)
			posix_fadvise(got, 0, 0, POSIX_FADV_DONTNEED);
	}
}

static int count_entries(const char *root, const char *name)
{
	hr_autofree char *path = hr_xasprintf("%s/%s", root, name);
	hr_autodir DIR *d = opendir(path);
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	return n;
}

static void list_dir(unsigned int *seed)
{
	const char *name = dirs.n ? dirs.v[(size_t)rand_r(seed) % dirs.n] : ".";
	hr_autofree char *absent = hr_xasprintf("%s/%s/no-such-%u", tree, name, rand_r(seed) % 99);
	struct stat st;

	if (count_entries(reference, name) != count_entries(tree, name))
		note_wrong("list", name, 0);
	if (lstat(absent, &st) == 0 || errno != ENOENT)
		note_failure("stat of what is not there", absent);
}

static void *run(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	while (time(NULL) < deadline) {
		if (rand_r(&seed) % 8 == 0)
			list_dir(&seed);
		else
			read_file(&seed);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[64];
	size_t n;

	if (argc > 1 && strcmp(argv[1], "-e") == 0) {
		eio_is_fine = true;
		argc--;
		argv++;
	}
	if (argc != 5) {
		fprintf(stderr, "usage: readers [-e] REFERENCE TREE SECONDS THREADS\n");
		return 2;
	}
	reference = argv[1];
	tree = argv[2];
	skip = strlen(reference) + 1;
	nftw(reference, collect, 32, FTW_PHYS);
	if (files.n == 0) {
		fprintf(stderr, "readers: no files below %s\n", reference);
		return 2;
	}
	deadline = time(NULL) + strtol(argv[3], NULL, 10);
	n = strtoul(argv[4], NULL, 10) % (HR_COUNT(threads) + 1);
	for (size_t i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)(i + 1)) != 0)
			return 2;
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("%lu reads, %lu wrong, %lu failed, longest %lu ms\n", atomic_load(&reads),
	       atomic_load(&wrong), atomic_load(&failed), atomic_load(&longest_ns) / 1000000);
	return atomic_load(&wrong) || atomic_load(&failed);
}
