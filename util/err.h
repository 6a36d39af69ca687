/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The error object of the whole project.
 *
 * For: carrying one failure from where it happened to where it is printed: what kind it is, the
 * errno behind it, a chain of context and a hint for the user. Not for: warnings (see log.h) or
 * broken invariants (HR_BUG_ON).
 *
 * Sequence: the caller owns a `struct hr_err e = { 0 }`; a callee that fails returns
 * hr_fail(e, ...); each folder crossed may hr_wrap(); the program's main prints it once.
 */
#ifndef HR_ERR_H
#define HR_ERR_H

#include <stddef.h>
#include <stdlib.h>

#define HR_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define HR_MUST_USE	__attribute__((warn_unused_result))
#define HR_COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define HR_PLURAL(n)	((n) == 1 ? "" : "s") /* behind a noun that N counts */

/* Exit status of every hpcrun program; the command's own otherwise (128 + n after signal n). */
#define HR_EXIT_FAILED	 125 /* hpcrun failed before the command ran */
#define HR_EXIT_NOEXEC	 126 /* the command cannot be executed */
#define HR_EXIT_NOTFOUND 127 /* the command does not exist */

/* abort() is for broken invariants of our own, never for input. */
#define HR_BUG_ON(cond)                                                                            \
	do {                                                                                       \
		if (cond)                                                                          \
			abort();                                                                   \
	} while (0)

/* What a caller may branch on. */
enum hr_kind {
	HR_OK,	     /* no failure */
	HR_USAGE,    /* the command line or configuration is wrong */
	HR_NOTFOUND, /* the named object does not exist */
	HR_DENIED,   /* credentials, permission, policy */
	HR_CORRUPT,  /* bytes break a format or a digest */
	HR_NET,	     /* the network or a server failed */
	HR_SYS	     /* a system call or a limit of this machine */
};

/*
 * Plain data: it can be copied, and sent through a pipe with one write.
 * text is "outer: inner: cause"; hint is what the user can do about it, or "".
 */
struct hr_err {
	enum hr_kind kind;
	int sys; /* errno of the failed call, or 0 */
	char text[768];
	char hint[256];
};

/*
 * Fill *e and return -1.
 *
 * Bounds:  text is cut at its size; when SYS is not 0, ": " and strerror(SYS) are kept at the end.
 * Errors:  filling an error that is already filled is a bug of the caller: the first failure wins,
 *          and test builds (HR_TEST) abort.
 */
int hr_fail(struct hr_err *e, enum hr_kind kind, int sys, const char *fmt, ...) HR_PRINTF(4, 5);

/*
 * Put "fmt: " in front of the text and return -1.
 *
 * Bounds:  when text would overflow, the new outer context is dropped, never the cause.
 */
int hr_wrap(struct hr_err *e, const char *fmt, ...) HR_PRINTF(2, 3);

/* Set the hint, unless an inner one is there already: the callee knows best. */
void hr_hint(struct hr_err *e, const char *fmt, ...) HR_PRINTF(2, 3);

/* Forget the failure in *e, for a caller that handles it and goes on. */
void hr_err_clear(struct hr_err *e);

#endif
