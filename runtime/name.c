/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/name.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/msg.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/poison.h"

#define BACKLOG                                                                                    \
	4096 /* the kernel takes less (net.core.somaxconn); further ranks wait in connect          \
	      */
#define FILE_BYTES (RT_NAME_SECRETS * RT_SIPHASH_SECRET)

/* Where the secret of a key is. */
static off_t place_of(const char *key)
{
	static const uint8_t plain[RT_SIPHASH_SECRET] = { 0 };

	return (off_t)(rt_siphash(plain, key, strlen(key)) % RT_NAME_SECRETS) * RT_SIPHASH_SECRET;
}

static bool read_secret(int fd, off_t at, uint8_t out[RT_SIPHASH_SECRET])
{
	return pread(fd, out, RT_SIPHASH_SECRET, at) == RT_SIPHASH_SECRET;
}

static int write_secret(int fd, off_t at, struct hr_err *e)
{
	uint8_t fresh[RT_SIPHASH_SECRET];

	if (getrandom(fresh, sizeof(fresh), 0) != (ssize_t)sizeof(fresh))
		return hr_fail(e, HR_SYS, errno, "cannot make a secret");
	if (pwrite(fd, fresh, sizeof(fresh), at) != (ssize_t)sizeof(fresh))
		return hr_fail(e, HR_SYS, errno, "cannot write the file '" RT_NAME_FILE "'");
	return 0;
}

/* The file for writing, locked, with all secrets in it. */
static int open_locked(int dirfd, struct hr_err *e)
{
	mode_t old = umask(077); /* the caller's may be 0777 */
	hr_autofd int fd =
		openat(dirfd, RT_NAME_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = errno;
	struct stat st;

	(void)umask(old);
	if (fd < 0)
		return hr_fail(e, HR_SYS, err, "cannot make the file '" RT_NAME_FILE "'");
	if (flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot lock the file '" RT_NAME_FILE "'");
	/* from the first to the last: one that is there is read by others */
	for (off_t at = st.st_size - st.st_size % RT_SIPHASH_SECRET; at < FILE_BYTES;
	     at += RT_SIPHASH_SECRET)
		if (write_secret(fd, at, e) < 0)
			return -1;
	return hr_steal_fd(&fd);
}

void rt_name_find(int dirfd, const char *key, struct rt_name *out)
{
	hr_autofd int fd = openat(dirfd, RT_NAME_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct hr_err e = { 0 };
	off_t at = place_of(key);
	char text[64];
	int n;

	memset(out, 0, sizeof(*out));
	if (fd < 0 || !read_secret(fd, at, out->secret)) {
		hr_autofd int made = open_locked(dirfd, &e);

		memset(out->secret, 0, sizeof(out->secret));
		if (made < 0)
			hr_debug("the name of the session has no secret: %s", e.text);
		else if (!read_secret(made, at, out->secret))
			hr_debug("the name of the session has no secret: it cannot be read");
	}
	n = snprintf(text, sizeof(text), "0%s", key);
	snprintf(out->text, sizeof(out->text), "hpcrun-%016" PRIx64,
		 rt_siphash(out->secret, text, (size_t)n));
	text[0] = '1';
	snprintf(out->text + strlen(out->text), 17, "%016" PRIx64,
		 rt_siphash(out->secret, text, (size_t)n));
}

int rt_name_renew(int dirfd, const char *key, const struct rt_name *taken, struct hr_err *e)
{
	hr_autofd int fd = open_locked(dirfd, e);
	uint8_t now[RT_SIPHASH_SECRET];
	off_t at = place_of(key);

	if (fd < 0)
		return -1;
	if (read_secret(fd, at, now) && memcmp(now, taken->secret, sizeof(now)) != 0)
		return 0; /* another rank was faster */
	return write_secret(fd, at, e);
}

static socklen_t address_of(const struct rt_name *name, struct sockaddr_un *a)
{
	size_t n = strlen(name->text);

	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path + 1, name->text, n); /* behind a NUL */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

int rt_name_connect(const struct rt_name *name, bool *alien, struct hr_err *e)
{
	hr_autofd int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	socklen_t len = address_of(name, &address);
	uid_t uid;

	*alien = false;
	if (sock < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a socket");
	if (connect(sock, (struct sockaddr *)&address, len) < 0) {
		if (errno == ECONNREFUSED || errno == EINTR)
			return -1;
		return hr_fail(e, HR_SYS, errno, "cannot connect to the session");
	}
	if (rt_msg_peer_uid(sock, &uid, e) < 0)
		return -1;
	*alien = uid != getauxval(AT_EUID);
	return *alien ? -1 : hr_steal_fd(&sock);
}

int rt_name_listen(const struct rt_name *name, struct hr_err *e)
{
	hr_autofd int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	socklen_t len = address_of(name, &address);

	if (sock < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a socket");
	if (bind(sock, (struct sockaddr *)&address, len) < 0) {
		if (errno == EADDRINUSE)
			return -1;
		return hr_fail(e, HR_SYS, errno, "cannot bind the socket of the session");
	}
	if (listen(sock, BACKLOG) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot listen on the socket of the session");
	return hr_steal_fd(&sock);
}
