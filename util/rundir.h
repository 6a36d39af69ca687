/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The directories of this node in which a user's sessions may keep what later ones need.
 *
 * For: runtime/place.c, which makes one, and 'hpcrun stats', which looks into all.
 * Sequence: for each I below HR_RUNDIRS: hr_rundir_path(I), hr_rundir_open().
 */
#ifndef HR_RUNDIR_H
#define HR_RUNDIR_H

#define HR_RUNDIRS 9

/*
 * The I-th candidate: $XDG_RUNTIME_DIR/hpcrun, /tmp/hpcrun-UID, then /tmp/hpcrun-UID.1 and so on,
 * for another user may have taken a name. NULL when the environment names none. The caller frees.
 */
char *hr_rundir_path(unsigned int i);

/*
 * An O_PATH descriptor of NAME below DIRFD if it is a directory of the caller's that nobody else
 * can enter, not reached through a symlink; else -1 with errno, EPERM when it is another's.
 */
int hr_rundir_open(int dirfd, const char *name);
/* The same, and it is made if it is not there. */
int hr_rundir_make(int dirfd, const char *name);

#endif
