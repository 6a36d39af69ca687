/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/cache.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define HELPER	   "hpcrun-store"
#define FD_BEYOND  16 /* above those that the helper gets */
#define REFUSED_S  30
#define WHY_BYTES  256 /* of the first reason, in the message with both */
#define HINT_BYTES 128

extern char **environ;

struct question {
	uint32_t chunk;
	enum hr_kind kind; /* of why it cannot be had from the stores */
	char why[WHY_BYTES], hint[HINT_BYTES];
};

struct store_upstream {
	struct store_upstream_options o;
	const struct store_index *ix;
	const struct store_loc *loc;
	store_upstream_landed *landed;
	void *landed_arg;
	struct store_chunk_source below; /* of store_upstream_wrap() */
	struct store_chunks *chunks;

	pthread_mutex_t lock; /* of the questions */
	pthread_cond_t asked;
	struct question *questions;
	size_t n, cap;
	bool running; /* the thread */

	/* of the thread alone */
	struct store_cache *cache;
	struct store_cache_pack **packs; /* by number in the location file; opened when used */
	time_t *refused_s;		 /* by chunk: when it was not to be had; 0 never */
	time_t silent_s;		 /* when the registry gave nothing at all; 0 never */
	uint8_t *buf;			 /* STORE_CHUNK_MAX bytes */
	struct hr_stats_origin *seen;	 /* the registry, once it was asked */
};

struct store_upstream *store_upstream_new(const struct store_upstream_options *o)
{
	struct store_upstream *u = hr_xmalloc(sizeof(*u));

	u->o = *o;
	u->ix = store_image_index(o->img);
	u->loc = store_image_loc(o->img);
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->asked, NULL);
	return u;
}

void store_upstream_deliver(struct store_upstream *u, store_upstream_landed *landed, void *arg)
{
	u->landed = landed;
	u->landed_arg = arg;
}

/* ---- one round: some questions, some of them answered ---- */

struct round {
	struct store_upstream *u;
	struct question *questions;
	size_t n;
	bool *answered;
};

static time_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void answer(struct round *r, size_t i, const uint8_t *p, uint32_t bytes)
{
	r->answered[i] = true;
	r->u->landed(r->u->landed_arg, r->questions[i].chunk, p, bytes, NULL);
}

static void refuse(struct round *r, size_t i, const struct hr_err *because)
{
	const struct question *q = &r->questions[i];
	struct store_upstream *u = r->u;
	struct hr_err e = { 0 };

	(void)hr_fail(&e, q->kind == HR_USAGE ? HR_USAGE : because->kind, 0,
		      "%s; and not from the registry: %s", q->why, because->text);
	if (q->hint[0])
		hr_hint(&e, "%s", q->hint);
	r->answered[i] = true;
	u->landed(u->landed_arg, q->chunk, NULL, 0, &e);
}

/* The pack's place in the node cache, or NULL. */
static struct store_cache_pack *pack_of(struct store_upstream *u, uint32_t number)
{
	struct store_loc_pack name = store_loc_pack(u->loc, number);
	struct hr_err e = { 0 }; /* without a cache the helper's answers will do */

	if (!u->cache && store_cache_open(u->o.cache, &u->cache, &e) < 0) {
		hr_debug("no cache: %s", e.text);
		return NULL;
	}
	if (!u->packs[number] &&
	    store_cache_pack_open(u->cache, &name.name, name.frames, &u->packs[number], &e) < 0)
		hr_debug("not cached: %s", e.text);
	return u->packs[number];
}

/* Answer what an earlier round brought into the cache. */
static void answer_from_cache(struct round *r, size_t i)
{
	struct store_upstream *u = r->u;
	uint32_t chunk = r->questions[i].chunk;
	struct store_loc_chunk at = store_loc_chunk(u->loc, chunk);
	struct store_cache_pack *pack = pack_of(u, at.pack);
	struct hr_err damaged = { 0 }; /* then it is fetched */
	struct store_chunk c;

	if (!pack || !store_cache_has(pack, at.frame) || !store_index_chunk(u->ix, chunk, &c))
		return;
	if (store_cache_get(pack, at.frame, at.plain_off, u->buf, c.bytes, &damaged) < 0 ||
	    store_frame_verify(&c, u->buf, u->o.sha256, &damaged) < 0)
		store_cache_drop(pack, at.frame);
	else
		answer(r, i, u->buf, c.bytes);
}

static void refuse_again(struct round *r, size_t i)
{
	const struct store_upstream *u = r->u;
	time_t when = u->refused_s[r->questions[i].chunk];
	struct hr_err e = { 0 };

	if (when < u->silent_s)
		when = u->silent_s;
	if (when == 0 || now_s() - when >= REFUSED_S)
		return;
	(void)hr_fail(&e, HR_NET, 0, "it could not give it a moment ago");
	refuse(r, i, &e);
}

/* ---- the helper ---- */

/* "registry/repository" that the image came from. */
struct source {
	struct fetch_digest manifest;
	const struct fetch_ref *named; /* or NULL */
	char *repo;		       /* NULL: not found */
	bool from_elsewhere;
};

static int match_ref(void *arg, const struct fetch_ref *ref, const struct store_ref_record *rec,
		     struct hr_err *e)
{
	struct source *s = arg;

	(void)e;
	if (!fetch_digest_equal(&rec->manifest, &s->manifest))
		return 0;
	if (!store_ref_record_is_fetched(rec))
		s->from_elsewhere = true;
	else if (!s->repo)
		s->repo = hr_xasprintf("%s/%s", ref->registry, ref->repo);
	return 0;
}

/* Any reference of the image will do; when all are gone, the name that it was started by. */
static int find_repo(const struct store_upstream *u, char **repo, struct hr_err *e)
{
	HR_CLEANUP(store_name_release) struct store_name name = { 0 };
	struct source s = { .repo = NULL };
	struct hr_err unread = { 0 };

	store_index_manifest(u->ix, &s.manifest);
	if (store_ref_each(store_image_store(u->o.img), match_ref, &s, &unread) < 0)
		hr_debug("%s", unread.text);
	if (!s.repo && !s.from_elsewhere && store_name_parse(u->o.image, &name, e) < 0)
		return -1;
	if (!s.repo && !s.from_elsewhere && !name.by_digest)
		s.repo = hr_xasprintf("%s/%s", name.ref.registry, name.ref.repo);
	*repo = s.repo;
	return s.repo ? 0
		      : hr_fail(e, HR_NOTFOUND, 0, "no reference says which one '%s' came from",
				u->o.image);
}

/* The helper lies beside this program. */
static char *helper_path(void)
{
	char program[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash = n > 0 ? strrchr(program, '/') : NULL;

	return hr_xasprintf("%.*s" HELPER, slash ? (int)(slash - program) + 1 : 0, program);
}

/* A copy of a descriptor above those of the helper, so that placing one does not close another. */
static int beyond(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, FD_BEYOND);
}

static int spawn(char *const *argv, const int fds[4], pid_t *pid, struct hr_err *e)
{
	const int to[4] = { STDIN_FILENO, STDOUT_FILENO, STORE_UPSTREAM_INDEX_FD,
			    STORE_UPSTREAM_LOC_FD };
	posix_spawn_file_actions_t actions;
	int r = 0;

	posix_spawn_file_actions_init(&actions);
	for (size_t i = 0; r == 0 && i < HR_COUNT(to); i++)
		r = fds[i] < 0 ? EBADF : posix_spawn_file_actions_adddup2(&actions, fds[i], to[i]);
	if (r == 0)
		r = posix_spawn(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r == 0 ? 0 : hr_fail(e, HR_SYS, r, "cannot start '%s'", argv[0]);
}

/* Start the helper with what is not answered yet; *out receives what it says. */
static int start_helper(const struct round *r, pid_t *pid, int *out, struct hr_err *e)
{
	struct store_upstream *u = r->u;
	HR_CLEANUP(hr_strv_release) struct hr_strv argv = { 0 };
	hr_autofd int numbers = memfd_create("hpcrun-chunks", MFD_CLOEXEC);
	hr_autofree char *repo = NULL;
	int pipes[2], index, loc, failed = 0;

	if (find_repo(u, &repo, e) < 0)
		return -1;
	if (!u->seen)
		u->seen = hr_stats_origin(u->o.stats, repo);
	if (numbers < 0 || pipe2(pipes, O_CLOEXEC) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot talk to a helper");
	for (size_t i = 0; i < r->n && !failed; i++)
		if (!r->answered[i])
			failed = hr_write_all(numbers, &r->questions[i].chunk, sizeof(uint32_t),
					      "a memory file", e);
	hr_strv_take(&argv, helper_path());
	hr_strv_add(&argv, "refill");
	hr_strv_take(&argv, hr_xasprintf("--cache=%s", u->o.cache));
	hr_strv_take(&argv, hr_xasprintf("--advisor=%s", u->o.advisor));
	hr_strv_add(&argv, repo);
	store_image_fds(u->o.img, &index, &loc);
	if (!failed && lseek(numbers, 0, SEEK_SET) < 0)
		failed = hr_fail(e, HR_SYS, errno, "cannot rewind a memory file");
	if (!failed) {
		int fds[4] = { beyond(numbers), beyond(pipes[1]), beyond(index), beyond(loc) };

		failed = spawn(argv.v, fds, pid, e);
		for (size_t i = 0; i < HR_COUNT(fds); i++)
			hr_fd_cleanup(&fds[i]);
	}
	hr_fd_cleanup(&pipes[1]);
	*out = pipes[0];
	if (failed)
		hr_fd_cleanup(&pipes[0]);
	return failed ? -1 : 0;
}

/* 1: all of it; 0: the end. */
static int read_all(int fd, void *p, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t more = read(fd, (uint8_t *)p + got, n - got);

		if (more < 0 && errno == EINTR)
			continue;
		if (more <= 0)
			return 0;
		got += (size_t)more;
	}
	return 1;
}

static void take_reply(struct round *r, uint32_t chunk, uint32_t bytes)
{
	struct store_upstream *u = r->u;
	struct hr_err wrong = { 0 };
	struct store_chunk c;

	for (size_t i = 0; i < r->n; i++) {
		if (r->answered[i] || r->questions[i].chunk != chunk)
			continue;
		if (!store_index_chunk(u->ix, chunk, &c) || c.bytes != bytes ||
		    store_frame_verify(&c, u->buf, u->o.sha256, &wrong) < 0)
			continue;
		hr_stats_add(&u->seen->bytes, bytes);
		answer(r, i, u->buf, bytes);
	}
}

/* The last that the helper says; it may be lying, and its words are for a log. */
static void take_failure(int fd, uint32_t bytes, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	struct hr_err said;

	if (bytes != sizeof(said) || !read_all(fd, &said, sizeof(said)))
		return;
	hr_buf_untrusted(&text, said.text, strnlen(said.text, sizeof(said.text)));
	(void)hr_fail(e, said.kind > HR_OK && said.kind <= HR_SYS ? said.kind : HR_SYS, 0, "%s",
		      text.len > 0 ? (const char *)text.p : "");
}

/* Until the helper's end of the pipe is closed, or it talks nonsense. */
static void read_replies(struct round *r, int fd, struct hr_err *e)
{
	struct store_upstream_reply reply;

	while (read_all(fd, &reply, sizeof(reply))) {
		if (reply.chunk == STORE_UPSTREAM_FAILED) {
			take_failure(fd, reply.bytes, e);
			return;
		}
		if (reply.bytes > STORE_CHUNK_MAX || !read_all(fd, r->u->buf, reply.bytes))
			return;
		take_reply(r, reply.chunk, reply.bytes);
	}
}

static void ask_helper(struct round *r, struct hr_err *e)
{
	hr_autofd int out = -1;
	int status;
	pid_t pid;

	if (start_helper(r, &pid, &out, e) < 0)
		return;
	hr_stats_add(&r->u->seen->requests, 1);
	read_replies(r, out, e);
	hr_stats_add(&r->u->seen->failures, e->kind != HR_OK);
	kill(pid,
	     SIGKILL); /* it has said all, or nonsense: it may have more, and wait to be read */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (e->kind == HR_OK)
		(void)hr_fail(e, HR_SYS, 0, HELPER " ended early");
}

static void answer_all(struct round *r)
{
	struct hr_err e = { 0 };
	size_t open = 0;

	for (size_t i = 0; i < r->n; i++) {
		answer_from_cache(r, i);
		if (!r->answered[i])
			refuse_again(r, i);
		open += !r->answered[i];
	}
	if (open == 0)
		return;
	hr_warn("%s; getting it from the registry", r->questions[0].why);
	ask_helper(r, &e);
	for (size_t i = 0; i < r->n; i++) {
		if (r->answered[i])
			continue;
		if (e.kind != HR_NOTFOUND)
			r->u->silent_s = now_s();
		r->u->refused_s[r->questions[i].chunk] = now_s();
		refuse(r, i, &e);
	}
}

/* ---- the thread ---- */

static void *thread_main(void *arg)
{
	struct store_upstream *u = arg;

	u->buf = hr_xmalloc(STORE_CHUNK_MAX);
	u->packs = hr_xmalloc(((size_t)u->loc->n_packs + 1) * sizeof(struct store_cache_pack *));
	u->refused_s = hr_xmalloc(((size_t)store_index_chunks(u->ix) + 1) * sizeof(*u->refused_s));
	for (;;) {
		struct round r = { .u = u };

		pthread_mutex_lock(&u->lock);
		while (u->n == 0)
			pthread_cond_wait(&u->asked, &u->lock);
		r.questions = u->questions;
		r.n = u->n;
		u->questions = NULL;
		u->n = u->cap = 0;
		pthread_mutex_unlock(&u->lock);
		r.answered = hr_xmalloc(r.n * sizeof(*r.answered));
		answer_all(&r);
		free(r.answered);
		free(r.questions);
	}
	return NULL;
}

/* With the lock held. */
static int start_thread(struct store_upstream *u)
{
	pthread_t thread;
	int r = u->running ? 0 : pthread_create(&thread, NULL, thread_main, u);

	if (r == 0 && !u->running)
		pthread_detach(thread);
	u->running = r == 0;
	return r;
}

void store_upstream_ask(struct store_upstream *u, uint32_t chunk, const struct hr_err *why)
{
	struct hr_err e = { 0 };
	struct question *q;
	int r;

	pthread_mutex_lock(&u->lock);
	r = start_thread(u);
	if (r == 0) {
		u->questions = hr_xgrow(u->questions, u->n, &u->cap, sizeof(*u->questions));
		q = &u->questions[u->n++];
		q->chunk = chunk;
		q->kind = why->kind;
		snprintf(q->why, sizeof(q->why), "%.*s", WHY_BYTES - 1, why->text);
		snprintf(q->hint, sizeof(q->hint), "%.*s", HINT_BYTES - 1, why->hint);
		pthread_cond_signal(&u->asked);
	}
	pthread_mutex_unlock(&u->lock);
	if (r == 0)
		return;
	(void)hr_fail(&e, HR_SYS, r, "%s; and cannot make a thread to ask the registry", why->text);
	u->landed(u->landed_arg, chunk, NULL, 0, &e);
}

/* ---- behind a source of files ---- */

static int frame(void *arg, uint32_t chunk, uint8_t *out, size_t cap, size_t *len, struct hr_err *e)
{
	struct store_upstream *u = arg;

	return u->below.frame(u->below.arg, chunk, out, cap, len, e);
}

static bool plain(void *arg, uint32_t chunk, uint8_t *out, uint32_t bytes)
{
	struct store_upstream *u = arg;

	return u->below.plain && u->below.plain(u->below.arg, chunk, out, bytes);
}

static void damaged(void *arg, uint32_t chunk)
{
	struct store_upstream *u = arg;

	u->below.damaged(u->below.arg, chunk);
}

static void keep(void *arg, uint32_t chunk, const uint8_t *p, uint32_t bytes)
{
	struct store_upstream *u = arg;

	if (u->below.keep)
		u->below.keep(u->below.arg, chunk, p, bytes);
}

static void where(void *arg, uint32_t chunk, struct hr_buf *out)
{
	struct store_upstream *u = arg;

	u->below.where(u->below.arg, chunk, out);
}

static void start(void *arg, uint32_t chunk, const struct hr_err *why)
{
	store_upstream_ask(arg, chunk, why);
}

struct store_chunk_source store_upstream_wrap(struct store_upstream *u,
					      const struct store_chunk_source *source)
{
	u->below = *source;
	return (struct store_chunk_source) { .frame = frame,
					     .keep = keep,
					     .plain = plain,
					     .start = start,
					     .damaged = damaged,
					     .where = where,
					     .arg = u };
}

static void deliver_to_chunks(void *arg, uint32_t chunk, const uint8_t *p, uint32_t bytes,
			      const struct hr_err *e)
{
	if (!e)
		memcpy(store_chunks_room(arg, chunk), p, bytes);
	store_chunks_delivered(arg, chunk, e);
}

void store_upstream_deliver_to(struct store_upstream *u, struct store_chunks *chunks)
{
	store_upstream_deliver(u, deliver_to_chunks, chunks);
}
