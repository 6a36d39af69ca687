/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/spaces.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/poison.h"

static const struct space {
	enum rt_space bit;
	int flag;
	const char *name; /* for people */
	const char *link; /* below /proc/self */
	const char *limit;
} spaces[RT_SPACES_MAX] = {
	{ RT_SPACE_IPC, CLONE_NEWIPC, "IPC", "ns/ipc", "max_ipc_namespaces" },
	{ RT_SPACE_UTS, CLONE_NEWUTS, "UTS", "ns/uts", "max_uts_namespaces" },
	{ RT_SPACE_NET, CLONE_NEWNET, "network", "ns/net", "max_net_namespaces" },
	{ RT_SPACE_PID, CLONE_NEWPID, "PID", "ns/pid_for_children", "max_pid_namespaces" },
};

unsigned int rt_spaces_of(const struct rt_shape *s)
{
	return (s->ipc ? RT_SPACE_IPC : 0u) | (s->uts || s->hostname ? RT_SPACE_UTS : 0u) |
	       (s->net == RT_NET_NONE ? RT_SPACE_NET : 0u) | (s->pid ? RT_SPACE_PID : 0u);
}

static int make_one(const struct space *s, struct hr_err *e)
{
	if (unshare(s->flag) == 0)
		return 0;
	hr_fail(e, errno == EPERM ? HR_DENIED : HR_SYS, errno, "cannot create a %s namespace",
		s->name);
	if (errno == ENOSPC)
		hr_hint(e, "the limit of the sysctl user.%s is reached", s->limit);
	else if (errno == EINVAL)
		hr_hint(e, "the kernel must be built with support for it");
	return -1;
}

/* A network without an address of the node's; programs still talk to themselves. */
static int raise_loopback(struct hr_err *e)
{
	hr_autofd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &request) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot bring up the loopback interface");
	return 0;
}

int rt_spaces_make(unsigned int mask, const char *hostname, struct hr_err *e)
{
	for (size_t i = 0; i < HR_COUNT(spaces); i++)
		if ((mask & spaces[i].bit) && make_one(&spaces[i], e) < 0)
			return -1;
	if (hostname && sethostname(hostname, strlen(hostname)) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot set the host name '%s'", hostname);
	return (mask & RT_SPACE_NET) ? raise_loopback(e) : 0;
}

int rt_spaces_open(unsigned int mask, int proc, int fds[RT_SPACES_MAX], struct hr_err *e)
{
	int n = 0;

	for (size_t i = 0; i < HR_COUNT(spaces); i++) {
		if (!(mask & spaces[i].bit))
			continue;
		fds[n] = openat(proc, spaces[i].link, O_RDONLY | O_CLOEXEC);
		if (fds[n] < 0)
			return hr_fail(e, HR_SYS, errno, "cannot open the %s namespace",
				       spaces[i].name);
		n++;
	}
	return n;
}

int rt_spaces_join(unsigned int mask, const int fds[RT_SPACES_MAX], struct hr_err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < HR_COUNT(spaces); i++)
		if ((mask & spaces[i].bit) && setns(fds[n++], spaces[i].flag) < 0)
			return hr_fail(e, HR_SYS, errno,
				       "cannot join the %s namespace of the session",
				       spaces[i].name);
	return 0;
}
