/* SPDX-License-Identifier: BSD-3-Clause */
/* Which files hpcrun.conf is, and their lines; the one file that needs inih. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/conf.h"
#include "util/io.h"
#include "util/log.h"
#include "util/poison.h"

#define CONF_FILE_LIMIT (1024 * 1024)
#define SITE_FILE	HPCRUN_SYSCONFDIR "/hpcrun/hpcrun.conf"

/* ---- texts ---- */

struct parse_state {
	struct hr_conf *c;
	const char *name, *next; /* next: the text behind the line under work */
	unsigned int line;
	enum hr_conf_level level;
	struct hr_err *e;
};

/* inih's handler: 0 is an error there. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct parse_state *s = user;
	hr_autofree char *where = hr_xasprintf("%s, line %u", s->name, s->line);

	if (s->e->kind != HR_OK)
		return 0;
	if (section[0] != '\0') {
		hr_fail(s->e, HR_USAGE, 0, "unknown section '[%s]'", section);
		return 0;
	}
	return hr_conf_set(s->c, name, value, where, s->level, s->e) == 0;
}

/* As fgets() of the text, and counts: inih does not tell its handler the line. */
static char *next_line(char *buf, int room, void *user)
{
	struct parse_state *s = user;
	size_t n = strcspn(s->next, "\n");

	if (room < 2 || s->next[0] == '\0')
		return NULL;
	n += s->next[n] == '\n';
	if (n > (size_t)room - 1)
		n = (size_t)room - 1;
	memcpy(buf, s->next, n);
	buf[n] = '\0';
	s->next += n;
	s->line++;
	return buf;
}

int hr_conf_parse(struct hr_conf *c, const char *name, const char *text, enum hr_conf_level level,
		  struct hr_err *e)
{
	struct parse_state s = { c, name, text, 0, level, e };
	int line = ini_parse_stream(next_line, &s, on_key, &s);

	if (line == 0 && e->kind == HR_OK)
		return 0;
	if (e->kind == HR_OK)
		hr_fail(e, HR_USAGE, 0, "not a 'key = value' line");
	return hr_wrap(e, "%s, line %d", name, line);
}

/* ---- files ---- */

static int load_file(struct hr_conf *c, const char *path, enum hr_conf_level level,
		     struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	struct hr_err missing = { 0 };

	if (hr_file_read(AT_FDCWD, path, CONF_FILE_LIMIT, &text, &missing) < 0) {
		if (missing.kind == HR_NOTFOUND)
			return 0;
		*e = missing;
		return hr_wrap(e, "cannot read the configuration");
	}
	if (text.len == 0)
		return 0;
	return hr_conf_parse(c, path, (const char *)text.p, level, e);
}

/* ---- the include directory ---- */

static int is_included(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	/* what editors and package managers leave behind ends in another way */
	return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".conf") == 0;
}

/* By their bytes: the same order in every locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The site's file, and what lies in the directory of its name and ".d". */
static int load_site_file(struct hr_conf *c, const char *path, struct hr_err *e)
{
	hr_autofree char *dir = hr_xasprintf("%s.d", path);
	struct dirent **names = NULL;
	int n, r = load_file(c, path, HR_CONF_SITE, e);

	if (r < 0)
		return -1;
	n = scandir(dir, &names, is_included, by_bytes);
	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : hr_fail(e, errno == EACCES ? HR_DENIED : HR_SYS, errno,
					 "cannot list the configuration in '%s'", dir);
	for (int i = 0; i < n; i++) {
		hr_autofree char *file = hr_xasprintf("%s/%s", dir, names[i]->d_name);

		if (r == 0)
			r = load_file(c, file, HR_CONF_SITE, e);
		free(names[i]);
	}
	free(names);
	return r;
}

/*
 * Who names another file wants none of the site's settings, but for those that the site has locked.
 * That is no wall: hpcrun has no privilege to defend one with. It keeps users from leaving by
 * accident what the site has decided.
 */
static int load_site(struct hr_conf *c, struct hr_err *e)
{
	const char *other = getenv("HPCRUN_CONF");

	if (load_site_file(c, SITE_FILE, e) < 0)
		return -1;
	if (!other || other[0] == '\0' || strcmp(other, SITE_FILE) == 0)
		return 0;
	hr_conf_keep_locked(c);
	return load_site_file(c, other, e);
}

/* ---- the user's ---- */

/* A HOME that is not the caller's, as after a change of user, is no reason to fail. */
static int load_users(struct hr_conf *c, const char *path, struct hr_err *e)
{
	if (load_file(c, path, HR_CONF_USER, e) == 0)
		return 0;
	if (e->kind != HR_DENIED)
		return -1;
	hr_warn("%s; going on without it", e->text);
	hr_err_clear(e);
	return 0;
}

int hr_conf_load(struct hr_conf *c, struct hr_err *e)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	hr_autofree char *user = NULL;

	hr_conf_init(c);
	if (load_site(c, e) < 0)
		return -1;
	if (xdg && xdg[0] == '/')
		user = hr_xasprintf("%s/hpcrun/hpcrun.conf", xdg);
	else if (home && home[0] == '/')
		user = hr_xasprintf("%s/.config/hpcrun/hpcrun.conf", home);
	return user ? load_users(c, user, e) : 0;
}
