# Layer 1. Only http.c includes curl.h; a program takes -lcurl only when it uses the client.
noinst_LIBRARIES += libfetch.a
libfetch_a_SOURCES = \
	fetch/fetch.h fetch/auth.c fetch/auth.h fetch/client.h fetch/cred.c fetch/cred.h \
	fetch/digest.c fetch/hash.c fetch/helper.c fetch/helper.h fetch/http.c \
	fetch/http.h fetch/hold.c fetch/hold.h \
	fetch/json.c fetch/json.h fetch/layout.c fetch/login.c fetch/manifest.c fetch/push.c fetch/ref.c fetch/registry.c \
	fetch/header.c fetch/header.h fetch/plain.c fetch/request.c fetch/request.h fetch/retry.c fetch/retry.h \
	fetch/token.c fetch/token.h fetch/url.c fetch/url.h \
	fetch/web.c
libfetch_a_CFLAGS = $(AM_CFLAGS) $(CURL_CFLAGS) $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS)
