/* SPDX-License-Identifier: BSD-3-Clause */
/* choose: which backend, alone and with a peer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends.h"

/* AEAD first: a backend without integrity serves only who cannot do with it. */
static const struct vcc_backend *const backends[] = {
    &vcc_soft,
#ifdef HAVE_MLX5DV
    &vcc_mlx5,
#endif
};

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

/* "confidentiality, integrity" */
static const char *names(uint32_t props, char text[VCC_WHY_LEN])
{
    static const char *const name[] = {"confidentiality", "integrity",
                                       "replay defence", "direct placement"};
    size_t i, used = 0;

    snprintf(text, VCC_WHY_LEN, "nothing that is known");
    for (i = 0; i < sizeof(name) / sizeof(name[0]); i++)
        if (props & 1u << i)
            used += (size_t)snprintf(text + used, VCC_WHY_LEN - used, "%s%s",
                                     used > 0 ? ", " : "", name[i]);
    return text;
}

const struct vcc_backend *vcc_backend(const char *name)
{
    size_t i;

    for (i = 0; i < BACKENDS; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

const struct vcc_backend *vcc_pick(struct ibv_context *ctx, uint32_t required,
                                   char why[VCC_WHY_LEN])
{
    char text[VCC_WHY_LEN], refused[VCC_WHY_LEN] = "";
    struct vcc_caps caps;
    size_t i;

    for (i = 0; required != 0 && i < BACKENDS; i++) {
        if ((backends[i]->props & required) != required)
            continue;
        if (backends[i]->probe(ctx, &caps) == 0) {
            if ((caps.props & required) == required)
                return backends[i];
        } else {
            memcpy(refused, caps.why, sizeof(refused));
        }
    }
    if (why == NULL)
        return NULL;
    if (required == 0)
        snprintf(why, VCC_WHY_LEN, "no property was required of the backend");
    else if (refused[0] != '\0')
        memcpy(why, refused, VCC_WHY_LEN);
    else
        snprintf(why, VCC_WHY_LEN, "no backend has %.130s together",
                 names(required, text));
    return NULL;
}

void vcc_offer(struct ibv_context *ctx, uint32_t required, uint32_t wanted,
               struct vcc_offer *offer)
{
    struct vcc_caps caps;
    size_t i;

    *offer = (struct vcc_offer){.required = required, .wanted = wanted};
    for (i = 0; i < BACKENDS; i++)
        if (backends[i]->probe(ctx, &caps) == 0)
            offer->backends |= backends[i]->id;
}

/* First that both have and that has props. */
static const struct vcc_backend *common(uint32_t both, uint32_t props)
{
    size_t i;

    for (i = 0; i < BACKENDS; i++)
        if (both & backends[i]->id && (backends[i]->props & props) == props)
            return backends[i];
    return NULL;
}

const struct vcc_backend *vcc_agree(const struct vcc_offer *mine,
                                    const struct vcc_offer *theirs,
                                    char why[VCC_WHY_LEN])
{
    uint32_t required = mine->required | theirs->required;
    uint32_t wanted   = mine->wanted & theirs->wanted;
    uint32_t both     = mine->backends & theirs->backends;
    const struct vcc_backend *found;
    char text[VCC_WHY_LEN];

    why[0] = '\0';
    if (mine->required == 0 || theirs->required == 0) {
        snprintf(why, VCC_WHY_LEN, "%s requires no protection at all: refused",
                 mine->required == 0 ? "this side" : "the peer");
        return NULL;
    }
    found = common(both, required | wanted);
    if (found == NULL)
        found = common(both, required);
    if (found == NULL)
        snprintf(why, VCC_WHY_LEN, "no backend of both sides has %.80s: set "
                 "the same policy on both",
                 names(required, text));
    return found;
}

const char *vcc_strerror(int error)
{
    switch (-error) {
    case 0:
        return "no error";
    case EOPNOTSUPP:
        return "the backend or the card cannot do this: another backend";
    case EINVAL:
        return "an argument is against the rules of eesp_verbs.h";
    case ENOSPC:
        return "no room for one more key (the card's limit of DEKs): detach "
               "one, or use the backend soft";
    case EKEYREJECTED:
        return "the card does not take the key, or took it and lost it: take "
               "a new one, or use the backend soft";
    case EOVERFLOW:
        return "numbers under this key are used up: take a new one";
    case ESTALE:
        return "used before under this key, late, or of another sender: "
               "refused";
    case EBADMSG:
        return "damaged, forged or of another key: refused";
    case EMSGSIZE:
        return "longer than this backend takes at once, or not a multiple of "
               "len_align";
    case EBUSY:
        return "still attached: detach first";
    case EOWNERDEAD:
        return "opened by the parent process: open it anew";
    case EIO:
    case ENODEV:
        return "the device does not answer: it failed or was removed";
    }
    return strerror(-error);
}
