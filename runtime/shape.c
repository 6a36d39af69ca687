/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/shape.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/overlay.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define TMPFS_MODE   01777
#define HOSTNAME_MAX 64 /* of the kernel, uname(2) */

static const char *const nets[] = { "host", "none", NULL }; /* by enum rt_net */

const struct hr_opt rt_shape_opts[] = {
	HR_OPT_FLAG(0, "contain", struct rt_shape, contain,
		    "show little of the host: an empty home and /tmp, a /dev of its own"),
	HR_OPT_LIST(0, "tmpfs", "DIR[:OPTIONS]", struct rt_shape, tmpfs,
		    "an empty file system in memory at DIR; may be repeated"),
	HR_OPT_LIST(0, "scratch", "DIR", struct rt_shape, scratch,
		    "an empty directory on the node's disk at DIR, removed at the end; may be "
		    "repeated"),
	HR_OPT_LIST(0, "device", "DEVICE[:DST]", struct rt_shape, devices,
		    "show a device of the host, by path or by its CDI name; may be repeated"),
	HR_OPT_LIST(0, "no-mount", "WHAT[,WHAT]", struct rt_shape, no_mounts,
		    "leave out home, cwd, tmp, dev, proc, sys, site or a path; may be repeated"),
	HR_OPT_STR(0, "overlay", "DIR[:ro]", struct rt_shape, overlay,
		   "let the image be changed, and keep the changes in DIR"),
	HR_OPT_STR(0, "seccomp", "FILE|off", struct rt_shape, seccomp,
		   "the seccomp profile to use, as for Docker; off for none"),
	HR_OPT_STR(0, "uid", "UID", struct rt_shape, uid, "the user id to have inside"),
	HR_OPT_STR(0, "gid", "GID", struct rt_shape, gid, "the group id to have inside"),
	HR_OPT_FLAG(0, "pid", struct rt_shape, pid,
		    "process ids of its own; costs each rank a second process"),
	HR_OPT_FLAG(0, "ipc", struct rt_shape, ipc,
		    "System V IPC, message queues and /dev/shm of its own"),
	HR_OPT_ENUM(0, "net", "host|none", struct rt_shape, net, nets,
		    "the network of the host, the default, or none"),
	HR_OPT_FLAG(0, "uts", struct rt_shape, uts, "a host name of its own"),
	HR_OPT_STR(0, "hostname", "NAME", struct rt_shape, hostname,
		   "let that be NAME; means --uts"),
	HR_OPT_LIST(0, "label", "NAME=VALUE", struct rt_shape, labels,
		    "an annotation for hooks of the site; may be repeated"),
	HR_OPT_END
};

/* What --no-mount knows, besides paths. */
static const char *const mounts[] = { "home", "cwd", "tmp", "dev", "proc", "sys", "site", NULL };

int rt_parse_octal(const char *s, const char *what, unsigned int max, unsigned int *out,
		   struct hr_err *e)
{
	size_t n = strlen(s);
	unsigned int value = 0;

	for (size_t i = 0; i < n && i < 6; i++)
		value = value * 8 + (unsigned int)(s[i] - '0');
	if (n == 0 || n > 5 || strspn(s, "01234567") != n || value > max)
		return hr_fail(e, HR_USAGE, 0, "%s: '%s' is not an octal number up to %o", what, s,
			       max);
	*out = value;
	return 0;
}

static int tmpfs_option(const char *word, uint64_t *size, unsigned int *mode, struct hr_err *e)
{
	static const char *const as_always[] = { "rw", "nosuid", "nodev", "exec" };

	if (strncmp(word, "size=", 5) == 0)
		return hr_parse_size(word + 5, "size", 1, UINT64_C(1) << 50, size, e);
	if (strncmp(word, "mode=", 5) == 0)
		return rt_parse_octal(word + 5, "mode", 07777, mode, e);
	for (size_t i = 0; i < HR_COUNT(as_always); i++)
		if (strcmp(word, as_always[i]) == 0)
			return 0;
	return hr_fail(e, HR_USAGE, 0, "'%s' is neither size=SIZE nor mode=MODE", word);
}

int rt_shape_tmpfs(const char *spec, struct rt_binds *l, struct hr_err *e)
{
	size_t len = strcspn(spec, ":");
	const char *rest = spec + len + (spec[len] == ':');
	hr_autofree char *dir = hr_xstrndup(spec, len);
	hr_autofree char *dst = rt_path_normal(dir);
	hr_autofree char *options = NULL;
	unsigned int mode = TMPFS_MODE;
	uint64_t size = 0;
	char *word;
	int r = 0;

	if (!dst || strcmp(dst, "/") == 0)
		return hr_fail(e, HR_USAGE, 0,
			       "--tmpfs '%s': '%s' is not an absolute path without '..'", spec,
			       dir);
	while (r == 0 && (word = hr_next_word(&rest, ","))) {
		r = tmpfs_option(word, &size, &mode, e);
		free(word);
	}
	if (r < 0)
		return hr_wrap(e, "--tmpfs '%s'", spec);
	options = size > 0 ? hr_xasprintf("mode=%o,size=%" PRIu64, mode, size)
			   : hr_xasprintf("mode=%o", mode);
	rt_binds_add_made(l, RT_BIND_TMPFS, options, dst);
	return 0;
}

bool rt_shape_is_cdi(const char *spec)
{
	const char *slash = strchr(spec, '/'), *equals = strchr(spec, '=');

	return spec[0] != '/' && spec[0] != '.' && slash && equals && slash < equals;
}

int rt_shape_device(const char *spec, struct rt_binds *l, struct hr_err *e)
{
	hr_autofree char *copy = hr_xstrdup(spec);
	char *dst = strchr(copy, ':'), *rights = dst ? strchr(dst + 1, ':') : NULL;

	if (rights) {
		*rights++ = '\0';
		if (strspn(rights, "rwm") != strlen(rights) || !strchr(rights, 'r') ||
		    !strchr(rights, 'w')) {
			hr_fail(e, HR_USAGE, 0, "--device '%s': '%s' is not 'rw' or 'rwm'", spec,
				rights);
			hr_hint(e, "who may do what with a device is decided by its mode and by "
				   "the cgroup of the job; hpcrun can take nothing from that");
			return -1;
		}
	}
	if (spec[0] != '/')
		return hr_fail(e, HR_USAGE, 0,
			       "--device '%s' is neither an absolute path nor VENDOR/CLASS=NAME",
			       spec);
	if (rt_bind_parse(l, copy, "/", e) < 0)
		return hr_wrap(e, "--device");
	return 0;
}

static int check_no_mount(const char *list, struct hr_err *e)
{
	char *word;

	while (e->kind == HR_OK && (word = hr_next_word(&list, ","))) {
		size_t i = 0;

		while (mounts[i] && strcmp(mounts[i], word) != 0)
			i++;
		if (!mounts[i] && word[0] != '/') {
			hr_fail(e, HR_USAGE, 0,
				"--no-mount '%s' is neither a path nor one of: home, cwd, tmp, "
				"dev, proc, sys, site",
				word);
			hr_hint_nearest(word, mounts, e);
		}
		free(word);
	}
	return e->kind == HR_OK ? 0 : -1;
}

bool rt_shape_left_out(const struct rt_shape *s, const char *what)
{
	bool found = false;
	char *word;

	for (size_t i = 0; what && i < s->no_mounts.n; i++)
		for (const char *list = s->no_mounts.v[i];
		     !found && (word = hr_next_word(&list, ","));) {
			hr_autofree char *path = rt_path_normal(word);

			found = strcmp(path ? path : word, what) == 0;
			free(word);
		}
	return found;
}

/* 2^32 - 1 is no id: it means "leave as it is" in chown(2) and others. */
static int check_id(const char *text, const char *option, struct hr_err *e)
{
	uint64_t id;

	return text ? hr_parse_u64(text, option, 0, UINT32_MAX - 1, &id, e) : 0;
}

unsigned int rt_shape_id(const char *text, unsigned int caller)
{
	struct hr_err checked = { 0 };
	uint64_t id = caller;

	if (text && hr_parse_u64(text, "id", 0, UINT32_MAX - 1, &id, &checked) < 0)
		id = caller;
	return (unsigned int)id;
}

static int check_overlay(const char *spec, struct hr_err *e)
{
	hr_autofree char *dir = NULL;
	bool ro;

	return rt_overlay_parse(spec, &dir, &ro, e);
}

bool rt_shape_keeps_changes(const struct rt_shape *s)
{
	size_t n = s->overlay ? strlen(s->overlay) : 0;

	return n > 0 && !(n > 3 && strcmp(s->overlay + n - 3, ":ro") == 0);
}

static int check_label(const char *label, struct hr_err *e)
{
	if (label[0] != '=' && strchr(label, '='))
		return 0;
	return hr_fail(e, HR_USAGE, 0, "--label '%s' is not NAME=VALUE", label);
}

/* hostname(7) */
static int check_hostname(const char *name, struct hr_err *e)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
	size_t n = strlen(name);

	if (n > 0 && n <= HOSTNAME_MAX && strspn(name, letters) == n && name[0] != '-' &&
	    name[0] != '.')
		return 0;
	return hr_fail(e, HR_USAGE, 0,
		       "--hostname '%s' is not a name of 1 to %d letters, digits, '-' and '.'",
		       name, HOSTNAME_MAX);
}

static int check_scratch(const char *dir, struct hr_err *e)
{
	hr_autofree char *normal = rt_path_normal(dir);

	if (normal && strcmp(normal, "/") != 0)
		return 0;
	return hr_fail(e, HR_USAGE, 0, "--scratch '%s' is not an absolute path without '..'", dir);
}

int rt_shape_check(const struct rt_shape *s, struct hr_err *e)
{
	struct rt_binds unused = { 0 };
	int r = s->hostname ? check_hostname(s->hostname, e) : 0;

	if (r == 0)
		r = check_id(s->uid, "--uid", e);
	if (r == 0)
		r = check_id(s->gid, "--gid", e);
	if (s->overlay && r == 0)
		r = check_overlay(s->overlay, e);
	for (size_t i = 0; i < s->tmpfs.n && r == 0; i++)
		r = rt_shape_tmpfs(s->tmpfs.v[i], &unused, e);
	for (size_t i = 0; i < s->devices.n && r == 0; i++)
		if (!rt_shape_is_cdi(s->devices.v[i]))
			r = rt_shape_device(s->devices.v[i], &unused, e);
	for (size_t i = 0; i < s->scratch.n && r == 0; i++)
		r = check_scratch(s->scratch.v[i], e);
	for (size_t i = 0; i < s->no_mounts.n && r == 0; i++)
		r = check_no_mount(s->no_mounts.v[i], e);
	for (size_t i = 0; i < s->labels.n && r == 0; i++)
		r = check_label(s->labels.v[i], e);
	rt_binds_release(&unused);
	return r;
}
