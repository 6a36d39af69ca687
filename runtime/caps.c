/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/opt.h"
#include "util/poison.h"

#define BIT(cap) (UINT64_C(1) << (cap))

/* What a root user expects of files and processes inside; nothing that mounts, traces or
 * configures.
 */
#define FAKEROOT_CAPS                                                                              \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) |              \
	 BIT(CAP_KILL) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETFCAP) |                    \
	 BIT(CAP_SYS_CHROOT))

/* User id 0 of an ordinary session is no root: exec must not give it capabilities. */
#define NO_ROOT                                                                                    \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                           \
	 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |                             \
	 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* By number, capabilities(7). */
static const char *const names[] = { "chown",
				     "dac_override",
				     "dac_read_search",
				     "fowner",
				     "fsetid",
				     "kill",
				     "setgid",
				     "setuid",
				     "setpcap",
				     "linux_immutable",
				     "net_bind_service",
				     "net_broadcast",
				     "net_admin",
				     "net_raw",
				     "ipc_lock",
				     "ipc_owner",
				     "sys_module",
				     "sys_rawio",
				     "sys_chroot",
				     "sys_ptrace",
				     "sys_pacct",
				     "sys_admin",
				     "sys_boot",
				     "sys_nice",
				     "sys_resource",
				     "sys_time",
				     "sys_tty_config",
				     "mknod",
				     "lease",
				     "audit_write",
				     "audit_control",
				     "setfcap",
				     "mac_override",
				     "mac_admin",
				     "syslog",
				     "wake_alarm",
				     "block_suspend",
				     "audit_read",
				     "perfmon",
				     "bpf",
				     "checkpoint_restore",
				     NULL };

uint64_t rt_caps_bit(const char *name)
{
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (size_t i = 0; names[i]; i++)
		if (strcasecmp(names[i], name) == 0)
			return BIT(i);
	return 0;
}

int rt_caps_parse(const char *list, uint64_t *mask, struct hr_err *e)
{
	char *next;

	while ((next = hr_next_word(&list, ","))) {
		hr_autofree char *word = next;
		uint64_t bit = strcasecmp(word, "all") == 0 ? UINT64_MAX : rt_caps_bit(word);

		*mask |= bit;
		if (bit != 0)
			continue;
		hr_fail(e, HR_USAGE, 0, "there is no capability '%s'", word);
		hr_hint_nearest(word, names, e);
		return -1;
	}
	return 0;
}

uint64_t rt_caps_of(bool fakeroot)
{
	return fakeroot ? FAKEROOT_CAPS : 0;
}

int rt_caps_drop(bool fakeroot, uint64_t drop, struct hr_err *e)
{
	uint64_t keep = rt_caps_of(fakeroot) & ~drop;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)keep, .permitted = (uint32_t)keep },
		{ .effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32) },
	};

	/* before capset: it takes CAP_SETPCAP */
	if (!fakeroot && prctl(PR_SET_SECUREBITS, NO_ROOT, 0, 0, 0) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot lock the secure bits");
	/* the ambient set follows: it is never more than permitted and inheritable */
	if (syscall(SYS_capset, &head, data) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot drop the capabilities");
	/* with this an exec keeps at most what is permitted now, also for root of --fakeroot */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot set no_new_privs");
	return 0;
}

int rt_caps_keep(struct hr_err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot read the capabilities");
	for (size_t i = 0; i < HR_COUNT(data); i++)
		data[i].inheritable = data[i].permitted;
	if (syscall(SYS_capset, &head, data) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make the capabilities inheritable");
	for (unsigned int cap = 0; cap < 64; cap++)
		if (data[cap / 32].permitted & (1u << cap % 32) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return hr_fail(e, HR_SYS, errno, "cannot keep capability %u", cap);
	return 0;
}

int rt_seccomp_install(const void *filter, size_t bytes, struct hr_err *e)
{
	struct sock_fprog program = {
		.len = (unsigned short)(bytes / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)(uintptr_t)filter,
	};
	/* kernels before 5.16 would switch off speculation for the process, which codes notice */
	unsigned int flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;

	if (bytes == 0) /* --seccomp off */
		return 0;
	if (bytes / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return hr_fail(e, HR_CORRUPT, 0, "a seccomp program of %zu bytes is too long",
			       bytes);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) < 0) {
		hr_fail(e, HR_SYS, errno, "cannot install the seccomp filter");
		hr_hint(e, "the kernel must have CONFIG_SECCOMP_FILTER");
		return -1;
	}
	return 0;
}
