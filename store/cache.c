/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/cache_ref.h"
#include "util/boot.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/le.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define MAP_MAGIC     "hpcrMAP1"
#define MAP_HEADER    64 /* magic, number of frames, zeros; the presence bytes follow */
#define FRAME_ABSENT  0
#define FRAME_PRESENT 1
#define FRAME_MOVED   2 /* to a file of its own; where its bytes were a reference tells to which */
#define READS_MAX     3 /* of a frame that is moved meanwhile */
#define PIN_BYTE      0 /* of the map: read-locked by whoever has the pack open */
#define TURNS_NAME    "turns"
#define TURN_POLL_MS  20

struct store_cache {
	int top;   /* CACHE */
	int dirfd; /* CACHE/packs */
	struct store_cache_refs *refs;
	char boot[HR_BOOT_ID + 1];
};

struct store_cache_pack {
	struct store_cache *c;
	int data, map;
	uint32_t n_frames;
	uint8_t *present; /* n_frames bytes in the mapped file; other processes write it too */
	size_t mapped;
	uint8_t *mapping;
	char name[FETCH_DIGEST_HEX];
};

/* The directory must be ours alone: what lies in it is served without another look at who wrote it.
 */
static int check_own(int fd, const char *dir, struct hr_err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot stat the cache '%s'", dir);
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		hr_fail(e, HR_DENIED, 0,
			"the cache '%s' belongs to uid %u with mode %04o, expected uid %u and 0700",
			dir, (unsigned int)st.st_uid, (unsigned int)(st.st_mode & 07777),
			(unsigned int)geteuid());
		if (st.st_uid == geteuid())
			hr_hint(e, "'chmod 700' lets nobody else into it; or name another "
				   "directory with --cache or HPCRUN_CACHE");
		else
			hr_hint(e, "name another directory with --cache or HPCRUN_CACHE");
		return -1;
	}
	return 0;
}

int store_cache_open(const char *dir, struct store_cache **out, struct hr_err *e)
{
	hr_autofd int top = -1;
	hr_autofd int packs = -1;

	if (hr_mkdir_all(AT_FDCWD, dir, 0700, e) < 0)
		return hr_wrap(e, "cannot make the cache");
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open the cache '%s'", dir);
	if (check_own(top, dir, e) < 0)
		return -1;
	if (mkdirat(top, "packs", 0700) < 0 && errno != EEXIST)
		return hr_fail(e, HR_SYS, errno, "cannot create '%s/packs'", dir);
	packs = openat(top, "packs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (packs < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '%s/packs'", dir);
	*out = hr_xmalloc(sizeof(**out));
	(*out)->top = hr_steal_fd(&top);
	(*out)->dirfd = hr_steal_fd(&packs);
	(*out)->refs = store_cache_refs_new(*out);
	(void)hr_boot_id((*out)->boot); /* none: no seal is of this boot */
	return 0;
}

void store_cache_close(struct store_cache *c)
{
	if (!c)
		return;
	store_cache_refs_free(c->refs);
	close(c->dirfd);
	close(c->top);
	free(c);
}

const char *store_cache_boot(const struct store_cache *c)
{
	return c->boot;
}

int store_cache_dir(const struct store_cache *c)
{
	return c->top;
}

static void closep(struct store_cache_pack **p)
{
	store_cache_pack_close(*p);
}

/* One OFD lock on one byte of the map, without waiting. */
static int lock_byte(int fd, short type, uint64_t byte)
{
	struct flock l = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1
	};

	return fcntl(fd, F_OFD_SETLK, &l);
}

static int open_file(int dirfd, const char *hex, const char *suffix, int flags, struct hr_err *e)
{
	char name[FETCH_DIGEST_HEX + 16];
	int fd;

	snprintf(name, sizeof(name), "%.2s/%s%s", hex, hex, suffix);
	fd = openat(dirfd, name, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		hr_fail(e, HR_SYS, errno, "cannot open '%s' in the cache", name);
	return fd;
}

/* Whether the map is one of this version for N frames. */
static bool map_fits(int fd, uint32_t n_frames)
{
	uint8_t header[MAP_HEADER];
	struct stat st;

	return fstat(fd, &st) == 0 && (uint64_t)st.st_size == MAP_HEADER + (uint64_t)n_frames &&
	       pread(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
	       memcmp(header, MAP_MAGIC, 8) == 0 && hr_le32(header + 8) == n_frames;
}

/* Give a file without a name one, unless the name is taken. */
static int link_fd(int fd, int dirfd, const char *name)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, dirfd, name, AT_SYMLINK_FOLLOW);
}

/*
 * Make NAME with the bytes of B out of a file that has no name before it is whole, so that nobody
 * who is killed leaves one behind. False where the file system has no such files (O_TMPFILE).
 */
static bool map_link(int dirfd, const char *name, const struct hr_buf *b)
{
	char fan[3] = { name[0], name[1], '\0' };
	hr_autofd int fd = openat(dirfd, fan, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct hr_err e = { 0 }; /* the other way says why */

	return fd >= 0 && hr_write_all(fd, b->p, b->len, name, &e) == 0 && fsync(fd) == 0 &&
	       (link_fd(fd, dirfd, name) == 0 || errno == EEXIST);
}

/*
 * Write an empty map under a temporary name and put it into place, but never in the place of that
 * of a process that was first, whose claims would then be unknown to the others.
 */
static int map_make(int dirfd, const char *hex, uint32_t n_frames, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };
	char name[FETCH_DIGEST_HEX + 16], tmp[FETCH_DIGEST_HEX + 32];

	hr_buf_str(&b, MAP_MAGIC);
	hr_buf_le(&b, n_frames, 4);
	hr_buf_pad(&b, MAP_HEADER);
	hr_buf_reserve(&b, n_frames);
	memset(b.p + b.len, FRAME_ABSENT, n_frames);
	b.len += n_frames;
	snprintf(name, sizeof(name), "%.2s/%s.map", hex, hex);
	if (map_link(dirfd, name, &b))
		return 0;
	snprintf(tmp, sizeof(tmp), "%.2s/%s.new-%d", hex, hex, (int)getpid());
	if (hr_file_replace(dirfd, tmp, b.p, b.len, 0600, e) < 0)
		return -1;
	if (hr_file_publish(dirfd, tmp, name) < 0 && errno != EEXIST)
		(void)hr_fail(e, HR_SYS, errno, "cannot create '%s' in the cache", name);
	unlinkat(dirfd, tmp, 0);
	return e->kind == HR_OK ? 0 : -1;
}

/* A map that does not fit is of no use to anybody: out of the way. */
static void map_remove(int dirfd, const char *hex)
{
	char name[FETCH_DIGEST_HEX + 16];

	snprintf(name, sizeof(name), "%.2s/%s.map", hex, hex);
	unlinkat(dirfd, name, 0);
}

/*
 * Open the map and pin it. The evictor holds the pin byte exclusively while it removes both files,
 * so a pin that succeeds on a file that is still linked keeps the pack.
 */
static int map_open(int dirfd, const char *hex, uint32_t n_frames, struct hr_err *e)
{
	for (int tries = 0; tries < 100; tries++) {
		struct hr_err missing = { 0 };
		hr_autofd int fd = open_file(dirfd, hex, ".map", 0, &missing);
		struct stat st;

		if (fd >= 0 && map_fits(fd, n_frames)) {
			if (lock_byte(fd, F_RDLCK, PIN_BYTE) == 0 && fstat(fd, &st) == 0 &&
			    st.st_nlink > 0)
				return hr_steal_fd(&fd);
			usleep(1000); /* being evicted: a few system calls, then the name is free */
			continue;
		}
		if (fd < 0 && missing.sys != ENOENT) {
			*e = missing;
			return -1;
		}
		if (fd >= 0)
			map_remove(dirfd, hex);
		if (map_make(dirfd, hex, n_frames, e) < 0)
			return -1;
	}
	return hr_fail(e, HR_SYS, EBUSY, "cannot pin '%s' in the cache", hex);
}

int store_cache_pack_open(struct store_cache *c, const struct fetch_digest *pack, uint32_t n_frames,
			  struct store_cache_pack **out, struct hr_err *e)
{
	HR_CLEANUP(closep) struct store_cache_pack *p = hr_xmalloc(sizeof(*p));
	char fan[3] = "";

	p->c = c;
	p->data = p->map = -1;
	p->n_frames = n_frames;
	fetch_digest_hex(pack, p->name);
	memcpy(fan, p->name, 2);
	if (mkdirat(c->dirfd, fan, 0700) < 0 && errno != EEXIST)
		return hr_fail(e, HR_SYS, errno, "cannot create '%s' in the cache", fan);
	p->map = map_open(c->dirfd, p->name, n_frames, e);
	if (p->map < 0)
		return -1;
	p->data = open_file(c->dirfd, p->name, ".data", O_CREAT, e);
	if (p->data < 0)
		return -1;
	p->mapped = MAP_HEADER + (size_t)n_frames;
	p->mapping = mmap(NULL, p->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, p->map, 0);
	if (p->mapping == MAP_FAILED) {
		p->mapping = NULL;
		return hr_fail(e, HR_SYS, errno, "cannot map '%s.map' of the cache", p->name);
	}
	p->present = p->mapping + MAP_HEADER;
	if (futimens(p->map, NULL) < 0) /* its time is the age that eviction goes by */
		hr_debug("cannot touch '%s.map': %s", p->name, strerror(errno));
	*out = hr_steal(&p);
	return 0;
}

void store_cache_pack_close(struct store_cache_pack *p)
{
	if (!p)
		return;
	if (p->mapping)
		munmap(p->mapping, p->mapped);
	if (p->data >= 0)
		close(p->data);
	if (p->map >= 0)
		close(p->map);
	free(p);
}

static uint8_t state_of(const struct store_cache_pack *p, uint32_t frame)
{
	return frame < p->n_frames ? __atomic_load_n(&p->present[frame], __ATOMIC_ACQUIRE)
				   : FRAME_ABSENT;
}

static bool is_there(uint8_t state)
{
	return state == FRAME_PRESENT || state == FRAME_MOVED;
}

bool store_cache_has(const struct store_cache_pack *p, uint32_t frame)
{
	return is_there(state_of(p, frame));
}

/* False when somebody was first. */
static bool change(struct store_cache_pack *p, uint32_t frame, uint8_t from, uint8_t to)
{
	return __atomic_compare_exchange_n(&p->present[frame], &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/* Bytes of a frame that was moved. */
static int get_moved(struct store_cache_pack *p, uint64_t uoff, void *buf, size_t len,
		     struct hr_err *e)
{
	uint8_t ref[STORE_CACHE_REF_BYTES];
	struct store_cache_at at;

	if (hr_pread_all(p->data, ref, sizeof(ref), uoff, p->name, e) < 0)
		return -1;
	if (!store_cache_ref_read(ref, &at))
		return hr_fail(e, HR_CORRUPT, 0, "no reference at %" PRIu64 " of '%s'", uoff,
			       p->name);
	return store_cache_refs_get(p->c->refs, &at, buf, len, e);
}

int store_cache_get(struct store_cache_pack *p, uint32_t frame, uint64_t uoff, void *buf,
		    size_t len, struct hr_err *e)
{
	uint8_t state = state_of(p, frame);

	for (int i = 0; i < READS_MAX && is_there(state); i++) {
		struct hr_err why = { 0 };
		uint8_t before = state;
		int r = state == FRAME_MOVED ? get_moved(p, uoff, buf, len, &why)
					     : hr_pread_all(p->data, buf, len, uoff, p->name, &why);

		state = state_of(p, frame);
		if (state != before)
			continue; /* it was moved meanwhile: what was read is neither */
		if (r == 0)
			return 0;
		change(p, frame, state, FRAME_ABSENT);
		*e = why;
		return -1;
	}
	return hr_fail(e, HR_NOTFOUND, 0, "frame %" PRIu32 " of pack %s is not in the cache", frame,
		       p->name);
}

int store_cache_claim(struct store_cache_pack *p, uint32_t frame)
{
	return lock_byte(p->map, F_WRLCK, MAP_HEADER + (uint64_t)frame) == 0;
}

void store_cache_unclaim(struct store_cache_pack *p, uint32_t frame)
{
	if (lock_byte(p->map, F_UNLCK, MAP_HEADER + (uint64_t)frame) < 0)
		hr_debug("cannot release frame %" PRIu32 " of '%s': %s", frame, p->name,
			 strerror(errno));
}

int store_cache_put(struct store_cache_pack *p, uint32_t frame, uint64_t uoff, const void *buf,
		    size_t len, struct hr_err *e)
{
	HR_BUG_ON(frame >= p->n_frames);
	if (hr_pwrite_all(p->data, buf, len, uoff, p->name, e) < 0)
		return -1;
	__atomic_store_n(&p->present[frame], FRAME_PRESENT, __ATOMIC_RELEASE);
	return 0;
}

int store_cache_refer(struct store_cache_pack *p, uint32_t frame, uint64_t uoff,
		      const struct store_cache_at *at, struct hr_err *e)
{
	uint8_t ref[STORE_CACHE_REF_BYTES];

	HR_BUG_ON(frame >= p->n_frames);
	store_cache_ref_write(at, ref);
	if (hr_pwrite_all(p->data, ref, sizeof(ref), uoff, p->name, e) < 0)
		return -1;
	__atomic_store_n(&p->present[frame], FRAME_MOVED, __ATOMIC_RELEASE);
	return 0;
}

void store_cache_drop(struct store_cache_pack *p, uint32_t frame)
{
	if (frame < p->n_frames)
		__atomic_store_n(&p->present[frame], FRAME_ABSENT, __ATOMIC_RELEASE);
}

void store_cache_settle(struct store_cache_pack *p, uint32_t frame, uint64_t uoff)
{
	struct hr_err gone = { 0 };

	if (state_of(p, frame) == FRAME_MOVED && get_moved(p, uoff, NULL, 0, &gone) < 0)
		change(p, frame, FRAME_MOVED, FRAME_ABSENT);
}

/*
 * With the frame claimed, so that no other process brings it back meanwhile. Killed at any point it
 * is absent, which costs fetching it again, or all done. After a loss of power there may be a byte
 * of one state with the bytes of another: no reference, or a wrong check sum.
 */
static void move_claimed(struct store_cache_pack *p, uint32_t frame, uint64_t uoff, size_t len,
			 const struct store_cache_at *to)
{
	uint8_t ref[STORE_CACHE_REF_BYTES];
	struct hr_err e = { 0 };

	if (!change(p, frame, FRAME_PRESENT, FRAME_ABSENT)) /* or another thread of ours does it */
		return;
	if (fallocate(p->data, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)uoff + STORE_CACHE_REF_BYTES,
		      (off_t)len - STORE_CACHE_REF_BYTES) < 0) {
		hr_debug("cannot give back frame %" PRIu32 " of '%s': %s", frame, p->name,
			 strerror(errno));
		change(p, frame, FRAME_ABSENT, FRAME_PRESENT); /* nothing happened */
		return;
	}
	store_cache_ref_write(to, ref);
	if (hr_pwrite_all(p->data, ref, sizeof(ref), uoff, p->name, &e) < 0)
		hr_debug("frame %" PRIu32 " is lost to the cache: %s", frame, e.text);
	else
		change(p, frame, FRAME_ABSENT, FRAME_MOVED);
}

void store_cache_move(struct store_cache_pack *p, uint32_t frame, uint64_t uoff, size_t len,
		      const struct store_cache_at *to)
{
	if (len < STORE_CACHE_MOVE_MIN || state_of(p, frame) != FRAME_PRESENT ||
	    !store_cache_claim(p, frame))
		return;
	move_claimed(p, frame, uoff, len, to);
	store_cache_unclaim(p, frame);
}

/* ---- what belongs to a file read in place ---- */

static const char *const extras[] = { ".index", ".loc" };

#define EXTRA_NAME (FETCH_DIGEST_HEX + 40)

/* The name of an extra; with NEW that of one under work. */
static void extra_name(const struct fetch_digest *pack, enum store_cache_extra which, bool new,
		       char name[EXTRA_NAME])
{
	char hex[FETCH_DIGEST_HEX];
	int n;

	fetch_digest_hex(pack, hex);
	n = snprintf(name, EXTRA_NAME, "%.2s/%s%s", hex, hex, extras[which]);
	if (new)
		snprintf(name + n, EXTRA_NAME - (size_t)n, ".new-%d", (int)getpid());
}

static int extra_open(struct store_cache *c, const char *name, int flags, struct hr_err *e)
{
	int fd = openat(c->dirfd, name, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno,
			"cannot open '%s' in the cache", name);
	return fd;
}

int store_cache_extra_open(struct store_cache *c, const struct fetch_digest *pack,
			   enum store_cache_extra which, struct hr_err *e)
{
	char name[EXTRA_NAME];

	extra_name(pack, which, false, name);
	return extra_open(c, name, 0, e);
}

int store_cache_extra_new(struct store_cache *c, const struct fetch_digest *pack,
			  enum store_cache_extra which, struct hr_err *e)
{
	char name[EXTRA_NAME], fan[3] = "";

	extra_name(pack, which, true, name);
	memcpy(fan, name, 2);
	if (mkdirat(c->dirfd, fan, 0700) < 0 && errno != EEXIST)
		return hr_fail(e, HR_SYS, errno, "cannot create '%s' in the cache", fan);
	return extra_open(c, name, O_CREAT | O_TRUNC, e);
}

int store_cache_extra_keep(struct store_cache *c, const struct fetch_digest *pack,
			   enum store_cache_extra which, struct hr_err *e)
{
	char from[EXTRA_NAME], to[EXTRA_NAME];
	hr_autofd int fd = -1;

	extra_name(pack, which, true, from);
	extra_name(pack, which, false, to);
	fd = extra_open(c, from, 0, e);
	if (fd < 0)
		return -1;
	if (fdatasync(fd) < 0 || renameat(c->dirfd, from, c->dirfd, to) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot keep '%s' in the cache", to);
	return 0;
}

void store_cache_extra_discard(struct store_cache *c, const struct fetch_digest *pack)
{
	char name[EXTRA_NAME];

	for (size_t i = 0; i < HR_COUNT(extras); i++) {
		extra_name(pack, (enum store_cache_extra)i, true, name);
		if (unlinkat(c->dirfd, name, 0) < 0 && errno != ENOENT)
			hr_debug("cannot remove '%s' from the cache: %s", name, strerror(errno));
	}
}

/* ---- taking turns ---- */

int store_cache_turn(struct store_cache *c, const struct fetch_digest *d, unsigned int wait_ms)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	hr_autofd int fd =
		openat(c->dirfd, TURNS_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	/* a byte for each, one in 2^48: who shares it with another waits in vain, no more */
	l.l_start = (off_t)(hr_le64(d->b) >> 16);
	while (fd >= 0 && fcntl(fd, F_OFD_SETLK, &l) < 0) {
		if ((errno != EAGAIN && errno != EACCES) || wait_ms < TURN_POLL_MS)
			return -1;
		wait_ms -= TURN_POLL_MS;
		usleep(TURN_POLL_MS * 1000);
	}
	return hr_steal_fd(&fd);
}

/* ---- usage and eviction ---- */

/* What lies in the cache: files of one name with these endings. */
static const struct kind {
	const char *dir;
	const char *pin;	 /* the one whose first byte is locked, and whose time is the age */
	const char *suffixes[4]; /* in the order in which they are removed: the pin last */
} kinds[] = {
	{ "packs", ".map", { ".data", ".index", ".loc", ".map" } },
	{ "files", ".seal", { "", ".part", ".loose", ".seal" } },
};

struct found {
	const struct kind *kind;
	char hex[FETCH_DIGEST_HEX];
	uint64_t bytes;
	struct timespec used;
};

struct found_list {
	struct found *v;
	size_t n;
};

static void found_release(struct found_list *l)
{
	free(l->v);
}

#define PATH_BYTES (FETCH_DIGEST_HEX + 32)

static void path_of(const struct found *f, const char *suffix, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s/%.2s/%s%s", f->kind->dir, f->hex, f->hex, suffix);
}

static void measure(const struct store_cache *c, struct found *f)
{
	const struct kind *k = f->kind;
	char path[PATH_BYTES];
	struct stat st;

	for (size_t i = 0; i < HR_COUNT(k->suffixes) && k->suffixes[i]; i++) {
		path_of(f, k->suffixes[i], path);
		if (fstatat(c->top, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		f->bytes += (uint64_t)st.st_blocks * 512;
		if (strcmp(k->suffixes[i], k->pin) == 0)
			f->used = st.st_mtim;
	}
}

static void find_in_fan(struct store_cache *c, const struct kind *k, int dirfd, const char *fan,
			struct found_list *l)
{
	int fd = openat(dirfd, fan, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	hr_autodir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	size_t want = FETCH_DIGEST_HEX - 1 + strlen(k->pin);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		struct found *f;

		if (strlen(entry->d_name) != want ||
		    strcmp(entry->d_name + FETCH_DIGEST_HEX - 1, k->pin) != 0)
			continue;
		l->v = hr_xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
		f = &l->v[l->n++];
		*f = (struct found) { .kind = k };
		memcpy(f->hex, entry->d_name, FETCH_DIGEST_HEX - 1);
		measure(c, f);
	}
}

static int find_kind(struct store_cache *c, const struct kind *k, struct found_list *l,
		     struct hr_err *e)
{
	int fd = openat(c->top, k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	hr_autodir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d && errno == ENOENT)
		return 0;
	if (!d)
		return hr_fail(e, HR_SYS, errno, "cannot read '%s' of the cache", k->dir);
	while ((entry = readdir(d)))
		if (strlen(entry->d_name) == 2 && strcmp(entry->d_name, "..") != 0)
			find_in_fan(c, k, dirfd(d), entry->d_name, l);
	return 0;
}

static int find_all(struct store_cache *c, struct found_list *l, struct store_cache_usage *usage,
		    struct hr_err *e)
{
	for (size_t i = 0; i < HR_COUNT(kinds); i++)
		if (find_kind(c, &kinds[i], l, e) < 0)
			return -1;
	*usage = (struct store_cache_usage) { 0 };
	for (size_t i = 0; i < l->n; i++) {
		usage->bytes += l->v[i].bytes;
		usage->packs += l->v[i].kind == &kinds[0];
		usage->files += l->v[i].kind != &kinds[0];
	}
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct timespec *x = &((const struct found *)a)->used,
			      *y = &((const struct found *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

int store_cache_usage(struct store_cache *c, struct store_cache_usage *out, struct hr_err *e)
{
	HR_CLEANUP(found_release) struct found_list l = { 0 };

	return find_all(c, &l, out, e);
}

/* Remove one unless somebody has it open. */
static bool evict_one(struct store_cache *c, const struct found *f)
{
	const struct kind *k = f->kind;
	hr_autofd int pin = -1;
	char path[PATH_BYTES];

	path_of(f, k->pin, path);
	pin = openat(c->top, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (pin < 0 || lock_byte(pin, F_WRLCK, PIN_BYTE) < 0)
		return false;
	for (size_t i = 0; i < HR_COUNT(k->suffixes) && k->suffixes[i]; i++) {
		path_of(f, k->suffixes[i], path);
		if (unlinkat(c->top, path, 0) < 0 && errno != ENOENT)
			hr_debug("cannot remove '%s' from the cache: %s", path, strerror(errno));
	}
	return true;
}

int store_cache_evict(struct store_cache *c, uint64_t limit, struct store_cache_usage *left,
		      struct hr_err *e)
{
	HR_CLEANUP(found_release) struct found_list l = { 0 };
	struct store_cache_usage usage;

	if (find_all(c, &l, &usage, e) < 0)
		return -1;
	if (l.n > 0)
		qsort(l.v, l.n, sizeof(*l.v), by_age);
	for (size_t i = 0; i < l.n && usage.bytes > limit; i++) {
		if (!evict_one(c, &l.v[i]))
			continue;
		usage.bytes -= l.v[i].bytes;
		usage.packs -= l.v[i].kind == &kinds[0];
		usage.files -= l.v[i].kind != &kinds[0];
	}
	*left = usage;
	return 0;
}
