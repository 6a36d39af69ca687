/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/json_out.h"

#include <stdio.h>

#include "util/cleanup.h"
#include "util/poison.h"

void store_json_set(json_t *o, const char *key, json_t *value)
{
	HR_BUG_ON(json_object_set_new(o, key, value ? value : json_null()) < 0);
}

void store_json_add(json_t *array, json_t *value)
{
	HR_BUG_ON(json_array_append_new(array, value ? value : json_null()) < 0);
}

json_t *store_json_u64(uint64_t v)
{
	return json_integer((json_int_t)v);
}

json_t *store_json_digest(const struct fetch_digest *d)
{
	char buf[FETCH_DIGEST_TEXT];

	return json_string(fetch_digest_text(d, buf));
}

json_t *store_json_strings(const struct hr_strv *l)
{
	json_t *a = json_array();

	for (size_t i = 0; i < l->n; i++)
		store_json_add(a, json_string(l->v[i]));
	return a;
}

static void print(json_t *o, size_t form)
{
	json_dumpf(o, stdout, form | JSON_ENSURE_ASCII);
	printf("\n");
	json_decref(o);
}

void store_json_print(json_t *o)
{
	print(o, JSON_INDENT(2));
}

void store_json_print_line(json_t *o)
{
	print(o, JSON_COMPACT);
}
