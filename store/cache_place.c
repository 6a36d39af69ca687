/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/cache_place.h"

#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/poison.h"

#define MEMORY "memory"

/* File systems that are no local disk; those without a name in linux/magic.h by their number. */
static const struct {
	unsigned long magic;
	const char *name;
} unfit[] = {
	{ TMPFS_MAGIC, MEMORY " (tmpfs)" },
	{ RAMFS_MAGIC, MEMORY " (ramfs)" },
	{ NFS_SUPER_MAGIC, "NFS" },
	{ SMB_SUPER_MAGIC, "SMB" },
	{ FUSE_SUPER_MAGIC, "FUSE" },
	{ AFS_SUPER_MAGIC, "AFS" },
	{ CEPH_SUPER_MAGIC, "Ceph" },
	{ 0x0bd00bd0, "Lustre" },
	{ 0x47504653, "GPFS" },
	{ 0x19830326, "BeeGFS" },
	{ 0xff534d42, "CIFS" },
};

const char *store_cache_misfit(const char *dir)
{
	struct statfs fs;

	if (statfs(dir, &fs) < 0)
		return NULL;
	for (size_t i = 0; i < HR_COUNT(unfit); i++)
		if (((unsigned long)fs.f_type & 0xfffffffful) == unfit[i].magic)
			return unfit[i].name;
	return NULL;
}

static bool in_memory(const char *misfit)
{
	return strncmp(misfit, MEMORY, strlen(MEMORY)) == 0;
}

/* HPCRUN_CACHE, if it is a path that counts. */
static const char *from_env(void)
{
	const char *env = getenv("HPCRUN_CACHE");

	return env && env[0] == '/' ? env : NULL;
}

int store_cache_place_check(const char *given, const struct hr_conf *conf, struct hr_err *e)
{
	const char *env = getenv("HPCRUN_CACHE");

	if (given)
		return hr_conf_check_override(conf, "cache", "--cache", e);
	if (env && env[0] && env[0] != '/') { /* a session works in another directory */
		hr_hint(e, "a variable holds wherever a command runs; --cache may be relative");
		return hr_fail(e, HR_USAGE, 0, "HPCRUN_CACHE: '%s' is not an absolute path", env);
	}
	return from_env() ? hr_conf_check_override(conf, "cache", "HPCRUN_CACHE", e) : 0;
}

char *store_cache_place(const char *given, const struct hr_conf *conf)
{
	static const char *const disks[] = { "/var/tmp", "/tmp" };
	const char *parent = conf->cache;

	if (given || from_env())
		return hr_xstrdup(given ? given : from_env());
	for (size_t i = 0; !parent && i < HR_COUNT(disks); i++)
		if (access(disks[i], W_OK) == 0 && !store_cache_misfit(disks[i]))
			parent = disks[i];
	if (!parent)
		parent = disks[0];
	return hr_xasprintf("%s/hpcrun-cache-%u", parent, (unsigned int)geteuid());
}

char *store_cache_place_warning(const char *given, const struct hr_conf *conf, const char *dir)
{
	const char *bad = store_cache_misfit(dir);

	if (!bad || (in_memory(bad) && (given || from_env() || conf->cache)))
		return NULL;
	return hr_xasprintf("the cache of this node, '%s', is on %s; name a local disk with "
			    "'cache' in hpcrun.conf",
			    dir, bad);
}
