/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/bundle.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file_image.h"
#include "store/members.h"
#include "store/sif.h"
#include "store/sqfs.h"
#include "store/tree_tar.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

#define CHUNK_MEMORY (16u << 20)
#define USTAR_AT     257

enum kind {
	KIND_FIND, /* look at it */
	KIND_OCI,
	KIND_OCI_ARCHIVE,
	KIND_DOCKER_ARCHIVE,
	KIND_TAR,
	KIND_DIR,
	KIND_FILE /* squashfs or SIF */
};

static const struct {
	const char *prefix;
	enum kind kind;
	bool tag; /* ":TAG" may follow the path */
} prefixes[] = {
	{ "oci:", KIND_OCI, true },
	{ "oci-archive:", KIND_OCI_ARCHIVE, true },
	{ "docker-archive:", KIND_DOCKER_ARCHIVE, true },
	{ "tar:", KIND_TAR, false },
	{ "dir:", KIND_DIR, false },
	{ "sqfs:", KIND_FILE, false },
	{ "sif:", KIND_FILE, false },
};

/* A blob of the image: the config or one layer. */
struct blob {
	struct fetch_digest digest;
	char *member; /* of the archive; NULL: made by us */
};

struct store_bundle {
	char *path, *tag; /* tag may be NULL */
	enum kind kind;
	int fd; /* of a file */
	struct store_members *members;
	struct store_cache *cache; /* borrowed, or NULL */
	struct store_file *file;   /* squashfs */
	struct store_chunks *chunks;
	struct hr_buf manifest, config; /* made by us; empty: the layout's own */
	struct fetch_digest top;	/* of an OCI layout: what was picked */
	struct blob *blobs;
	size_t n_blobs;
};

void store_bundle_close(struct store_bundle *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n_blobs; i++)
		free(b->blobs[i].member);
	free(b->blobs);
	store_members_close(b->members);
	store_chunks_free(b->chunks);
	store_file_close(b->file);
	hr_fd_cleanup(&b->fd);
	hr_buf_release(&b->manifest);
	hr_buf_release(&b->config);
	free(b->path);
	free(b->tag);
	free(b);
}

static void closep(struct store_bundle **b)
{
	store_bundle_close(*b);
}

/* ---- names ---- */

bool store_bundle_is_named(const char *name)
{
	for (size_t i = 0; i < HR_COUNT(prefixes); i++)
		if (strncmp(name, prefixes[i].prefix, strlen(prefixes[i].prefix)) == 0)
			return true;
	return false;
}

/* Split NAME; a tag is what follows the last colon, unless a slash is in it. */
static void split(const char *name, enum kind *kind, char **path, char **tag)
{
	bool may = true;
	char *colon;

	*kind = KIND_FIND;
	for (size_t i = 0; i < HR_COUNT(prefixes); i++) {
		if (strncmp(name, prefixes[i].prefix, strlen(prefixes[i].prefix)) != 0)
			continue;
		*kind = prefixes[i].kind;
		may = prefixes[i].tag;
		name += strlen(prefixes[i].prefix);
		break;
	}
	*path = hr_xstrdup(name);
	*tag = NULL;
	colon = may && *kind != KIND_FIND ? strrchr(*path, ':') : NULL;
	if (colon && colon != *path && !strchr(colon, '/')) {
		*tag = hr_xstrdup(colon + 1);
		*colon = '\0';
	}
}

char *store_bundle_default_name(const char *name)
{
	hr_autofree char *path = NULL, *tag = NULL;
	hr_autobuf struct hr_buf out = { 0 };
	enum kind kind;
	const char *p, *end;
	size_t n;

	split(name, &kind, &path, &tag);
	for (n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	p = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	end = strchr(p, '.');
	for (n = 0; p[n] && p + n != end; n++) {
		char c = (char)tolower((unsigned char)p[n]);

		/* separators stand alone and inside */
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			hr_buf_add(&out, &c, 1);
		else if (out.len > 0 && out.p[out.len - 1] != '-')
			hr_buf_str(&out, "-");
	}
	while (out.len > 0 && out.p[out.len - 1] == '-')
		out.p[--out.len] = '\0';
	return out.len > 0 ? hr_xasprintf("%s:%s", (char *)out.p, tag ? tag : "latest") : NULL;
}

/* ---- a stream and its digest ---- */

struct hashing {
	struct fetch_hash *hash;
	uint64_t n;
	fetch_sink *sink; /* or NULL */
	void *arg;
};

static int on_hash(void *arg, const void *p, size_t n, struct hr_err *e)
{
	struct hashing *h = arg;

	h->n += n;
	fetch_hash_add(h->hash, p, n);
	return h->sink ? h->sink(h->arg, p, n, e) : 0;
}

/* The only layer of what is no OCI image. */
static int make_layer(struct store_bundle *b, fetch_sink *sink, void *arg, struct hr_err *e)
{
	switch (b->kind) {
	case KIND_DIR:
		return store_tree_tar_dir(b->path, sink, arg, e);
	case KIND_FILE:
		return store_tree_tar_image(store_image_index(store_file_image(b->file)), b->chunks,
					    sink, arg, e);
	default:
		break;
	}
	for (uint64_t at = 0;;) { /* a tar file itself */
		uint8_t room[64 << 10];
		ssize_t n = pread(b->fd, room, sizeof(room), (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hr_fail(e, HR_SYS, errno, "cannot read '%s'", b->path);
		if (n == 0)
			return 0;
		if (sink(arg, room, (size_t)n, e) < 0)
			return -1;
		at += (uint64_t)n;
	}
}

static int put_blob(struct store_bundle *b, const struct blob *x, fetch_sink *sink, void *arg,
		    struct hr_err *e)
{
	if (x->member)
		return store_members_stream(b->members, x->member, sink, arg, e);
	if (x == b->blobs) /* our config is the first */
		return sink(arg, b->config.p, b->config.len, e);
	return make_layer(b, sink, arg, e);
}

/* Stream a blob and compute its digest. */
static int hash_blob(struct store_bundle *b, const struct blob *x, fetch_sink *sink, void *arg,
		     struct fetch_digest *digest, uint64_t *size, struct hr_err *e)
{
	HR_CLEANUP(fetch_hash_freep) struct fetch_hash *hash = fetch_hash_new();
	struct hashing h = { .hash = hash, .sink = sink, .arg = arg };

	if (put_blob(b, x, on_hash, &h, e) < 0)
		return -1;
	fetch_hash_end(hash, digest);
	*size = h.n;
	return 0;
}

static struct blob *add_blob(struct store_bundle *b, const char *member)
{
	b->blobs = hr_xrealloc(b->blobs, (b->n_blobs + 1) * sizeof(*b->blobs));
	b->blobs[b->n_blobs] = (struct blob) { .member = member ? hr_xstrdup(member) : NULL };
	return &b->blobs[b->n_blobs++];
}

/* ---- the documents that we make ---- */

static void put_descriptor(struct hr_buf *m, const char *type, const struct fetch_digest *d,
			   uint64_t size)
{
	char text[FETCH_DIGEST_TEXT];

	hr_buf_printf(m,
		      "{\"mediaType\":\"application/vnd.oci.image.%s\",\"digest\":\"%s\","
		      "\"size\":%" PRIu64 "}",
		      type, fetch_digest_text(d, text), size);
}

static void begin_manifest(struct store_bundle *b)
{
	hr_buf_str(&b->manifest, "{\"schemaVersion\":2,\"mediaType\":"
				 "\"application/vnd.oci.image.manifest.v1+json\",\"config\":");
	put_descriptor(&b->manifest, "config.v1+json", &b->blobs[0].digest, b->config.len);
	hr_buf_str(&b->manifest, ",\"layers\":[");
}

/* One layer: its digest is computed by making it once. */
static int open_single(struct store_bundle *b, const char *config_rest, struct hr_err *e)
{
	char text[FETCH_DIGEST_TEXT];
	struct fetch_digest digest;
	uint64_t size;

	(void)add_blob(b, NULL);
	(void)add_blob(b, NULL);
	if (hash_blob(b, &b->blobs[1], NULL, NULL, &digest, &size, e) < 0)
		return -1;
	b->blobs[1].digest = digest;
	hr_buf_printf(&b->config,
		      "{\"architecture\":\"%s\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":"
		      "[\"%s\"]},%s",
		      fetch_host_arch(), fetch_digest_text(&digest, text), config_rest);
	fetch_digest_of(b->config.p, b->config.len, &b->blobs[0].digest);
	begin_manifest(b);
	put_descriptor(&b->manifest, "layer.v1.tar", &digest, size);
	hr_buf_str(&b->manifest, "]}");
	return 0;
}

static int open_squashfs(struct store_bundle *b, struct hr_err *e)
{
	hr_autofree char *rest = NULL;
	struct store_chunk_source source;
	const struct store_index *ix;
	const uint8_t *config;
	size_t n;

	if (store_file_open(b->path, b->cache, &b->file, e) < 0)
		return -1;
	ix = store_image_index(store_file_image(b->file));
	source = store_file_source(b->file);
	b->chunks = store_chunks_new(ix, &source, CHUNK_MEMORY, NULL);
	config = store_index_config(ix, &n); /* an object, of which ours is a part */
	if (n < 2)
		return hr_fail(e, HR_CORRUPT, 0, "the index has no config");
	rest = hr_xstrndup((const char *)config + 1, n - 1);
	return open_single(b, rest, e);
}

static int open_layout(struct store_bundle *b, struct hr_err *e)
{
	hr_autobuf struct hr_buf index = { 0 };

	if (store_members_read(b->members, "index.json", FETCH_MANIFEST_LIMIT, &index, e) < 0)
		return -1;
	return fetch_layout_pick(index.p, index.len, b->tag, &b->top, e);
}

/* Layers of 'docker save' are plain archives mostly, whose digest is the DiffID; but it is cheap to
 * look, and other programs write compressed ones. */
static int add_saved_layer(struct store_bundle *b, const char *member, bool last, struct hr_err *e)
{
	struct blob *x = add_blob(b, member);
	struct fetch_digest digest;
	uint64_t size;

	if (hash_blob(b, x, NULL, NULL, &digest, &size, e) < 0)
		return -1;
	x->digest = digest;
	/* store_inflate takes what it finds, whatever this says */
	put_descriptor(&b->manifest, "layer.v1.tar+gzip", &digest, size);
	hr_buf_str(&b->manifest, last ? "]}" : ",");
	return 0;
}

static int open_saved(struct store_bundle *b, struct hr_err *e)
{
	HR_CLEANUP(fetch_docker_save_release) struct fetch_docker_save s = { 0 };
	hr_autobuf struct hr_buf doc = { 0 };

	if (store_members_read(b->members, "manifest.json", FETCH_MANIFEST_LIMIT, &doc, e) < 0 ||
	    fetch_docker_save_parse(doc.p, doc.len, b->tag, &s, e) < 0 ||
	    store_members_read(b->members, s.config, FETCH_CONFIG_LIMIT, &b->config, e) < 0)
		return -1;
	fetch_digest_of(b->config.p, b->config.len, &add_blob(b, NULL)->digest);
	begin_manifest(b);
	if (s.layers.n == 0)
		hr_buf_str(&b->manifest, "]}");
	for (size_t i = 0; i < s.layers.n; i++)
		if (add_saved_layer(b, s.layers.v[i], i + 1 == s.layers.n, e) < 0)
			return -1;
	return 0;
}

/* ---- opening ---- */

static const char default_config[] =
	"\"os\":\"linux\",\"config\":{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
	"/usr/bin:/sbin:/bin\"]}}";

static int refuse_compressed(const uint8_t *head, struct hr_err *e)
{
	static const struct {
		const char *magic, *name, *tool;
	} kinds[] = { { "\x1f\x8b", "gzip", "gunzip" },
		      { "\x28\xb5\x2f\xfd", "zstd", "unzstd" },
		      { "\xfd"
			"7zXZ",
			"xz", "unxz" },
		      { "BZh", "bzip2", "bunzip2" } };

	for (size_t i = 0; i < HR_COUNT(kinds); i++) {
		if (memcmp(head, kinds[i].magic, strlen(kinds[i].magic)) != 0)
			continue;
		hr_hint(e, "unpack it with '%s' first: its parts are read in any order",
			kinds[i].tool);
		return hr_fail(e, HR_USAGE, 0, "it is compressed with %s", kinds[i].name);
	}
	return hr_fail(e, HR_USAGE, 0, "it is no archive, squashfs or SIF file");
}

/* What a regular file is, by its first bytes. */
static int find_file_kind(struct store_bundle *b, struct hr_err *e)
{
	uint8_t head[512] = { 0 };
	ssize_t n = pread(b->fd, head, sizeof(head), 0);

	if (n < 0)
		return hr_fail(e, HR_SYS, errno, "cannot read it");
	if (store_sif_is(head, (size_t)n) || store_sqfs_is(head, (size_t)n)) {
		b->kind = KIND_FILE;
		return 0;
	}
	if (memcmp(head + USTAR_AT, "ustar", 5) != 0)
		return refuse_compressed(head, e);
	b->kind = KIND_TAR;
	return 0;
}

static int open_path(struct store_bundle *b, struct hr_err *e)
{
	struct stat st;

	b->fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (b->fd < 0 || fstat(b->fd, &st) < 0)
		return hr_fail(e,
			       errno == ENOENT	 ? HR_NOTFOUND
			       : errno == EACCES ? HR_DENIED
						 : HR_SYS,
			       errno, "cannot open it");
	if (S_ISDIR(st.st_mode)) {
		if (b->kind != KIND_FIND && b->kind != KIND_OCI && b->kind != KIND_DIR)
			return hr_fail(e, HR_USAGE, 0, "it is a directory, expected a file");
		if (store_members_open_dir(b->path, &b->members, e) < 0)
			return -1;
		if (b->kind == KIND_FIND)
			b->kind = store_members_has(b->members, "oci-layout") ? KIND_OCI : KIND_DIR;
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return hr_fail(e, HR_USAGE, 0, "it is neither a regular file nor a directory");
	if (b->kind == KIND_OCI || b->kind == KIND_DIR)
		return hr_fail(e, HR_USAGE, 0, "it is a file, expected a directory");
	return b->kind == KIND_FILE ? 0 : find_file_kind(b, e);
}

/* Archives: which kind of, by the names in it. */
static int open_archive(struct store_bundle *b, enum kind asked, struct hr_err *e)
{
	int fd;

	if (asked == KIND_TAR)
		return open_single(b, default_config, e);
	fd = dup(b->fd);
	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot copy a descriptor");
	if (store_members_open_tar(fd, &b->members, e) < 0)
		return -1;
	if (asked != KIND_DOCKER_ARCHIVE && store_members_has(b->members, "index.json"))
		return open_layout(b, e);
	if (asked != KIND_OCI_ARCHIVE && store_members_has(b->members, "manifest.json"))
		return open_saved(b, e);
	if (asked == KIND_FIND)
		return open_single(b, default_config, e);
	return hr_fail(e, HR_CORRUPT, 0, "the archive has no %s",
		       asked == KIND_OCI_ARCHIVE ? "index.json" : "manifest.json");
}

static int open_kind(struct store_bundle *b, struct hr_err *e)
{
	enum kind asked = b->kind;

	if (open_path(b, e) < 0)
		return -1;
	switch (b->kind) {
	case KIND_OCI:
		return open_layout(b, e);
	case KIND_DIR:
		return open_single(b, default_config, e);
	case KIND_FILE:
		return open_squashfs(b, e);
	default:
		return open_archive(b, asked, e);
	}
}

int store_bundle_open(const char *name, struct store_cache *cache, struct store_bundle **out,
		      struct hr_err *e)
{
	HR_CLEANUP(closep) struct store_bundle *b = hr_xmalloc(sizeof(*b));

	b->fd = -1;
	b->cache = cache;
	split(name, &b->kind, &b->path, &b->tag);
	if (open_kind(b, e) < 0)
		return b->kind == KIND_FILE && b->fd >= 0 ? -1 : hr_wrap(e, "'%s'", b->path);
	*out = hr_steal(&b);
	return 0;
}

/* ---- the source ---- */

static int document(void *arg, const struct fetch_digest *which, struct hr_buf *doc,
		    struct fetch_digest *digest, struct hr_err *e)
{
	struct store_bundle *b = arg;
	char hex[FETCH_DIGEST_HEX];
	hr_autofree char *member = NULL;
	struct fetch_digest want = which ? *which : b->top;

	if (b->manifest.len > 0) {
		hr_buf_add(doc, b->manifest.p, b->manifest.len);
		fetch_digest_of(b->manifest.p, b->manifest.len, digest);
		return 0;
	}
	member = hr_xasprintf("blobs/sha256/%s", fetch_digest_hex(&want, hex));
	if (store_members_read(b->members, member, FETCH_MANIFEST_LIMIT, doc, e) < 0)
		return -1;
	fetch_digest_of(doc->p, doc->len, digest);
	return fetch_digest_equal(digest, &want)
		       ? 0
		       : hr_fail(e, HR_CORRUPT, 0, "'%s' is not what its name says", member);
}

/* The blob of a digest; those of a layout have their digests as names. */
static const struct blob *find_blob(struct store_bundle *b, const struct fetch_digest *d,
				    struct blob *of_layout)
{
	char hex[FETCH_DIGEST_HEX];

	for (size_t i = 0; i < b->n_blobs; i++)
		if (fetch_digest_equal(&b->blobs[i].digest, d))
			return &b->blobs[i];
	*of_layout =
		(struct blob) { *d, hr_xasprintf("blobs/sha256/%s", fetch_digest_hex(d, hex)) };
	return of_layout;
}

static int blob(void *arg, const struct fetch_descriptor *d, fetch_sink *sink, void *sink_arg,
		struct hr_err *e)
{
	struct store_bundle *b = arg;
	struct blob of_layout = { .member = NULL };
	const struct blob *x = find_blob(b, &d->digest, &of_layout);
	struct fetch_digest got;
	uint64_t size = 0;
	int r = b->members || x != &of_layout
			? hash_blob(b, x, sink, sink_arg, &got, &size, e)
			: hr_fail(e, HR_CORRUPT, 0, "a blob that is not there");

	free(of_layout.member);
	if (r < 0)
		return -1;
	if (size != d->size)
		return hr_fail(e, HR_CORRUPT, 0, "it has %" PRIu64 " bytes, expected %" PRIu64,
			       size, d->size);
	if (fetch_digest_equal(&got, &d->digest))
		return 0;
	return hr_fail(e, HR_CORRUPT, 0, "its content is not that of its digest%s",
		       b->members ? "" : ": it changed while it was read");
}

struct store_import_source store_bundle_source(struct store_bundle *b)
{
	return (struct store_import_source) { document, blob, b, STORE_SERVER_FILES };
}
