/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "tests/unit/tree_remove.h"

#include <ftw.h>
#include <stdio.h>

#include "util/poison.h"

#define FDS 8 /* directories open at once */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int tree_remove(const char *path)
{
	return nftw(path, remove_one, FDS, FTW_DEPTH | FTW_PHYS);
}
