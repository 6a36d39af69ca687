/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/seccomp.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define PROGRAM_MAX (32768u * 8u)

/*
 * Everything is allowed but these. The container is not a jail, so the list is short: what would
 * reach from an image into the user's terminal and keys, or into the kernel itself. Mounting, new
 * namespaces, io_uring, perf_event_open, process_vm_readv, userfaultfd and the like stay: nested
 * sandboxes, MPI and profilers use them, and the kernel grants them no more than outside.
 */
static const struct rule {
	const char *name;
	int error;
	uint64_t request; /* of an ioctl, compared in its low 32 bits; 0: the whole call */
} rules[] = {
	/* the kernel looks at 32 bits of the request, so must we (CVE-2019-10063) */
	{ "ioctl", EPERM, TIOCSTI },   /* types into the terminal hpcrun was started from */
	{ "ioctl", EPERM, TIOCLINUX }, /* the same on a console, by paste */
	/* keyrings belong to the user, not to a namespace: tickets, keys of encrypted homes */
	{ "add_key", ENOSYS, 0 },
	{ "request_key", ENOSYS, 0 },
	{ "keyctl", ENOSYS, 0 },
	/* the whole machine; refused to a user by other means, but no program needs to try */
	{ "bpf", EPERM, 0 },
	{ "kexec_load", EPERM, 0 },
	{ "kexec_file_load", EPERM, 0 },
	{ "init_module", EPERM, 0 },
	{ "finit_module", EPERM, 0 },
	{ "delete_module", EPERM, 0 },
};

static const uint32_t other_arches[] = {
#if defined(__x86_64__)
	SCMP_ARCH_X86,
	SCMP_ARCH_X32,
#elif defined(__aarch64__)
	SCMP_ARCH_ARM,
#endif
};

static int add_rule(scmp_filter_ctx ctx, const struct rule *r)
{
	uint32_t action = SCMP_ACT_ERRNO((uint32_t)r->error);
	int nr = seccomp_syscall_resolve_name(r->name);

	if (nr == __NR_SCMP_ERROR)
		return -ENOSYS;
	if (r->request == 0)
		return seccomp_rule_add(ctx, action, nr, 0);
	return seccomp_rule_add(ctx, action, nr, 1,
				SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, r->request));
}

static int fill(scmp_filter_ctx ctx, struct hr_err *e)
{
	int r;

	/* a call interface that is not in the list is no way around it */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (r < 0)
		return hr_fail(e, HR_SYS, -r, "cannot set up the seccomp filter");
	for (size_t i = 0; i < HR_COUNT(other_arches); i++) {
		r = seccomp_arch_add(ctx, other_arches[i]);
		if (r < 0 && r != -EEXIST)
			return hr_fail(e, HR_SYS, -r, "cannot add an architecture to the filter");
	}
	for (size_t i = 0; i < HR_COUNT(rules); i++) {
		r = add_rule(ctx, &rules[i]);
		if (r < 0)
			return hr_fail(e, HR_SYS, -r, "cannot deny system call '%s'",
				       rules[i].name);
	}
	return 0;
}

static int export_program(scmp_filter_ctx ctx, struct hr_buf *out, struct hr_err *e)
{
	hr_autofd int fd = memfd_create("hpcrun-seccomp", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a memory file");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return hr_fail(e, HR_SYS, -r, "cannot compile the seccomp filter");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot rewind a memory file");
	return hr_fd_read(fd, PROGRAM_MAX, "the seccomp program", out, e);
}

int rt_seccomp_compile(struct hr_buf *out, struct hr_err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!ctx)
		return hr_fail(e, HR_SYS, ENOMEM, "cannot start a seccomp filter");
	r = fill(ctx, e);
	if (r == 0)
		r = export_program(ctx, out, e);
	seccomp_release(ctx);
	return r;
}
