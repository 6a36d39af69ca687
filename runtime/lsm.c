/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/opt.h"
#include "util/poison.h"

static const struct word {
	const char *name;
	size_t member;
} words_known[] = {
	{ "seccomp", offsetof(struct rt_security, seccomp) },
	{ "apparmor", offsetof(struct rt_security, apparmor) },
	{ "selinux", offsetof(struct rt_security, selinux) },
};

static int take_word(const char *word, struct rt_security *out, struct hr_err *e)
{
	const char *names[HR_COUNT(words_known) + 2] = { "no-new-privileges" };
	size_t len = strcspn(word, ":=");
	hr_autofree char *name = hr_xstrndup(word, len);

	if (strcmp(word, names[0]) == 0)
		return 0;
	for (size_t i = 0; i < HR_COUNT(words_known); i++) {
		names[i + 1] = words_known[i].name;
		if (strcmp(words_known[i].name, name) != 0)
			continue;
		if (word[len] == '\0' || word[len + 1] == '\0')
			return hr_fail(e, HR_USAGE, 0, "--security '%s' has no value", word);
		*(const char **)((char *)out + words_known[i].member) = word + len + 1;
		return 0;
	}
	hr_fail(e, HR_USAGE, 0,
		"--security '%s' is none of: seccomp:FILE, apparmor:PROFILE, selinux:CONTEXT, "
		"no-new-privileges",
		word);
	hr_hint_nearest(name, names, e);
	return -1;
}

int rt_security_parse(const struct hr_strv *words, struct rt_security *out, struct hr_err *e)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < words->n; i++)
		if (take_word(words->v[i], out, e) < 0)
			return -1;
	return 0;
}

static int write_attribute(const char *const *paths, const char *text, const char *module,
			   struct hr_err *e)
{
	hr_autofd int fd = -1;
	size_t len = strlen(text);

	for (; *paths && fd < 0; paths++)
		fd = open(*paths, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, text, len) == (ssize_t)len)
		return 0;
	/* EINVAL: the file is that of another module, or of none */
	hr_fail(e,
		errno == ENOENT || errno == EINVAL  ? HR_NOTFOUND
		: errno == EACCES || errno == EPERM ? HR_DENIED
						    : HR_SYS,
		errno, "cannot ask %s for '%s'", module, text);
	hr_hint(e, "is %s active on this node, and is that loaded?", module);
	return -1;
}

int rt_security_apply(const struct rt_security *s, struct hr_err *e)
{
	/* the first since Linux 5.8 */
	static const char *const apparmor[] = { "/proc/self/attr/apparmor/exec",
						"/proc/self/attr/exec", NULL };
	static const char *const selinux[] = { "/proc/self/attr/exec", NULL };

	if (s->apparmor) {
		hr_autofree char *text = hr_xasprintf("exec %s", s->apparmor);

		if (write_attribute(apparmor, text, "AppArmor", e) < 0)
			return -1;
	}
	return s->selinux ? write_attribute(selinux, s->selinux, "SELinux", e) : 0;
}
