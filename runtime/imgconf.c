/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/imgconf.h"

#include <jansson.h>
#include <string.h>

#include "runtime/env.h"
#include "runtime/json.h"
#include "util/mem.h"
#include "util/poison.h"

/* An array of strings, absent or null; strings with a NUL inside are refused by jansson. */
static int take_list(json_t *config, const char *name, struct hr_strv *out, struct hr_err *e)
{
	if (json_is_null(json_object_get(config, name)))
		return 0;
	return rt_json_strings(config, name, out, e);
}

static void drop_malformed(struct hr_strv *env, unsigned int *dropped)
{
	struct hr_strv kept = { 0 };

	for (size_t i = 0; i < env->n; i++) {
		if (rt_env_entry_ok(env->v[i]))
			hr_strv_add(&kept, env->v[i]);
		else
			(*dropped)++;
	}
	hr_strv_release(env);
	*env = kept;
}

static int take_workdir(json_t *config, struct rt_image *out, struct hr_err *e)
{
	json_t *dir = json_object_get(config, "WorkingDir");

	if (!dir || json_is_null(dir))
		return 0;
	if (!json_is_string(dir))
		return hr_fail(e, HR_CORRUPT, 0, "member 'WorkingDir' is not a string");
	if (json_string_value(dir)[0] == '/')
		out->workdir = hr_xstrdup(json_string_value(dir));
	return 0;
}

static int take_config(json_t *config, struct rt_image *out, unsigned int *dropped,
		       struct hr_err *e)
{
	if (!config || json_is_null(config))
		return 0;
	if (!json_is_object(config))
		return hr_fail(e, HR_CORRUPT, 0, "member 'config' is not an object");
	if (take_list(config, "Env", &out->env, e) < 0 ||
	    take_list(config, "Entrypoint", &out->entrypoint, e) < 0 ||
	    take_list(config, "Cmd", &out->cmd, e) < 0)
		return -1;
	drop_malformed(&out->env, dropped);
	return take_workdir(config, out, e);
}

int rt_imgconf_parse(const uint8_t *p, size_t n, struct rt_image *out, unsigned int *dropped,
		     struct hr_err *e)
{
	json_error_t error;
	json_auto_t *root = NULL;

	memset(out, 0, sizeof(*out));
	*dropped = 0;
	if (n > RT_IMGCONF_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "image configuration of %zu bytes, at most %u", n,
			       RT_IMGCONF_MAX);
	root = json_loadb((const char *)p, n, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return hr_fail(e, HR_CORRUPT, 0, "image configuration, byte %d: %s", error.position,
			       error.text);
	if (!json_is_object(root))
		return hr_fail(e, HR_CORRUPT, 0, "image configuration is not an object");
	if (take_config(json_object_get(root, "config"), out, dropped, e) < 0)
		return hr_wrap(e, "image configuration");
	return 0;
}
