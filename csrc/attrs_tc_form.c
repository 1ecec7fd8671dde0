/* SPDX-License-Identifier: MIT
 * Traffic control: kinds (of qdisc, class, filter and action), and their options both ways. */
#include <stdio.h>
#include <string.h>

#include "attrs_tc.h"

#define FIELDS_MAX 512

extern struct codec_schema qdisc_schema, class_schema, filter_schema;

/* Forms --------------------------------------------------------------------------------------- */

const struct tc_form *tc_form_of(const struct tc_forms *forms, const char *kind)
{
    for (size_t i = 0; i < forms->count; i++)
        if (!strcmp(forms->list[i].kind, kind))
            return &forms->list[i];
    return NULL;
}

const struct tc_form *tc_form_in(const struct tc_forms *forms, struct nlattr *kind)
{
    char name[32];

    if (!kind)
        return NULL;
    snprintf(name, sizeof(name), "%.*s", nla_len(kind), (char *)nla_data(kind));
    return tc_form_of(forms, name);
}

struct codec_schema *tc_schema_at(size_t i)
{
    static const struct tc_forms *const all[] = {&tc_qdiscs, &tc_classes, &tc_filters, &tc_actions};
    static struct codec_schema *const more[] = {
        &qdisc_schema,      &class_schema,     &filter_schema,         &action_schema,
        &pedit_key_schema,  &pedit_gen_schema, &u32_key_schema,        &tc_stats_schema,
        &hfsc_curve_schema, &xstats_cake_tin,  &xstats_fq_codel_qdisc, &xstats_fq_codel_class};

    if (i < ARRAY_LEN(more))
        return more[i];
    i -= ARRAY_LEN(more);
    for (size_t k = 0; k < ARRAY_LEN(all); i -= 2 * all[k]->count, k++)
        if (i < 2 * all[k]->count)
            return i % 2 ? all[k]->list[i / 2].xstats : all[k]->list[i / 2].schema;
    return &codec_no_schema;
}

bool tc_given(struct codec_enc *enc, int type)
{
    return codec_find(&enc->m, enc->level, type) != NULL;
}

void tc_default(struct codec_enc *enc, int type, const void *data, size_t len)
{
    if (!tc_given(enc, type))
        codec_put(&enc->m, type, data, len);
}

int tc_need(struct codec_enc *enc, bool fine, const char *text)
{
    return fine || enc->verb == CODEC_MATCH
               ? 0
               : nserr_arg(enc->e, "%s: %s%s", enc->op, enc->path, text);
}

/* The fields stand at `start`, attributes behind them: the structure takes the fields' place. */
static int pack_options(struct codec_enc *enc, size_t start, const struct tc_form *form)
{
    _Alignas(max_align_t) char fields[FIELDS_MAX] = "", lead[FIELDS_MAX] = "";
    size_t had = NLA_ALIGN(form->schema->header), wants = NLA_ALIGN(form->lead);
    size_t attrs = enc->m.len - start - had, level = enc->level;
    int err = 0;

    memcpy(fields, enc->m.buf + start, form->schema->header);
    if (wants > had && !codec_reserve(&enc->m, wants - had))
        return 0; /* overflow, told at the end */
    memmove(enc->m.buf + start + wants, enc->m.buf + start + had, attrs);
    enc->m.len = start + wants + attrs;
    enc->level = start + wants;
    if (form->pack)
        err = form->pack(enc, fields, lead);
    else
        memcpy(lead, fields, form->lead);
    memcpy(enc->m.buf + start, lead, form->lead);
    enc->level = level;
    return err;
}

static void put_parms(struct codec_enc *enc, size_t start, const struct tc_form *form)
{
    if (!codec_find(&enc->m, start, form->parms))
        codec_put(&enc->m, form->parms, form->parms_schema->initial, form->parms_schema->header);
}

int tc_unknown_kind(struct codec_enc *enc, const struct tc_forms *forms, const char *key,
                    const char *kind)
{
    const char *list[40];
    char hint[80], all[200] = "";
    size_t n = 0, len = 0;

    for (; n < forms->count && n < ARRAY_LEN(list); n++) {
        list[n] = forms->list[n].kind;
        if (len < sizeof(all))
            len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", n ? ", " : "", list[n]);
    }
    nserr_hint(hint, sizeof(hint), kind, list, n);
    return nserr_arg(enc->e, "%s: %s%s: unknown %s \"%.40s\"%s", enc->op, enc->path, key,
                     forms->what, kind, *hint ? hint : "");
}

int tc_put_options(struct codec_enc *enc, int idx, int type, const struct tc_form *form, bool any)
{
    size_t mark, start;
    int err;

    if (!form || !form->schema || !(any || form->always))
        return 0;
    mark = codec_nest(&enc->m, form->lead ? type : type | NLA_F_NESTED);
    start = enc->m.len;
    err = codec_encode_inside(enc, idx, form->schema);
    if (!err && form->parms && enc->verb != CODEC_MATCH)
        put_parms(enc, start, form);
    if (!err && !enc->m.overflow && (form->schema->header || form->pack))
        err = pack_options(enc, start, form);
    codec_nest_end(&enc->m, mark);
    return err;
}

void tc_decode_options(struct codec_dec *dec, const struct tc_form *form, struct nlattr *a)
{
    _Alignas(max_align_t) char fields[FIELDS_MAX] = "", lead[FIELDS_MAX] = "";
    struct tc_options in = {.lead = lead};
    struct nlattr *attrs;
    int len, skip;

    if (!form || !form->schema || !a)
        return;
    skip = NLA_ALIGN(form->lead) < nla_len(a) ? NLA_ALIGN(form->lead) : nla_len(a);
    memcpy(lead, nla_data(a), skip < form->lead ? (size_t)skip : form->lead);
    attrs = (struct nlattr *)((char *)nla_data(a) + skip);
    len = nla_len(a) - skip;
    if (form->unpack) {
        nla_parse(in.tb, ARRAY_LEN(in.tb) - 1, attrs, len, NULL);
        form->unpack(&in, fields);
    } else {
        memcpy(fields, lead, form->schema->header);
    }
    codec_decode_nested(dec, form->schema, fields, attrs, len);
}

/* For extended acks: the key within the options of a kind. */
static const char *key_inside(const struct tc_forms *forms, struct nlattr *level, int len,
                              struct nlattr *options, const char *target)
{
    const struct tc_form *form = tc_form_in(forms, nla_find(level, len, TCA_KIND));
    int skip = form ? NLA_ALIGN(form->lead) : 0;

    if (!form || !form->schema || nla_len(options) <= skip)
        return NULL;
    return codec_key_within(form->schema, (struct nlattr *)((char *)nla_data(options) + skip),
                            nla_len(options) - skip, target);
}

#define INSIDE(noun, forms)                                                                        \
    static const char *noun##_key(struct nlattr *level, int len, struct nlattr *a,                 \
                                  const char *target)                                              \
    {                                                                                              \
        return key_inside(&forms, level, len, a, target);                                          \
    }                                                                                              \
    const struct codec_custom_nest tc_##noun##_options = {{tc_encode_nothing, tc_decode_nothing},  \
                                                          noun##_key}

INSIDE(qdisc, tc_qdiscs);
INSIDE(class, tc_classes);
INSIDE(filter, tc_filters);
