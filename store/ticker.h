/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread that does the same thing again and again beside the work of a command: shows how far
 * that is, or says that it goes on.
 *
 * Sequence: a zeroed struct; store_ticker_start(); store_ticker_stop(), also when it did not start.
 */
#ifndef STORE_TICKER_H
#define STORE_TICKER_H

#include <pthread.h>
#include <stdbool.h>

struct store_ticker {
	bool running, stop;
	unsigned int ms;
	void (*tick)(void *arg);
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock; /* held during TICK; others may take it while RUNNING */
	pthread_cond_t wake;
};

/* Call TICK every MS milliseconds, the first time after one. No signal comes to the thread. False
 * when there is none to be had. */
bool store_ticker_start(struct store_ticker *t, unsigned int ms, void (*tick)(void *arg),
			void *arg);
/* Afterwards TICK is not called any more. */
void store_ticker_stop(struct store_ticker *t);

#endif
