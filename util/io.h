/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole reads, whole writes and the one way to make a file: temp, fsync, rename.
 *
 * Not for: hot paths that need vectored I/O, or paths inside an image (runtime/path.c).
 */
#ifndef HR_IO_H
#define HR_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"
#include "util/err.h"

/*
 * Read or write exactly LEN bytes, through EINTR and short counts.
 *
 * Errors:  HR_SYS; a read that meets the end of the file is HR_CORRUPT and says got and expected.
 *          WHAT names the object in the message.
 */
int hr_pread_all(int fd, void *buf, size_t len, uint64_t off, const char *what,
		 struct hr_err *e) HR_MUST_USE;
int hr_write_all(int fd, const void *buf, size_t len, const char *what,
		 struct hr_err *e) HR_MUST_USE;
int hr_pwrite_all(int fd, const void *buf, size_t len, uint64_t off, const char *what,
		  struct hr_err *e) HR_MUST_USE;

/*
 * Whether a file that was opened and could not be read, as *E says, is to be opened once more:
 * another host has replaced or removed it meanwhile (ESTALE of NFS and its like). *E is empty then.
 * *TIMES, 0 at first, counts; a file that is stale each time is given up.
 */
bool hr_io_stale(unsigned int *times, struct hr_err *e);

/*
 * Append all of a file to B; DIRFD may be AT_FDCWD. One that is replaced meanwhile is read anew.
 *
 * Bounds:  more than LIMIT bytes is HR_CORRUPT. Only regular files; symlinks in the last part of
 *          NAME are not followed. The open never blocks on a FIFO.
 * Errors:  HR_NOTFOUND when it is not there, HR_DENIED, HR_SYS.
 */
int hr_file_read(int dirfd, const char *name, uint64_t limit, struct hr_buf *b,
		 struct hr_err *e) HR_MUST_USE;

/* Append all that FD gives until its end; the same bound. Works on pipes. */
int hr_fd_read(int fd, uint64_t limit, const char *what, struct hr_buf *b,
	       struct hr_err *e) HR_MUST_USE;

/*
 * Replace or create NAME with the LEN bytes at P: temp file in the same directory, write, fsync,
 * rename. Readers see the old bytes or the new, never a mixture. The mode is MODE whatever the
 * umask.
 */
int hr_file_replace(int dirfd, const char *name, const void *p, size_t len, mode_t mode,
		    struct hr_err *e) HR_MUST_USE;

/*
 * Call the file TMP NAME, in the same directory tree DIRFD, unless that name is taken: link(2), or
 * where the file system has no links a rename that replaces nothing. Unlike a rename it takes no
 * file away from who was first. TMP may be there afterwards or not.
 *
 * Errors:  -1 with errno; EEXIST somebody was first.
 */
int hr_file_publish(int dirfd, const char *tmp, const char *name) HR_MUST_USE;

/* mkdir -p below DIRFD with MODE for each new part; an existing directory is fine. */
int hr_mkdir_all(int dirfd, const char *path, mode_t mode, struct hr_err *e) HR_MUST_USE;

/* PATH, or the nearest directory above it that is there, for who must not make it; allocated. */
char *hr_path_existing(const char *path) HR_MUST_USE;

/* close that reports: quota and network file systems fail here. *fd is -1 afterwards. */
int hr_close(int *fd, const char *what, struct hr_err *e) HR_MUST_USE;

#endif
