/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun export: an image out of the store, as a file or directory that others read. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/cmd_image.h"
#include "store/json_out.h"
#include "store/oci_out.h"
#include "store/sif_write.h"
#include "store/tree_tar.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/poison.h"

#define COPY_BYTES (1u << 20)
#define SAID_BYTES 512 /* of what mksquashfs says, the end */

extern char **environ;

struct export_args {
	struct store_cmd_common common;
	const char *format;
	bool force, json;
};

static const char *const format_words[] = { "tar", "oci", "sqfs", "sif", NULL };

static const struct hr_opt export_opts[] = {
	HR_OPT_STR_OF(0, "format", "FORMAT", struct export_args, format, format_words,
		      "tar, oci, sqfs or sif (default: as FILE ends)"),
	HR_OPT_FLAG('f', "force", struct export_args, force, "replace FILE if it is there"),
	HR_OPT_FLAG(0, "json", struct export_args, json, "print a JSON object at the end"),
	HR_OPT_END
};

/* An image to read from, and where it goes. */
struct job {
	struct hr_conf conf;
	struct store_paths paths;
	struct store_cmd_image image;
	const char *out;
	char *tmp;		      /* beside OUT, and becomes it */
	struct hr_strv written;	      /* what is there of it, to be removed after a failure */
	struct fetch_digest manifest; /* of an OCI layout */
};

static void job_release(struct job *j)
{
	/* whatever a failure left; the failure itself is told */
	for (size_t i = j->written.n; i > 0; i--)
		if (unlink(j->written.v[i - 1]) < 0 && errno == EISDIR)
			rmdir(j->written.v[i - 1]);
	hr_strv_release(&j->written);
	store_cmd_image_release(&j->image);
	store_paths_release(&j->paths);
	hr_conf_release(&j->conf);
	free(j->tmp);
}

/* ---- the stream, and what it is written to ---- */

struct target {
	int fd;
	const char *name;
	struct fetch_hash *hash; /* or NULL */
	uint64_t bytes;
};

static int to_fd(void *arg, const void *p, size_t n, struct hr_err *e)
{
	struct target *t = arg;

	if (t->hash)
		fetch_hash_add(t->hash, p, n);
	t->bytes += n;
	return hr_write_all(t->fd, p, n, t->name, e);
}

static int put_tree(const struct job *j, struct target *t, struct hr_err *e)
{
	return store_tree_tar_image(j->image.ix, j->image.chunks, to_fd, t, e);
}

/* A new file, noted as one to remove. */
static int create(struct job *j, const char *path, struct hr_err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot create '%s'", path);
	hr_strv_add(&j->written, path);
	return fd;
}

static int finish_file(int *fd, const char *path, struct hr_err *e)
{
	if (fsync(*fd) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot write '%s'", path);
	return hr_close(fd, path, e);
}

static int make_tar(struct job *j, struct hr_err *e)
{
	hr_autofd int fd = create(j, j->tmp, e);
	struct target t = { .fd = fd, .name = j->tmp };

	return fd < 0 || put_tree(j, &t, e) < 0 ? -1 : finish_file(&fd, j->tmp, e);
}

/* ---- squashfs, by mksquashfs of squashfs-tools ---- */

/* ROOT is given as options, for of a tar stream the root is passed over. */
static int spawn_mksquashfs(const char *out, const struct store_inode *root, int in, int said,
			    pid_t *pid, struct hr_err *e)
{
	hr_autofree char *mode = hr_xasprintf("%o", root->mode & 07777u),
			 *uid = hr_xasprintf("%" PRIu32, root->uid),
			 *gid = hr_xasprintf("%" PRIu32, root->gid);

	char *argv[] = { (char[]) { "mksquashfs" },
			 (char[]) { "-" },
			 (char *)(uintptr_t)out,
			 (char[]) { "-tar" },
			 (char[]) { "-quiet" },
			 (char[]) { "-no-progress" },
			 (char[]) { "-comp" },
			 (char[]) { "zstd" },
			 (char[]) { "-Xcompression-level" },
			 (char[]) { "3" },
			 (char[]) { "-root-mode" },
			 mode,
			 (char[]) { "-root-uid" },
			 uid,
			 (char[]) { "-root-gid" },
			 gid,
			 NULL };
	posix_spawn_file_actions_t actions;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, said, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, said, STDERR_FILENO);
	r = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r == 0)
		return 0;
	hr_hint(e, "install squashfs-tools 4.5 or later, or export to tar or oci");
	return hr_fail(e, HR_SYS, r, "cannot start 'mksquashfs', which makes squashfs files");
}

/*
 * It failed, and SAID is what it wrote: the last lines are why. It complains of each name that is
 * not plain ASCII, too, which is no news.
 */
static int mksquashfs_failed(int said, struct hr_err *e)
{
	hr_autobuf struct hr_buf why = { 0 };
	char tail[SAID_BYTES] = "", *rest = tail;
	struct stat st = { .st_size = 0 };
	struct hr_err unread = { 0 }; /* then why is not known */
	size_t n;

	if (fstat(said, &st) < 0)
		hr_debug("what mksquashfs said cannot be read: %s", strerror(errno));
	n = st.st_size < SAID_BYTES ? (size_t)st.st_size : SAID_BYTES - 1;
	if (hr_pread_all(said, tail, n, (uint64_t)st.st_size - n, "a memory file", &unread) < 0)
		hr_debug("%s", unread.text);
	for (char *line; (line = strsep(&rest, "\n"));) {
		if (line[0] == '\0' || strstr(line, ", ignoring"))
			continue;
		hr_buf_str(&why, ": ");
		hr_buf_untrusted(&why, line, strlen(line));
	}
	return hr_fail(e, HR_SYS, 0, "mksquashfs failed%s",
		       why.len > 0 ? (const char *)why.p : ", and did not say why");
}

static int make_sqfs_at(struct job *j, const char *path, struct hr_err *e)
{
	hr_autofd int said = memfd_create("mksquashfs", MFD_CLOEXEC);
	struct hr_err unread = { 0 };
	struct store_inode root;
	int pipes[2], status, r;
	pid_t pid;

	if (!store_index_inode(j->image.ix, 0, &root))
		return hr_fail(e, HR_CORRUPT, 0, "the root of the image is damaged");
	if (said < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a memory file");
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a pipe");
	hr_strv_add(&j->written, path);
	r = spawn_mksquashfs(path, &root, pipes[0], said, &pid, e);
	close(pipes[0]);
	if (r == 0) {
		struct target t = { .fd = pipes[1], .name = "the pipe to mksquashfs" };

		r = put_tree(j, &t, &unread);
	}
	if (r < 0 && unread.kind != HR_OK && unread.sys != EPIPE)
		kill(pid, SIGTERM); /* or it would make a whole file of half an image */
	close(pipes[1]);
	if (e->kind != HR_OK)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return hr_fail(e, HR_SYS, errno, "cannot wait for mksquashfs");
	if (unread.kind != HR_OK && unread.sys != EPIPE) {
		*e = unread;
		return -1;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || unread.kind != HR_OK)
		return mksquashfs_failed(said, e);
	return 0;
}

static int make_sqfs(struct job *j, struct hr_err *e)
{
	return make_sqfs_at(j, j->tmp, e);
}

/* ---- SIF: a head, and a squashfs behind it ---- */

static int copy_all(int from, uint64_t bytes, int to, const char *name, struct hr_err *e)
{
	hr_autofree uint8_t *room = hr_xmalloc(COPY_BYTES);

	for (uint64_t at = 0; at < bytes;) {
		size_t n = bytes - at < COPY_BYTES ? (size_t)(bytes - at) : COPY_BYTES;

		if (hr_pread_all(from, room, n, at, "the squashfs", e) < 0 ||
		    hr_write_all(to, room, n, name, e) < 0)
			return -1;
		at += n;
	}
	return 0;
}

static int make_sif(struct job *j, struct hr_err *e)
{
	hr_autofree char *part = hr_xasprintf("%s.squashfs", j->tmp);
	hr_autobuf struct hr_buf head = { 0 };
	hr_autofd int fd = -1, from = -1;
	uint8_t uuid[16];
	struct stat st;

	if (make_sqfs_at(j, part, e) < 0)
		return -1;
	from = open(part, O_RDONLY | O_CLOEXEC);
	if (from < 0 || fstat(from, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '%s'", part);
	if (getrandom(uuid, sizeof(uuid), 0) != (ssize_t)sizeof(uuid))
		return hr_fail(e, HR_SYS, errno, "cannot get random bytes");
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* RFC 4122, version 4 */
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	store_sif_write((uint64_t)st.st_size, fetch_host_arch(), time(NULL), uuid, &head);
	fd = create(j, j->tmp, e);
	if (fd < 0 || hr_write_all(fd, head.p, head.len, j->tmp, e) < 0 ||
	    copy_all(from, (uint64_t)st.st_size, fd, j->tmp, e) < 0)
		return -1;
	unlink(part);		  /* when it fails, it fails again and is left, as the list says */
	if (fchmod(fd, 0755) < 0) /* a SIF file begins with #! */
		return hr_fail(e, HR_SYS, errno, "cannot make '%s' executable", j->tmp);
	return finish_file(&fd, j->tmp, e);
}

/* ---- an OCI layout of one layer ---- */

static int make_dir(struct job *j, const char *path, struct hr_err *e)
{
	if (mkdir(path, 0777) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot create '%s'", path);
	hr_strv_add(&j->written, path);
	return 0;
}

static int put_bytes(struct job *j, const char *path, const void *p, size_t n, struct hr_err *e)
{
	hr_autofd int fd = create(j, path, e);

	return fd < 0 || hr_write_all(fd, p, n, path, e) < 0 ? -1 : finish_file(&fd, path, e);
}

static int put_blob(struct job *j, const char *text, struct store_oci_part *out, struct hr_err *e)
{
	char hex[FETCH_DIGEST_HEX];
	hr_autofree char *path = NULL;

	out->bytes = strlen(text);
	fetch_digest_of(text, strlen(text), &out->digest);
	path = hr_xasprintf("%s/blobs/sha256/%s", j->tmp, fetch_digest_hex(&out->digest, hex));
	return put_bytes(j, path, text, strlen(text), e);
}

static int put_layer(struct job *j, struct store_oci_part *out, struct hr_err *e)
{
	hr_autofree char *path = hr_xasprintf("%s/blobs/sha256/layer", j->tmp), *named = NULL;
	hr_autofd int fd = create(j, path, e);
	HR_CLEANUP(fetch_hash_freep) struct fetch_hash *hash = fetch_hash_new();
	struct target t = { .fd = fd, .name = path, .hash = hash };
	char hex[FETCH_DIGEST_HEX];

	if (fd < 0 || put_tree(j, &t, e) < 0 || finish_file(&fd, path, e) < 0)
		return -1;
	fetch_hash_end(hash, &out->digest);
	out->bytes = t.bytes;
	named = hr_xasprintf("%s/blobs/sha256/%s", j->tmp, fetch_digest_hex(&out->digest, hex));
	if (rename(path, named) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot rename '%s'", path);
	hr_strv_add(&j->written, named);
	return 0;
}

static int make_oci(struct job *j, struct hr_err *e)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	hr_autofree char *blobs = hr_xasprintf("%s/blobs", j->tmp),
			 *sha = hr_xasprintf("%s/blobs/sha256", j->tmp), *config = NULL,
			 *manifest = NULL, *index = NULL,
			 *index_path = hr_xasprintf("%s/index.json", j->tmp),
			 *layout_path = hr_xasprintf("%s/oci-layout", j->tmp);
	char a[FETCH_DIGEST_TEXT];
	struct store_oci_layer layer = { .compression = FETCH_PLAIN };
	struct store_oci_part conf, man;

	if (make_dir(j, j->tmp, e) < 0 || make_dir(j, blobs, e) < 0 || make_dir(j, sha, e) < 0 ||
	    put_layer(j, &layer.blob, e) < 0)
		return -1;
	layer.diff_id = layer.blob.digest;
	config = store_oci_config(j->image.ix, &layer, 1, e);
	if (!config || put_blob(j, config, &conf, e) < 0)
		return -1;
	manifest = store_oci_manifest(&conf, &layer, 1);
	if (put_blob(j, manifest, &man, e) < 0)
		return -1;
	j->manifest = man.digest;
	index = hr_xasprintf(
		"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" STORE_OCI_MANIFEST
		"\",\"digest\":\"%s\",\"size\":%" PRIu64
		",\"annotations\":{\"org.opencontainers.image.ref.name\":\"latest\"}}]}",
		fetch_digest_text(&man.digest, a), man.bytes);
	if (put_bytes(j, index_path, index, strlen(index), e) < 0)
		return -1;
	return put_bytes(j, layout_path, layout, sizeof(layout) - 1, e);
}

/* ---- the verb ---- */

static const struct {
	const char *name, *ending;
	int (*make)(struct job *j, struct hr_err *e);
	bool directory;
} formats[] = {
	{ "tar", ".tar", make_tar, false },    { "oci", ".oci", make_oci, true },
	{ "sqfs", ".sqfs", make_sqfs, false }, { "sqfs", ".squashfs", make_sqfs, false },
	{ "sif", ".sif", make_sif, false },
};

static int find_format(const struct export_args *a, const char *out, size_t *found,
		       struct hr_err *e)
{
	size_t n = strlen(out);

	for (size_t i = 0; i < HR_COUNT(formats); i++) {
		size_t len = strlen(formats[i].ending);

		*found = i;
		if (a->format ? strcmp(a->format, formats[i].name) == 0
			      : n > len && strcmp(out + n - len, formats[i].ending) == 0)
			return 0;
	}
	return a->format ? hr_fail(e, HR_USAGE, 0, "--format '%s' is none of: tar, oci, sqfs, sif",
				   a->format)
			 : hr_fail(e, HR_USAGE, 0,
				   "'%s' ends in none of .tar .oci .sqfs .squashfs .sif; "
				   "give --format",
				   out);
}

/* The directory for OUT, before anything is read for it. */
static int check_place(const char *out, struct hr_err *e)
{
	const char *slash = strrchr(out, '/');
	hr_autofree char *dir =
		slash ? hr_xstrndup(out, (size_t)(slash - out) + 1) : hr_xstrdup(".");

	if (access(dir, W_OK | X_OK) == 0)
		return 0;
	if (errno == ENOENT || errno == ENOTDIR)
		hr_hint(e, "make the directory '%s' first", dir);
	return hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno, "cannot write '%s'", out);
}

static void print_json(const struct job *j, const char *image, size_t format)
{
	bool directory = formats[format].directory;
	json_t *o = json_object();
	struct stat st;

	store_json_set(o, "image", json_string(image));
	store_json_set(o, "file", json_string(j->out));
	store_json_set(o, "format", json_string(formats[format].name));
	store_json_set(o, "bytes",
		       !directory && stat(j->out, &st) == 0 ? store_json_u64((uint64_t)st.st_size)
							    : NULL);
	store_json_set(o, "digest", directory ? store_json_digest(&j->manifest) : NULL);
	store_json_print(o);
}

static int export_main(void *args, int argc, char **argv, struct hr_err *e)
{
	const struct export_args *a = args;
	HR_CLEANUP(job_release) struct job j = { .out = argv[1] };
	size_t format;
	struct stat st;

	(void)argc;
	if (find_format(a, j.out, &format, e) < 0 || check_place(j.out, e) < 0)
		return -1;
	if (lstat(j.out, &st) == 0 && (!a->force || formats[format].directory)) {
		hr_hint(e, formats[format].directory ? "remove it first" : "--force replaces it");
		return hr_fail(e, HR_USAGE, 0, "'%s' is there already", j.out);
	}
	j.tmp = hr_xasprintf("%s.new-%d", j.out, (int)getpid());
	if (store_cmd_paths(&a->common, &j.conf, &j.paths, e) < 0 ||
	    store_cmd_image_open(&j.paths, argv[0], &j.image, e) < 0 ||
	    formats[format].make(&j, e) < 0)
		return hr_wrap(e, "cannot export '%s'", argv[0]);
	if (rename(j.tmp, j.out) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot rename '%s' to '%s'", j.tmp, j.out);
	hr_strv_release(&j.written);
	if (a->json)
		print_json(&j, argv[0], format);
	return 0;
}

const struct hr_cmd store_cmd_export = {
	.name = "export",
	.operands = "IMAGE FILE",
	.summary = "write an image as a file that other programs read",
	.opts = export_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct export_args),
	.min_operands = 2,
	.max_operands = 2,
	.main = export_main,
};
