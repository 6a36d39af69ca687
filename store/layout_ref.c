/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/layout_names.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define REFS_DIR  "refs"
#define TAGS_DIR  "_tags"
#define DIGESTS	  "_digests"
#define REF_DEPTH 64 /* parts of a host and repository, more than 255 bytes of it can have */

char *store_ref_path(const struct fetch_ref *ref)
{
	char hex[FETCH_DIGEST_HEX];

	HR_BUG_ON(!ref->tag && !ref->has_digest);
	if (ref->tag)
		return hr_xasprintf(REFS_DIR "/%s/%s/" TAGS_DIR "/%s", ref->registry, ref->repo,
				    ref->tag);
	return hr_xasprintf(REFS_DIR "/%s/%s/" DIGESTS "/%s", ref->registry, ref->repo,
			    fetch_digest_hex(&ref->digest, hex));
}

int store_ref_read(const struct store *st, const struct fetch_ref *ref, struct store_ref_record *r,
		   struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	hr_autofree char *path = store_ref_path(ref);

	if (hr_file_read(st->fd, path, STORE_RECORD_LIMIT, &text, e) < 0)
		return hr_wrap(e, "store '%s'", st->path);
	if (store_ref_record_parse(text.p, text.len, r, e) < 0) {
		store_ref_record_release(r);
		return hr_wrap(e, "'%s/%s'", st->path, path);
	}
	return 0;
}

/* REF will no longer mean what it means now, unless that is STILL. */
static void note_parting(const struct store *st, const struct fetch_ref *ref,
			 const struct fetch_digest *still)
{
	HR_CLEANUP(store_ref_record_release) struct store_ref_record old = { 0 };
	struct hr_err unknown = { 0 }; /* it meant nothing */
	char path[STORE_OBJECT_PATH];

	if (store_ref_read(st, ref, &old, &unknown) < 0 ||
	    (still && fetch_digest_equal(&old.manifest, still)))
		return;
	if (utimensat(st->fd, store_object_path(STORE_IMAGE, &old.manifest, path), NULL,
		      AT_SYMLINK_NOFOLLOW) < 0)
		hr_debug("cannot touch '%s/%s': %s", st->path, path, strerror(errno));
}

int store_ref_write(const struct store *st, const struct fetch_ref *ref,
		    const struct store_ref_record *r, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	hr_autofree char *path = store_ref_path(ref);
	hr_autofree char *dir = hr_xstrndup(path, (size_t)(strrchr(path, '/') - path));
	hr_autofd int fd = -1;

	note_parting(st, ref, &r->manifest);
	store_ref_record_write(r, &text);
	if (hr_mkdir_all(st->fd, dir, LAYOUT_DIR_MODE, e) < 0 ||
	    hr_file_replace(st->fd, path, text.p, text.len, 0644, e) < 0)
		return hr_wrap(e, "store '%s'", st->path);
	fd = openat(st->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot sync '%s/%s'", st->path, dir);
	return 0;
}

int store_ref_remove(const struct store *st, const struct fetch_ref *ref, struct hr_err *e)
{
	hr_autofree char *path = store_ref_path(ref);

	note_parting(st, ref, NULL);
	if (unlinkat(st->fd, path, 0) < 0)
		return hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno,
			       "cannot remove '%s/%s'", st->path, path);
	/* empty directories go too; the first one that is not empty ends it */
	for (char *slash = strrchr(path, '/'); slash && slash > path + sizeof(REFS_DIR);
	     slash = strrchr(path, '/')) {
		*slash = '\0';
		if (unlinkat(st->fd, path, AT_REMOVEDIR) < 0)
			break;
	}
	return 0;
}

/* ---- all references: "HOST/REPO:TAG", "HOST/REPO@sha256:HEX" ---- */

/* The text of the reference whose record is the file NAME in the directory PREFIX, or NULL. */
static char *ref_text(const char *prefix, const char *name)
{
	static const struct {
		const char *dir, *separator;
	} kinds[] = { { "/" TAGS_DIR, ":" }, { "/" DIGESTS, "@sha256:" } };
	size_t n = strlen(prefix);

	for (size_t i = 0; i < HR_COUNT(kinds); i++) {
		size_t tail = strlen(kinds[i].dir);

		if (n > tail && strcmp(prefix + n - tail, kinds[i].dir) == 0)
			return hr_xasprintf("%.*s%s%s", (int)(n - tail), prefix, kinds[i].separator,
					    name);
	}
	return NULL;
}

static int walk(const struct store *st, int dir, const char *prefix, unsigned int depth,
		struct hr_strv *texts, struct hr_err *e);

/*
 * The type of an entry, DT_UNKNOWN when it is gone. Most file systems tell it with the name, which
 * spares a call for each of thousands.
 */
static int entry_type(DIR *d, const struct dirent *n, const char *prefix, unsigned char *type,
		      struct hr_err *e)
{
	struct stat sb;

	*type = n->d_type;
	if (*type != DT_UNKNOWN)
		return 0;
	if (fstatat(dirfd(d), n->d_name, &sb, AT_SYMLINK_NOFOLLOW) == 0)
		*type = IFTODT(sb.st_mode);
	else if (errno != ENOENT)
		return hr_fail(e, HR_SYS, errno, "cannot stat '%s/%s'", prefix, n->d_name);
	return 0;
}

static int walk_entry(const struct store *st, DIR *d, const struct dirent *n, const char *prefix,
		      unsigned int depth, struct hr_strv *texts, struct hr_err *e)
{
	hr_autofree char *path = NULL;
	const char *name = n->d_name;
	unsigned char type;
	char *text;
	int fd;

	if (name[0] == '.')
		return 0;
	if (entry_type(d, n, prefix, &type, e) < 0)
		return -1;
	if (type == DT_REG) {
		text = ref_text(prefix, name);
		if (text)
			hr_strv_take(texts, text);
		return 0;
	}
	if (type != DT_DIR || depth == REF_DEPTH)
		return 0;
	fd = openat(dirfd(d), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 0; /* its last reference was removed since it was listed */
	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '%s/%s'", prefix, name);
	path = hr_xasprintf("%s%s%s", prefix, prefix[0] ? "/" : "", name);
	return walk(st, fd, path, depth + 1, texts, e);
}

/* Owns DIR. */
static int walk(const struct store *st, int dir, const char *prefix, unsigned int depth,
		struct hr_strv *texts, struct hr_err *e)
{
	hr_autodir DIR *d = fdopendir(dir);
	struct dirent *n;

	if (!d) {
		hr_fail(e, HR_SYS, errno, "cannot list '%s'", prefix);
		hr_fd_cleanup(&dir);
		return -1;
	}
	/* a list that an error cut would let gc remove what the rest of it reaches */
	while (errno = 0, (n = readdir(d)))
		if (walk_entry(st, d, n, prefix, depth, texts, e) < 0)
			return -1;
	return errno ? hr_fail(e, HR_SYS, errno, "cannot list '%s'", prefix) : 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* 1 when it was passed over. */
static int visit(const struct store *st, const char *text, store_ref_fn *fn, void *arg,
		 struct hr_err *e)
{
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
	HR_CLEANUP(store_ref_record_release) struct store_ref_record r = { 0 };
	struct hr_err bad = { 0 };

	if (fetch_ref_parse(text, &ref, &bad) < 0 || store_ref_read(st, &ref, &r, &bad) < 0) {
		if (bad.kind == HR_NOTFOUND) /* removed since it was listed */
			return 0;
		hr_warn("passing over the reference '%s': %s", text, bad.text);
		return 1;
	}
	return fn(arg, &ref, &r, e) < 0 ? -1 : 0;
}

int store_ref_names(const struct store *st, struct hr_strv *out, struct hr_err *e)
{
	int fd = openat(st->fd, REFS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	size_t before = out->n;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '%s/" REFS_DIR "'", st->path);
	if (walk(st, fd, "", 0, out, e) < 0)
		return hr_wrap(e, "store '%s'", st->path);
	if (out->n > before)
		qsort(out->v + before, out->n - before, sizeof(*out->v), by_text);
	return 0;
}

int store_ref_each(const struct store *st, store_ref_fn *fn, void *arg, struct hr_err *e)
{
	HR_CLEANUP(hr_strv_release) struct hr_strv texts = { 0 };
	int r, passed_over = 0;

	if (store_ref_names(st, &texts, e) < 0)
		return -1;
	for (size_t i = 0; i < texts.n; i++) {
		r = visit(st, texts.v[i], fn, arg, e);
		if (r < 0)
			return -1;
		passed_over += r;
	}
	return passed_over;
}

/* ---- what they mean ---- */

int store_image_record_read(const struct store *st, const struct fetch_digest *manifest,
			    struct store_image_record *out, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };

	return store_object_read(st, STORE_IMAGE, manifest, STORE_RECORD_LIMIT, &text, e) < 0
		       ? -1
		       : store_image_record_parse(text.p, text.len, out, e);
}

struct wanted {
	const struct fetch_ref *ref;
	struct fetch_digest *manifest;
	bool found;
};

static int match_document(void *arg, const struct fetch_ref *ref, const struct store_ref_record *r,
			  struct hr_err *e)
{
	struct wanted *w = arg;

	(void)e;
	if (!w->found && strcmp(ref->registry, w->ref->registry) == 0 &&
	    strcmp(ref->repo, w->ref->repo) == 0 &&
	    fetch_digest_equal(&r->document, &w->ref->digest)) {
		*w->manifest = r->manifest;
		w->found = true;
	}
	return 0;
}

static int resolve_digest(const struct store *st, const struct fetch_ref *ref,
			  struct fetch_digest *manifest, struct hr_err *e)
{
	struct wanted w = { ref, manifest, false };
	char text[FETCH_DIGEST_TEXT];

	if (store_object_exists(st, STORE_IMAGE, &ref->digest)) {
		*manifest = ref->digest;
		return 0;
	}
	if (store_ref_each(st, match_document, &w, e) < 0)
		return -1;
	if (w.found)
		return 0;
	return hr_fail(e, HR_NOTFOUND, 0, "no image %s in store '%s'",
		       fetch_digest_text(&ref->digest, text), st->path);
}

int store_ref_resolve(const struct store *st, const struct fetch_ref *ref,
		      struct fetch_digest *manifest, struct hr_err *e)
{
	HR_CLEANUP(store_ref_record_release) struct store_ref_record r = { 0 };
	struct hr_err inner = { 0 };
	hr_autofree char *text = NULL;

	if (ref->has_digest)
		return resolve_digest(st, ref, manifest, e);
	if (store_ref_read(st, ref, &r, &inner) == 0) {
		*manifest = r.manifest;
		return 0;
	}
	if (inner.kind != HR_NOTFOUND) {
		*e = inner;
		return -1;
	}
	text = fetch_ref_text(ref);
	return hr_fail(e, HR_NOTFOUND, 0, "no image '%s' in store '%s'", text, st->path);
}
