/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which boot of this machine this is, for what must not outlive it: names of processes, sessions,
 * seals of files that were verified.
 */
#ifndef HR_BOOT_H
#define HR_BOOT_H

#include <stdbool.h>

#define HR_BOOT_ID 36 /* characters: 8-4-4-4-12 hexadecimal digits */

/*
 * Read the identifier of this boot into ID.
 *
 * Errors:  false and ID all NUL where /proc is not mounted or hides it, as in some containers: then
 *          nothing can be told of another boot, and two unknown ones are not the same.
 * Source:  random(4), /proc/sys/kernel/random/boot_id.
 */
bool hr_boot_id(char id[HR_BOOT_ID + 1]);

#endif
