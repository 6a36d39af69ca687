/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * usage: without WHAT COMMAND [ARG]...
 *
 * Run COMMAND where WHAT does not exist: it and all its descendants get the error that tells so.
 *   openat2  as before Linux 5.6 or in a container whose seccomp filter is older than the call
 *   tmpfile  files without a name (O_TMPFILE), as on NFS and many other file systems
 *   links    hard links, as on FAT and some parallel file systems
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/poison.h"

/* A call, or it with these bits set in its third argument. */
static const struct lack {
	const char *what;
	uint32_t nr, flags;
	int error;
} lacks[] = {
	{ "openat2", SYS_openat2, 0, ENOSYS },
	{ "tmpfile", SYS_openat, O_TMPFILE & ~O_DIRECTORY, EOPNOTSUPP },
	{ "links", SYS_linkat, 0, EPERM },
};

static int forbid(const struct lack *l)
{
	/* another call interface of the machine is not in use; x86-64 and aarch64 are little-endian
	 */
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, l->nr, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, l->flags, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)l->error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(*filter), .filter = filter };

	if (!l->flags)
		filter[3].jf = 0; /* whatever the argument is */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -1;
	return syscall(l->nr, -1, NULL, l->flags, NULL, 0) == -1 && errno == l->error ? 0 : -1;
}

int main(int argc, char **argv)
{
	const struct lack *l = lacks, *end = lacks + sizeof(lacks) / sizeof(*lacks);

	while (argc > 1 && l < end && strcmp(l->what, argv[1]) != 0)
		l++;
	if (argc < 3 || l == end) {
		fprintf(stderr, "usage: without openat2|tmpfile|links COMMAND [ARG]...\n");
		return 2;
	}
	if (forbid(l) < 0) {
		perror("without");
		return 1;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
