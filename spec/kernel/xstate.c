// SPDX-License-Identifier: MIT
// Preloaded into the User-Mode Linux of spec/kernel/uml: lets it restore floating-point state on
// every processor.
//
// Theory of operation: UML 6.12 keeps 2,696 bytes of a guest process's XSAVE area and gives
// exactly those to PTRACE_SETREGSET. The host takes nothing but the whole area, which is larger
// where the processor has AMX (11,008 bytes), and answers EFAULT; the guest dies at its first
// process. So when a write is refused that way, the area is read in full, UML's part is laid
// over it and the whole goes back. Once seen, later writes skip the refused attempt. UML traces
// from one thread only, which is why one static buffer is enough.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h> /* NT_X86_XSTATE */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef long (*ptrace_fn)(enum __ptrace_request, pid_t, void *, void *);

static long write_whole_area(ptrace_fn real, pid_t pid, const struct iovec *part)
{
    static uint8_t area[64 * 1024] __attribute__((aligned(64)));
    struct iovec whole = {area, sizeof area};

    if (real(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &whole) < 0)
        return -1;
    if (whole.iov_len <= part->iov_len) {
        errno = EFAULT; // the size was not the reason
        return -1;
    }
    memcpy(area, part->iov_base, part->iov_len);
    return real(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &whole);
}

long ptrace(enum __ptrace_request request, ...)
{
    static ptrace_fn real;
    static bool needs_whole;
    va_list args;

    va_start(args, request);
    pid_t pid = va_arg(args, pid_t);
    void *addr = va_arg(args, void *), *data = va_arg(args, void *);
    va_end(args);

    if (!real)
        real = (ptrace_fn)dlsym(RTLD_NEXT, "ptrace");
    if (request != PTRACE_SETREGSET || (uintptr_t)addr != NT_X86_XSTATE)
        return real(request, pid, addr, data);
    if (!needs_whole) {
        long result = real(request, pid, addr, data);
        if (result == 0 || errno != EFAULT)
            return result;
        needs_whole = true;
    }
    return write_whole_area(real, pid, data);
}
