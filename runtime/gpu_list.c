/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/gpu_list.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/trust.h"
#include "util/cleanup.h"
#include "util/opt.h"
#include "util/poison.h"

#define LIST_FILE_MAX 65536

static const struct list_key {
	const char *name;
	bool repeats; /* struct hr_strv, else char * */
	size_t offset;
} keys[] = {
	{ "vendor", false, offsetof(struct rt_gpu_list, vendor) },
	{ "device", true, offsetof(struct rt_gpu_list, devices) },
	{ "require", true, offsetof(struct rt_gpu_list, require) },
	{ "library", true, offsetof(struct rt_gpu_list, library) },
	{ "file", true, offsetof(struct rt_gpu_list, file) },
	{ "with_ids", true, offsetof(struct rt_gpu_list, with_ids) },
	{ "visible", false, offsetof(struct rt_gpu_list, visible) },
	{ "driver_version", false, offsetof(struct rt_gpu_list, driver_version) },
};

struct state {
	struct rt_gpu_list *list;
	struct hr_err *e;
};

static void set(struct rt_gpu_list *list, const struct list_key *k, const char *value)
{
	void *at = (char *)list + k->offset;

	if (k->repeats) {
		hr_strv_add(at, value);
		return;
	}
	free(*(char **)at);
	*(char **)at = hr_xstrdup(value);
}

/* inih's handler: 0 is an error there. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct state *s = user;

	if (s->e->kind != HR_OK)
		return 0;
	for (size_t i = 0; section[0] == '\0' && i < HR_COUNT(keys); i++) {
		if (strcmp(keys[i].name, name) != 0)
			continue;
		if (value[0] == '\0') {
			hr_fail(s->e, HR_CORRUPT, 0, "'%s' has no value", name);
			return 0;
		}
		set(s->list, &keys[i], value);
		return 1;
	}
	hr_fail(s->e, HR_CORRUPT, 0, "unknown key '%.64s'", name);
	return 0;
}

int rt_gpu_list_parse(const char *text, struct rt_gpu_list *out, struct hr_err *e)
{
	struct state s = { .list = out, .e = e };
	int line;

	memset(out, 0, sizeof(*out));
	line = ini_parse_string(text, on_key, &s);
	if (line != 0 && e->kind == HR_OK)
		hr_fail(e, HR_CORRUPT, 0, "not a 'key = value' line");
	if (e->kind != HR_OK)
		return hr_wrap(e, "line %d", line);
	if (!out->vendor)
		return hr_fail(e, HR_CORRUPT, 0, "'vendor' is missing");
	if (out->devices.n == 0)
		return hr_fail(e, HR_CORRUPT, 0, "'device' is missing");
	return 0;
}

void rt_gpu_list_release(struct rt_gpu_list *l)
{
	for (size_t i = 0; i < HR_COUNT(keys); i++) {
		void *at = (char *)l + keys[i].offset;

		if (keys[i].repeats)
			hr_strv_release(at);
		else
			free(*(char **)at);
	}
	memset(l, 0, sizeof(*l));
}

static int load_one(int dirfd, const char *dir, const char *name, struct rt_gpu_lists *l,
		    struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };

	if (rt_trust_read(dirfd, dir, name, LIST_FILE_MAX, &text, e) < 0)
		return -1;
	l->v = hr_xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
	if (rt_gpu_list_parse(text.p ? (const char *)text.p : "", &l->v[l->n++], e) < 0)
		return hr_wrap(e, "'%s/%s'", dir, name);
	return 0;
}

int rt_gpu_lists_load(const char *dir, struct rt_gpu_lists *out, struct hr_err *e)
{
	static const char *const suffixes[] = { ".conf", NULL };
	struct hr_strv names = { 0 };
	hr_autofd int fd = rt_trust_list(dir, suffixes, &names, e);
	int r = fd < 0 ? -1 : 0;

	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = load_one(fd, dir, names.v[i], out, e);
	hr_strv_release(&names);
	return r < 0 ? hr_wrap(e, "lists of GPU libraries") : 0;
}

void rt_gpu_lists_release(struct rt_gpu_lists *l)
{
	for (size_t i = 0; i < l->n; i++)
		rt_gpu_list_release(&l->v[i]);
	free(l->v);
	memset(l, 0, sizeof(*l));
}

char *rt_gpu_version(const char *text)
{
	static const char digits[] = "0123456789";

	while (*text) {
		size_t len = strcspn(text, " \t\n");
		size_t version = strspn(text, "0123456789.");

		if (version == len && len > 2 && strchr(digits, text[0]) &&
		    memchr(text, '.', len) && text[len - 1] != '.')
			return hr_xstrndup(text, len);
		text += len + (text[len] != '\0');
	}
	return NULL;
}
