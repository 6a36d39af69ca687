/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/identity.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

#define FIELDS 7 /* of a passwd line; group has 4 */

struct line {
	const char *at[FIELDS];
	size_t len[FIELDS];
	size_t n;
};

/* Split a line at its colons; what is behind the last field we know belongs to that field. */
static void split(const char *p, size_t n, struct line *l)
{
	const char *end = p + n;

	l->n = 0;
	while (l->n < FIELDS) {
		const char *colon = l->n + 1 < FIELDS ? memchr(p, ':', (size_t)(end - p)) : NULL;

		l->at[l->n] = p;
		l->len[l->n] = (size_t)((colon ? colon : end) - p);
		l->n++;
		if (!colon)
			return;
		p = colon + 1;
	}
}

static bool is_number(const struct line *l, size_t field, unsigned long value)
{
	unsigned long v = 0;

	if (field >= l->n || l->len[field] == 0 || l->len[field] > 10)
		return false;
	for (size_t i = 0; i < l->len[field]; i++) {
		char c = l->at[field][i];

		if (c < '0' || c > '9')
			return false;
		v = v * 10 + (unsigned long)(c - '0');
	}
	return v == value;
}

static bool is_name(const struct line *l, const char *name)
{
	return l->len[0] == strlen(name) && memcmp(l->at[0], name, l->len[0]) == 0;
}

/* A copy that is safe as a field of a line. */
static char *field_copy(const char *s, size_t n)
{
	char *out = hr_xstrndup(s, n);

	for (char *p = out; *p; p++)
		if (*p == ':' || (unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '_';
	return out;
}

static void replace(char **field, const char *s, size_t n)
{
	free(*field);
	*field = field_copy(s, n);
}

/* The line of a host file whose number, in field 2 of both kinds, is VALUE. */
static bool find_line(const struct hr_buf *text, unsigned long value, struct line *l)
{
	const char *p = (const char *)text->p, *end = p + text->len;

	while (p && p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);

		split(p, n, l);
		if (is_number(l, 2, value))
			return true;
		p += n + 1;
	}
	return false;
}

static const char *name_from_environment(void)
{
	const char *name = getenv("LOGNAME");

	if (!name || !name[0])
		name = getenv("USER");
	return name && name[0] ? name : "user";
}

void rt_identity_find(struct rt_identity *id, const struct rt_ids *ids, const char *home)
{
	hr_autobuf struct hr_buf passwd = { 0 }, group = { 0 };
	struct hr_err ignored = { 0 }; /* a host without these files: the defaults below serve */
	struct line l;

	*id = (struct rt_identity) { .uid = ids->uid_inside,
				     .gid = ids->gid_inside,
				     .user = hr_xstrdup("root"),
				     .gecos = hr_xstrdup(""),
				     .home = hr_xstrdup("/root"),
				     .shell = hr_xstrdup("/bin/sh"),
				     .group = hr_xstrdup("root") };
	if (id->uid != 0 || ids->uid == 0) {
		const char *name = name_from_environment();

		replace(&id->user, name, strlen(name));
		replace(&id->group, name, strlen(name));
		replace(&id->home, "/", 1);
		if (hr_file_read(AT_FDCWD, "/etc/passwd", RT_IDENTITY_FILE_MAX, &passwd,
				 &ignored) == 0 &&
		    find_line(&passwd, ids->uid, &l)) {
			replace(&id->user, l.at[0], l.len[0]);
			if (l.n == FIELDS) {
				replace(&id->gecos, l.at[4], l.len[4]);
				replace(&id->home, l.at[5], l.len[5]);
				replace(&id->shell, l.at[6], l.len[6]);
			}
		}
		hr_err_clear(&ignored);
		if (hr_file_read(AT_FDCWD, "/etc/group", RT_IDENTITY_FILE_MAX, &group, &ignored) ==
			    0 &&
		    find_line(&group, ids->gid, &l))
			replace(&id->group, l.at[0], l.len[0]);
	}
	if (home)
		replace(&id->home, home, strlen(home));
}

void rt_identity_release(struct rt_identity *id)
{
	free(id->user);
	free(id->gecos);
	free(id->home);
	free(id->shell);
	free(id->group);
	memset(id, 0, sizeof(*id));
}

/* The lines of TEXT but those called NAME or numbered VALUE. */
static void copy_others(const char *text, size_t len, const char *name, unsigned long value,
			struct hr_buf *out)
{
	const char *end = text + len;

	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((nl ? nl : end) - text);
		struct line l;

		split(text, n, &l);
		if (n > 0 && !is_name(&l, name) && !is_number(&l, 2, value)) {
			hr_buf_add(out, text, n);
			hr_buf_str(out, "\n");
		}
		text += nl ? n + 1 : n;
	}
}

void rt_identity_passwd(const struct rt_identity *id, const char *text, size_t len,
			struct hr_buf *out)
{
	copy_others(text, len, id->user, id->uid, out);
	hr_buf_printf(out, "%s:x:%u:%u:%s:%s:%s\n", id->user, id->uid, id->gid, id->gecos, id->home,
		      id->shell);
}

void rt_identity_group(const struct rt_identity *id, const char *text, size_t len,
		       struct hr_buf *out)
{
	copy_others(text, len, id->group, id->gid, out);
	hr_buf_printf(out, "%s:x:%u:%s\n", id->group, id->gid, id->user);
}
