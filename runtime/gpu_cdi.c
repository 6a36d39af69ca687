/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/gpu_cdi.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/trust.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define LISTED_MAX 16 /* names in a message */

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

static int load_one(int dirfd, const char *dir, const char *name, size_t rank,
		    struct rt_cdi_files *l, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	struct rt_cdi_file f = { .rank = rank };

	if (rt_trust_read(dirfd, dir, name, RT_CDI_FILE_MAX, &text, e) < 0)
		return -1;
	if (rt_cdi_parse(text.p, text.len, ends_in(name, ".yaml"), &f.spec, e) < 0) {
		rt_cdi_release(&f.spec);
		return hr_wrap(e, "CDI file '%s/%s'", dir, name);
	}
	f.path = hr_xasprintf("%s/%s", dir, name);
	l->v = hr_xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = f;
	return 0;
}

static void load_dir(const char *dir, size_t rank, struct rt_cdi_files *l)
{
	static const char *const suffixes[] = { ".json", ".yaml", NULL };
	struct hr_strv names = { 0 };
	struct hr_err missing = { 0 };
	hr_autofd int fd = rt_trust_list(dir, suffixes, &names, &missing);

	if (fd < 0 && missing.kind != HR_NOTFOUND && l->broken.kind == HR_OK)
		l->broken = missing;
	for (size_t i = 0; fd >= 0 && i < names.n; i++) {
		struct hr_err e = { 0 };

		if (load_one(fd, dir, names.v[i], rank, l, &e) < 0 && l->broken.kind == HR_OK)
			l->broken = e;
	}
	hr_strv_release(&names);
}

void rt_cdi_files_load(const struct hr_strv *dirs, struct rt_cdi_files *out)
{
	static const char *const defaults[] = { "/etc/cdi", "/var/run/cdi" };

	for (size_t i = 0; i < dirs->n; i++)
		load_dir(dirs->v[i], i, out);
	for (size_t i = 0; dirs->n == 0 && i < HR_COUNT(defaults); i++)
		load_dir(defaults[i], i, out);
}

void rt_cdi_files_release(struct rt_cdi_files *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].path);
		rt_cdi_release(&l->v[i].spec);
	}
	free(l->v);
	memset(l, 0, sizeof(*l));
}

/* The class is "gpu", and it is not a vendor's specification for managing all devices. */
static bool is_gpu(const struct rt_cdi_spec *spec)
{
	static const char management[] = "management.";

	return strcmp(spec->class, "gpu") == 0 &&
	       strncmp(spec->vendor, management, sizeof(management) - 1) != 0;
}

bool rt_cdi_has_gpu(const struct rt_cdi_files *l, const char *vendor)
{
	for (size_t i = 0; i < l->n; i++)
		if (is_gpu(&l->v[i].spec) && (!vendor || strcmp(l->v[i].spec.vendor, vendor) == 0))
			return true;
	return false;
}

static bool same_kind(const struct rt_cdi_spec *a, const struct rt_cdi_spec *b)
{
	return strcmp(a->vendor, b->vendor) == 0 && strcmp(a->class, b->class) == 0;
}

/* FOUND and F both have the device NAME: the one that counts, or NULL. */
static const struct rt_cdi_file *better(const struct rt_cdi_file *found,
					const struct rt_cdi_file *f, const char *name,
					struct hr_err *e)
{
	if (!found)
		return f;
	if (same_kind(&found->spec, &f->spec) && found->rank != f->rank)
		return found->rank > f->rank ? found : f;
	hr_fail(e, HR_USAGE, 0, "device '%s' is in '%s' and in '%s'", name, found->path, f->path);
	if (!same_kind(&found->spec, &f->spec))
		hr_hint(e, "say which one you mean: --gpu=%s/%s=%s, for example", f->spec.vendor,
			f->spec.class, name);
	return NULL;
}

static int add_device(const struct rt_cdi_file *f, const char *name, struct rt_cdi_edits *x,
		      struct hr_strv *names, struct hr_err *e)
{
	hr_autofree char *full = hr_xasprintf("%s/%s=%s", f->spec.vendor, f->spec.class, name);

	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i], full) == 0)
			return 1;
	if (rt_cdi_merge(x, &f->spec.edits, e) < 0 ||
	    rt_cdi_merge(x, &rt_cdi_device(&f->spec, name)->edits, e) < 0)
		return hr_wrap(e, "'%s' of '%s'", full, f->path);
	hr_strv_add(names, full);
	return 1;
}

int rt_cdi_choose(const struct rt_cdi_files *l, const char *word, struct rt_cdi_edits *x,
		  struct hr_strv *names, struct hr_err *e)
{
	const char *equals = strchr(word, '='), *name = equals ? equals + 1 : word;
	const struct rt_cdi_file *found = NULL;

	for (size_t i = 0; i < l->n; i++) {
		const struct rt_cdi_spec *s = &l->v[i].spec;
		hr_autofree char *kind = hr_xasprintf("%s/%s=", s->vendor, s->class);

		if (equals ? strncmp(kind, word, (size_t)(name - word)) != 0 ||
				     strlen(kind) != (size_t)(name - word)
			   : !is_gpu(s))
			continue;
		if (!rt_cdi_device(s, name))
			continue;
		found = better(found, &l->v[i], name, e);
		if (!found)
			return -1;
	}
	return found ? add_device(found, name, x, names, e) : 0;
}

int rt_cdi_choose_all(const struct rt_cdi_files *l, struct rt_cdi_edits *x, struct hr_strv *names,
		      struct hr_err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct rt_cdi_spec *s = &l->v[i].spec;
		bool one = rt_cdi_device(s, "all") != NULL;

		if (!is_gpu(s))
			continue;
		for (size_t k = 0; k < (one ? 1 : s->n); k++) {
			hr_autofree char *full = hr_xasprintf("%s/%s=%s", s->vendor, s->class,
							      one ? "all" : s->devices[k].name);

			/* by name: another file may take precedence */
			if (rt_cdi_choose(l, full, x, names, e) < 0)
				return -1;
		}
	}
	return 0;
}

bool rt_cdi_is_id(const char *name)
{
	return strncmp(name, "GPU-", 4) == 0 || strncmp(name, "MIG-", 4) == 0 ||
	       (name[0] != '\0' && name[strspn(name, "0123456789")] == '\0');
}

static bool same_nodes(const struct rt_cdi_device *a, const struct rt_cdi_device *b)
{
	if (a->edits.n_nodes == 0 || a->edits.n_nodes != b->edits.n_nodes)
		return false;
	for (size_t i = 0; i < a->edits.n_nodes; i++)
		if (strcmp(a->edits.nodes[i].host, b->edits.nodes[i].host) != 0)
			return false;
	return true;
}

/* nvidia-ctk gives each device a name by each strategy that it was asked for: "0:1" and "MIG-..."
 */
static const char *twin(const struct rt_cdi_spec *s, const char *name)
{
	const struct rt_cdi_device *d = rt_cdi_device(s, name);

	for (size_t i = 0; d && i < s->n; i++)
		if (rt_cdi_is_id(s->devices[i].name) && same_nodes(d, &s->devices[i]))
			return s->devices[i].name;
	return NULL;
}

const char *rt_cdi_known_as(const struct rt_cdi_files *l, const char *full)
{
	const char *name = strchr(full, '=') + 1, *found = NULL;

	if (rt_cdi_is_id(name))
		return name;
	for (size_t i = 0; i < l->n && !found; i++) {
		const struct rt_cdi_spec *s = &l->v[i].spec;
		hr_autofree char *own = hr_xasprintf("%s/%s=%s", s->vendor, s->class, name);

		if (strcmp(own, full) == 0)
			found = twin(s, name);
	}
	return found;
}

char *rt_cdi_list(const struct rt_cdi_files *l)
{
	hr_autobuf struct hr_buf b = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < l->v[i].spec.n; k++)
			if (n++ < LISTED_MAX)
				hr_buf_printf(&b, "%s%s/%s=%s", b.len > 0 ? ", " : "",
					      l->v[i].spec.vendor, l->v[i].spec.class,
					      l->v[i].spec.devices[k].name);
	if (n > LISTED_MAX)
		hr_buf_str(&b, ", ...");
	return b.len > 0 ? hr_xstrdup((const char *)b.p) : NULL;
}
