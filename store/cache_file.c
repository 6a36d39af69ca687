/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/cache_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "util/boot.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/le.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define SEAL_MAGIC "hpcrSEA1"
#define SEAL_BYTES 64 /* magic, boot id as text, zeros, at 48 the bytes done, zeros */
#define SEAL_BOOT  8
#define SEAL_DONE  48
#define PIN_BYTE   0 /* of the seal, as of the map of a pack */
#define CLAIM_BYTE 1
#define TRIES	   100
#define TOUCH_S	   60 /* how exactly the age is kept */

struct store_cache_file {
	struct store_cache_file_want want;
	enum store_cache_file_state state;
	const struct store_cache *cache; /* borrowed */
	int dir;			 /* of it */
	int seal;			 /* holds the locks */
	time_t used;			 /* the time of the seal */
	uint64_t is_dev, is_ino;	 /* of the file */
	int data;			 /* the file, or the part that is being made; -1 */
	const char *work;		 /* PART or LOOSE while it is being made */
	char path[STORE_CACHE_FILE_PATH], part[STORE_CACHE_FILE_PATH + 8],
		loose[STORE_CACHE_FILE_PATH + 8], seal_path[STORE_CACHE_FILE_PATH + 8];
};

int store_cache_file_can(struct store_cache *c, struct hr_err *e)
{
	struct statvfs fs;

	if (fstatvfs(store_cache_dir(c), &fs) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot look at the file system of the cache");
	if (fs.f_flag & ST_NOEXEC)
		return hr_fail(e, HR_DENIED, 0, "the file system of the cache is mounted noexec");
	return 0;
}

/* Whether the seal is of this boot, and how many bytes it says are done. */
static bool seal_read(const struct store_cache_file *f, uint64_t *done)
{
	uint8_t seal[SEAL_BYTES];
	const char *boot = store_cache_boot(f->cache);

	if (pread(f->seal, seal, sizeof(seal), 0) != sizeof(seal) ||
	    memcmp(seal, SEAL_MAGIC, 8) != 0 || boot[0] == '\0' ||
	    memcmp(seal + SEAL_BOOT, boot, HR_BOOT_ID) != 0)
		return false;
	*done = hr_le64(seal + SEAL_DONE);
	return true;
}

static int seal_write(const struct store_cache_file *f, uint64_t done, struct hr_err *e)
{
	uint8_t seal[SEAL_BYTES] = SEAL_MAGIC;

	memcpy(seal + SEAL_BOOT, store_cache_boot(f->cache), HR_BOOT_ID);
	hr_le64_put(seal + SEAL_DONE, done);
	return hr_pwrite_all(f->seal, seal, sizeof(seal), 0, f->seal_path, e);
}

static bool lock(int fd, short type, off_t byte)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &l) == 0;
}

/* Open the seal and pin it: as with the map of a pack, an evictor holds the lock exclusively. */
static int seal_open(struct store_cache_file *f, bool make, struct hr_err *e)
{
	for (int i = 0; i < TRIES; i++) {
		hr_autofd int fd =
			openat(f->dir, f->seal_path,
			       O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
		struct stat st;

		if (fd < 0)
			return hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno,
				       "cannot open '%s' in the cache", f->seal_path);
		if (lock(fd, F_RDLCK, PIN_BYTE) && fstat(fd, &st) == 0 && st.st_nlink > 0) {
			f->used = st.st_mtim.tv_sec;
			return hr_steal_fd(&fd);
		}
		usleep(1000);
	}
	return hr_fail(e, HR_SYS, EBUSY, "cannot pin '%s' in the cache", f->path);
}

/* What stat(2) would show of ours that it would not of the image's. NULL: nothing. */
static const char *differs(const struct store_cache_file_want *w, const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || st->st_uid != geteuid())
		return "owner or type";
	if ((st->st_mode & 07777) != w->mode)
		return "mode";
	if ((uint64_t)st->st_size != w->size)
		return "size";
	if (st->st_mtim.tv_sec != w->mtime || st->st_mtim.tv_nsec != (long)w->mtime_ns)
		return "time of modification";
	return st->st_nlink != 1 ? "number of links" : NULL;
}

/* Never for writing: what somebody could write cannot be executed (ETXTBSY). */
static int open_data(const struct store_cache_file *f, const char *path)
{
	return openat(f->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOATIME | O_NONBLOCK);
}

/* Find out what there is. */
static int look(struct store_cache_file *f, struct hr_err *e)
{
	const char *wrong;
	struct stat st;
	uint64_t done;

	hr_fd_cleanup(&f->data);
	f->state = STORE_CACHE_FILE_NONE;
	f->data = open_data(f, f->path);
	if (f->data < 0 && errno == ENOENT)
		return 0;
	if (f->data < 0 || fstat(f->data, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '%s' in the cache", f->path);
	f->is_dev = st.st_dev;
	f->is_ino = st.st_ino;
	wrong = differs(&f->want, &st);
	if (wrong) {
		hr_warn("'%s' in the cache has another %s than it was given, and is made again",
			f->path, wrong);
		store_cache_file_discard(f);
		return 0;
	}
	if (st.st_gid != getegid())
		return hr_fail(e, HR_DENIED, 0, "'%s' in the cache is of group %u", f->path,
			       (unsigned int)st.st_gid);
	f->state = seal_read(f, &done) ? STORE_CACHE_FILE_WHOLE : STORE_CACHE_FILE_OLD;
	return 0;
}

static struct store_cache_file *file_new(struct store_cache *c,
					 const struct store_cache_file_want *want)
{
	struct store_cache_file *f = hr_xmalloc(sizeof(*f));
	char hex[FETCH_DIGEST_HEX];

	f->want = *want;
	f->cache = c;
	f->dir = store_cache_dir(c);
	f->seal = f->data = -1;
	fetch_digest_hex(&want->name, hex);
	snprintf(f->path, sizeof(f->path), "files/%.2s/%s", hex, hex);
	snprintf(f->part, sizeof(f->part), "%s.part", f->path);
	snprintf(f->loose, sizeof(f->loose), "%s.loose", f->path);
	snprintf(f->seal_path, sizeof(f->seal_path), "%s.seal", f->path);
	return f;
}

/* Somebody uses it: the time of the seal is the age that eviction goes by. */
static void touch(const struct store_cache_file *f)
{
	if (llabs((long long)time(NULL) - f->used) < TOUCH_S)
		return; /* of hundreds of files, at every start, this is much of what it takes */
	if (futimens(f->seal, NULL) < 0)
		hr_debug("cannot touch '%s': %s", f->seal_path, strerror(errno));
}

int store_cache_file_open(struct store_cache *c, const struct store_cache_file_want *want,
			  bool make, struct store_cache_file **out, struct hr_err *e)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = file_new(c, want);
	char fan[sizeof("files/ab")] = "";

	memcpy(fan, f->path, sizeof(fan) - 1);
	if (make && hr_mkdir_all(f->dir, fan, 0700, e) < 0)
		return -1;
	f->seal = seal_open(f, make, e);
	if (f->seal < 0 || look(f, e) < 0)
		return -1;
	touch(f);
	*out = hr_steal(&f);
	return 0;
}

int store_cache_file_open_named(struct store_cache *c, const struct fetch_digest *name,
				struct store_cache_file **out, struct hr_err *e)
{
	const struct store_cache_file_want want = { .name = *name };
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = file_new(c, &want);

	f->seal = seal_open(f, false, e);
	if (f->seal < 0)
		return -1;
	f->data = open_data(f, f->path);
	if (f->data < 0 && errno == ENOENT)
		f->data = open_data(f, f->loose);
	if (f->data < 0 && errno == ENOENT) /* it was finished just now */
		f->data = open_data(f, f->path);
	if (f->data < 0)
		return hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno,
			       "cannot open '%s' in the cache", f->path);
	f->state = STORE_CACHE_FILE_OLD;
	touch(f);
	*out = hr_steal(&f);
	return 0;
}

void store_cache_file_close(struct store_cache_file *f)
{
	if (!f)
		return;
	hr_fd_cleanup(&f->data);
	hr_fd_cleanup(&f->seal);
	free(f);
}

void store_cache_file_closep(struct store_cache_file **f)
{
	store_cache_file_close(*f);
}

enum store_cache_file_state store_cache_file_state(const struct store_cache_file *f)
{
	return f->state;
}

const struct fetch_digest *store_cache_file_name(const struct store_cache_file *f)
{
	return &f->want.name;
}

const char *store_cache_file_path(const struct store_cache_file *f)
{
	return f->path;
}

void store_cache_file_identity(const struct store_cache_file *f, uint64_t *dev, uint64_t *ino)
{
	*dev = f->is_dev;
	*ino = f->is_ino;
}

int store_cache_file_claim(struct store_cache_file *f, enum store_cache_file_state *state,
			   struct hr_err *e)
{
	if (!lock(f->seal, F_WRLCK, CLAIM_BYTE))
		f->state = STORE_CACHE_FILE_TAKEN;
	else if (look(f, e) < 0) /* somebody may have finished it before us */
		return -1;
	*state = f->state;
	return 0;
}

/* Open WORK, in which it is made, and take room for all of it. KEPT: bytes that stay, at most. */
static int begin(struct store_cache_file *f, const char *work, int flags, uint64_t *kept,
		 struct hr_err *e)
{
	struct stat st;

	f->work = work;
	f->data = openat(f->dir, work, flags | O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->data < 0 || fstat(f->data, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot create '%s' in the cache", work);
	if (!S_ISREG(st.st_mode) || *kept > (uint64_t)st.st_size)
		*kept = 0;
	if (ftruncate(f->data, (off_t)*kept) < 0 || ftruncate(f->data, (off_t)f->want.size) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot set the size of '%s'", work);
	/* a file system that cannot take room in advance says so and is written all the same */
	if (fallocate(f->data, 0, 0, (off_t)f->want.size) < 0 && errno != EOPNOTSUPP &&
	    errno != ENOSYS)
		return hr_fail(e, HR_SYS, errno,
			       "no room for a file of %" PRIu64 " bytes in the cache",
			       f->want.size);
	return seal_write(f, *kept, e);
}

int store_cache_file_begin(struct store_cache_file *f, uint64_t *done, struct hr_err *e)
{
	uint64_t kept = 0;

	if (!seal_read(f, &kept))
		kept = 0;
	if (begin(f, f->part, 0, &kept, e) < 0)
		return -1;
	*done = kept;
	return 0;
}

int store_cache_file_begin_loose(struct store_cache_file *f, struct hr_err *e)
{
	uint64_t none = 0;

	return begin(f, f->loose, O_EXCL, &none, e);
}

int store_cache_file_write(struct store_cache_file *f, uint64_t off, const void *p, size_t n,
			   struct hr_err *e)
{
	return hr_pwrite_all(f->data, p, n, off, f->work, e);
}

int store_cache_file_done(struct store_cache_file *f, uint64_t done, struct hr_err *e)
{
	return seal_write(f, done, e);
}

int store_cache_file_read(struct store_cache_file *f, uint64_t off, void *p, size_t n,
			  struct hr_err *e)
{
	return hr_pread_all(f->data, p, n, off, f->path, e);
}

/* An attribute that programs in a container would see: an access control list that the directory
 * gave it, for example. */
static bool has_xattrs(int fd)
{
	char names[512];
	ssize_t n = flistxattr(fd, names, sizeof(names));

	for (const char *p = names; n > 0 && p < names + n; p += strlen(p) + 1)
		if (strncmp(p, "security.", 9) != 0)
			return true;
	return n < 0 && errno == ERANGE;
}

static void remove_path(const struct store_cache_file *f, const char *path)
{
	if (unlinkat(f->dir, path, 0) < 0 && errno != ENOENT)
		hr_debug("cannot remove '%s' from the cache: %s", path, strerror(errno));
}

int store_cache_file_finish(struct store_cache_file *f, struct hr_err *e)
{
	const struct timespec when = { .tv_sec = (time_t)f->want.mtime,
				       .tv_nsec = (long)f->want.mtime_ns };
	const struct timespec times[2] = { when, when };
	const char *wrong;
	struct stat st;

	if (f->state == STORE_CACHE_FILE_OLD) {
		f->state = STORE_CACHE_FILE_WHOLE;
		return seal_write(f, f->want.size, e);
	}
	if (fchmod(f->data, f->want.mode) < 0 || futimens(f->data, times) < 0 ||
	    fsync(f->data) < 0 || fstat(f->data, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot finish '%s' in the cache", f->work);
	wrong = differs(&f->want, &st);
	if (!wrong && st.st_gid != getegid())
		wrong = "group";
	if (!wrong && has_xattrs(f->data))
		wrong = "set of extended attributes";
	if (wrong)
		return hr_fail(e, HR_DENIED, 0,
			       "a file of the cache has another %s than it was given", wrong);
	if (seal_write(f, f->want.size, e) < 0)
		return -1;
	if (renameat(f->dir, f->work, f->dir, f->path) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot rename '%s' in the cache", f->work);
	/* whoever looks for a chunk in the other finds it under the name from now on */
	remove_path(f, f->work == f->part ? f->loose : f->part);
	return look(f, e);
}

void store_cache_file_discard(struct store_cache_file *f)
{
	remove_path(f, f->path);
	remove_path(f, f->part);
	hr_fd_cleanup(&f->data);
	f->data = -1;
	f->state = STORE_CACHE_FILE_NONE;
}
