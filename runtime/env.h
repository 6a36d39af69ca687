/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The environment of the container: host, less what would point into the host's software; then the
 * image's; then HPCRUNENV_*; then --env-file; then --env; the launcher's variables always as on the
 * host. hpcrun-session(7), ENVIRONMENT, lists the tables.
 *
 * Sequence: rt_env_set and rt_env_file collect what the user asks for in one environment; then
 * rt_env_host, rt_env_image, rt_env_overlay and rt_env_finish make the one for execve (vars.v).
 */
#ifndef RT_ENV_H
#define RT_ENV_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"
#include "util/mem.h"

/* A zeroed struct is an empty environment. Entries are owned by hr_strv. */
struct rt_env {
	struct hr_strv vars; /* "NAME=VALUE", each name once */
};

void rt_env_release(struct rt_env *env);

/* The value of NAME, or NULL. */
const char *rt_env_get(const struct rt_env *env, const char *name);

/* Set one variable, replacing its former value. */
void rt_env_put(struct rt_env *env, const char *name, const char *value);

/* The name is one that the launcher of a parallel job sets: SLURM_*, PMI*, PMIX_*, PALS_*, FLUX_*.
 */
bool rt_env_is_launcher(const char *name, size_t len);

/* The entry has the form NAME=VALUE with a name, and execve would take it. */
bool rt_env_entry_ok(const char *entry);

/*
 * Take over from HOST (an environ) what the rules let through; with CLEAN only the short list that
 * --cleanenv keeps.
 */
void rt_env_host(struct rt_env *env, char *const *host, bool clean);

/*
 * Apply N bytes of the image's variables ("NAME=VALUE\0" each). The launcher's variables, and HOME
 * when KEEP_HOME, stay as they are; entries of another form are skipped.
 */
void rt_env_image(struct rt_env *env, const char *vars, size_t n, bool keep_home);

/* Apply N bytes of variables in the same form, whatever their names. */
void rt_env_entries(struct rt_env *env, const char *vars, size_t n);

/*
 * Apply one --env word or line of an --env-file: "NAME=VALUE", or "NAME" to take the host's value
 * (nothing, if it has none).
 *
 * Errors:  HR_USAGE naming WHERE for an empty name or a variable of the launcher.
 */
int rt_env_set(struct rt_env *env, char *const *host, const char *word, const char *where,
	       struct hr_err *e) HR_MUST_USE;

/*
 * Apply the text of an --env-file, LEN bytes: one word per line as above; empty lines and lines
 * that start with '#' are skipped.
 *
 * Errors:  HR_USAGE naming the file and the line.
 */
int rt_env_file(struct rt_env *env, char *const *host, const char *name, const char *text,
		size_t len, struct hr_err *e) HR_MUST_USE;

/*
 * Apply the variables HPCRUNENV_NAME of HOST: each sets NAME.
 *
 * Errors:  HR_USAGE for an empty name or a variable of the launcher.
 */
int rt_env_forwarded(struct rt_env *env, char *const *host, struct hr_err *e) HR_MUST_USE;

/* Put back what HOST says of the devices that this rank is to use: they differ between ranks. */
void rt_env_devices(struct rt_env *env, char *const *host);

/* Set every variable of OVER in ENV. */
void rt_env_overlay(struct rt_env *env, const struct rt_env *over);

/*
 * Put N bytes of directories ("DIR\0" each) at the front of LD_LIBRARY_PATH. Its empty parts, which
 * the loader would take for the working directory, are left out, if there are directories.
 */
void rt_env_library_dirs(struct rt_env *env, const char *dirs, size_t n);

/* Give PATH its default when nobody set it. */
void rt_env_finish(struct rt_env *env);

#endif
