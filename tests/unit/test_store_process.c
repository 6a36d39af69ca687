/* SPDX-License-Identifier: BSD-3-Clause */
/* store: a process is called gone only where it would be seen. */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/process.h"
#include "util/boot.h"
#include "util/poison.h"

#define NO_PID "4194305" /* one more than the largest, proc(5) pid_max */

/* Our name with another process, and from the boot on as it was. */
static void name_of_nobody(char out[STORE_PROCESS_NAME])
{
	char boot[17];
	unsigned int ns;

	store_process_name(out);
	assert_int_equal(sscanf(out, "%16[0-9a-f]-%u-", boot, &ns), 2);
	snprintf(out, STORE_PROCESS_NAME, "%s-%u-" NO_PID "-1", boot, ns);
}

static void the_living_and_the_dead_of_this_boot_are_known(void **state)
{
	char name[STORE_PROCESS_NAME];

	(void)state;
	store_process_name(name);
	assert_int_equal(store_process_state(name), STORE_PROCESS_ALIVE);
	name_of_nobody(name);
	assert_int_equal(store_process_state(name), STORE_PROCESS_GONE);
	name[0] = name[0] == '0' ? '1' : '0';
	assert_int_equal(store_process_state(name), STORE_PROCESS_UNKNOWN);
	assert_int_equal(store_process_state("nobody"), STORE_PROCESS_UNKNOWN);
}

/* Where the boot cannot be told, any host's processes have names that look like ours. */
static int hidden_boot(void)
{
	char name[STORE_PROCESS_NAME], id[HR_BOOT_ID + 1];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
	    mount("/dev/null", "/proc/sys/kernel/random/boot_id", NULL, MS_BIND, NULL) < 0)
		return errno == EPERM || errno == EACCES || errno == ENOSPC ? 77 : 1;
	if (hr_boot_id(id) || id[0] != '\0')
		return 2;
	name_of_nobody(name);
	return store_process_state(name) == STORE_PROCESS_UNKNOWN ? 0 : 3;
}

static void where_the_boot_is_hidden_nobody_is_known_to_be_gone(void **state)
{
	int status;
	pid_t child;

	(void)state;
	child = fork();
	if (child == 0)
		_exit(hidden_boot());
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: the name of this process is looked up once, and its children have it */
		cmocka_unit_test(where_the_boot_is_hidden_nobody_is_known_to_be_gone),
		cmocka_unit_test(the_living_and_the_dead_of_this_boot_are_known),
	};

	return cmocka_run_group_tests_name("store process", tests, NULL, NULL);
}
