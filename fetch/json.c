/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/json.h"

#include <inttypes.h>

#include "util/poison.h"

#define CONTAINERS_MAX (1u << 16)
#define VALUES_MAX     (1u << 20)

/*
 * Count before anything is allocated: jansson's own depth limit is 2048, and a text of "[],[],..."
 * would cost a hundred times its size. The text need not be valid; jansson judges that.
 */
static int check_bounds(const char *p, size_t len, struct hr_err *e)
{
	unsigned int depth = 0, containers = 0, values = 0;
	bool string = false;

	for (size_t i = 0; i < len; i++) {
		if (string) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				string = false;
			continue;
		}
		if (p[i] == '"') {
			string = true;
		} else if (p[i] == '{' || p[i] == '[') {
			containers++;
			if (++depth > FETCH_JSON_DEPTH)
				return hr_fail(e, HR_CORRUPT, 0, "is nested deeper than %d levels",
					       FETCH_JSON_DEPTH);
		} else if (p[i] == '}' || p[i] == ']') {
			depth -= depth > 0;
		} else if (p[i] == ',') {
			values++;
		}
	}
	if (containers > CONTAINERS_MAX)
		return hr_fail(e, HR_CORRUPT, 0,
			       "has %u arrays and objects, at most %u are allowed", containers,
			       CONTAINERS_MAX);
	if (values > VALUES_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "has %u values, at most %u are allowed", values,
			       VALUES_MAX);
	return 0;
}

int fetch_json_parse(const void *doc, size_t len, const char *what, json_t **out, struct hr_err *e)
{
	json_error_t je;
	json_t *j;

	if (len == 0)
		return hr_fail(e, HR_CORRUPT, 0, "%s is empty", what);
	if (check_bounds(doc, len, e) < 0)
		return hr_wrap(e, "%s", what);
	j = json_loadb(doc, len, JSON_REJECT_DUPLICATES, &je);
	if (!j)
		return hr_fail(e, HR_CORRUPT, 0, "%s is not valid JSON: line %d, column %d: %s",
			       what, je.line, je.column, je.text);
	if (!json_is_object(j)) {
		json_decref(j);
		return hr_fail(e, HR_CORRUPT, 0, "%s is not a JSON object", what);
	}
	*out = j;
	return 0;
}

void fetch_json_freep(json_t **j)
{
	json_decref(*j);
}

static const char *type_name(const json_t *j)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction or an exponent";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		break;
	}
	return "null";
}

static int wrong_type(const char *key, const json_t *got, const char *expected, struct hr_err *e)
{
	if (!got || json_is_null(got))
		return hr_fail(e, HR_CORRUPT, 0, "'%s' is missing", key);
	return hr_fail(e, HR_CORRUPT, 0, "'%s' is %s, expected %s", key, type_name(got), expected);
}

static bool is_absent(const json_t *o, const char *key)
{
	const json_t *j = json_object_get(o, key);

	return !j || json_is_null(j);
}

int fetch_json_object(const json_t *o, const char *key, json_t **out, struct hr_err *e)
{
	json_t *j = json_object_get(o, key);

	if (!json_is_object(j))
		return wrong_type(key, j, "an object", e);
	*out = j;
	return 0;
}

int fetch_json_array(const json_t *o, const char *key, json_t **out, struct hr_err *e)
{
	json_t *j = json_object_get(o, key);

	if (!json_is_array(j))
		return wrong_type(key, j, "an array", e);
	*out = j;
	return 0;
}

int fetch_json_string(const json_t *o, const char *key, const char **out, struct hr_err *e)
{
	const json_t *j = json_object_get(o, key);

	if (!json_is_string(j))
		return wrong_type(key, j, "a string", e);
	*out = json_string_value(j);
	return 0;
}

int fetch_json_size(const json_t *o, const char *key, uint64_t *out, struct hr_err *e)
{
	const json_t *j = json_object_get(o, key);

	if (!json_is_integer(j))
		return wrong_type(key, j, "an integer", e);
	if (json_integer_value(j) < 0)
		return hr_fail(e, HR_CORRUPT, 0, "'%s' is negative (%" JSON_INTEGER_FORMAT ")", key,
			       json_integer_value(j));
	*out = (uint64_t)json_integer_value(j);
	return 0;
}

int fetch_json_string_opt(const json_t *o, const char *key, const char **out, struct hr_err *e)
{
	*out = NULL;
	return is_absent(o, key) ? 0 : fetch_json_string(o, key, out, e);
}

int fetch_json_object_opt(const json_t *o, const char *key, json_t **out, struct hr_err *e)
{
	*out = NULL;
	return is_absent(o, key) ? 0 : fetch_json_object(o, key, out, e);
}

int fetch_json_strings_opt(const json_t *o, const char *key, struct hr_strv *out, struct hr_err *e)
{
	json_t *list, *item;
	size_t i;

	if (is_absent(o, key))
		return 0;
	if (fetch_json_array(o, key, &list, e) < 0)
		return -1;
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item))
			return hr_fail(e, HR_CORRUPT, 0, "'%s'[%zu] is %s, expected a string", key,
				       i, type_name(item));
		hr_strv_add(out, json_string_value(item));
	}
	return 0;
}
