# unit tests of the reading half of store
check_PROGRAMS += tests/unit/test_store_index tests/unit/test_store_index_rules
TESTS += tests/unit/test_store_index tests/unit/test_store_index_rules
INDEX_SAMPLE = tests/unit/index_sample.c tests/unit/index_sample.h
tests_unit_test_store_index_rules_SOURCES = tests/unit/test_store_index_rules.c $(INDEX_SAMPLE)
tests_unit_test_store_index_rules_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_index_rules_LDADD = libstore.a libutil.a $(CMOCKA_LIBS)
tests_unit_test_store_index_SOURCES = tests/unit/test_store_index.c $(INDEX_SAMPLE)
tests_unit_test_store_index_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_index_LDADD = libstore.a libutil.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_store_chunks tests/unit/test_store_serve_tree
TESTS += tests/unit/test_store_chunks tests/unit/test_store_serve_tree
tests_unit_test_store_chunks_SOURCES = tests/unit/test_store_chunks.c
tests_unit_test_store_chunks_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(ZSTD_CFLAGS)
tests_unit_test_store_chunks_LDADD = libstore.a libfetch.a libutil.a $(ZSTD_LIBS) $(ISAL_LIBS) \
	$(CRYPTO_LIBS) $(CMOCKA_LIBS)
tests_unit_test_store_serve_tree_SOURCES = tests/unit/test_store_serve_tree.c
tests_unit_test_store_serve_tree_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_serve_tree_LDADD = libstore.a libutil.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_store_serve_ahead
TESTS += tests/unit/test_store_serve_ahead
tests_unit_test_store_serve_ahead_SOURCES = tests/unit/test_store_serve_ahead.c
tests_unit_test_store_serve_ahead_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_serve_ahead_LDADD = libstore.a libutil.a $(CMOCKA_LIBS)

# a store from a directory, and a mount without the runtime
check_PROGRAMS += tests/lib/mkstore tests/lib/serve_mount
tests_lib_mkstore_SOURCES = tests/lib/mkstore.c
tests_lib_mkstore_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS)
tests_lib_mkstore_LDADD = libstore.a libfetch.a libutil.a $(ZSTD_LIBS) $(CRYPTO_LIBS) $(ISAL_LIBS)
tests_lib_serve_mount_SOURCES = tests/lib/serve_mount.c
tests_lib_serve_mount_CFLAGS = $(AM_CFLAGS)
tests_lib_serve_mount_LDADD = libutil.a
check_PROGRAMS += tests/lib/readers
tests_lib_readers_SOURCES = tests/lib/readers.c
tests_lib_readers_CFLAGS = $(AM_CFLAGS)
tests_lib_readers_LDADD = libutil.a

# large files as files of their own in the node cache
check_PROGRAMS += tests/unit/test_store_native tests/unit/test_store_native_odd tests/unit/test_store_native_list \
	tests/unit/test_store_native_many tests/unit/test_store_native_pour
TESTS += tests/unit/test_store_native tests/unit/test_store_native_odd tests/unit/test_store_native_list \
	tests/unit/test_store_native_many tests/unit/test_store_native_pour
NATIVE_RIG = tests/unit/native_rig.c tests/unit/native_rig.h $(TREE_REMOVE)
NATIVE_TEST_LIBS = libstore.a libfetch.a libutil.a $(ZSTD_LIBS) $(ISAL_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)
tests_unit_test_store_native_SOURCES = tests/unit/test_store_native.c $(NATIVE_RIG)
tests_unit_test_store_native_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_native_LDADD = $(NATIVE_TEST_LIBS)
tests_unit_test_store_native_odd_SOURCES = tests/unit/test_store_native_odd.c $(NATIVE_RIG)
tests_unit_test_store_native_odd_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_native_odd_LDADD = $(NATIVE_TEST_LIBS)
tests_unit_test_store_native_many_SOURCES = tests/unit/test_store_native_many.c $(NATIVE_RIG)
tests_unit_test_store_native_many_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_native_many_LDADD = $(NATIVE_TEST_LIBS)
tests_unit_test_store_native_pour_SOURCES = tests/unit/test_store_native_pour.c $(NATIVE_RIG)
tests_unit_test_store_native_pour_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_native_pour_LDADD = $(NATIVE_TEST_LIBS)
tests_unit_test_store_native_list_SOURCES = tests/unit/test_store_native_list.c $(INDEX_SAMPLE)
tests_unit_test_store_native_list_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_native_list_LDADD = $(NATIVE_TEST_LIBS)
check_PROGRAMS += tests/unit/test_store_serve_native
TESTS += tests/unit/test_store_serve_native
tests_unit_test_store_serve_native_SOURCES = tests/unit/test_store_serve_native.c store/serve_native.c \
	$(INDEX_SAMPLE) $(TREE_REMOVE)
tests_unit_test_store_serve_native_CFLAGS = $(SERVE_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_serve_native_LDADD = $(NATIVE_TEST_LIBS) -lpthread

# what programs will read
check_PROGRAMS += tests/unit/test_store_python tests/unit/test_store_foresee_python
TESTS += tests/unit/test_store_python tests/unit/test_store_foresee_python
tests_unit_test_store_python_SOURCES = tests/unit/test_store_python.c
tests_unit_test_store_python_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"$(srcdir)/tests/fuzz/corpus/python"'
tests_unit_test_store_python_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_python_LDADD = libstore.a libutil.a $(CMOCKA_LIBS)
tests_unit_test_store_foresee_python_SOURCES = tests/unit/test_store_foresee_python.c
tests_unit_test_store_foresee_python_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_foresee_python_LDADD = libstore.a libutil.a $(CMOCKA_LIBS) -lpthread
check_PROGRAMS += tests/unit/test_store_elf tests/unit/test_store_elf_code tests/unit/test_store_foresee \
	tests/unit/test_store_pager_lanes tests/unit/test_store_pager_told
TESTS += tests/unit/test_store_elf tests/unit/test_store_elf_code tests/unit/test_store_foresee \
	tests/unit/test_store_pager_lanes tests/unit/test_store_pager_told
tests_unit_test_store_elf_SOURCES = tests/unit/test_store_elf.c
tests_unit_test_store_elf_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_elf_LDADD = libstore.a libutil.a $(CMOCKA_LIBS)
tests_unit_test_store_elf_code_SOURCES = tests/unit/test_store_elf_code.c
tests_unit_test_store_elf_code_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_elf_code_LDADD = libstore.a libutil.a $(CMOCKA_LIBS)
tests_unit_test_store_pager_lanes_SOURCES = tests/unit/test_store_pager_lanes.c
tests_unit_test_store_pager_lanes_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_pager_lanes_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_pager_told_SOURCES = tests/unit/test_store_pager_told.c $(INDEX_SAMPLE) $(TREE_REMOVE)
tests_unit_test_store_pager_told_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_pager_told_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_foresee_SOURCES = tests/unit/test_store_foresee.c
tests_unit_test_store_foresee_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_foresee_LDADD = libstore.a libutil.a $(CMOCKA_LIBS) -lpthread
