/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/cdi.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/bind.h"
#include "runtime/cdi_hook.h"
#include "runtime/env.h"
#include "runtime/json.h"
#include "runtime/yaml.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define NAME_MAX_BYTES 63

static const char *const versions[] = { "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0",
					"0.8.0", "1.0.0", "1.1.0", NULL };

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters and digits, between them also those of MIDDLE. */
static bool is_name(const char *s, size_t len, const char *middle)
{
	if (len == 0 || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(s[i]) && !strchr(middle, s[i]))
			return false;
	return true;
}

static int take_kind(json_t *root, struct rt_cdi_spec *spec, struct hr_err *e)
{
	const char *kind, *slash;

	if (rt_json_need_string(root, "kind", &kind, e) < 0)
		return -1;
	slash = strchr(kind, '/');
	if (!slash || !is_name(kind, (size_t)(slash - kind), "-.") ||
	    !is_name(slash + 1, strlen(slash + 1), "-_.") || strlen(slash + 1) > NAME_MAX_BYTES)
		return hr_fail(e, HR_CORRUPT, 0, "kind '%.128s' is not VENDOR/CLASS", kind);
	spec->vendor = hr_xstrndup(kind, (size_t)(slash - kind));
	spec->class = hr_xstrdup(slash + 1);
	return 0;
}

/* An absolute path in normal form. */
static int take_path(json_t *o, const char *key, char **out, struct hr_err *e)
{
	const char *text;

	if (rt_json_need_string(o, key, &text, e) < 0)
		return -1;
	*out = rt_path_normal(text);
	if (!*out || strcmp(*out, "/") == 0)
		return hr_fail(e, HR_CORRUPT, 0,
			       "member '%s' ('%.128s') is not an absolute path without '..'", key,
			       text);
	return 0;
}

static int take_node(json_t *o, struct rt_cdi_edits *x, struct hr_err *e)
{
	/* the host's node is shown as it is: numbers, owner and mode are its own */
	static const char *const keys[] = { "path",	"hostPath",    "type", "major", "minor",
					    "fileMode", "permissions", "uid",  "gid",	NULL };
	struct rt_cdi_node *node;

	x->nodes = hr_xrealloc(x->nodes, (x->n_nodes + 1) * sizeof(*x->nodes));
	node = &x->nodes[x->n_nodes++];
	*node = (struct rt_cdi_node) { 0 };
	if (rt_json_only(o, keys, e) < 0 || take_path(o, "path", &node->path, e) < 0)
		return -1;
	if (json_object_get(o, "hostPath"))
		return take_path(o, "hostPath", &node->host, e);
	node->host = hr_xstrdup(node->path);
	return 0;
}

static int take_options(json_t *o, struct rt_cdi_mount *m, struct hr_err *e)
{
	/* a bind here is recursive and private, and grants no ids; noexec is written for sockets */
	static const char *const fine[] = { "rw",     "bind",  "rbind",	 "private", "rprivate",
					    "nosuid", "nodev", "noexec", NULL };
	struct hr_strv options = { 0 };
	int r = rt_json_strings(o, "options", &options, e);

	for (size_t i = 0; r == 0 && i < options.n; i++) {
		size_t k = 0;

		while (fine[k] && strcmp(fine[k], options.v[i]) != 0)
			k++;
		if (strcmp(options.v[i], "ro") == 0)
			m->ro = true;
		else if (!fine[k])
			r = hr_fail(e, HR_CORRUPT, 0, "mount option '%.64s' is not known",
				    options.v[i]);
	}
	hr_strv_release(&options);
	return r;
}

static int take_mount(json_t *o, struct rt_cdi_edits *x, struct hr_err *e)
{
	static const char *const keys[] = { "hostPath", "containerPath", "type", "options", NULL };
	struct rt_cdi_mount *m;
	const char *type;

	x->mounts = hr_xrealloc(x->mounts, (x->n_mounts + 1) * sizeof(*x->mounts));
	m = &x->mounts[x->n_mounts++];
	*m = (struct rt_cdi_mount) { 0 };
	if (rt_json_only(o, keys, e) < 0 || take_path(o, "hostPath", &m->src, e) < 0 ||
	    take_path(o, "containerPath", &m->dst, e) < 0 ||
	    rt_json_string(o, "type", &type, e) < 0)
		return -1;
	/* "none" as in mount(8), with the option "bind": Intel's drivers write that */
	if (type && type[0] && strcmp(type, "bind") != 0 && strcmp(type, "none") != 0)
		return hr_fail(e, HR_CORRUPT, 0, "a mount of type '%.64s' is not possible here",
			       type);
	return take_options(o, m, e);
}

static int take_hook(json_t *o, struct rt_cdi_edits *x, struct hr_err *e)
{
	static const char *const keys[] = { "hookName", "path", "args", "env", "timeout", NULL };
	struct hr_strv args = { 0 };
	const char *stage, *path;
	int r = -1;

	if (rt_json_only(o, keys, e) == 0 && rt_json_need_string(o, "hookName", &stage, e) == 0 &&
	    rt_json_need_string(o, "path", &path, e) == 0 &&
	    rt_json_strings(o, "args", &args, e) == 0)
		r = rt_cdi_hook(path, &args, x, e);
	hr_strv_release(&args);
	return r;
}

static int take_gid(json_t *item, struct rt_cdi_edits *x, struct hr_err *e)
{
	if (!json_is_integer(item) || json_integer_value(item) < 0 ||
	    json_integer_value(item) > UINT32_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "an element of 'additionalGids' is no group id");
	x->gids = hr_xrealloc(x->gids, (x->n_gids + 1) * sizeof(*x->gids));
	x->gids[x->n_gids++] = (uint64_t)json_integer_value(item);
	return 0;
}

/* Each object of an array. */
static int take_each(json_t *o, const char *key, struct rt_cdi_edits *x,
		     int (*take)(json_t *, struct rt_cdi_edits *, struct hr_err *),
		     struct hr_err *e)
{
	json_t *list, *item;
	size_t i;

	if (rt_json_array(o, key, &list, e) < 0)
		return -1;
	json_array_foreach(list, i, item)
	{
		if (!json_is_object(item) && take != take_gid)
			return hr_fail(e, HR_CORRUPT, 0, "element %zu of '%s' is not an object", i,
				       key);
		if (take(item, x, e) < 0)
			return hr_wrap(e, "element %zu of '%s'", i, key);
	}
	return 0;
}

static int take_edits(json_t *o, struct rt_cdi_edits *x, struct hr_err *e)
{
	static const char *const keys[] = { "env",   "deviceNodes",    "mounts",
					    "hooks", "additionalGids", NULL };
	static const char *const privileged[] = { "intelRdt", "netDevices" };

	for (size_t i = 0; i < HR_COUNT(privileged); i++)
		if (json_object_get(o, privileged[i]))
			return hr_fail(e, HR_CORRUPT, 0,
				       "'%s' takes privilege, which hpcrun does not have",
				       privileged[i]);
	if (rt_json_only(o, keys, e) < 0 || rt_json_strings(o, "env", &x->env, e) < 0)
		return -1;
	for (size_t i = 0; i < x->env.n; i++)
		if (!rt_env_entry_ok(x->env.v[i]))
			return hr_fail(e, HR_CORRUPT, 0, "element %zu of 'env' is not NAME=VALUE",
				       i);
	if (take_each(o, "deviceNodes", x, take_node, e) < 0 ||
	    take_each(o, "mounts", x, take_mount, e) < 0 ||
	    take_each(o, "hooks", x, take_hook, e) < 0)
		return -1;
	return take_each(o, "additionalGids", x, take_gid, e);
}

static int take_device(json_t *o, struct rt_cdi_spec *spec, struct hr_err *e)
{
	static const char *const keys[] = { "name", "annotations", "containerEdits", NULL };
	struct rt_cdi_device *d;
	const char *name;
	json_t *edits;

	if (!json_is_object(o))
		return hr_fail(e, HR_CORRUPT, 0, "a device is not an object");
	if (rt_json_need_string(o, "name", &name, e) < 0)
		return -1;
	/* since 0.5.0 it may begin with a digit */
	if (!is_name(name, strlen(name), "-_.:"))
		return hr_fail(e, HR_CORRUPT, 0, "device name '%.128s' is ill-formed", name);
	if (rt_cdi_device(spec, name))
		return hr_fail(e, HR_CORRUPT, 0, "device '%.128s' is there twice", name);
	spec->devices = hr_xrealloc(spec->devices, (spec->n + 1) * sizeof(*spec->devices));
	d = &spec->devices[spec->n++];
	*d = (struct rt_cdi_device) { .name = hr_xstrdup(name) };
	if (rt_json_only(o, keys, e) < 0 ||
	    rt_json_need_object(o, "containerEdits", &edits, e) < 0 ||
	    take_edits(edits, &d->edits, e) < 0)
		return hr_wrap(e, "device '%.128s'", name);
	return 0;
}

static int take_root(json_t *root, struct rt_cdi_spec *spec, struct hr_err *e)
{
	static const char *const keys[] = { "cdiVersion", "kind",	    "annotations",
					    "devices",	  "containerEdits", NULL };
	json_t *devices, *edits, *item;
	const char *version;
	size_t i = 0;

	if (rt_json_need_string(root, "cdiVersion", &version, e) < 0)
		return -1;
	while (versions[i] && strcmp(versions[i], version) != 0)
		i++;
	if (!versions[i])
		return hr_fail(e, HR_CORRUPT, 0, "version '%.64s' is not known; 0.3.0 to 1.1.0 are",
			       version);
	if (rt_json_only(root, keys, e) < 0 || take_kind(root, spec, e) < 0 ||
	    rt_json_need_array(root, "devices", &devices, e) < 0 ||
	    rt_json_object(root, "containerEdits", &edits, e) < 0)
		return -1;
	json_array_foreach(devices, i, item)
	{
		if (take_device(item, spec, e) < 0)
			return -1;
	}
	return edits ? take_edits(edits, &spec->edits, e) : 0;
}

int rt_cdi_parse(const uint8_t *p, size_t n, bool yaml, struct rt_cdi_spec *out, struct hr_err *e)
{
	json_auto_t *root = NULL;

	memset(out, 0, sizeof(*out));
	if (n > RT_CDI_FILE_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "%zu bytes, at most %u", n, RT_CDI_FILE_MAX);
	if ((yaml ? rt_yaml_parse(p, n, &root, e) : rt_json_parse(p, n, &root, e)) < 0)
		return -1;
	return take_root(root, out, e);
}

void rt_cdi_edits_release(struct rt_cdi_edits *x)
{
	for (size_t i = 0; i < x->n_nodes; i++) {
		free(x->nodes[i].path);
		free(x->nodes[i].host);
	}
	for (size_t i = 0; i < x->n_mounts; i++) {
		free(x->mounts[i].src);
		free(x->mounts[i].dst);
	}
	for (size_t i = 0; i < x->n_links; i++) {
		free(x->links[i].target);
		free(x->links[i].path);
	}
	free(x->nodes);
	free(x->mounts);
	free(x->links);
	free(x->gids);
	hr_strv_release(&x->env);
	hr_strv_release(&x->folders);
	hr_strv_release(&x->skipped);
	memset(x, 0, sizeof(*x));
}

void rt_cdi_release(struct rt_cdi_spec *spec)
{
	free(spec->vendor);
	free(spec->class);
	for (size_t i = 0; i < spec->n; i++) {
		free(spec->devices[i].name);
		rt_cdi_edits_release(&spec->devices[i].edits);
	}
	free(spec->devices);
	rt_cdi_edits_release(&spec->edits);
	memset(spec, 0, sizeof(*spec));
}

const struct rt_cdi_device *rt_cdi_device(const struct rt_cdi_spec *spec, const char *name)
{
	for (size_t i = 0; i < spec->n; i++)
		if (strcmp(spec->devices[i].name, name) == 0)
			return &spec->devices[i];
	return NULL;
}
