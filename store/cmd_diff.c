/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun diff: what differs between two images, and what they share. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/cmd_image.h"
#include "store/digest_set.h"
#include "store/json_out.h"
#include "store/size.h"
#include "store/tree_diff.h"
#include "util/cleanup.h"
#include "util/poison.h"

struct diff_args {
	struct store_cmd_common common;
	bool json, quiet, times;
};

static const struct hr_opt diff_opts[] = {
	HR_OPT_FLAG(0, "json", struct diff_args, json, "print a JSON object"),
	HR_OPT_FLAG('q', "quiet", struct diff_args, quiet, "print the sums alone"),
	HR_OPT_FLAG('t', "times", struct diff_args, times,
		    "a file of which the time alone differs is changed, too"),
	HR_OPT_END
};

/* What is shared, of those images whose chunks are named by their content. */
struct shared {
	uint64_t chunks[2], chunk_bytes[2]; /* of each image */
	uint64_t common, common_bytes;
	bool known;
};

struct report {
	const struct diff_args *args;
	uint64_t n[3], bytes[3]; /* by enum store_diff_kind: entries, and bytes of files */
	json_t *lists[3];
};

static const char *const list_names[] = { "added", "removed", "changed" };

static const struct {
	enum store_diff_what bit;
	const char *name;
} what_names[] = {
	{ STORE_DIFF_TYPE, "type" },	 { STORE_DIFF_CONTENT, "content" },
	{ STORE_DIFF_MODE, "mode" },	 { STORE_DIFF_OWNER, "owner" },
	{ STORE_DIFF_XATTRS, "xattrs" }, { STORE_DIFF_TIME, "time" },
};

/* ---- each difference ---- */

static const char *type_of(const struct store_inode *i)
{
	switch (i->mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	default:
		return "special";
	}
}

/* Bytes of a regular file; 0 of all else. */
static uint64_t size_of(const struct store_inode *i)
{
	return i && S_ISREG(i->mode) ? i->size : 0;
}

static void add_json(struct report *r, const struct store_difference *d, const char *path)
{
	const struct store_inode *i = d->after ? d->after : d->before;
	json_t *o = json_object();

	store_json_set(o, "path", json_string(path));
	store_json_set(o, "type", json_string(type_of(i)));
	store_json_set(o, "size", store_json_u64(size_of(i)));
	if (d->kind == STORE_DIFF_CHANGED) {
		json_t *what = json_array();

		for (size_t k = 0; k < HR_COUNT(what_names); k++)
			if (d->what & what_names[k].bit)
				store_json_add(what, json_string(what_names[k].name));
		store_json_set(o, "size_before", store_json_u64(size_of(d->before)));
		store_json_set(o, "what", what);
	}
	store_json_add(r->lists[d->kind], o);
}

static void print_line(const struct store_difference *d, const char *path)
{
	static const char letters[] = "+-M";
	const struct store_inode *i = d->after ? d->after : d->before;
	char size[STORE_SIZE_TEXT];

	printf("%c %8s  %s%s", letters[d->kind],
	       S_ISREG(i->mode) ? store_size_text(i->size, size) : "-", path,
	       S_ISDIR(i->mode) && d->path_len > 1 ? "/" : "");
	if (d->kind == STORE_DIFF_CHANGED) {
		const char *before = "  (";

		for (size_t k = 0; k < HR_COUNT(what_names); k++) {
			if (!(d->what & what_names[k].bit))
				continue;
			printf("%s%s", before, what_names[k].name);
			before = ", ";
		}
		printf(")");
	}
	printf("\n");
}

static int on_difference(void *arg, const struct store_difference *given, struct hr_err *e)
{
	struct report *r = arg;
	struct store_difference copy = *given, *d = &copy;
	hr_autobuf struct hr_buf path = { 0 };

	(void)e;
	if (!r->args->times)
		d->what &= ~(unsigned int)STORE_DIFF_TIME;
	if (d->kind == STORE_DIFF_CHANGED && d->what == 0)
		return 0;
	r->n[d->kind]++;
	r->bytes[d->kind] += size_of(d->after ? d->after : d->before);
	if (r->args->quiet)
		return 0;
	hr_buf_untrusted(&path, d->path, d->path_len);
	if (r->args->json)
		add_json(r, d, (const char *)path.p);
	else
		print_line(d, (const char *)path.p);
	return 0;
}

/* ---- what is shared ---- */

static int add_chunks(const struct store_index *ix, const struct store_digest_set *other,
		      struct store_digest_set *into, struct shared *s, size_t image,
		      struct hr_err *e)
{
	struct store_chunk c;

	for (uint32_t i = 0; i < store_index_chunks(ix); i++) {
		if (!store_index_chunk(ix, i, &c))
			return hr_fail(e, HR_CORRUPT, 0, "an image index is damaged");
		s->chunks[image]++;
		s->chunk_bytes[image] += c.bytes;
		if (into)
			store_digest_set_add(into, &c.digest);
		if (other && store_digest_set_has(other, &c.digest)) {
			s->common++;
			s->common_bytes += c.bytes;
		}
	}
	return 0;
}

/* An index names each chunk once, so what is counted is counted once. */
static int find_shared(const struct store_cmd_image images[2], struct shared *s, struct hr_err *e)
{
	HR_CLEANUP(store_digest_set_release) struct store_digest_set first = { 0 };

	s->known = images[0].img && images[1].img;
	if (!s->known)
		return 0;
	if (add_chunks(images[0].ix, NULL, &first, s, 0, e) < 0)
		return -1;
	store_digest_set_seal(&first);
	return add_chunks(images[1].ix, &first, NULL, s, 1, e);
}

/* ---- the sums ---- */

static json_t *sums_json(const struct shared *s, size_t image)
{
	json_t *o = json_object();

	store_json_set(o, "chunks", store_json_u64(s->chunks[image]));
	store_json_set(o, "bytes", store_json_u64(s->chunk_bytes[image]));
	return o;
}

static void print_json(struct report *r, const struct shared *s, char **names)
{
	json_t *o = json_object(), *sums = json_object(), *images = json_array();

	for (size_t i = 0; i < 2; i++) {
		json_t *one = s->known ? sums_json(s, i) : json_object();

		store_json_set(one, "image", json_string(names[i]));
		store_json_add(images, one);
	}
	store_json_set(o, "images", images);
	for (size_t k = 0; k < HR_COUNT(list_names); k++) {
		json_t *sum = json_object();

		store_json_set(sum, "entries", store_json_u64(r->n[k]));
		store_json_set(sum, "bytes", store_json_u64(r->bytes[k]));
		store_json_set(sums, list_names[k], sum);
		if (!r->args->quiet)
			store_json_set(o, list_names[k], json_incref(r->lists[k]));
	}
	store_json_set(o, "sums", sums);
	store_json_set(o, "shared_chunks", s->known ? store_json_u64(s->common) : NULL);
	store_json_set(o, "shared_bytes", s->known ? store_json_u64(s->common_bytes) : NULL);
	store_json_print(o);
}

static void print_sums(const struct report *r, const struct shared *s)
{
	char size[STORE_SIZE_TEXT], whole[STORE_SIZE_TEXT];

	for (size_t k = 0; k < HR_COUNT(list_names); k++)
		printf("%s%" PRIu64 " %s (%s)", k == 0 ? "" : ", ", r->n[k], list_names[k],
		       store_size_text(r->bytes[k], size));
	printf("\n");
	if (!s->known)
		return;
	printf("of the second image %s in %" PRIu64 " of %" PRIu64 " chunks are shared, of %s\n",
	       store_size_text(s->common_bytes, size), s->common, s->chunks[1],
	       store_size_text(s->chunk_bytes[1], whole));
}

/* ---- the verb ---- */

static int compare(struct report *r, const struct store_cmd_image images[2], char **names,
		   struct hr_err *e)
{
	struct store_diff_side side[2];
	struct shared s = { .known = false };

	for (size_t i = 0; i < 2; i++)
		side[i] =
			(struct store_diff_side) { images[i].ix, images[i].chunks, images[i].img };
	if (store_tree_diff(&side[0], &side[1], on_difference, r, e) < 0 ||
	    find_shared(images, &s, e) < 0)
		return -1;
	if (r->args->json)
		print_json(r, &s, names);
	else
		print_sums(r, &s);
	return 0;
}

static int diff_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_paths_release) struct store_paths paths = { 0 };
	struct report r = { .args = args };
	struct store_cmd_image images[2] = { { 0 } };
	int ok = 0;

	(void)argc;
	for (size_t i = 0; i < HR_COUNT(r.lists); i++)
		r.lists[i] = json_array();
	if (store_cmd_paths(&r.args->common, &conf, &paths, e) < 0 ||
	    store_cmd_image_open(&paths, argv[0], &images[0], e) < 0 ||
	    store_cmd_image_open(&paths, argv[1], &images[1], e) < 0)
		ok = -1;
	else if (compare(&r, images, argv, e) < 0)
		ok = hr_wrap(e, "cannot compare '%s' with '%s'", argv[0], argv[1]);
	for (size_t i = 0; i < HR_COUNT(images); i++)
		store_cmd_image_release(&images[i]);
	for (size_t i = 0; i < HR_COUNT(r.lists); i++)
		json_decref(r.lists[i]);
	return ok;
}

const struct hr_cmd store_cmd_diff = {
	.name = "diff",
	.operands = "IMAGE1 IMAGE2",
	.summary = "tell what differs between two images, and what they share",
	.opts = diff_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct diff_args),
	.min_operands = 2,
	.max_operands = 2,
	.main = diff_main,
};
