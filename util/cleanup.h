/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scope attributes: a variable marked with one is released when its scope ends.
 *
 * Sequence: declare, initialise and mark in one line; hand over only with hr_steal (pointers) or
 * hr_steal_fd; never release a marked variable by hand.
 */
#ifndef HR_CLEANUP_H
#define HR_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define HR_CLEANUP(fn) __attribute__((cleanup(fn)))
#define hr_autofd      HR_CLEANUP(hr_fd_cleanup)   /* int; -1 is empty */
#define hr_autofree    HR_CLEANUP(hr_free_cleanup) /* pointer from malloc */
#define hr_autodir     HR_CLEANUP(hr_dir_cleanup)  /* DIR * */

/* Hand the pointer over and clear the variable. */
#define hr_steal(p)                                                                                \
	({                                                                                         \
		__typeof__(*(p)) v_ = *(p);                                                        \
		*(p) = NULL;                                                                       \
		v_;                                                                                \
	})

static inline int hr_steal_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

/* Close without a verdict and without touching errno; never retried: on Linux the fd is gone even
 * after EINTR. */
static inline void hr_fd_cleanup(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void hr_free_cleanup(void *p)
{
	void *v;

	__builtin_memcpy(&v, p, sizeof(v));
	free(v);
}

static inline void hr_dir_cleanup(DIR **d)
{
	if (*d)
		closedir(*d);
}

#endif
