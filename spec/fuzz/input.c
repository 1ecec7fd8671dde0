// SPDX-License-Identifier: MIT
/* Reading inputs. */
#include "fuzz.h"

uint8_t input_byte(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

uint32_t input_u32(struct input *in)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++)
        value = value << 8 | input_byte(in);
    return value;
}

const char *input_line(struct input *in, char *buf, size_t size)
{
    size_t n = 0;

    while (in->at < in->end) {
        uint8_t c = *in->at++;
        if (c == '\n')
            break;
        if (n < size - 1)
            buf[n++] = (char)c;
    }
    buf[n] = '\0';
    return buf;
}
