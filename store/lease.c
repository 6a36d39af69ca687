/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/lease.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/layout_names.h"
#include "store/process.h"
#include "store/ticker.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define LEASES_DIR    "leases"
#define IMPORT_PREFIX "import-"
#define GC_NAME	      "gc"
#define SYNC_NAME     "sync"
#define TOUCH_MS      10000
#define STALE_S	      60
#define TRY_S	      150 /* two stale leases of other hosts, and some more */
#define POLL_MS	      200
#define TELL_MS	      1000 /* then the user should know why nothing happens */
#define WHO_TEXT      256

struct store_lease {
	const struct store *st;
	char name[96];	/* "leases/..." */
	char text[256]; /* what we wrote: proof that it is still ours */
	struct store_ticker toucher;
};

/* What a waiter has seen of the lease that it waits for. */
struct watch {
	char name[96];
	char text[256]; /* what its owner wrote */
	bool alive;	/* its owner is there: a process of ours, or it was touched meanwhile */
	struct timespec mtime; /* by the clock of whoever touches it: compared, never ordered */
	int64_t since_ms;      /* by our clock, when that last changed */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool same_file(const struct store_lease *l)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err gone = { 0 }; /* then it is not ours any more */

	return hr_file_read(l->st->fd, l->name, sizeof(l->text), &b, &gone) == 0 &&
	       b.len == strlen(l->text) && memcmp(b.p, l->text, b.len) == 0;
}

/* ---- keeping it ---- */

static void touch(void *arg)
{
	const struct store_lease *l = arg;

	if (utimensat(l->st->fd, l->name, NULL, AT_SYMLINK_NOFOLLOW) < 0)
		hr_debug("cannot touch '%s/%s': %s", l->st->path, l->name, strerror(errno));
}

void store_lease_release(struct store_lease *l)
{
	if (!l)
		return;
	store_ticker_stop(&l->toucher);
	/* somebody who measured us dead for 60 seconds may own the name now */
	if (same_file(l) && unlinkat(l->st->fd, l->name, 0) < 0)
		hr_debug("cannot remove '%s/%s': %s", l->st->path, l->name, strerror(errno));
	free(l);
}

/* ---- taking it ---- */

/* 1 made, 0 somebody has it. */
static int create(struct store_lease *l, struct hr_err *e)
{
	hr_autofd int fd =
		openat(l->st->fd, l->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 && errno == ENOENT) {
		if (hr_mkdir_all(l->st->fd, LEASES_DIR, LAYOUT_DIR_MODE, e) < 0)
			return -1;
		fd = openat(l->st->fd, l->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	}
	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0)
		return hr_fail(e, errno == EACCES ? HR_DENIED : HR_SYS, errno, "cannot create '%s'",
			       l->name);
	if (hr_write_all(fd, l->text, strlen(l->text), l->name, e) < 0) {
		unlinkat(l->st->fd, l->name, 0);
		return -1;
	}
	return 1;
}

/* Move a stale lease away under a name of our own, so that of two who try one succeeds. */
static void steal(const struct store *st, const char *name)
{
	char process[STORE_PROCESS_NAME], away[200];

	store_process_name(process);
	snprintf(away, sizeof(away), LEASES_DIR "/.stale-%s-%lx", process,
		 (unsigned long)pthread_self());
	if (renameat(st->fd, name, st->fd, away) == 0) {
		hr_debug("took the stale lease '%s/%s'", st->path, name);
		unlinkat(st->fd, away, 0);
	}
}

static void look(struct watch *w, const char *name, const struct timespec *mtime)
{
	bool same = strcmp(w->name, name) == 0;

	if (same && w->mtime.tv_sec == mtime->tv_sec && w->mtime.tv_nsec == mtime->tv_nsec)
		return;
	snprintf(w->name, sizeof(w->name), "%s", name);
	w->mtime = *mtime;
	w->since_ms = now_ms();
	w->alive = same;
}

/* What the owner of the lease NAME wrote, into W: 1, 0 when it is gone, -1 when it is unreadable.
 */
static int read_owner(const struct store *st, const char *name, struct watch *w)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err unread = { 0 };

	w->text[0] = '\0';
	if (hr_file_read(st->fd, name, sizeof(w->text) - 1, &b, &unread) < 0)
		return unread.kind == HR_NOTFOUND ? 0 : -1;
	if (b.len > 0)
		snprintf(w->text, sizeof(w->text), "%s", (const char *)b.p);
	return 1;
}

/* Is the lease NAME there, and alive? A stale one is moved away. */
static bool is_held(const struct store *st, const char *name, struct watch *w)
{
	enum store_process_state state;
	const char *process;
	struct stat sb = { 0 };
	int there;

	if (fstatat(st->fd, name, &sb, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return false;
	look(w, name, &sb.st_mtim);
	there = read_owner(st, name, w);
	if (there <= 0)
		return there < 0; /* of whom we know nothing we do not know that he is dead */
	process = strstr(w->text, "process ");
	if (process) {
		state = store_process_state(process + strlen("process "));
		w->alive |= state == STORE_PROCESS_ALIVE;
		if (state != STORE_PROCESS_GONE && now_ms() - w->since_ms < STALE_S * 1000)
			return true;
	} else if (now_ms() - w->since_ms < 2000) {
		return true; /* an empty file may be one that is being written */
	}
	steal(st, name);
	return false;
}

/* Is there a live lease of the other kind than KIND? */
static bool other_kind_held(const struct store *st, enum store_lease_kind kind, struct watch *w)
{
	hr_autofd int fd = -1;
	hr_autodir DIR *d = NULL;
	struct dirent *n;
	char name[sizeof(w->name)];

	if (kind == STORE_LEASE_SYNC)
		return false;
	if (kind == STORE_LEASE_IMPORT)
		return is_held(st, LEASES_DIR "/" GC_NAME, w);
	fd = openat(st->fd, LEASES_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return false;
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return true; /* nobody is known to be dead */
	(void)hr_steal_fd(&fd);
	while (errno = 0, (n = readdir(d))) {
		if (strncmp(n->d_name, IMPORT_PREFIX, strlen(IMPORT_PREFIX)) != 0)
			continue;
		snprintf(name, sizeof(name), LEASES_DIR "/%.80s", n->d_name);
		if (is_held(st, name, w))
			return true;
	}
	return errno != 0;
}

/* 1 taken, 0 somebody works. Both kinds make their file first and look for the other kind after:
 * two that begin at once see each other, and both try again. */
static int try_take(struct store_lease *l, enum store_lease_kind kind, struct watch *w,
		    struct hr_err *e)
{
	int made;

	if (is_held(l->st, l->name, w))
		return 0;
	if (other_kind_held(l->st, kind, w))
		return 0;
	made = create(l, e);
	if (made <= 0)
		return made;
	if (other_kind_held(l->st, kind, w)) {
		unlinkat(l->st->fd, l->name, 0);
		return 0;
	}
	return 1;
}

static void name_lease(struct store_lease *l, enum store_lease_kind kind,
		       const struct fetch_digest *d)
{
	static atomic_uint serial;
	char process[STORE_PROCESS_NAME], host[64] = "", hex[FETCH_DIGEST_HEX];

	gethostname(host, sizeof(host) - 1);
	store_process_name(process);
	snprintf(l->text, sizeof(l->text), "host %s\nprocess %s\nserial %u\n", host, process,
		 atomic_fetch_add(&serial, 1));
	if (kind == STORE_LEASE_GC)
		snprintf(l->name, sizeof(l->name), LEASES_DIR "/" GC_NAME);
	else if (kind == STORE_LEASE_SYNC)
		snprintf(l->name, sizeof(l->name), LEASES_DIR "/" SYNC_NAME);
	else
		snprintf(l->name, sizeof(l->name), LEASES_DIR "/" IMPORT_PREFIX "%s",
			 fetch_digest_hex(d, hex));
}

/* Who is at work, as far as his lease tells. */
static const char *who(const struct watch *w, char text[WHO_TEXT])
{
	const char *does = strcmp(w->name, LEASES_DIR "/" GC_NAME) == 0 ? "removing garbage from it"
			   : strcmp(w->name, LEASES_DIR "/" SYNC_NAME) == 0
				   ? "bringing its images up to date"
				   : "pulling an image into it";
	char host[64];
	int pid;

	if (sscanf(w->text, "host %63s process %*[0-9a-f]-%*u-%d", host, &pid) == 2)
		snprintf(text, WHO_TEXT, "process %d on host '%s' is %s", pid, host, does);
	else
		snprintf(text, WHO_TEXT, "cannot tell who holds '%s'", w->name);
	return text;
}

/* Somebody is at work, and we were not asked to wait. */
static int busy(const struct watch *w, struct hr_err *e)
{
	char text[WHO_TEXT];

	hr_fail(e, HR_SYS, 0, "%s", who(w, text));
	hr_hint(e, "try again when that has ended");
	return -1;
}

/* What takes a moment is not worth a line. */
static void tell(const struct store *st, const struct watch *w)
{
	hr_autobuf struct hr_buf path = { 0 };
	char text[WHO_TEXT];

	hr_buf_untrusted(&path, st->path, strlen(st->path));
	hr_warn("store '%s': %s; waiting for the end of that", (const char *)path.p, who(w, text));
}

static int take(const struct store *st, enum store_lease_kind kind, const struct fetch_digest *d,
		const atomic_bool *cancel, bool patient, bool *waited, struct store_lease **out,
		struct hr_err *e)
{
	struct store_lease *l = hr_xmalloc(sizeof(*l));
	struct watch w = { .since_ms = now_ms() };
	int64_t began_ms = now_ms();
	bool told = false;
	int r;

	l->st = st;
	name_lease(l, kind, d);
	*waited = false;
	while ((r = try_take(l, kind, &w, e)) == 0) {
		/* not in step with the others who wait */
		struct timespec pause = { 0,
					  POLL_MS * 1000000L + (long)(getpid() % 97) * 1000000L };
		bool same = strcmp(w.name, l->name) == 0;

		*waited = true;
		if (cancel && *cancel) {
			r = hr_fail(e, HR_SYS, EINTR, "stopped waiting for '%s'", w.name);
			break;
		}
		/* another gc does what we would */
		if ((!patient || (same && kind == STORE_LEASE_GC)) &&
		    (w.alive || now_ms() - began_ms > TRY_S * 1000)) {
			r = busy(&w, e);
			break;
		}
		if (!told && !same && now_ms() - began_ms > TELL_MS) {
			tell(st, &w);
			told = true;
		}
		nanosleep(&pause, NULL);
	}
	if (r < 0) {
		free(l);
		return hr_wrap(e, "store '%s'", st->path);
	}
	if (!store_ticker_start(&l->toucher, TOUCH_MS, touch, l))
		hr_debug("no thread to touch '%s'", l->name);
	*out = l;
	return 0;
}

int store_lease_take(const struct store *st, enum store_lease_kind kind,
		     const struct fetch_digest *d, const atomic_bool *cancel, bool *waited,
		     struct store_lease **out, struct hr_err *e)
{
	bool ignored;

	return take(st, kind, d, cancel, true, waited ? waited : &ignored, out, e);
}

int store_lease_try(const struct store *st, enum store_lease_kind kind,
		    const struct fetch_digest *d, const atomic_bool *cancel,
		    struct store_lease **out, struct hr_err *e)
{
	bool waited;

	return take(st, kind, d, cancel, false, &waited, out, e);
}
