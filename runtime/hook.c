/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/hook.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/env.h"
#include "runtime/json.h"
#include "util/poison.h"

#define TIMEOUT_MAX_S 3600

const char *const rt_hook_stage_names[] = { "createRuntime", "createContainer", "startContainer",
					    "poststop", NULL };

static int take_stages(json_t *root, struct rt_hook *h, struct hr_err *e)
{
	json_t *list, *item;
	size_t i;

	if (rt_json_need_array(root, "stages", &list, e) < 0)
		return -1;
	json_array_foreach(list, i, item)
	{
		const char *name = json_is_string(item) ? json_string_value(item) : "";
		size_t s = 0;

		while (rt_hook_stage_names[s] && strcmp(rt_hook_stage_names[s], name) != 0)
			s++;
		if (!rt_hook_stage_names[s]) {
			hr_fail(e, HR_CORRUPT, 0, "stage '%.64s' is not known", name);
			hr_hint(e, "createRuntime, createContainer, startContainer and poststop "
				   "are; createRuntime takes the place of prestart");
			return -1;
		}
		h->stages[s] = true;
	}
	return i > 0 ? 0 : hr_fail(e, HR_CORRUPT, 0, "member 'stages' is empty");
}

static int take_hook(json_t *root, struct rt_hook *h, struct hr_err *e)
{
	static const char *const keys[] = { "path", "args", "env", "timeout", NULL };
	const char *path;
	json_t *hook;

	h->timeout_s = RT_HOOK_TIMEOUT_S;
	if (rt_json_need_object(root, "hook", &hook, e) < 0 || rt_json_only(hook, keys, e) < 0 ||
	    rt_json_need_string(hook, "path", &path, e) < 0 ||
	    rt_json_strings(hook, "args", &h->args, e) < 0 ||
	    rt_json_strings(hook, "env", &h->env, e) < 0 ||
	    rt_json_u64(hook, "timeout", 1, TIMEOUT_MAX_S, &h->timeout_s, e) < 0)
		return -1;
	if (path[0] != '/')
		return hr_fail(e, HR_CORRUPT, 0, "member 'path' ('%.128s') is not absolute", path);
	for (size_t i = 0; i < h->env.n; i++)
		if (!rt_env_entry_ok(h->env.v[i]))
			return hr_fail(e, HR_CORRUPT, 0, "element %zu of 'env' is not NAME=VALUE",
				       i);
	h->path = hr_xstrdup(path);
	return 0;
}

static int take_annotations(json_t *when, struct rt_hook *h, struct hr_err *e)
{
	const char *key;
	json_t *o, *value;

	if (rt_json_object(when, "annotations", &o, e) < 0)
		return -1;
	json_object_foreach(o, key, value)
	{
		if (!json_is_string(value))
			return hr_fail(e, HR_CORRUPT, 0, "annotation '%.64s' is not a string", key);
		h->annotations = hr_xrealloc(h->annotations,
					     (h->n_annotations + 1) * sizeof(*h->annotations));
		h->annotations[h->n_annotations++] =
			(struct rt_hook_pair) { .key = hr_xstrdup(key),
						.value = hr_xstrdup(json_string_value(value)) };
	}
	return 0;
}

static int take_when(json_t *root, struct rt_hook *h, struct hr_err *e)
{
	static const char *const keys[] = { "always", "annotations", "commands", "hasBindMounts",
					    NULL };
	json_t *when;

	if (rt_json_need_object(root, "when", &when, e) < 0 || rt_json_only(when, keys, e) < 0)
		return -1;
	if (json_object_size(when) == 0)
		return hr_fail(e, HR_CORRUPT, 0, "member 'when' has no condition");
	h->has_always = json_object_get(when, "always") != NULL;
	h->has_binds = json_object_get(when, "hasBindMounts") != NULL;
	if (rt_json_bool(when, "always", &h->always, e) < 0 ||
	    rt_json_bool(when, "hasBindMounts", &h->binds, e) < 0 ||
	    rt_json_strings(when, "commands", &h->commands, e) < 0)
		return -1;
	if (json_object_get(when, "commands") && h->commands.n == 0)
		return hr_fail(e, HR_CORRUPT, 0, "member 'commands' is empty");
	return take_annotations(when, h, e);
}

int rt_hook_parse(const uint8_t *p, size_t n, struct rt_hook *out, struct hr_err *e)
{
	static const char *const keys[] = { "version", "hook", "when", "stages", NULL };
	json_auto_t *root = NULL;
	const char *version;

	memset(out, 0, sizeof(*out));
	if (n > RT_HOOK_FILE_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "%zu bytes, at most %d", n, RT_HOOK_FILE_MAX);
	if (rt_json_parse(p, n, &root, e) < 0 || rt_json_need_string(root, "version", &version, e))
		return -1;
	if (strcmp(version, "1.0.0") != 0)
		return hr_fail(e, HR_CORRUPT, 0, "version '%.64s' is not known; 1.0.0 is", version);
	if (rt_json_only(root, keys, e) < 0 || take_hook(root, out, e) < 0 ||
	    take_when(root, out, e) < 0)
		return -1;
	return take_stages(root, out, e);
}

void rt_hook_release(struct rt_hook *h)
{
	free(h->path);
	hr_strv_release(&h->args);
	hr_strv_release(&h->env);
	hr_strv_release(&h->commands);
	for (size_t i = 0; i < h->n_annotations; i++) {
		free(h->annotations[i].key);
		free(h->annotations[i].value);
	}
	free(h->annotations);
	memset(h, 0, sizeof(*h));
}

/* 1: TEXT matches, 0: it does not, -1: *e filled. */
static int match(const char *pattern, const char *text, struct hr_err *e)
{
	regex_t re;
	int r = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);

	if (r != 0)
		return hr_fail(e, HR_CORRUPT, 0, "'%.128s' is not a regular expression", pattern);
	r = regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	return r == 0;
}

static int match_commands(const struct rt_hook *h, const struct rt_hook_facts *facts,
			  struct hr_err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < h->commands.n; i++)
		r = match(h->commands.v[i], facts->command, e);
	return r;
}

static int match_pair(const struct rt_hook_pair *want, const struct rt_hook_facts *facts,
		      struct hr_err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < facts->n_pairs; i++) {
		r = match(want->key, facts->pairs[i].key, e);
		if (r == 1)
			r = match(want->value, facts->pairs[i].value, e);
	}
	return r;
}

int rt_hook_matches(const struct rt_hook *h, const struct rt_hook_facts *facts, struct hr_err *e)
{
	int r = 1;

	if ((h->has_always && !h->always) || (h->has_binds && h->binds != facts->binds))
		return 0;
	if (h->commands.n > 0)
		r = match_commands(h, facts, e);
	for (size_t i = 0; r == 1 && i < h->n_annotations; i++)
		r = match_pair(&h->annotations[i], facts, e);
	return r;
}
