/* SPDX-License-Identifier: BSD-3-Clause */
/* run_openmpi: Open MPI's parameters and mpirun's arguments. */
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "OMPI_MCA_"

/* In this order; must: with another value data would leave in clear. */
static const struct {
    const char *name, *value;
    bool        must;
} parameters[] = {
    { "pml", "ucx", true },
    { "osc", "ucx", true },
    { "btl", "self", false },
    { "opal_common_ucx_tls", "any", false },
    { "opal_common_ucx_devices", "any", false },
    { "op", "^avx", false },
    /* Daemons stay with the agent that started them, which wipes after them. */
    { "orte_leave_session_attached", "1", true },
    { "plm_rsh_no_tree_spawn", "1", true },
};

/* "--mca NAME VALUE" and its other spellings; NULL: not at this place. */
static char **parameter_at(char **word, const char *name)
{
    static const char *const spellings[] = { "--mca", "-mca", "--gmca",
                                             "-gmca", "--omca", "-omca" };
    size_t i;

    for (i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
        if (strcmp(word[0], spellings[i]) == 0 && word[1] && word[2] &&
            (name == NULL || strcmp(word[1], name) == 0))
            return &word[2];
    return NULL;
}

/* Where mpirun's argument gives a parameter its value, or NULL. */
static char **find_parameter(char **command, const char *name)
{
    char **word, **value;

    for (word = command; *word; word++) {
        value = parameter_at(word, name);
        if (value)
            return value;
    }
    return NULL;
}

/* An argument of mpirun's beats the variable, which beats its files. */
static const char *known(char **command, const char *name, char *variable)
{
    char **value = find_parameter(command, name);

    return value ? *value : getenv(variable);
}

static int set_parameters(char **command)
{
    char variable[80];
    const char *found;
    size_t i;

    for (i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        snprintf(variable, sizeof(variable), PREFIX "%s", parameters[i].name);
        found = known(command, parameters[i].name, variable);
        if (!found) {
            setenv(variable, parameters[i].value, 1);
        } else if (parameters[i].must &&
                   strcmp(found, parameters[i].value) != 0) {
            cmd_complain("Open MPI's parameter %s is '%s': a sealed job needs "
                         "'%s'; leave it out", parameters[i].name, found,
                         parameters[i].value);
            return -1;
        }
    }
    /* The installed component that loads the transport. */
    if (access(EESP_OPENMPI_DIR "/mca_hook_eesp.so", R_OK) == 0 &&
        !known(command, "mca_base_component_path",
               strcpy(variable, PREFIX "mca_base_component_path")))
        setenv(variable,
               EESP_OPENMPI_DIR ":SYSTEM_DEFAULT:USER_DEFAULT", 1);
    return 0;
}

/* Only these: with any other beside, part of the data may go there. */
static bool is_sealed(const char *tls)
{
    return strcmp(tls, "eesp") == 0 || strcmp(tls, "eesp,self") == 0 ||
           strcmp(tls, "self,eesp") == 0;
}

static int set_variables(const struct run_directory *directory)
{
    const char *tls = getenv("UCX_TLS");

    if (tls && !is_sealed(tls)) {
        cmd_complain("UCX_TLS is '%s': a sealed job needs 'eesp'; unset it",
                     tls);
        return -1;
    }
    if (!tls)
        setenv("UCX_TLS", "eesp", 1);
    setenv(CMD_KEYRING_VARIABLE, directory->ring, 1);
    return 0;
}

/* Open MPI's mpirun, whatever the link is called. */
static bool is_mpirun(const char *program)
{
    char *path = NULL, *found = NULL, *end, *list, *rest, *one;
    bool is = false;

    if (strchr(program, '/')) {
        path = realpath(program, NULL);
    } else {
        list = rest = cmd_printf("%s", getenv("PATH") ? getenv("PATH") : "");
        while (!path && (one = strsep(&rest, ":")) != NULL) {
            found = cmd_printf("%s/%s", one, program);
            path = access(found, X_OK) == 0 ? realpath(found, NULL) : NULL;
            free(found);
        }
        free(list);
    }
    if (path) {
        end = strrchr(path, '/') + 1;
        is = strcmp(end, "orterun") == 0 || strcmp(end, "mpirun.openmpi") == 0 ||
             strcmp(end, "mpiexec.openmpi") == 0;
    }
    free(path);
    return is;
}

/* Whether "-x NAME" or "-x NAME=VALUE" is there; the latter is a value that
 * would stand against ours. */
static int find_export(char **command, const char *name)
{
    size_t length = strlen(name);
    char **word;

    for (word = command; word[0] && word[1]; word++) {
        if (strcmp(word[0], "-x") != 0 || strncmp(word[1], name, length) != 0)
            continue;
        if (word[1][length] == '\0')
            return 1;
        if (word[1][length] != '=')
            continue;
        if (strcmp(name, "UCX_TLS") == 0 && is_sealed(word[1] + length + 1))
            return 1;
        cmd_complain("-x %s: eesp run sets %s itself; leave it out", word[1],
                     name);
        return -1;
    }
    return 0;
}

/* mpirun hands a variable to other hosts only if it is told to. */
static char **add_exports(char **command)
{
    static char option[] = "-x";
    static char names[2][sizeof(CMD_KEYRING_VARIABLE)] = {
        "UCX_TLS", CMD_KEYRING_VARIABLE };
    size_t words = 0, contexts = 1, used = 0;
    char **made, **word;
    bool add[2];
    int i, there;

    for (i = 0; i < 2; i++) {
        there = find_export(command, names[i]);
        if (there < 0)
            return NULL;
        add[i] = !there;
    }
    for (word = command; *word; word++, words++)
        contexts += strcmp(*word, ":") == 0;
    made = cmd_realloc(NULL, (words + 4 * contexts + 1) * sizeof(*made));
    for (word = command; *word; word++) {
        made[used++] = *word;
        if (word != command && strcmp(*word, ":") != 0)
            continue;
        for (i = 0; i < 2; i++)
            if (add[i]) {
                made[used++] = option;
                made[used++] = names[i];
            }
    }
    made[used] = NULL;
    return made;
}

static int set_agent(char **command, const struct run_directory *directory)
{
    char variable[] = PREFIX "plm_rsh_agent";
    const char *agent = known(command, "plm_rsh_agent", variable);
    char **argument = find_parameter(command, "plm_rsh_agent");
    char *ours = run_hosts_agent(directory, agent ? agent : "ssh");

    if (!ours)
        return -1;
    if (argument)
        *argument = ours;
    else
        setenv(variable, ours, 1);
    return 0;
}

char **run_openmpi(char **command, const struct run_directory *directory)
{
    if (set_variables(directory) < 0 || set_parameters(command) < 0)
        return NULL;
    if (!is_mpirun(command[0]))
        return command;
    return set_agent(command, directory) < 0 ? NULL : add_exports(command);
}
