/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "tests/unit/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/tree_remove.h"
#include "util/poison.h"

struct hr_err err;

int store_rig_setup(void **state)
{
	char path[] = "/tmp/test_store.XXXXXX";
	struct store *st = NULL;

	assert_non_null(mkdtemp(path));
	MUST(store_open(path, STORE_WRITE, NULL, &st, &err));
	*state = st;
	return 0;
}

int store_rig_teardown(void **state)
{
	struct store *st = *state;
	int r = tree_remove(st->path);

	store_close(st);
	return r;
}
