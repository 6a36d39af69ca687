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

json_t *store_json_u64(uint64_t v)
{
	return json_integer((json_int_t)v);
}

json_t *store_json_digest(const struct fetch_digest *d)
{
	char buf[FETCH_DIGEST_TEXT];

	return json_string(fetch_digest_text(d, buf));
}

static void print(const json_t *v, size_t form)
{
	json_dumpf(v, stdout, form | JSON_ENSURE_ASCII);
	printf("\n");
}

void store_json_print(const json_t *v)
{
	print(v, JSON_INDENT(2));
}

void store_json_print_line(const json_t *v)
{
	print(v, JSON_COMPACT);
}
