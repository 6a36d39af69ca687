	{ "cache", KEY_STRING, AT(cache), NULL, 0, 0, NULL },
	{ "cache_size", KEY_SIZE, AT(cache_bytes), "50G", UINT64_C(64) << 20, UINT64_C(1) << 60,
	  NULL },
