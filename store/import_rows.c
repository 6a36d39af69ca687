/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/import_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/mem.h"
#include "util/poison.h"

#define WHITEOUT ".wh."

void store_import_rows_release(struct store_import_rows *r)
{
	store_layer_build_release(&r->builder);
	hr_buf_release(&r->path);
	hr_buf_release(&r->target);
	free(r->first_odd);
	memset(r, 0, sizeof(*r));
}

static struct store_string string_of(const struct hr_buf *b)
{
	return (struct store_string) { (const char *)b->p, (uint32_t)b->len };
}

/*
 * Write the path of IN to OUT without empty parts and "."; ".." is refused, for what it means
 * depends on symlinks that other layers may change.
 */
static int clean_path(const struct hr_buf *in, struct hr_buf *out, const char *what,
		      struct hr_err *e)
{
	const char *p = (const char *)in->p, *end = p + in->len;

	out->len = 0;
	while (p < end) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t n = (size_t)((slash ? slash : end) - p);

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return hr_fail(e, HR_CORRUPT, 0, "'..' in its %s", what);
		if (n > STORE_NAME_MAX)
			return hr_fail(e, HR_CORRUPT, 0,
				       "a part of its %s has %zu bytes, at most %u", what, n,
				       STORE_NAME_MAX);
		if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (out->len > 0)
				hr_buf_str(out, "/");
			hr_buf_add(out, p, n);
		}
		p += n + 1;
	}
	hr_buf_add(out, "", 0);
	if (out->len > STORE_PATH_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "its %s has %zu bytes, at most %u", what, out->len,
			       STORE_PATH_MAX);
	return 0;
}

static bool begins(const char *p, size_t n, const char *with)
{
	return n >= strlen(with) && memcmp(p, with, strlen(with)) == 0;
}

enum marker { MARKER_NONE, MARKER_WHITEOUT, MARKER_OPAQUE, MARKER_ODD };

/*
 * What the names in a path say. The path of a whiteout becomes that of what it hides, the path of
 * an opaque marker that of its directory.
 */
static enum marker take_marker(struct hr_buf *path)
{
	char *p = (char *)path->p, *slash = strrchr(p, '/');
	char *name = slash ? slash + 1 : p;
	size_t dir = (size_t)(name - p), n = path->len - dir;

	/* below a directory with such a name, nothing can be meant */
	for (char *part = p; part < name; part = strchr(part, '/') + 1)
		if (begins(part, path->len - (size_t)(part - p), WHITEOUT))
			return MARKER_ODD;
	if (!begins(name, n, WHITEOUT))
		return MARKER_NONE;
	if (strcmp(name, WHITEOUT WHITEOUT ".opq") == 0) {
		path->len = dir ? dir - 1 : 0;
		p[path->len] = '\0';
		return MARKER_OPAQUE;
	}
	name += strlen(WHITEOUT);
	n -= strlen(WHITEOUT);
	/* ".wh..wh.*" is the book-keeping of aufs; "", "." and ".." can be no names */
	if (begins(name, n, WHITEOUT) || n == 0 || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return MARKER_ODD;
	memmove(p + dir, name, n + 1);
	path->len = dir + n;
	return MARKER_WHITEOUT;
}

static void note_odd(struct store_import_rows *r, const struct store_tar_entry *n)
{
	hr_autobuf struct hr_buf text = { 0 };

	if (r->odd++ > 0)
		return;
	hr_buf_untrusted(&text, (const char *)n->path.p, n->path.len < 200 ? n->path.len : 200);
	r->first_odd = hr_xstrdup(text.p ? (const char *)text.p : "");
}

static int judge_node(struct store_import_rows *r, const struct store_tar_entry *n,
		      struct hr_err *e)
{
	if (n->hardlink) {
		if (clean_path(&n->target, &r->target, "target", e) < 0)
			return -1;
		if (r->path.len == 0)
			return hr_fail(e, HR_CORRUPT, 0, "the root cannot be a hardlink");
		if (r->target.len == 0)
			return hr_fail(e, HR_CORRUPT, 0, "a hardlink to the root");
		r->row.kind = STORE_ENTRY_HARDLINK;
		r->row.target = string_of(&r->target);
		return 1;
	}
	r->row.attr = n->attr;
	if (r->path.len == 0 && !S_ISDIR(n->attr.mode))
		return hr_fail(e, HR_CORRUPT, 0, "the root is not a directory");
	if (S_ISLNK(n->attr.mode)) {
		if (n->target.len == 0)
			return hr_fail(e, HR_CORRUPT, 0, "a symlink to nothing");
		if (n->target.len > STORE_PATH_MAX)
			return hr_fail(e, HR_CORRUPT, 0, "its target has %zu bytes, at most %u",
				       n->target.len, STORE_PATH_MAX);
		r->row.target = string_of(&n->target);
	}
	return 1;
}

static int judge(struct store_import_rows *r, const struct store_tar_entry *n, struct hr_err *e)
{
	memset(&r->row, 0, sizeof(r->row));
	if (n->path.len == 0) {
		note_odd(r, n);
		return 0;
	}
	if (clean_path(&n->path, &r->path, "path", e) < 0)
		return -1;
	switch (take_marker(&r->path)) {
	case MARKER_ODD:
		note_odd(r, n);
		return 0;
	case MARKER_WHITEOUT:
		r->row.kind = STORE_ENTRY_WHITEOUT;
		break;
	case MARKER_OPAQUE:
		r->row.kind = STORE_ENTRY_OPAQUE;
		break;
	case MARKER_NONE:
		if (judge_node(r, n, e) < 0)
			return -1;
		break;
	}
	r->row.path = string_of(&r->path);
	return 1;
}

static int name_entry(const struct store_tar_entry *n, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };

	hr_buf_untrusted(&text, (const char *)n->path.p, n->path.len < 200 ? n->path.len : 200);
	return hr_wrap(e, "entry '%s'", text.p ? (const char *)text.p : "");
}

int store_import_row_begin(struct store_import_rows *r, const struct store_tar_entry *n,
			   struct hr_err *e)
{
	int keep = judge(r, n, e);

	return keep < 0 ? name_entry(n, e) : keep;
}

int store_import_row_end(struct store_import_rows *r, const struct store_tar_entry *n,
			 struct hr_err *e)
{
	static const char user[] = "user.";

	for (size_t i = 0; r->row.kind == STORE_ENTRY_NODE && i < n->n_xattrs; i++)
		/* security.*, trusted.* and system.* mean nothing without privilege */
		if (n->xattrs[i].name.len > strlen(user) &&
		    begins(n->xattrs[i].name.p, n->xattrs[i].name.len, user))
			store_layer_build_xattr(&r->builder, &n->xattrs[i]);
	if (store_layer_build_entry(&r->builder, &r->row, e) < 0)
		return name_entry(n, e);
	return 0;
}
