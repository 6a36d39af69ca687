/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/cmd_inspect.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/cmd.h"
#include "store/file_image.h"
#include "store/json_out.h"
#include "store/sif.h"
#include "store/sqfs.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

struct file {
	int fd;
	uint64_t bytes;
	struct fetch_client *client; /* of a URL; else NULL */
	const char *url;
	struct fetch_version version;
};

static int read_at(struct file *f, void *buf, size_t n, uint64_t off, const char *what,
		   struct hr_err *e)
{
	const struct fetch_web_part part = {
		.url = f->url, .off = off, .len = n, .buf = buf, .version = &f->version
	};

	return f->client ? fetch_web_range(f->client, &part, e)
			 : hr_pread_all(f->fd, buf, n, off, what, e);
}

static void add_squashfs(json_t *o, const struct store_sqfs_super *s)
{
	json_t *fs = json_object();

	store_json_set(o, "squashfs", fs);
	store_json_set(fs, "compressor", json_string(store_sqfs_compressor_name(s->compressor)));
	store_json_set(fs, "block", store_json_u64(s->block_bytes));
	store_json_set(fs, "bytes", store_json_u64(s->bytes));
	store_json_set(fs, "inodes", store_json_u64(s->inodes));
}

/* The objects of a SIF file, and its table while they are told. */
struct sif {
	uint8_t *rows;
	size_t len, n;
	uint64_t file_bytes;
};

static json_t *signature(const struct store_sif_object *s)
{
	char key[2 * STORE_SIF_KEY_BYTES + 1];
	json_t *o = json_object();

	for (size_t i = 0; i < STORE_SIF_KEY_BYTES; i++)
		snprintf(key + 2 * i, 3, "%02X", s->key[i]);
	store_json_set(o, "hash", json_string(store_sif_hash_name(s)));
	store_json_set(o, "key", hr_is_zero(s->key, sizeof(s->key)) ? NULL : json_string(key));
	return o;
}

/* Those that name OBJECT or its group; nobody here has checked them. */
static int add_signatures(json_t *o, const struct sif *f, const struct store_sif_object *object,
			  struct hr_err *e)
{
	json_t *list = json_array();
	struct store_sif_object s;
	int r;

	store_json_set(o, "signatures", list);
	for (size_t i = 0; i < f->n; i++) {
		r = store_sif_object_get(f->rows, f->len, f->file_bytes, i, &s, e);
		if (r < 0)
			return -1;
		if (r > 0 && store_sif_signs(&s, object))
			store_json_add(list, signature(&s));
	}
	return 0;
}

static int add_object(json_t *list, const struct sif *f, const struct store_sif_object *object,
		      struct hr_err *e)
{
	json_t *o = json_object();

	store_json_add(list, o);
	store_json_set(o, "id", store_json_u64(object->id));
	store_json_set(o, "type", json_string(store_sif_type_name(object)));
	store_json_set(o, "name", json_string(object->name));
	store_json_set(o, "bytes", store_json_u64(object->at.len));
	store_json_set(o, "run", json_boolean(object->primary));
	return add_signatures(o, f, object, e);
}

static int add_objects(json_t *o, const struct sif *f, struct hr_err *e)
{
	json_t *list = json_array();
	struct store_sif_object object;
	int r;

	store_json_set(o, "objects", list);
	for (size_t i = 0; i < f->n; i++) {
		r = store_sif_object_get(f->rows, f->len, f->file_bytes, i, &object, e);
		if (r < 0 || (r > 0 && add_object(list, f, &object, e) < 0))
			return -1;
	}
	store_json_set(o, "signatures_checked", json_false());
	return 0;
}

static int add_sif(json_t *o, struct file *f, const uint8_t *head, size_t n, struct hr_err *e)
{
	hr_autofree uint8_t *rows = NULL;
	struct store_sif_span table;
	struct sif sif = { .file_bytes = f->bytes };

	if (store_sif_table(head, n, f->bytes, &table, e) < 0)
		return -1;
	rows = hr_alloc_bounded(table.len, 1,
				STORE_SIF_DESCRIPTORS_MAX * STORE_SIF_DESCRIPTOR_BYTES, e);
	if (!rows || read_at(f, rows, table.len, table.off, "the SIF descriptors", e) < 0)
		return -1;
	sif.rows = rows;
	sif.len = table.len;
	sif.n = table.len / STORE_SIF_DESCRIPTOR_BYTES;
	return add_objects(o, &sif, e);
}

static int describe(json_t *o, struct file *f, struct hr_err *e)
{
	uint8_t head[STORE_SIF_HEADER_BYTES] = { 0 };
	size_t n = f->bytes < sizeof(head) ? (size_t)f->bytes : sizeof(head);
	struct store_sqfs_super s;

	if (read_at(f, head, n, 0, "the file", e) < 0)
		return -1;
	store_json_set(o, "bytes", store_json_u64(f->bytes));
	if (store_sif_is(head, n)) {
		store_json_set(o, "format", json_string("sif"));
		return add_sif(o, f, head, n, e);
	}
	if (!store_sqfs_is(head, n))
		return hr_fail(e, HR_USAGE, 0, "it is neither a squashfs nor a SIF file");
	store_json_set(o, "format", json_string("squashfs"));
	if (store_sqfs_super_parse(head, n, f->bytes, &s, e) < 0)
		return -1;
	add_squashfs(o, &s);
	return 0;
}

static int print_file(struct file *f, const char *name, struct hr_err *e)
{
	json_t *o = json_object();
	int r = describe(o, f, e);

	if (r == 0)
		store_json_print(hr_steal(&o));
	else
		hr_wrap(e, "image '%s'", name);
	json_decref(o);
	return r;
}

int store_cmd_inspect_file(const char *path, struct hr_err *e)
{
	struct stat st;
	hr_autofd int fd = store_file_open_fd(path, &st, e);
	struct file f = { .fd = fd };

	if (fd < 0)
		return hr_wrap(e, "image '%s'", path);
	f.bytes = (uint64_t)st.st_size;
	return print_file(&f, path, e);
}

int store_cmd_inspect_url(const struct hr_conf *conf, const char *url, struct hr_err *e)
{
	struct file f = { .fd = -1, .url = url };
	uint8_t first;
	int r;

	if (store_cmd_client(conf, NULL, &f.client, e) < 0)
		return -1;
	/* one byte, to learn how many there are */
	r = read_at(&f, &first, 1, 0, "the file", e);
	f.bytes = f.version.bytes;
	r = r < 0 ? hr_wrap(e, "image '%s'", url) : print_file(&f, url, e);
	fetch_client_free(f.client);
	return r;
}
