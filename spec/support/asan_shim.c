// SPDX-License-Identifier: MIT
/* Preloaded beside the sanitizers' libraries (spec/support/lua-asan): keeps libraries loaded, so
 * that the leaks they left have names in the report, and keeps the sanitizers out of child
 * processes, whose own leaks are none of our business. */
#include <stdlib.h>

int dlclose(void *handle);

int dlclose(void *handle)
{
    (void)handle;
    return 0;
}

__attribute__((constructor)) static void forget_preload(void)
{
    unsetenv("LD_PRELOAD");
}
