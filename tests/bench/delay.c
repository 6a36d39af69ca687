/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link between two network namespaces with a rate and a delay: two tun devices, and packets that
 * are carried from one to the other in time.
 *
 * usage: delay NETNS-A NETNS-B MBIT RTT-MS     (paths of namespaces; root)
 *
 * Makes a device "wire" in each namespace, prints "ready", carries until it is killed. Addresses
 * are the caller's to set. In each direction a packet leaves when those before it have left at
 * MBIT, and arrives RTT / 2 later. While more than QUEUE_MS are waiting nothing is read, so the
 * sender's own queue fills, as that of a network card does: nothing is ever dropped here. Large
 * packets stay large (the kernel's offload header goes along), which is what lets one process carry
 * 1 Gbit/s.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "util/poison.h"

#define PACKET_MAX (65536 + 64)
#define PACKETS	   4096 /* on the way in one direction */
#define QUEUE_MS   2	/* waiting to leave */

struct packet {
	uint64_t arrives_ns;
	size_t len;
	uint8_t *bytes; /* PACKET_MAX of them */
};

/* From one device to the other; the packets are a ring. */
struct direction {
	int from, to;
	uint64_t free_ns; /* when the last one has left */
	struct packet v[PACKETS];
	size_t first, n;
};

static uint64_t ns_per_kib, delay_ns;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int device_in(const char *netns)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	int ns = open(netns, O_RDONLY | O_CLOEXEC), fd;

	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		fail(netns);
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "wire");
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
		fail("/dev/net/tun");
	return fd;
}

static bool is_full(const struct direction *d, uint64_t now)
{
	return d->n == PACKETS || d->free_ns > now + QUEUE_MS * 1000000u;
}

/* Take what is there, until the queue is full. */
static void take(struct direction *d)
{
	for (;;) {
		struct packet *p = &d->v[(d->first + d->n) % PACKETS];
		uint64_t now = now_ns();
		ssize_t len;

		if (is_full(d, now))
			return;
		len = read(d->from, p->bytes, PACKET_MAX);
		if (len < 0)
			return; /* EAGAIN */
		if (d->free_ns < now)
			d->free_ns = now;
		d->free_ns += (uint64_t)len * ns_per_kib / 1024;
		p->len = (size_t)len;
		p->arrives_ns = d->free_ns + delay_ns;
		d->n++;
	}
}

/* Deliver what has arrived. */
static void deliver(struct direction *d)
{
	while (d->n > 0 && d->v[d->first].arrives_ns <= now_ns()) {
		const struct packet *p = &d->v[d->first];

		if (write(d->to, p->bytes, p->len) < 0 && errno != EIO && errno != EINVAL)
			fail("write");
		d->first = (d->first + 1) % PACKETS;
		d->n--;
	}
}

/* When something is to be done that no packet will wake us for. */
static uint64_t next_ns(const struct direction *d, uint64_t now)
{
	uint64_t next = d->n > 0 ? d->v[d->first].arrives_ns : UINT64_MAX;

	if (is_full(d, now) && d->free_ns - QUEUE_MS * 1000000u < next)
		next = d->free_ns - QUEUE_MS * 1000000u;
	return next;
}

static void sleep_until_needed(const struct direction d[2])
{
	uint64_t now = now_ns(), a = next_ns(&d[0], now), b = next_ns(&d[1], now);
	uint64_t next = a < b ? a : b, left = next > now ? next - now : 0;
	struct timespec t = { (time_t)(left / 1000000000u), (long)(left % 1000000000u) };
	struct pollfd p[2];

	for (int i = 0; i < 2; i++)
		p[i] = (struct pollfd) { .fd = is_full(&d[i], now) ? -1 : d[i].from,
					 .events = POLLIN };
	ppoll(p, 2, next == UINT64_MAX ? NULL : &t, NULL);
}

static struct direction ways[2];

int main(int argc, char **argv)
{
	const struct sched_param first = { .sched_priority = 1 };

	if (argc != 5 || atof(argv[3]) <= 0) {
		fprintf(stderr, "usage: delay NETNS-A NETNS-B MBIT RTT-MS\n");
		return 2;
	}
	ns_per_kib = (uint64_t)(8 * 1024 * 1000 / atof(argv[3]));
	delay_ns = (uint64_t)(atof(argv[4]) * 1e6 / 2);
	ways[0].from = ways[1].to = device_in(argv[1]);
	ways[1].from = ways[0].to = device_in(argv[2]);
	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < PACKETS; k++)
			if (!(ways[i].v[k].bytes = malloc(PACKET_MAX)))
				fail("malloc");
	/* a link does not slow down because the machine is busy; without the right it does */
	sched_setscheduler(0, SCHED_FIFO, &first);
	prctl(PR_SET_TIMERSLACK, 1);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		for (int i = 0; i < 2; i++) {
			take(&ways[i]);
			deliver(&ways[i]);
		}
		sleep_until_needed(ways);
	}
}
