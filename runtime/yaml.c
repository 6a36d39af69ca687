/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/yaml.h"

#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define INTEGER_DIGITS 18 /* fits json_int_t */

struct reader {
	yaml_parser_t parser;
	yaml_event_t event;
	bool has_event;
};

static void release(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	yaml_parser_delete(&r->parser);
}

static int bad(const struct reader *r, const char *what, struct hr_err *e)
{
	return hr_fail(e, HR_CORRUPT, 0, "no YAML as JSON is, line %zu: %s",
		       r->event.start_mark.line + 1, what);
}

/* The next event into r->event. */
static int next(struct reader *r, struct hr_err *e)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = false;
	if (!yaml_parser_parse(&r->parser, &r->event))
		return hr_fail(e, HR_CORRUPT, 0, "no YAML, line %zu: %s",
			       r->parser.problem_mark.line + 1,
			       r->parser.problem ? r->parser.problem : "cannot be read");
	r->has_event = true;
	if (r->event.type == YAML_ALIAS_EVENT)
		return bad(r, "an alias", e);
	return 0;
}

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

static bool is_integer(const char *s)
{
	const char *digits = s + (*s == '-' || *s == '+');
	size_t n = strspn(digits, "0123456789");

	return n > 0 && n <= INTEGER_DIGITS && digits[n] == '\0';
}

static json_t *scalar(const struct reader *r)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const trues[] = { "true", "True", "TRUE", NULL };
	static const char *const falses[] = { "false", "False", "FALSE", NULL };
	const char *text = (const char *)r->event.data.scalar.value;

	if (r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return json_string(text);
	if (is_one_of(text, nulls))
		return json_null();
	if (is_one_of(text, trues))
		return json_true();
	if (is_one_of(text, falses))
		return json_false();
	if (is_integer(text))
		return json_integer(strtoll(text, NULL, 10));
	return json_string(text);
}

static int value(struct reader *r, unsigned int depth, json_t **out, struct hr_err *e);

static int sequence(struct reader *r, unsigned int depth, json_t *list, struct hr_err *e)
{
	for (;;) {
		json_t *item;

		if (next(r, e) < 0)
			return -1;
		if (r->event.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		if (value(r, depth, &item, e) < 0)
			return -1;
		if (json_array_append_new(list, item) < 0)
			return bad(r, "too much", e);
	}
}

static int mapping(struct reader *r, unsigned int depth, json_t *object, struct hr_err *e)
{
	for (;;) {
		hr_autofree char *key = NULL;
		json_t *item;

		if (next(r, e) < 0)
			return -1;
		if (r->event.type == YAML_MAPPING_END_EVENT)
			return 0;
		if (r->event.type != YAML_SCALAR_EVENT ||
		    strlen((char *)r->event.data.scalar.value) != r->event.data.scalar.length)
			return bad(r, "a key that is not a string", e);
		key = hr_xstrdup((char *)r->event.data.scalar.value);
		if (json_object_get(object, key))
			return bad(r, "a duplicate key", e);
		if (next(r, e) < 0 || value(r, depth, &item, e) < 0)
			return -1;
		if (json_object_set_new(object, key, item) < 0)
			return bad(r, "a key that is not UTF-8", e);
	}
}

/* What begins with the event at hand. *OUT is set on success only. */
static int value(struct reader *r, unsigned int depth, json_t **out, struct hr_err *e)
{
	json_auto_t *v = NULL;
	int status = 0;

	if (depth == RT_YAML_DEPTH)
		return bad(r, "nested too deeply", e);
	switch (r->event.type) {
	case YAML_SCALAR_EVENT:
		if (r->event.data.scalar.anchor || r->event.data.scalar.tag)
			return bad(r, "an anchor or a tag", e);
		if (strlen((char *)r->event.data.scalar.value) != r->event.data.scalar.length)
			return bad(r, "a NUL in a string", e);
		v = scalar(r);
		break;
	case YAML_SEQUENCE_START_EVENT:
		if (r->event.data.sequence_start.anchor || r->event.data.sequence_start.tag)
			return bad(r, "an anchor or a tag", e);
		v = json_array();
		status = sequence(r, depth + 1, v, e);
		break;
	case YAML_MAPPING_START_EVENT:
		if (r->event.data.mapping_start.anchor || r->event.data.mapping_start.tag)
			return bad(r, "an anchor or a tag", e);
		v = json_object();
		status = mapping(r, depth + 1, v, e);
		break;
	default:
		return bad(r, "a value is missing", e);
	}
	if (status == 0 && !v)
		return bad(r, "a string that is not UTF-8", e);
	if (status == 0)
		*out = hr_steal(&v);
	return status;
}

static int document(struct reader *r, json_t **out, struct hr_err *e)
{
	static const yaml_event_type_t begin[] = { YAML_STREAM_START_EVENT,
						   YAML_DOCUMENT_START_EVENT,
						   YAML_MAPPING_START_EVENT };
	static const yaml_event_type_t end[] = { YAML_DOCUMENT_END_EVENT, YAML_STREAM_END_EVENT };
	json_auto_t *v = NULL;

	for (size_t i = 0; i < HR_COUNT(begin); i++) {
		if (next(r, e) < 0)
			return -1;
		if (r->event.type != begin[i])
			return bad(r, "it is not a mapping", e);
	}
	if (value(r, 0, &v, e) < 0)
		return -1;
	for (size_t i = 0; i < HR_COUNT(end); i++) {
		if (next(r, e) < 0)
			return -1;
		if (r->event.type != end[i])
			return bad(r, "a second document", e);
	}
	*out = hr_steal(&v);
	return 0;
}

int rt_yaml_parse(const uint8_t *p, size_t n, json_t **out, struct hr_err *e)
{
	struct reader r = { .has_event = false };
	int status;

	if (!yaml_parser_initialize(&r.parser))
		return hr_fail(e, HR_SYS, 0, "out of memory");
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, p, n);
	status = document(&r, out, e);
	release(&r);
	return status;
}
