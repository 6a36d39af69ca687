/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define CLOCK_OFF_S 86400 /* clocks of hosts differ, time zones are mistaken for another */
#define VALUE_MAX   1024  /* bytes of the value of one line */

/* The rest of a record, line by line. */
struct reader {
	const uint8_t *p, *end;
	unsigned int line;
};

static int reader_init(struct reader *r, const uint8_t *p, size_t n, struct hr_err *e)
{
	if (n > STORE_RECORD_LIMIT)
		return hr_fail(e, HR_CORRUPT, 0, "record of %zu bytes, at most %u", n,
			       STORE_RECORD_LIMIT);
	*r = (struct reader) { p, p + n, 0 };
	return 0;
}

/* Copy the value of the next line, which must begin with KEY, to VALUE. */
static int next_value(struct reader *r, const char *key, char value[VALUE_MAX], struct hr_err *e)
{
	size_t key_len = strlen(key), len;
	const uint8_t *nl = memchr(r->p, '\n', (size_t)(r->end - r->p));

	r->line++;
	if (!nl)
		return hr_fail(e, HR_CORRUPT, 0, "line %u: expected '%s', got the end", r->line,
			       key);
	len = (size_t)(nl - r->p);
	if (len <= key_len + 1 || memcmp(r->p, key, key_len) != 0 || r->p[key_len] != ' ')
		return hr_fail(e, HR_CORRUPT, 0, "line %u: expected '%s' and a value", r->line,
			       key);
	len -= key_len + 1;
	if (len >= VALUE_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "line %u: value of %zu bytes, at most %u", r->line,
			       len, VALUE_MAX - 1);
	memcpy(value, r->p + key_len + 1, len);
	value[len] = '\0';
	if (strlen(value) != len)
		return hr_fail(e, HR_CORRUPT, 0, "line %u: a NUL in the value", r->line);
	r->p = nl + 1;
	return 0;
}

static int next_digest(struct reader *r, const char *key, struct fetch_digest *out,
		       struct hr_err *e)
{
	char value[VALUE_MAX];

	if (next_value(r, key, value, e) < 0)
		return -1;
	if (fetch_digest_parse(value, out, e) < 0)
		return hr_wrap(e, "line %u", r->line);
	return 0;
}

static int next_number(struct reader *r, const char *key, uint64_t *out, struct hr_err *e)
{
	char value[VALUE_MAX];

	if (next_value(r, key, value, e) < 0)
		return -1;
	if (value[0] == '0' && value[1] != '\0')
		return hr_fail(e, HR_CORRUPT, 0, "line %u: %s has a leading zero", r->line, key);
	if (hr_parse_u64(value, key, 0, INT64_MAX, out, e) < 0) {
		e->kind = HR_CORRUPT; /* a file is wrong here, not a command line */
		return hr_wrap(e, "line %u", r->line);
	}
	return 0;
}

/* Printable ASCII without blanks: what a terminal and a line can take. */
static bool is_plain(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return false;
	return n > 0 && n < VALUE_MAX;
}

static int next_text(struct reader *r, const char *key, char **out, struct hr_err *e)
{
	char value[VALUE_MAX];

	if (next_value(r, key, value, e) < 0)
		return -1;
	if (!is_plain(value))
		return hr_fail(e, HR_CORRUPT, 0, "line %u: %s is not printable", r->line, key);
	*out = hr_xstrdup(value);
	return 0;
}

static int at_end(const struct reader *r, struct hr_err *e)
{
	if (r->p != r->end)
		return hr_fail(e, HR_CORRUPT, 0, "%zu bytes behind line %u",
			       (size_t)(r->end - r->p), r->line);
	return 0;
}

int store_ref_record_parse(const uint8_t *p, size_t n, struct store_ref_record *out,
			   struct hr_err *e)
{
	struct reader r;

	memset(out, 0, sizeof(*out));
	if (reader_init(&r, p, n, e) < 0 || next_digest(&r, "manifest", &out->manifest, e) < 0 ||
	    next_digest(&r, "document", &out->document, e) < 0 ||
	    next_number(&r, "pulled", &out->pulled, e) < 0 ||
	    next_text(&r, "server", &out->server, e) < 0)
		return -1;
	return at_end(&r, e);
}

int store_blob_record_parse(const uint8_t *p, size_t n, struct store_blob_record *out,
			    struct hr_err *e)
{
	struct reader r;

	if (reader_init(&r, p, n, e) < 0 || next_digest(&r, "layer", &out->layer, e) < 0 ||
	    next_number(&r, "size", &out->size, e) < 0)
		return -1;
	return at_end(&r, e);
}

/* "DIFFID BLOB", with the prefixes. */
static int parse_layer_line(struct reader *r, struct store_record_layer *out, struct hr_err *e)
{
	char value[VALUE_MAX];
	char *blank;

	if (next_value(r, "layer", value, e) < 0)
		return -1;
	blank = strchr(value, ' ');
	if (!blank)
		return hr_fail(e, HR_CORRUPT, 0, "line %u: expected two digests", r->line);
	*blank = '\0';
	if (fetch_digest_parse(value, &out->diff_id, e) < 0 ||
	    fetch_digest_parse(blank + 1, &out->blob, e) < 0)
		return hr_wrap(e, "line %u", r->line);
	return 0;
}

/* Lines that are left, one that is not ended included. */
static size_t count_lines(const struct reader *r)
{
	size_t n = r->p != r->end && r->end[-1] != '\n';

	for (const uint8_t *p = r->p; p != r->end; p++)
		n += *p == '\n';
	return n;
}

int store_image_record_parse(const uint8_t *p, size_t n, struct store_image_record *out,
			     struct hr_err *e)
{
	struct reader r;
	size_t lines;

	memset(out, 0, sizeof(*out));
	if (reader_init(&r, p, n, e) < 0 || next_digest(&r, "index", &out->index, e) < 0 ||
	    next_digest(&r, "config", &out->config, e) < 0 ||
	    next_text(&r, "created", &out->created, e) < 0 ||
	    next_number(&r, "size", &out->size, e) < 0 ||
	    next_number(&r, "compressed", &out->compressed, e) < 0 ||
	    next_number(&r, "occupies", &out->occupies, e) < 0)
		return -1;
	lines = count_lines(&r);
	if (lines > FETCH_LAYERS_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "%zu layers, at most %u", lines, FETCH_LAYERS_MAX);
	out->layers = hr_xmalloc(lines * sizeof(*out->layers));
	while (r.p != r.end) {
		if (parse_layer_line(&r, &out->layers[out->n_layers], e) < 0)
			return -1;
		out->n_layers++;
	}
	return 0;
}

bool store_ref_record_is_fetched(const struct store_ref_record *r)
{
	return strcmp(r->server, STORE_SERVER_FILES) != 0 &&
	       strcmp(r->server, STORE_SERVER_UNKNOWN) != 0;
}

static bool is_server(const char *text)
{
	hr_autofree char *image = hr_xasprintf("%s/image:tag", text);
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
	struct hr_err none = { 0 };

	return fetch_ref_parse(image, &ref, &none) == 0 && strcmp(ref.registry, text) == 0;
}

int store_ref_record_check(const struct store_ref_record *r, uint64_t now, struct hr_err *e)
{
	if (r->pulled > now && r->pulled - now > CLOCK_OFF_S)
		return hr_fail(e, HR_CORRUPT, 0, "it was pulled in the future: at %" PRIu64 " s",
			       r->pulled);
	if (store_ref_record_is_fetched(r) && !is_server(r->server))
		return hr_fail(e, HR_CORRUPT, 0, "its server '%s' is no host", r->server);
	return 0;
}

void store_ref_record_release(struct store_ref_record *r)
{
	free(r->server);
	memset(r, 0, sizeof(*r));
}

void store_image_record_release(struct store_image_record *r)
{
	free(r->created);
	free(r->layers);
	memset(r, 0, sizeof(*r));
}

static void add_digest(struct hr_buf *b, const char *key, const struct fetch_digest *d)
{
	char text[FETCH_DIGEST_TEXT];

	hr_buf_printf(b, "%s %s\n", key, fetch_digest_text(d, text));
}

/* Text that a server or an image chose; "-" when it is not plain. */
static void add_text(struct hr_buf *b, const char *key, const char *text)
{
	hr_buf_printf(b, "%s %s\n", key, text && is_plain(text) ? text : "-");
}

void store_ref_record_write(const struct store_ref_record *r, struct hr_buf *b)
{
	add_digest(b, "manifest", &r->manifest);
	add_digest(b, "document", &r->document);
	hr_buf_printf(b, "pulled %" PRIu64 "\n", r->pulled);
	add_text(b, "server", r->server);
}

void store_blob_record_write(const struct store_blob_record *r, struct hr_buf *b)
{
	add_digest(b, "layer", &r->layer);
	hr_buf_printf(b, "size %" PRIu64 "\n", r->size);
}

void store_image_record_write(const struct store_image_record *r, struct hr_buf *b)
{
	char diff_id[FETCH_DIGEST_TEXT], blob[FETCH_DIGEST_TEXT];

	add_digest(b, "index", &r->index);
	add_digest(b, "config", &r->config);
	add_text(b, "created", r->created);
	hr_buf_printf(b, "size %" PRIu64 "\ncompressed %" PRIu64 "\noccupies %" PRIu64 "\n",
		      r->size, r->compressed, r->occupies);
	for (size_t i = 0; i < r->n_layers; i++)
		hr_buf_printf(b, "layer %s %s\n", fetch_digest_text(&r->layers[i].diff_id, diff_id),
			      fetch_digest_text(&r->layers[i].blob, blob));
}
