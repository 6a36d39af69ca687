/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hpcrun-serve: show one image of a store over FUSE. util/serve_proto.h is the contract with the
 * session that starts it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/cache_place.h"
#include "store/job.h"
#include "store/file_image.h"
#include "store/layout.h"
#include "store/local_cache.h"
#include "store/serve.h"
#include "store/upstream.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/limit.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/opt.h"
#include "util/serve_proto.h"
#include "util/source.h"
#include "util/poison.h"

#define MEMORY_DEFAULT (192u << 20)
#define MEMORY_MIN     (4u << 20)
#define TARGETS_LIMIT  (4u << 20) /* bytes of the list of targets */

struct serve_args {
	uint64_t control_fd, stats_fd, keep_fds;
	struct hr_strv stores;
	uint64_t memory;
	bool verify_full, native;
	const char *cache, *app, *manifest;
};

static const struct hr_opt serve_opts[] = {
	HR_OPT_U64(0, "control-fd", "N", struct serve_args, control_fd, 3, 1 << 20,
		   "descriptor of the session's control socket"),
	HR_OPT_U64(0, "stats-fd", "N", struct serve_args, stats_fd, 3, 1 << 20,
		   "descriptor of the file that the session's figures are kept in"),
	HR_OPT_U64(0, "keep-fds", "N", struct serve_args, keep_fds, 0, 8,
		   "descriptors behind these that are the session's locks"),
	HR_OPT_LIST(0, "store", "PATH", struct serve_args, stores,
		    "look for the image in this store, a path or a URL"),
	HR_OPT_SIZE(0, "memory", "SIZE", struct serve_args, memory, MEMORY_MIN, UINT64_MAX,
		    "memory for decompressed chunks, default 192M"),
	HR_OPT_STR(0, "app", "NAME", struct serve_args, app,
		   "the program that will run, to foresee what it reads"),
	HR_OPT_STR(0, "cache", "DIR", struct serve_args, cache,
		   "keep what comes over the network here"),
	HR_OPT_STR(0, "manifest", "DIGEST", struct serve_args, manifest,
		   "what an earlier server took the image for, if it is a reference"),
	HR_OPT_FLAG(0, "verify-full", struct serve_args, verify_full,
		    "check the sha256 of each chunk, not its check sum alone"),
	HR_OPT_FLAG(0, "native", struct serve_args, native,
		    "make large files in the node cache, and tell the session"),
	HR_OPT_END
};

/* ---- the process ---- */

/* What the caller of our caller left open is none of our business; A and B (-1: none) are, and KEEP
 * more behind these: locks, which last as long as somebody has them open. */
static void close_others(int a, int b, int keep)
{
	int top = a > b ? a : b;

	for (int fd = 3; fd < top; fd++) /* few: the session numbers them */
		if (fd != a && fd != b)
			close(fd);
	top += keep;
#ifdef SYS_close_range
	if (syscall(SYS_close_range, (unsigned int)top + 1, ~0u, 0u) == 0)
		return;
#endif
	for (int fd = top + 1; fd < sysconf(_SC_OPEN_MAX); fd++) /* Linux before 5.9 */
		close(fd);
}

/*
 * Signals that a batch system or a terminal sends to the whole step are for the program, which may
 * need its files to save its work. The end is ENODEV, or SIGKILL.
 */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGHUP,	SIGINT,	 SIGQUIT, SIGPIPE,  SIGALRM, SIGTERM,
				       SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN,  SIGTTOU, SIGXCPU,
				       SIGXFSZ, SIGPROF, SIGIO,	  SIGVTALRM };

	for (size_t i = 0; i < HR_COUNT(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

static int settle(int control, int stats, int keep, struct hr_err *e)
{
	if (fcntl(control, F_SETFD, FD_CLOEXEC) < 0)
		return hr_fail(e, HR_USAGE, errno, "--control-fd=%d is not open", control);
	if (stats >= 0 && fcntl(stats, F_SETFD, FD_CLOEXEC) < 0)
		return hr_fail(e, HR_USAGE, errno, "--stats-fd=%d is not open", stats);
	close_others(control, stats, keep);
	ignore_signals();
	hr_limit_raise();   /* packs beyond a limit of files are tried, then EIO */
	if (chdir("/") < 0) /* or we would keep a directory of the user's busy */
		return hr_fail(e, HR_SYS, errno, "cannot change to '/'");
	return 0;
}

/* ---- the dialogue with the session ---- */

static int say_hello(int control, const struct store_index *ix, struct hr_err *e)
{
	struct serve_msg m = { .magic = SERVE_MAGIC, .type = SERVE_HELLO };
	hr_autofd int fd = memfd_create("hpcrun-config", MFD_CLOEXEC);
	const int fds[2] = { fd, -1 };
	struct fetch_digest manifest;
	char text[FETCH_DIGEST_TEXT];
	const uint8_t *config;
	size_t len;

	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a memory file");
	config = store_index_config(ix, &len);
	if (hr_write_all(fd, config, len, "the image config", e) < 0)
		return -1;
	store_index_manifest(ix, &manifest);
	snprintf(m.text, sizeof(m.text), "%s", fetch_digest_text(&manifest, text));
	return hr_serve_send(control, &m, fds, e);
}

static int say_ready(int control, struct hr_err *e)
{
	struct serve_msg m = { .magic = SERVE_MAGIC, .type = SERVE_READY };

	return hr_serve_send(control, &m, NULL, e);
}

void serve_tell_place(struct serve *s, const struct serve_web *w, const char *dir)
{
	hr_autofree char *text = store_cache_place_warning(w->cache, w->conf, dir);

	if (text)
		serve_tell(s, text);
}

void serve_tell(void *arg, const char *text)
{
	struct serve_msg m = { .magic = SERVE_MAGIC, .type = SERVE_NOTICE };
	const struct serve *s = arg;

	snprintf(m.err.text, sizeof(m.err.text), "%s", text);
	hr_serve_offer(s->control, &m);
}

static void say_failure(int control, enum serve_msg_type type, const struct hr_err *failure)
{
	struct serve_msg m = { .magic = SERVE_MAGIC, .type = type, .err = *failure };
	struct hr_err e = { 0 };

	if (hr_serve_send(control, &m, NULL, &e) < 0)
		hr_err_print(failure); /* nobody listens but the log */
}

/* The tree: the image, then /dev and its like, then what the session wants to mount on. */
static int build_tree(struct serve *s, int targets_fd, struct hr_err *e)
{
	static const struct {
		const char *name;
		uint32_t mode;
	} forced[] = { { "dev", 0755 }, { "proc", 0555 }, { "sys", 0555 }, { "tmp", 01777 } };
	hr_autobuf struct hr_buf targets = { 0 };

	s->tree = serve_tree_new(s->ix);
	s->ahead = serve_ahead_new(s->tree);
	s->push = serve_push_new(s);
	for (size_t i = 0; i < HR_COUNT(forced); i++)
		if (serve_tree_force(s->tree, forced[i].name, forced[i].mode, e) < 0)
			return -1;
	if (targets_fd < 0)
		return 0;
	if (lseek(targets_fd, 0, SEEK_SET) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot rewind the list of targets");
	if (hr_fd_read(targets_fd, TARGETS_LIMIT, "the list of targets", &targets, e) < 0)
		return -1;
	return serve_tree_targets(s->tree, targets.p, targets.len, e);
}

static int serve(struct serve *s, struct hr_err *e)
{
	struct serve_msg m;
	int fds[2] = { -1, -1 };
	hr_autofd int fuse = -1, targets = -1;

	if (say_hello(s->control, s->ix, e) < 0 || hr_serve_recv(s->control, &m, fds, e) < 0)
		return -1;
	fuse = fds[0];
	targets = fds[1];
	if (m.type != SERVE_START || fuse < 0)
		return hr_fail(e, HR_CORRUPT, 0, "the session sent message %u in place of a start",
			       m.type);
	s->uid = m.uid;
	s->gid = m.gid;
	if (build_tree(s, targets, e) < 0 || say_ready(s->control, e) < 0)
		return -1;
	return serve_loop(s, fuse, m.data, m.data_len, e);
}

/* The cache of this node in front of SOURCE; without one, SOURCE. */
static struct store_chunk_source cached(struct serve *s, const struct serve_web *w,
					struct store_chunk_source source)
{
	hr_autofree char *dir = store_cache_place(w->cache, w->conf);
	struct serve_native_options native = { .program = w->app,
					       .cache_bytes = w->conf->cache_bytes,
					       .moved = store_local_cache_moved };
	struct store_cache *cache = NULL;
	struct hr_err e = { 0 };

	if (store_cache_open(dir, &cache, &e) < 0) {
		hr_debug("no cache: %s", e.text);
		return source;
	}
	s->cache = cache;
	serve_tell_place(s, w, dir);
	source = store_local_cache_wrap(store_local_cache_new(cache, s->img), &source);
	native.source = source;
	native.cache_dir = dir;
	if (w->native)
		s->native = serve_native_start(s, &native);
	return source;
}

/* The registry behind the files, unless the configuration forbids it; then NULL. */
static struct store_upstream *upstream_behind(struct serve *s, const struct serve_web *w,
					      const char *path, store_chunk_sha256 *sha256,
					      struct store_chunk_source *source)
{
	const struct store_upstream_options o = { .img = s->img,
						  .image = w->image,
						  .advisor = path,
						  .cache = store_cache_place(w->cache, w->conf),
						  .sha256 = sha256,
						  .stats = s->stats };
	struct store_upstream *u;

	if (!w->conf->upstream)
		return NULL;
	u = store_upstream_new(&o);
	*source = store_upstream_wrap(u, source);
	return u;
}

/* What all nodes of the job step take IMAGE for, found in this store; "" for the image itself. */
static int settle_tag(const struct serve_web *w, const char *path, char out[FETCH_DIGEST_TEXT],
		      struct hr_err *e)
{
	HR_CLEANUP(store_name_release) struct store_name name = { 0 };
	HR_CLEANUP(store_closep) struct store *st = NULL;
	struct fetch_digest m;

	out[0] = '\0';
	if (w->manifest)
		snprintf(out, FETCH_DIGEST_TEXT, "%s", w->manifest);
	if (w->manifest || !getenv("SLURM_STEP_ID"))
		return 0;
	if (store_name_parse(w->image, &name, e) < 0)
		return -1;
	if (name.by_digest)
		return 0;
	if (store_open(path, STORE_READ, &w->stores->trusted, &st, e) < 0 ||
	    store_ref_resolve(st, &name.ref, &m, e) < 0 ||
	    store_outage_settle(w->outage, w->stores, w->image, &m, e) < 0)
		return -1;
	fetch_digest_text(&m, out);
	return 0;
}

/* An image that lies in files: its chunks come straight from them. */
static int open_files(struct serve *s, const struct serve_web *w, const char *path,
		      struct hr_err *e)
{
	char *only[] = { (char *)(uintptr_t)path, NULL };
	const struct store_paths one = { .v = only, .n = 1, .trusted = w->stores->trusted };
	struct store_chunk_source source;
	store_chunk_sha256 *sha256 = NULL;
	struct store_upstream *upstream;
	char manifest[FETCH_DIGEST_TEXT];

	if (w->verify_full && serve_sha256_load(&sha256, e) < 0)
		return -1;
	if (settle_tag(w, path, manifest, e) < 0 ||
	    store_image_open(&one, manifest[0] ? manifest : w->image, &s->img, e) < 0)
		return -1;
	if (sha256 && store_image_check_index(s->img, sha256, e) < 0)
		return -1;
	s->ix = store_image_index(s->img);
	s->files = true;
	source = store_image_source(s->img);
	if (!w->verify_full) /* the cache's chunks are checked by their check sums alone */
		source = cached(s, w, source);
	upstream = upstream_behind(s, w, path, sha256, &source);
	s->chunks = store_chunks_new(s->ix, &source, w->memory, sha256);
	store_chunks_count(s->chunks, s->stats, hr_stats_origin(s->stats, path));
	store_chunks_tell(s->chunks, serve_tell, s);
	if (upstream)
		store_upstream_deliver_to(upstream, s->chunks);
	return 0;
}

/* A file that is an image: its blocks are the chunks, and their check sums learnt on the way. */
static int open_in_place(struct serve *s, const struct serve_web *w, struct hr_err *e)
{
	hr_autofree char *dir = store_cache_place(w->cache, w->conf);
	struct store_chunk_source source;
	struct hr_err no_cache = { 0 };
	struct store_file *f;

	if (store_cache_open(dir, &s->cache, &no_cache) < 0)
		hr_debug("no cache: %s", no_cache.text);
	if (store_file_open(w->image, s->cache, &f, e) < 0)
		return -1;
	s->img = store_file_image(f);
	s->ix = store_image_index(s->img);
	source = store_file_source(f);
	if (s->cache && !w->verify_full)
		source = store_local_cache_wrap(store_local_cache_new(s->cache, s->img), &source);
	s->chunks = store_chunks_new(s->ix, &source, w->memory, NULL);
	store_chunks_count(s->chunks, s->stats, hr_stats_origin(s->stats, w->image));
	store_chunks_tell(s->chunks, serve_tell, s);
	return 0;
}

/* The first store of the chain that has the image; 1: none of those that answer. */
static int open_in_chain(struct serve *s, const struct serve_web *w, struct hr_err *e)
{
	for (size_t i = 0; i < w->stores->n; i++) {
		const char *store = w->stores->v[i];
		int r = store_is_url(store) ? serve_open_web(s, w, store, e)
					    : open_files(s, w, store, e);

		hr_autofree char *line = NULL;

		if (r == 0)
			line = store_outage_line(w->outage, w->image, store);
		if (line)
			serve_tell(s, line);
		if (r == 0 || s->img || !store_outage_pass(w->outage, e))
			return r;
	}
	return 1;
}

static int open_image(struct serve *s, const struct serve_web *w, struct hr_err *e)
{
	int r;

	if (hr_source_of(w->image) == HR_SOURCE_FILE)
		return open_in_place(s, w, e);
	if (hr_source_of(w->image) == HR_SOURCE_URL)
		return serve_open_web(s, w, w->image, e);
	do
		r = open_in_chain(s, w, e);
	while (r > 0 && store_outage_again(w->outage));
	return r > 0 ? store_outage_missing(w->outage, w->stores, w->image, e) : r;
}

/* Whether 'hpcrun pull' could bring the image into one of the stores. */
static bool can_be_pulled(const struct store_paths *stores, const char *image)
{
	struct fetch_digest manifest;
	struct hr_err no_digest = { 0 };

	if (hr_source_of(image) != HR_SOURCE_REF ||
	    fetch_digest_parse(image, &manifest, &no_digest) == 0)
		return false; /* of which repository? */
	for (size_t i = 0; i < stores->n; i++)
		if (!store_is_url(stores->v[i]))
			return true;
	return false;
}

/* A session of which nothing is counted is as good. */
static void open_stats(struct serve *s, int fd)
{
	struct hr_err e = { 0 };

	if (fd >= 0 && hr_stats_map(fd, &s->stats, &e) < 0)
		hr_debug("%s", e.text);
}

/* What the image was taken for before, by this session or this job step; NULL: not yet. */
static const char *settled(const struct serve_args *a, const struct store_paths *stores,
			   const char *image, char text[FETCH_DIGEST_TEXT])
{
	struct fetch_digest m;

	if (a->manifest && hr_source_of(image) == HR_SOURCE_REF)
		return a->manifest;
	return store_job_find(stores, image, &m) ? fetch_digest_text(&m, text) : NULL;
}

/* *MISSING becomes true when what failed is that no store has the image. */
static int run(const struct serve_args *a, const struct hr_conf *conf,
	       const struct store_paths *stores, const char *image, int control, bool *missing,
	       struct hr_err *e)
{
	/* lives until the process ends: threads use it */
	static struct hr_stats uncounted;
	HR_CLEANUP(store_outage_release) struct store_outage outage = { 0 };
	struct serve s = { .control = control,
			   .watch = { .lock = PTHREAD_MUTEX_INITIALIZER },
			   .stats = &uncounted };
	char manifest[FETCH_DIGEST_TEXT];
	const struct serve_web w = {
		.image = image,
		.manifest = settled(a, stores, image, manifest),
		.goes_on = a->manifest != NULL,
		.stores = stores,
		.outage = &outage,
		.app = a->app ? a->app : "",
		.cache = a->cache,
		.conf = conf,
		.stats_fd = a->stats_fd ? (int)a->stats_fd : -1,
		.keep_fds = (unsigned int)a->keep_fds,
		.memory = a->memory ? a->memory : MEMORY_DEFAULT,
		.verify_full = a->verify_full,
		.native = a->native,
	};

	s.push_pages = conf->push;
	open_stats(&s, w.stats_fd);
	if (open_image(&s, &w, e) < 0) {
		*missing = e->kind == HR_NOTFOUND && can_be_pulled(stores, image);
		return -1;
	}
	serve_warm_start(&s, w.app, conf->cache_bytes);
	return serve(&s, e);
}

static int serve_main(void *args, int argc, char **argv, struct hr_err *e)
{
	struct serve_args *a = args;
	int control = (int)a->control_fd, r = -1;
	struct store_paths stores = { 0 };
	bool missing = false;
	struct hr_conf conf;

	(void)argc;
	if (control == 0)
		return hr_fail(e, HR_USAGE, 0,
			       "--control-fd is missing: hpcrun-session starts this "
			       "program");
	/* paths first: settling changes the working directory */
	if (hr_conf_load(&conf, e) == 0 && store_list(&a->stores, &conf, &stores, e) == 0 &&
	    store_cache_place_check(a->cache, &conf, e) == 0 &&
	    settle(control, a->stats_fd ? (int)a->stats_fd : -1, (int)a->keep_fds, e) == 0)
		r = run(a, &conf, &stores, argv[0], control, &missing, e);
	store_paths_release(&stores);
	hr_conf_release(&conf);
	if (r == 0)
		return 0;
	say_failure(control, missing ? SERVE_MISSING : SERVE_ERROR, e);
	return HR_EXIT_FAILED;
}

static const struct hr_cmd serve_cmd = {
	.name = "hpcrun-serve",
	.operands = "IMAGE",
	.summary = "serve an image over FUSE; started by hpcrun-session",
	.opts = serve_opts,
	.args_size = sizeof(struct serve_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = serve_main,
};

int main(int argc, char **argv)
{
	struct hr_err e = { 0 };
	int status;

	hr_log_setup("hpcrun-serve", HR_LOG_WARN);
	status = hr_cmd_run("hpcrun-serve", &serve_cmd, argc - 1, argv + 1, &e);
	if (status < 0) {
		hr_err_print(&e);
		return HR_EXIT_FAILED;
	}
	return status;
}
