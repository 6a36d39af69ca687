/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <string.h>

#include "store/site.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define LIST_FILE  "list"
#define STATE_FILE "synced"
#define FILE_LIMIT (16u << 20)

static const char first_list[] =
	"# Images that 'hpcrun store sync' mirrors into this store; hpcrun-store(5), MIRRORED "
	"IMAGES.\n"
	"#\n"
	"# every 1d     how often the registry is asked, for images that say nothing else: m h d "
	"w\n"
	"# keep 1       how many images of a tag stay when it moves, the newest among them\n"
	"# keep-for 30d and more of them: each for so long after the tag has moved\n"
	"# quota 500G   how large the store may become\n"
	"# image docker.io/library/debian:12 every 12h keep 3\n";

static int read_list(const struct store *st, struct hr_buf *text, struct hr_err *e)
{
	if (hr_file_read(st->fd, LIST_FILE, FILE_LIMIT, text, e) < 0) {
		if (e->kind == HR_NOTFOUND)
			hr_hint(e, "'hpcrun store init %s' makes a list of images to mirror",
				st->path);
		return hr_wrap(e, "store '%s'", st->path);
	}
	hr_buf_str(text, "");
	return 0;
}

static int load_state(const struct store *st, struct store_site *site, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	struct hr_err missing = { 0 };

	if (hr_file_read(st->fd, STATE_FILE, FILE_LIMIT, &text, &missing) < 0) {
		if (missing.kind == HR_NOTFOUND)
			return 0;
		*e = missing;
		return -1;
	}
	if (text.len == 0 || store_site_parse_state((const char *)text.p, site, e) == 0)
		return 0;
	hr_hint(e, "remove the file: then every image is due, and nothing is known of older ones");
	return hr_wrap(e, "'%s/" STATE_FILE "'", st->path);
}

int store_site_load(const struct store *st, struct store_site *out, struct hr_err *e)
{
	hr_autofree char *name = hr_xasprintf("%s/" LIST_FILE, st->path);
	hr_autobuf struct hr_buf text = { 0 };

	memset(out, 0, sizeof(*out));
	if (read_list(st, &text, e) < 0 ||
	    store_site_parse(text.len ? (const char *)text.p : "", name, out, e) < 0)
		return -1;
	return load_state(st, out, e);
}

int store_site_save(const struct store *st, const struct store_site *site, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };

	store_site_write_state(site, &text);
	if (hr_file_replace(st->fd, STATE_FILE, text.p, text.len, 0644, e) < 0)
		return hr_wrap(e, "store '%s'", st->path);
	return 0;
}

int store_site_create(const struct store *st, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	struct hr_err missing = { 0 };

	if (hr_file_read(st->fd, LIST_FILE, FILE_LIMIT, &text, &missing) == 0)
		return 0;
	if (missing.kind != HR_NOTFOUND) {
		*e = missing;
		return hr_wrap(e, "store '%s'", st->path);
	}
	if (hr_file_replace(st->fd, LIST_FILE, first_list, strlen(first_list), 0644, e) < 0)
		return hr_wrap(e, "store '%s'", st->path);
	return 0;
}

int store_site_edit_file(const struct store *st, const char *name, const char *line,
			 struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 }, edited = { 0 };

	if (read_list(st, &text, e) < 0)
		return -1;
	if (!store_site_edit(text.len ? (const char *)text.p : "", name, line, &edited))
		return 0;
	if (hr_file_replace(st->fd, LIST_FILE, edited.p, edited.len, 0644, e) < 0)
		return hr_wrap(e, "store '%s'", st->path);
	return 1;
}
