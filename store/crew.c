/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "util/poison.h"

struct job {
	void (*work)(void *arg);
	void *arg;
};

static void *help(void *arg)
{
	const struct job *j = arg;

	j->work(j->arg);
	return NULL;
}

void store_crew_run(unsigned int n, void (*work)(void *arg), void *arg)
{
	pthread_t helpers[STORE_CREW_MAX - 1];
	struct job j = { work, arg };
	unsigned int started = 0;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (started + 1 < n && started + 1 < STORE_CREW_MAX &&
	       pthread_create(&helpers[started], NULL, help, &j) == 0)
		started++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	work(arg);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(helpers[i], NULL);
}
