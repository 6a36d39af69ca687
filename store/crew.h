/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One job that several threads do together.
 *
 * For: commands that have many tasks of one kind: layers to download, packs to check, files to
 * make. Not for: threads that live on beside their caller, as a server's do.
 */
#ifndef STORE_CREW_H
#define STORE_CREW_H

#define STORE_CREW_MAX 64 /* threads */

/*
 * Run WORK(ARG) in N threads at once, the calling one among them, until all have returned.
 *
 * Bounds:  N of 0 is 1, above STORE_CREW_MAX that. The machine may grant fewer threads, and that
 *          is no error: WORK takes tasks until none is left, whoever else does.
 * Threads: signals come to the calling thread alone.
 */
void store_crew_run(unsigned int n, void (*work)(void *arg), void *arg);

#endif
