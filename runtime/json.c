/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/json.h"

#include <inttypes.h>
#include <string.h>

#include "util/opt.h"
#include "util/poison.h"

int rt_json_parse(const uint8_t *p, size_t n, json_t **out, struct hr_err *e)
{
	json_error_t error;
	json_t *root = json_loadb((const char *)p, n, JSON_REJECT_DUPLICATES, &error);

	if (!root)
		return hr_fail(e, HR_CORRUPT, 0, "no JSON, line %d, column %d: %s", error.line,
			       error.column, error.text);
	if (!json_is_object(root)) {
		json_decref(root);
		return hr_fail(e, HR_CORRUPT, 0, "is not an object");
	}
	*out = root;
	return 0;
}

int rt_json_only(json_t *o, const char *const *keys, struct hr_err *e)
{
	const char *key;
	json_t *value;

	json_object_foreach(o, key, value)
	{
		size_t i = 0;

		while (keys[i] && strcmp(keys[i], key) != 0)
			i++;
		if (keys[i])
			continue;
		hr_fail(e, HR_CORRUPT, 0, "unknown member '%.64s'", key);
		hr_hint_nearest(key, keys, e);
		return -1;
	}
	return 0;
}

static int wrong_type(const char *key, const char *expected, struct hr_err *e)
{
	return hr_fail(e, HR_CORRUPT, 0, "member '%s' is not %s", key, expected);
}

static int missing(const char *key, struct hr_err *e)
{
	return hr_fail(e, HR_CORRUPT, 0, "member '%s' is missing", key);
}

int rt_json_object(json_t *o, const char *key, json_t **out, struct hr_err *e)
{
	*out = json_object_get(o, key);
	return !*out || json_is_object(*out) ? 0 : wrong_type(key, "an object", e);
}

int rt_json_array(json_t *o, const char *key, json_t **out, struct hr_err *e)
{
	*out = json_object_get(o, key);
	return !*out || json_is_array(*out) ? 0 : wrong_type(key, "an array", e);
}

int rt_json_string(json_t *o, const char *key, const char **out, struct hr_err *e)
{
	json_t *value = json_object_get(o, key);

	if (value && !json_is_string(value))
		return wrong_type(key, "a string", e);
	*out = json_string_value(value);
	return 0;
}

int rt_json_need_object(json_t *o, const char *key, json_t **out, struct hr_err *e)
{
	if (rt_json_object(o, key, out, e) < 0)
		return -1;
	return *out ? 0 : missing(key, e);
}

int rt_json_need_array(json_t *o, const char *key, json_t **out, struct hr_err *e)
{
	if (rt_json_array(o, key, out, e) < 0)
		return -1;
	return *out ? 0 : missing(key, e);
}

int rt_json_need_string(json_t *o, const char *key, const char **out, struct hr_err *e)
{
	if (rt_json_string(o, key, out, e) < 0)
		return -1;
	if (!*out)
		return missing(key, e);
	return **out ? 0 : hr_fail(e, HR_CORRUPT, 0, "member '%s' is empty", key);
}

int rt_json_bool(json_t *o, const char *key, bool *out, struct hr_err *e)
{
	json_t *value = json_object_get(o, key);

	if (value && !json_is_boolean(value))
		return wrong_type(key, "true or false", e);
	if (value)
		*out = json_is_true(value);
	return 0;
}

int rt_json_u64(json_t *o, const char *key, uint64_t min, uint64_t max, uint64_t *out,
		struct hr_err *e)
{
	json_t *value = json_object_get(o, key);
	json_int_t n = json_integer_value(value);

	if (!value)
		return 0;
	if (!json_is_integer(value))
		return wrong_type(key, "an integer", e);
	if (n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return hr_fail(e, HR_CORRUPT, 0,
			       "member '%s' is %" JSON_INTEGER_FORMAT ", not %" PRIu64
			       " to %" PRIu64,
			       key, n, min, max);
	*out = (uint64_t)n;
	return 0;
}

int rt_json_strings(json_t *o, const char *key, struct hr_strv *out, struct hr_err *e)
{
	json_t *list, *item;
	size_t i;

	if (rt_json_array(o, key, &list, e) < 0)
		return -1;
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item))
			return hr_fail(e, HR_CORRUPT, 0, "element %zu of '%s' is not a string", i,
				       key);
		hr_strv_add(out, json_string_value(item));
	}
	return 0;
}
