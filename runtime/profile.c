/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/profile.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/caps.h"
#include "runtime/json.h"
#include "util/poison.h"

#define ERRNO_MAX 4095

static const struct word {
	const char *name;
	uint32_t value;
} actions[] = {
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0) },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0) },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	{ NULL, 0 },
}, ops[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
	{ NULL, 0 },
};

static int find_word(const struct word *l, const char *name, const char *what, uint32_t *out,
		     struct hr_err *e)
{
	for (; l->name; l++) {
		if (strcmp(l->name, name) == 0) {
			*out = l->value;
			return 0;
		}
	}
	return hr_fail(e, HR_CORRUPT, 0, "%s '%.64s' is not supported", what, name);
}

/* KEY of O is an action; NUMBER the error number that goes with it, EPERM if it is not there. */
static int take_action(json_t *o, const char *key, const char *number, uint32_t *out,
		       struct hr_err *e)
{
	uint64_t error = EPERM;
	const char *name;

	if (rt_json_need_string(o, key, &name, e) < 0 ||
	    rt_json_u64(o, number, 0, ERRNO_MAX, &error, e) < 0 ||
	    find_word(actions, name, "action", out, e) < 0)
		return -1;
	if (*out == SCMP_ACT_ERRNO(0) || *out == SCMP_ACT_TRACE(0))
		*out |= (uint32_t)error;
	return 0;
}

/* Docker's tools write null where there is nothing. */
static bool is_null(json_t *o, const char *key)
{
	return json_is_null(json_object_get(o, key));
}

static int take_arg(json_t *o, struct rt_profile_arg *out, struct hr_err *e)
{
	static const char *const keys[] = { "index", "value", "valueTwo", "op", NULL };
	uint64_t index = RT_PROFILE_ARGS_MAX;
	const char *op;
	uint32_t number = 0;

	if (!json_is_object(o))
		return hr_fail(e, HR_CORRUPT, 0, "an element of 'args' is not an object");
	if (rt_json_only(o, keys, e) < 0 ||
	    rt_json_u64(o, "index", 0, RT_PROFILE_ARGS_MAX - 1, &index, e) < 0 ||
	    rt_json_u64(o, "value", 0, INT64_MAX, &out->value, e) < 0 ||
	    rt_json_u64(o, "valueTwo", 0, INT64_MAX, &out->value_two, e) < 0 ||
	    rt_json_need_string(o, "op", &op, e) < 0 ||
	    find_word(ops, op, "comparison", &number, e) < 0)
		return -1;
	if (index == RT_PROFILE_ARGS_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "an element of 'args' has no 'index'");
	out->index = (unsigned int)index;
	out->op = (int)number;
	return 0;
}

static int take_args(json_t *o, struct rt_profile_rule *rule, struct hr_err *e)
{
	json_t *list, *item;
	size_t i;

	if (is_null(o, "args"))
		return 0;
	if (rt_json_array(o, "args", &list, e) < 0)
		return -1;
	if (json_array_size(list) > RT_PROFILE_ARGS_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "'args' has more than %d elements",
			       RT_PROFILE_ARGS_MAX);
	json_array_foreach(list, i, item)
	{
		if (take_arg(item, &rule->args[rule->n_args++], e) < 0)
			return -1;
	}
	return 0;
}

static bool has_arch(const struct hr_strv *l, const char *arch)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], arch) == 0)
			return true;
	return false;
}

/* "4.8": this kernel is as new. */
static bool new_enough(const char *version, const struct rt_profile_facts *f)
{
	unsigned int major = 0, minor = 0;

	return sscanf(version, "%u.%u", &major, &minor) == 2 &&
	       (f->major > major || (f->major == major && f->minor >= minor));
}

/* Which of the conditions of O hold. */
struct held {
	bool any, all;
};

static int weigh(json_t *rule, const char *key, const struct rt_profile_facts *f, struct held *held,
		 struct hr_err *e)
{
	static const char *const keys[] = { "caps", "arches", "minKernel", NULL };
	struct hr_strv caps = { 0 }, arches = { 0 };
	const char *kernel = NULL;
	json_t *o;
	int r;

	*held = (struct held) { .any = false, .all = true };
	if (is_null(rule, key))
		return 0;
	if (rt_json_object(rule, key, &o, e) < 0)
		return -1;
	if (!o)
		return 0;
	r = rt_json_only(o, keys, e);
	if (r == 0 && !is_null(o, "caps"))
		r = rt_json_strings(o, "caps", &caps, e);
	if (r == 0 && !is_null(o, "arches"))
		r = rt_json_strings(o, "arches", &arches, e);
	if (r == 0)
		r = rt_json_string(o, "minKernel", &kernel, e);
	for (size_t i = 0; r == 0 && i < caps.n; i++) {
		/* a capability that we do not know is one that nobody has */
		bool has = (rt_caps_bit(caps.v[i]) & f->caps) != 0;

		held->any |= has;
		held->all &= has;
	}
	if (r == 0 && arches.n > 0) {
		held->any |= has_arch(&arches, f->arch);
		held->all &= has_arch(&arches, f->arch);
	}
	if (r == 0 && kernel) {
		held->any |= new_enough(kernel, f);
		held->all &= new_enough(kernel, f);
	}
	hr_strv_release(&caps);
	hr_strv_release(&arches);
	return r;
}

static int take_names(json_t *o, struct rt_profile_rule *rule, struct hr_err *e)
{
	const char *name;

	if (rt_json_strings(o, "names", &rule->names, e) < 0 ||
	    rt_json_string(o, "name", &name, e) < 0)
		return -1;
	if (name)
		hr_strv_add(&rule->names, name);
	return rule->names.n > 0 ? 0 : hr_fail(e, HR_CORRUPT, 0, "it names no system call");
}

static void rule_release(struct rt_profile_rule *rule)
{
	hr_strv_release(&rule->names);
}

/* 1: the rule holds here, 0: it does not. */
static int take_rule(json_t *o, const struct rt_profile_facts *f, struct rt_profile_rule *rule,
		     struct hr_err *e)
{
	static const char *const keys[] = { "names", "name",	"action",   "errnoRet", "errno",
					    "args",  "comment", "includes", "excludes", NULL };
	struct held in, out;

	if (!json_is_object(o))
		return hr_fail(e, HR_CORRUPT, 0, "it is not an object");
	if (rt_json_only(o, keys, e) < 0 || take_names(o, rule, e) < 0 ||
	    take_action(o, "action", "errnoRet", &rule->action, e) < 0 ||
	    take_args(o, rule, e) < 0 || weigh(o, "includes", f, &in, e) < 0 ||
	    weigh(o, "excludes", f, &out, e) < 0)
		return -1;
	if (json_object_get(o, "errno") && !json_object_get(o, "errnoRet"))
		return hr_fail(e, HR_CORRUPT, 0, "'errno' needs the number in 'errnoRet'");
	return in.all && !out.any;
}

static int take_rules(json_t *root, const struct rt_profile_facts *f, struct rt_profile *out,
		      struct hr_err *e)
{
	json_t *list, *item;
	size_t i;

	if (is_null(root, "syscalls"))
		return 0;
	if (rt_json_array(root, "syscalls", &list, e) < 0)
		return -1;
	json_array_foreach(list, i, item)
	{
		struct rt_profile_rule rule = { 0 };
		int r = take_rule(item, f, &rule, e);

		if (r == 1) {
			out->v = hr_xrealloc(out->v, (out->n + 1) * sizeof(*out->v));
			out->v[out->n++] = rule;
			continue;
		}
		rule_release(&rule);
		if (r < 0)
			return hr_wrap(e, "element %zu of 'syscalls'", i);
	}
	return 0;
}

int rt_profile_parse(const uint8_t *p, size_t n, const struct rt_profile_facts *facts,
		     struct rt_profile *out, struct hr_err *e)
{
	/* which call interfaces there are is this machine's to know, see seccomp.c */
	static const char *const keys[] = { "defaultAction", "defaultErrnoRet", "defaultErrno",
					    "architectures", "archMap",		"flags",
					    "syscalls",	     "comment",		NULL };
	json_auto_t *root = NULL;

	memset(out, 0, sizeof(*out));
	if (n > RT_PROFILE_FILE_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "%zu bytes, at most %d", n, RT_PROFILE_FILE_MAX);
	if (rt_json_parse(p, n, &root, e) < 0 || rt_json_only(root, keys, e) < 0 ||
	    take_action(root, "defaultAction", "defaultErrnoRet", &out->action, e) < 0)
		return -1;
	return take_rules(root, facts, out, e);
}

void rt_profile_release(struct rt_profile *p)
{
	for (size_t i = 0; i < p->n; i++)
		rule_release(&p->v[i]);
	free(p->v);
	memset(p, 0, sizeof(*p));
}
