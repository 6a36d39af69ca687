/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walk a tree without leaving its file system, and print how long that took, and what there was:
 *
 * usage: walk [-r] [-n] DIR       -> "SECONDS ENTRIES BYTES"
 *
 *   -r   read the content of every regular file as well
 *   -n   twice, two lines: the first time and again
 *
 * Linked statically, so that it runs inside any image; the time does not include its own start.
 */
#include "config.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/poison.h"

static uint64_t entries, bytes;
static bool reading;

static void read_file(const char *path)
{
	static char buf[1 << 20];
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return; /* what the mode forbids is forbidden to every peer */
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		bytes += n;
	if (n < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)at;
	entries++;
	if (type == FTW_NS) {
		fprintf(stderr, "walk: %s: cannot stat\n", path);
		return 1;
	}
	if (reading && S_ISREG(st->st_mode))
		read_file(path);
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	int opt, times = 1;

	while ((opt = getopt(argc, argv, "rn")) != -1) {
		if (opt == 'r')
			reading = true;
		else if (opt == 'n')
			times = 2;
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fputs("usage: walk [-r] [-n] DIR\n", stderr);
		return 2;
	}
	while (times-- > 0) {
		double start = now();

		entries = bytes = 0;
		if (nftw(argv[optind], visit, 64, FTW_PHYS | FTW_MOUNT) != 0)
			return 1;
		printf("%.4f %" PRIu64 " %" PRIu64 "\n", now() - start, entries, bytes);
	}
	return 0;
}
