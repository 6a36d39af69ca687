/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of processes that mean the same on every host: who made a file in a store, and is he
 * still there?
 */
#ifndef STORE_PROCESS_H
#define STORE_PROCESS_H

/* boot, pid namespace, pid and start time, as "%16s-%u-%d-%llu"; unique on any host for ever.
 * Looked up once: a child of fork() that does not exec has the name of its parent. */
#define STORE_PROCESS_NAME 80
void store_process_name(char buf[STORE_PROCESS_NAME]);

enum store_process_state { STORE_PROCESS_ALIVE, STORE_PROCESS_GONE, STORE_PROCESS_UNKNOWN };

/* The state of the process whose name NAME begins with; unknown: of another boot or namespace. */
enum store_process_state store_process_state(const char *name);

#endif
