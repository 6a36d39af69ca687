/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "util/log.h"
#include "util/poison.h"

/* a handler has no argument of ours */
static atomic_bool interrupted;
static atomic_int by; /* the first signal, or 0 */

static void on_signal(int sig)
{
	int none = 0;

	atomic_compare_exchange_strong(&by, &none, sig);
	atomic_store(&interrupted, true);
}

atomic_bool *store_interrupt_catch(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < HR_COUNT(signals); i++) {
		struct sigaction a = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND },
				 old;

		sigemptyset(&a.sa_mask);
		/* nohup and shells in the background have these ignored: so it stays */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &a, NULL);
	}
	return &interrupted;
}

void store_interrupt_end(struct hr_err *e)
{
	int sig = atomic_load(&by);

	if (sig == 0)
		return;
	if (e->sys == EINTR) {
		hr_err_clear(e);
		(void)hr_fail(e, HR_SYS, 0, "interrupted");
	}
	hr_err_print(e);
	(void)fflush(stdout); /* what a list had so far */
	raise(sig);	      /* its handler was for the first one only */
}
