/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/limit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "util/mem.h"
#include "util/poison.h"

static const struct limit {
	int resource;
	int err; /* what a call that it refuses fails with */
	unsigned int unit;
	const char *what, *option; /* of ulimit */
} limits[] = {
	{ RLIMIT_NOFILE, EMFILE, 1, "open files", "-n" },
	{ RLIMIT_FSIZE, EFBIG, 1 << 10, "KiB of a file", "-f" },
	{ RLIMIT_NPROC, EAGAIN, 1, "processes and threads of the user", "-u" },
	{ RLIMIT_AS, ENOMEM, 1 << 20, "MiB of address space", "-v" },
	{ RLIMIT_DATA, ENOMEM, 1 << 20, "MiB of data", "-d" },
};

void hr_limit_raise(void)
{
	struct rlimit r;

	for (size_t i = 0; i < HR_COUNT(limits); i++)
		if (getrlimit((__rlimit_resource_t)limits[i].resource, &r) == 0 &&
		    r.rlim_cur < r.rlim_max) {
			r.rlim_cur = r.rlim_max;
			/* the lower limit serves too, if it must */
			(void)setrlimit((__rlimit_resource_t)limits[i].resource, &r);
		}
}

static void hint(struct hr_err *e, int err)
{
	for (size_t i = 0; i < HR_COUNT(limits); i++) {
		const struct limit *l = &limits[i];
		struct rlimit r;

		if (l->err != err || getrlimit((__rlimit_resource_t)l->resource, &r) < 0 ||
		    r.rlim_cur == RLIM_INFINITY)
			continue;
		hr_hint(e, "the limit may be too low: %" PRIu64 " %s (ulimit %s)",
			(uint64_t)r.rlim_cur / l->unit, l->what, l->option);
		return;
	}
}

void hr_limit_hint(struct hr_err *e)
{
	hint(e, e->sys);
}

void hr_limit_hint_memory(struct hr_err *e)
{
	hint(e, ENOMEM);
}
