/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/interrupt.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"
#include "util/poison.h"

static atomic_bool interrupted; /* a handler has no argument of ours */

static void on_signal(int sig)
{
	(void)sig;
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
