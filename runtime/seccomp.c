/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "runtime/caps.h"
#include "runtime/profile.h"
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

/* A call interface that is not in the list is no way around the filter. */
static int add_arches(scmp_filter_ctx ctx, struct hr_err *e)
{
	int r;

	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (r < 0)
		return hr_fail(e, HR_SYS, -r, "cannot set up the seccomp filter");
	for (size_t i = 0; i < HR_COUNT(other_arches); i++) {
		r = seccomp_arch_add(ctx, other_arches[i]);
		if (r < 0 && r != -EEXIST)
			return hr_fail(e, HR_SYS, -r, "cannot add an architecture to the filter");
	}
	return 0;
}

static int fill(scmp_filter_ctx ctx, struct hr_err *e)
{
	int r;

	if (add_arches(ctx, e) < 0)
		return -1;
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

static struct scmp_arg_cmp comparison(const struct rt_profile_arg *a)
{
	return (struct scmp_arg_cmp) { .arg = a->index,
				       .op = (enum scmp_compare)a->op,
				       .datum_a = a->value,
				       .datum_b = a->value_two };
}

/* libseccomp takes an argument once in a rule: several comparisons of one are several rules, as
 * with runc, so that any of them is enough. */
static bool repeats_argument(const struct rt_profile_rule *rule)
{
	unsigned int seen = 0;

	for (size_t i = 0; i < rule->n_args; i++) {
		if (seen & (1u << rule->args[i].index))
			return true;
		seen |= 1u << rule->args[i].index;
	}
	return false;
}

static int add_profile_call(scmp_filter_ctx ctx, const struct rt_profile_rule *rule, int nr)
{
	struct scmp_arg_cmp cmp[RT_PROFILE_ARGS_MAX];
	bool apart = repeats_argument(rule);
	int r = 0;

	for (size_t i = 0; i < rule->n_args; i++) {
		cmp[i] = comparison(&rule->args[i]);
		if (apart && r == 0)
			r = seccomp_rule_add_array(ctx, rule->action, nr, 1, &cmp[i]);
	}
	return apart ? r
		     : seccomp_rule_add_array(ctx, rule->action, nr, (unsigned int)rule->n_args,
					      cmp);
}

static int fill_from(scmp_filter_ctx ctx, const struct rt_profile *profile, struct hr_err *e)
{
	if (add_arches(ctx, e) < 0)
		return -1;
	for (size_t i = 0; i < profile->n; i++) {
		const struct rt_profile_rule *rule = &profile->v[i];

		for (size_t k = 0; k < rule->names.n && rule->action != profile->action; k++) {
			int nr = seccomp_syscall_resolve_name(rule->names.v[k]);
			int r = 0;

			/* a call that is unknown here cannot be made by number either: it gets the
			 * default action */
			if (nr != __NR_SCMP_ERROR)
				r = add_profile_call(ctx, rule, nr);
			if (r < 0 && r != -EEXIST)
				return hr_fail(e, HR_SYS, -r, "cannot add the rule for '%s'",
					       rule->names.v[k]);
		}
	}
	return 0;
}

static struct rt_profile_facts facts_here(bool fakeroot)
{
	struct rt_profile_facts f = {
		.caps = rt_caps_of(fakeroot),
#if defined(__x86_64__)
		.arch = "amd64"
#elif defined(__aarch64__)
		.arch = "arm64"
#else
		.arch = ""
#endif
	};
	struct utsname u;

	/* without a version rules for newer kernels are left out */
	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &f.major, &f.minor) != 2)
		f.major = f.minor = 0;
	return f;
}

static int compile_file(const char *path, bool fakeroot, struct hr_buf *out, struct hr_err *e)
{
	const struct rt_profile_facts facts = facts_here(fakeroot);
	hr_autobuf struct hr_buf text = { 0 };
	struct rt_profile profile = { 0 };
	scmp_filter_ctx ctx = NULL;
	int r = hr_file_read(AT_FDCWD, path, RT_PROFILE_FILE_MAX, &text, e);

	if (r == 0)
		r = rt_profile_parse(text.p, text.len, &facts, &profile, e);
	if (r == 0)
		ctx = seccomp_init(profile.action);
	if (r == 0 && !ctx)
		r = hr_fail(e, HR_SYS, EINVAL, "the default action cannot be used here");
	if (r == 0)
		r = fill_from(ctx, &profile, e);
	if (r == 0)
		r = export_program(ctx, out, e);
	if (ctx)
		seccomp_release(ctx);
	rt_profile_release(&profile);
	return r < 0 ? hr_wrap(e, "--seccomp '%s'", path) : 0;
}

int rt_seccomp_compile(const char *profile, bool fakeroot, struct hr_buf *out, struct hr_err *e)
{
	scmp_filter_ctx ctx;
	int r;

	if (profile && strcmp(profile, "off") == 0)
		return 0;
	if (profile)
		return compile_file(profile, fakeroot, out, e);
	ctx = seccomp_init(SCMP_ACT_ALLOW);
	if (!ctx)
		return hr_fail(e, HR_SYS, ENOMEM, "cannot start a seccomp filter");
	r = fill(ctx, e);
	if (r == 0)
		r = export_program(ctx, out, e);
	seccomp_release(ctx);
	return r;
}
