/* SPDX-License-Identifier: MIT
 * core.terminal_width: how wide the terminal is that lists are printed to. */
#include <sys/ioctl.h>
#include <unistd.h>

#include "l_core.h"

/* Columns of the terminal at standard output; nil where it is none. */
static int l_terminal_width(lua_State *L)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || !size.ws_col)
        return 0;
    lua_pushinteger(L, size.ws_col);
    return 1;
}

void l_term_open(lua_State *L)
{
    lua_pushcfunction(L, l_terminal_width);
    lua_setfield(L, -2, "terminal_width");
}
