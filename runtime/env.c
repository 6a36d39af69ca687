/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/env.h"

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* MAX_ARG_STRLEN of the kernel: execve refuses a longer string with E2BIG */
#define ENTRY_MAX (128u * 1024u)

#define FORWARDED "HPCRUNENV_" /* and a name: the name is set inside */

/*
 * A name, or a prefix when it ends in '*'. These point into the host's software, which is not there
 * or would not fit: search paths, loader settings, locale data, start-up files of shells.
 */
static const char *const not_from_host[] = {
	"PATH",	    "LD_*",    "GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH",    "NLSPATH",
	"BASH_ENV", "ENV",     "BASH_FUNC_*",	 "PYTHONHOME", "PYTHONPATH", "PERLLIB",
	"PERL5LIB", "RUBYLIB", "R_HOME",	 "OLDPWD",     "_",	     FORWARDED "*",
};

/* What the launcher of a parallel job sets: the same inside as outside, whoever says otherwise. */
static const char *const launcher[] = { "SLURM_*", "PMI*", "PALS_*", "FLUX_*" };

/* Which GPUs a process is to use, as the launcher tells each rank: not the image's to say. */
static const char *const devices[] = { "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
				       "HIP_VISIBLE_DEVICES",  "GPU_DEVICE_ORDINAL",
				       "ZE_AFFINITY_MASK",     "ONEAPI_DEVICE_SELECTOR" };

/* What --cleanenv keeps of the host, besides the launcher's. */
static const char *const kept_clean[] = {
	"TERM",	    "COLORTERM",  "HOME",	 "USER",	"LOGNAME",   "LANG",
	"LC_*",	    "TZ",	  "http_proxy",	 "https_proxy", "ftp_proxy", "all_proxy",
	"no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY",	"ALL_PROXY", "NO_PROXY",
};

static bool matches(const char *pattern, const char *name, size_t len)
{
	size_t n = strlen(pattern);

	if (pattern[n - 1] == '*')
		return len >= n - 1 && memcmp(pattern, name, n - 1) == 0;
	return len == n && memcmp(pattern, name, n) == 0;
}

static bool in_table(const char *const *table, size_t count, const char *name, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (matches(table[i], name, len))
			return true;
	return false;
}

bool rt_env_is_launcher(const char *name, size_t len)
{
	return in_table(launcher, HR_COUNT(launcher), name, len);
}

bool rt_env_entry_ok(const char *entry)
{
	const char *eq = strchr(entry, '=');

	return eq && eq != entry && strlen(entry) < ENTRY_MAX;
}

void rt_env_release(struct rt_env *env)
{
	hr_strv_release(&env->vars);
}

static char **find(const struct hr_strv *l, const char *name, size_t len)
{
	for (size_t i = 0; i < l->n; i++)
		if (strncmp(l->v[i], name, len) == 0 && l->v[i][len] == '=')
			return &l->v[i];
	return NULL;
}

/* Own ENTRY ("NAME=VALUE") from now on. */
static void take_entry(struct rt_env *env, char *entry, size_t name_len)
{
	char **old = find(&env->vars, entry, name_len);

	if (!old) {
		hr_strv_take(&env->vars, entry);
		return;
	}
	free(*old);
	*old = entry;
}

const char *rt_env_get(const struct rt_env *env, const char *name)
{
	size_t len = strlen(name);
	char **at = find(&env->vars, name, len);

	return at ? *at + len + 1 : NULL;
}

void rt_env_put(struct rt_env *env, const char *name, const char *value)
{
	take_entry(env, hr_xasprintf("%s=%s", name, value), strlen(name));
}

void rt_env_host(struct rt_env *env, char *const *host, bool clean)
{
	for (; *host; host++) {
		size_t len = strcspn(*host, "=");
		bool keep = rt_env_is_launcher(*host, len) ||
			    in_table(devices, HR_COUNT(devices), *host, len);

		if (!keep && clean)
			keep = in_table(kept_clean, HR_COUNT(kept_clean), *host, len);
		else if (!keep)
			keep = !in_table(not_from_host, HR_COUNT(not_from_host), *host, len);
		/* an environ may hold anything: only the first of a name counts, as in getenv */
		if (keep && rt_env_entry_ok(*host) && !find(&env->vars, *host, len))
			hr_strv_add(&env->vars, *host);
	}
}

void rt_env_image(struct rt_env *env, const char *vars, size_t n, bool keep_home)
{
	const char *end = vars + n;

	while (vars < end) {
		size_t len = strnlen(vars, (size_t)(end - vars));
		size_t name_len = strcspn(vars, "=");
		bool home = keep_home && name_len == 4 && memcmp(vars, "HOME", 4) == 0;

		if (vars + len == end)
			return; /* no NUL: not ours */
		if (!home && rt_env_entry_ok(vars) && !rt_env_is_launcher(vars, name_len))
			take_entry(env, hr_xstrdup(vars), name_len);
		vars += len + 1;
	}
}

void rt_env_entries(struct rt_env *env, const char *vars, size_t n)
{
	const char *end = vars + n;

	for (; vars < end; vars += strlen(vars) + 1)
		if (rt_env_entry_ok(vars))
			take_entry(env, hr_xstrdup(vars), strcspn(vars, "="));
}

void rt_env_devices(struct rt_env *env, char *const *host)
{
	for (; *host; host++) {
		size_t len = strcspn(*host, "=");

		if (rt_env_entry_ok(*host) && in_table(devices, HR_COUNT(devices), *host, len))
			take_entry(env, hr_xstrdup(*host), len);
	}
}

static void add_part(struct hr_buf *b, const char *s, size_t n)
{
	if (n == 0)
		return;
	if (b->len > 0)
		hr_buf_str(b, ":");
	hr_buf_add(b, s, n);
}

void rt_env_library_dirs(struct rt_env *env, const char *dirs, size_t n)
{
	const char *end = dirs + n, *old = rt_env_get(env, "LD_LIBRARY_PATH");
	hr_autobuf struct hr_buf b = { 0 };

	if (n == 0)
		return;
	for (; dirs < end; dirs += strlen(dirs) + 1)
		add_part(&b, dirs, strlen(dirs));
	while (old && *old) {
		size_t len = strcspn(old, ":;"); /* the loader takes both, ld.so(8) */

		add_part(&b, old, len);
		old += len + (old[len] != '\0');
	}
	rt_env_put(env, "LD_LIBRARY_PATH", (const char *)b.p);
}

int rt_env_set(struct rt_env *env, char *const *host, const char *word, const char *where,
	       struct hr_err *e)
{
	size_t len = strcspn(word, "=");

	if (len == 0)
		return hr_fail(e, HR_USAGE, 0, "%s: '%s' has no variable name", where, word);
	if (rt_env_is_launcher(word, len)) {
		hr_fail(e, HR_USAGE, 0, "%s: '%.*s' belongs to the launcher of the job", where,
			(int)len, word);
		hr_hint(e, "set it before hpcrun starts; it is passed into the container");
		return -1;
	}
	if (word[len] == '=') {
		take_entry(env, hr_xstrdup(word), len);
		return 0;
	}
	for (; *host; host++) {
		if (strncmp(*host, word, len) == 0 && (*host)[len] == '=') {
			take_entry(env, hr_xstrdup(*host), len);
			return 0;
		}
	}
	return 0;
}

int rt_env_forwarded(struct rt_env *env, char *const *host, struct hr_err *e)
{
	size_t prefix = strlen(FORWARDED);

	for (char *const *v = host; *v; v++) {
		hr_autofree char *where = NULL;

		if (strncmp(*v, FORWARDED, prefix) != 0 || !strchr(*v, '='))
			continue;
		where = hr_xstrndup(*v, strcspn(*v, "="));
		if (rt_env_set(env, host, *v + prefix, where, e) < 0)
			return -1;
	}
	return 0;
}

int rt_env_file(struct rt_env *env, char *const *host, const char *name, const char *text,
		size_t len, struct hr_err *e)
{
	const char *end = text + len;

	if (memchr(text, '\0', len))
		return hr_fail(e, HR_USAGE, 0, "%s: contains a NUL byte", name);
	for (unsigned int line = 1; text < end; line++) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = nl ? (size_t)(nl - text) : (size_t)(end - text);
		hr_autofree char *word = hr_xstrndup(text, n);
		hr_autofree char *where = hr_xasprintf("%s, line %u", name, line);

		if (n > 0 && word[n - 1] == '\r')
			word[n - 1] = '\0';
		if (word[0] != '\0' && word[0] != '#' && rt_env_set(env, host, word, where, e) < 0)
			return -1;
		text += n + 1;
	}
	return 0;
}

void rt_env_overlay(struct rt_env *env, const struct rt_env *over)
{
	for (size_t i = 0; i < over->vars.n; i++)
		take_entry(env, hr_xstrdup(over->vars.v[i]), strcspn(over->vars.v[i], "="));
}

void rt_env_finish(struct rt_env *env)
{
	const char *path = rt_env_get(env, "PATH");

	if (!path || path[0] == '\0')
		rt_env_put(env, "PATH", PATH_DEFAULT);
}
