/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun-serve, which reads files: an image behind a URL is for hpcrun-serve-net. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/serve.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define NET_SUFFIX "-net"

int serve_open_web(struct serve *s, const struct serve_web *w, const char *url, struct hr_err *e)
{
	HR_CLEANUP(hr_strv_release) struct hr_strv argv = { 0 };
	char program[PATH_MAX + sizeof(NET_SUFFIX)] = "";
	ssize_t n = readlink("/proc/self/exe", program, PATH_MAX);

	if (n <= 0 || n >= PATH_MAX)
		return hr_fail(e, HR_SYS, errno, "cannot find the own program in /proc/self/exe");
	memcpy(program + n, NET_SUFFIX, sizeof(NET_SUFFIX));
	hr_strv_add(&argv, program);
	hr_strv_take(&argv, hr_xasprintf("--control-fd=%d", s->control));
	if (w->stats_fd >= 0)
		hr_strv_take(&argv, hr_xasprintf("--stats-fd=%d", w->stats_fd));
	if (w->keep_fds > 0)
		hr_strv_take(&argv, hr_xasprintf("--keep-fds=%u", w->keep_fds));
	hr_strv_take(&argv, hr_xasprintf("--memory=%" PRIu64, w->memory));
	if (w->verify_full)
		hr_strv_add(&argv, "--verify-full");
	if (w->native)
		hr_strv_add(&argv, "--native");
	hr_strv_take(&argv, hr_xasprintf("--app=%s", w->app));
	if (w->manifest)
		hr_strv_take(&argv, hr_xasprintf("--manifest=%s", w->manifest));
	if (w->cache)
		hr_strv_take(&argv, hr_xasprintf("--cache=%s", w->cache));
	for (size_t i = 0; i < w->stores->n; i++)
		hr_strv_take(&argv, hr_xasprintf("--store=%s", w->stores->v[i]));
	hr_strv_add(&argv, "--");
	hr_strv_add(&argv, w->image);
	if (fcntl(s->control, F_SETFD, 0) < 0 ||
	    (w->stats_fd >= 0 && fcntl(w->stats_fd, F_SETFD, 0) < 0))
		return hr_fail(e, HR_SYS, errno, "cannot keep the session's descriptors open");
	execv(program, argv.v);
	return hr_fail(e, HR_SYS, errno, "cannot execute '%s', which reads places like '%s'",
		       program, url);
}
