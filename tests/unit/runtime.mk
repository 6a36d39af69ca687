# unit tests of runtime: the layer and util
check_PROGRAMS += tests/unit/test_runtime tests/unit/test_runtime_text
TESTS += tests/unit/test_runtime tests/unit/test_runtime_text
tests_unit_test_runtime_SOURCES = tests/unit/test_runtime.c
tests_unit_test_runtime_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_LDADD = libruntime.a libutil.a $(CMOCKA_LIBS)
tests_unit_test_runtime_text_SOURCES = tests/unit/test_runtime_text.c
tests_unit_test_runtime_text_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_text_LDADD = libruntime.a libutil.a $(JANSSON_LIBS) $(SECCOMP_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_runtime_beat
TESTS += tests/unit/test_runtime_beat
tests_unit_test_runtime_beat_SOURCES = tests/unit/test_runtime_beat.c
tests_unit_test_runtime_beat_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_beat_LDADD = libruntime.a libutil.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_runtime_ldcache
TESTS += tests/unit/test_runtime_ldcache
tests_unit_test_runtime_ldcache_SOURCES = tests/unit/test_runtime_ldcache.c
tests_unit_test_runtime_ldcache_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_ldcache_LDADD = libruntime.a libutil.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_ldcache
TESTS += tests/fuzz/fuzz_ldcache
tests_fuzz_fuzz_ldcache_SOURCES = tests/fuzz/fuzz_ldcache.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_ldcache_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/ldcache"'
tests_fuzz_fuzz_ldcache_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_ldcache_LDADD = libruntime.a libutil.a

# libraries of the host; the tests build small ones with the compiler
check_PROGRAMS += tests/unit/test_runtime_elf tests/unit/test_runtime_closure tests/unit/test_runtime_stack tests/fuzz/fuzz_elf
TESTS += tests/unit/test_runtime_elf tests/unit/test_runtime_closure tests/unit/test_runtime_stack tests/fuzz/fuzz_elf
tests_unit_test_runtime_elf_SOURCES = tests/unit/test_runtime_elf.c tests/unit/elf_build.c tests/unit/elf_build.h
tests_unit_test_runtime_elf_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_CC='"$(CC)"'
tests_unit_test_runtime_elf_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_elf_LDADD = libruntime.a libutil.a $(ELF_LIBS) $(CMOCKA_LIBS)
tests_unit_test_runtime_closure_SOURCES = tests/unit/test_runtime_closure.c tests/unit/elf_build.c tests/unit/elf_build.h
tests_unit_test_runtime_closure_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_CC='"$(CC)"'
tests_unit_test_runtime_closure_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_closure_LDADD = libruntime.a libutil.a $(ELF_LIBS) $(CMOCKA_LIBS)
tests_unit_test_runtime_stack_SOURCES = tests/unit/test_runtime_stack.c
tests_unit_test_runtime_stack_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_stack_LDADD = libruntime.a libutil.a $(ELF_LIBS) $(INIH_LIBS) $(CMOCKA_LIBS)
tests_fuzz_fuzz_elf_SOURCES = tests/fuzz/fuzz_elf.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_elf_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/elf"'
tests_fuzz_fuzz_elf_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_elf_LDADD = libruntime.a libutil.a $(ELF_LIBS)

check_PROGRAMS += tests/unit/test_runtime_libtree
TESTS += tests/unit/test_runtime_libtree
tests_unit_test_runtime_libtree_SOURCES = tests/unit/test_runtime_libtree.c tests/unit/elf_build.c tests/unit/elf_build.h
tests_unit_test_runtime_libtree_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_CC='"$(CC)"'
tests_unit_test_runtime_libtree_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_libtree_LDADD = libruntime.a libutil.a $(ELF_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_runtime_hook
TESTS += tests/unit/test_runtime_hook
tests_unit_test_runtime_hook_SOURCES = tests/unit/test_runtime_hook.c
tests_unit_test_runtime_hook_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_hook_LDADD = libruntime.a libutil.a $(JANSSON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_hook
TESTS += tests/fuzz/fuzz_hook
tests_fuzz_fuzz_hook_SOURCES = tests/fuzz/fuzz_hook.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_hook_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/hook"'
tests_fuzz_fuzz_hook_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_hook_LDADD = libruntime.a libutil.a $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_runtime_cdi
TESTS += tests/unit/test_runtime_cdi
tests_unit_test_runtime_cdi_SOURCES = tests/unit/test_runtime_cdi.c
tests_unit_test_runtime_cdi_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_cdi_LDADD = libruntime.a libutil.a $(JANSSON_LIBS) $(YAML_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_cdi
TESTS += tests/fuzz/fuzz_cdi
tests_fuzz_fuzz_cdi_SOURCES = tests/fuzz/fuzz_cdi.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_cdi_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/cdi"'
tests_fuzz_fuzz_cdi_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_cdi_LDADD = libruntime.a libutil.a $(JANSSON_LIBS) $(YAML_LIBS)

check_PROGRAMS += tests/unit/test_runtime_gpu
TESTS += tests/unit/test_runtime_gpu
tests_unit_test_runtime_gpu_SOURCES = tests/unit/test_runtime_gpu.c
tests_unit_test_runtime_gpu_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_gpu_LDADD = libruntime.a libutil.a $(INIH_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_runtime_trust
TESTS += tests/unit/test_runtime_trust
tests_unit_test_runtime_trust_SOURCES = tests/unit/test_runtime_trust.c $(TREE_REMOVE)
tests_unit_test_runtime_trust_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_trust_LDADD = libruntime.a libutil.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_runtime_shape
TESTS += tests/unit/test_runtime_shape
tests_unit_test_runtime_shape_SOURCES = tests/unit/test_runtime_shape.c
tests_unit_test_runtime_shape_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_shape_LDADD = libruntime.a libutil.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_runtime_profile tests/fuzz/fuzz_profile
TESTS += tests/unit/test_runtime_profile tests/fuzz/fuzz_profile
tests_unit_test_runtime_profile_SOURCES = tests/unit/test_runtime_profile.c
tests_unit_test_runtime_profile_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(SECCOMP_CFLAGS)
tests_unit_test_runtime_profile_LDADD = libruntime.a libutil.a $(JANSSON_LIBS) $(CMOCKA_LIBS)
tests_fuzz_fuzz_profile_SOURCES = tests/fuzz/fuzz_profile.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_profile_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/profile"'
tests_fuzz_fuzz_profile_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_profile_LDADD = libruntime.a libutil.a $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_runtime_walk
TESTS += tests/unit/test_runtime_walk
tests_unit_test_runtime_walk_SOURCES = tests/unit/test_runtime_walk.c
tests_unit_test_runtime_walk_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_walk_LDADD = libruntime.a libutil.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_runtime_name tests/unit/test_runtime_place
TESTS += tests/unit/test_runtime_name tests/unit/test_runtime_place
tests_unit_test_runtime_place_SOURCES = tests/unit/test_runtime_place.c
tests_unit_test_runtime_place_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_place_LDADD = libruntime.a libutil.a $(CMOCKA_LIBS)
tests_unit_test_runtime_name_SOURCES = tests/unit/test_runtime_name.c
tests_unit_test_runtime_name_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_name_LDADD = libruntime.a libutil.a $(CMOCKA_LIBS)

# what is kept about libraries of the host
check_PROGRAMS += tests/unit/test_runtime_memo tests/fuzz/fuzz_memo
TESTS += tests/unit/test_runtime_memo tests/fuzz/fuzz_memo
tests_unit_test_runtime_memo_SOURCES = tests/unit/test_runtime_memo.c
tests_unit_test_runtime_memo_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_memo_LDADD = libruntime.a libutil.a $(CMOCKA_LIBS)
tests_fuzz_fuzz_memo_SOURCES = tests/fuzz/fuzz_memo.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_memo_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/memo"'
tests_fuzz_fuzz_memo_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_memo_LDADD = libruntime.a libutil.a $(JANSSON_LIBS) $(YAML_LIBS) $(ELF_LIBS) $(INIH_LIBS)

# large files, mounted in the namespaces of a container
check_PROGRAMS += tests/unit/test_runtime_native
TESTS += tests/unit/test_runtime_native
tests_unit_test_runtime_native_SOURCES = tests/unit/test_runtime_native.c
tests_unit_test_runtime_native_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_native_LDADD = libruntime.a libutil.a $(CMOCKA_LIBS)
