/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/ticker.h"

#include <signal.h>
#include <time.h>

#include "util/poison.h"

static void *ticker_main(void *arg)
{
	struct store_ticker *t = arg;
	struct timespec until;

	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += t->ms / 1000;
		until.tv_nsec += (long)(t->ms % 1000) * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		pthread_cond_timedwait(&t->wake, &t->lock, &until);
		if (!t->stop)
			t->tick(t->arg);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

bool store_ticker_start(struct store_ticker *t, unsigned int ms, void (*tick)(void *arg), void *arg)
{
	sigset_t all, old;

	*t = (struct store_ticker) { .ms = ms, .tick = tick, .arg = arg };
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wake, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the main thread */
	t->running = pthread_create(&t->thread, NULL, ticker_main, t) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return t->running;
}

void store_ticker_stop(struct store_ticker *t)
{
	if (!t->running)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	t->running = false;
}
