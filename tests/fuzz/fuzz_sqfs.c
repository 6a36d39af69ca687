/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The metadata of a squashfs from anywhere: the walk ends; an error is explained; an index is one
 * that its readers take, with chunks that lie inside the file.
 *
 * As in hpcrun-sqfs, the walk has a process of its own and a limit of time: libsquashfuse (0.1.105)
 * reads behind its buffers when metadata lies, and a signal is then the refusal. What it costs: a
 * crash of our own code in the walk passes here, too.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/index.h"
#include "store/sqfs_index.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define WALK_CPU_S  1
#define INDEX_LIMIT (64u << 20)

static void check_chunks(const struct store_index *ix, const struct store_loc *l, size_t n)
{
	for (uint32_t i = 0; i < store_index_chunks(ix); i++) {
		struct store_sqfs_place at;
		struct store_chunk c;
		struct hr_err e = { 0 };

		FUZZ_CHECK(store_index_chunk(ix, i, &c));
		FUZZ_CHECK(store_sqfs_place_get(&c.digest, &at, &e) == 0);
		FUZZ_CHECK(at.bytes == c.bytes && at.off == store_loc_chunk(l, i).frame_off);
		FUZZ_CHECK(at.off + (at.size & ~STORE_SQFS_UNCOMPRESSED) <= n);
	}
}

/* In the child: 0 an index was written, 1 refused and explained, 2 refused and not. */
static int walk(int fd, size_t n, int index_fd, int loc_fd)
{
	hr_autobuf struct hr_buf index = { 0 }, loc = { 0 };
	const struct fetch_digest name = { { 1 } };
	struct hr_err e = { 0 };

	FUZZ_CHECK(setrlimit(RLIMIT_CPU, &(struct rlimit) { WALK_CPU_S, WALK_CPU_S }) == 0);
	if (store_sqfs_index(fd, 0, n, &name, &index, &loc, &e) < 0)
		return e.kind != HR_OK && e.text[0] != '\0' ? 1 : 2;
	return hr_write_all(index_fd, index.p, index.len, "index", &e) < 0 ||
			       hr_write_all(loc_fd, loc.p, loc.len, "loc", &e) < 0
		       ? 2
		       : 0;
}

static void read_back(int fd, struct hr_buf *b)
{
	struct hr_err e = { 0 };

	FUZZ_CHECK(lseek(fd, 0, SEEK_SET) == 0);
	FUZZ_CHECK(hr_fd_read(fd, INDEX_LIMIT, "it", b, &e) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	hr_autofd int fd = memfd_create("squashfs", MFD_CLOEXEC);
	hr_autofd int index_fd = memfd_create("index", MFD_CLOEXEC);
	hr_autofd int loc_fd = memfd_create("loc", MFD_CLOEXEC);
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	hr_autobuf struct hr_buf index = { 0 }, loc = { 0 };
	struct hr_err e = { 0 };
	struct store_loc l;
	int status;
	pid_t pid;

	FUZZ_CHECK(fd >= 0 && index_fd >= 0 && loc_fd >= 0 && write(fd, p, n) == (ssize_t)n);
	pid = fork();
	FUZZ_CHECK(pid >= 0);
	if (pid == 0)
		_exit(walk(fd, n, index_fd, loc_fd));
	FUZZ_CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		return 0;
	FUZZ_CHECK(WEXITSTATUS(status) <= 1);
	if (WEXITSTATUS(status) == 1)
		return 0;
	read_back(index_fd, &index);
	read_back(loc_fd, &loc);
	FUZZ_CHECK(store_index_parse(index.p, index.len, &ix, &e) == 0);
	FUZZ_CHECK(store_loc_parse(loc.p, loc.len, store_index_chunks(ix), &l, &e) == 0);
	check_chunks(ix, &l, n);
	return 0;
}
