/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * init: the guest's first process. Loads the modules of the initramfs, makes
 * the host's own file system the root (read-only by 9p, under a tmpfs), runs
 * /run/vm/start, and writes its exit status to /run/vm/status: without that
 * file, it was the machine that failed and not the test.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define P9 "trans=virtio,version=9p2000.L,msize=512000,"

static _Noreturn void power_off(void)
{
    sync();
    reboot(RB_POWER_OFF);
    for (;;) {
        pause();
    }
}

static _Noreturn void die(const char *what)
{
    printf("init: %s: %s\n", what, strerror(errno));
    power_off();
}

static void attach(const char *source, const char *target, const char *type,
                   unsigned long flags, const char *options)
{
    mkdir(target, 0755);
    if (mount(source, target, type, flags, options) != 0) {
        die(target);
    }
}

static void open_console(void)
{
    int console;

    mkdir("/dev", 0755);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    console = open("/dev/console", O_RDWR);
    if (console >= 0) {
        dup2(console, STDIN_FILENO);
        dup2(console, STDOUT_FILENO);
        dup2(console, STDERR_FILENO);
    }
    setvbuf(stdout, NULL, _IONBF, 0);
}

/* The order is one in which each module's needs come before it. */
static void load_modules(void)
{
    char name[256];
    FILE *order = fopen("/modules/order", "r");
    int module;

    if (order == NULL) {
        die("/modules/order");
    }
    while (fgets(name, sizeof(name), order) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        module = open(name, O_RDONLY | O_CLOEXEC);
        if ((module < 0) ||
            ((syscall(SYS_finit_module, module, "", 0) != 0) &&
             (errno != EEXIST))) {
            die(name);
        }
        close(module);
    }
    fclose(order);
}

static void make_root(void)
{
    attach("host", "/host", "9p", MS_RDONLY, P9 "cache=loose");
    attach("top", "/top", "tmpfs", 0, "mode=755");
    mkdir("/top/upper", 0755);
    mkdir("/top/work", 0755);
    attach("root", "/root", "overlay", 0,
           "lowerdir=/host,upperdir=/top/upper,workdir=/top/work");
    if (chdir("/root") != 0) {
        die("/root");
    }
    attach("proc", "proc", "proc", 0, NULL);
    attach("sys", "sys", "sysfs", 0, NULL);
    attach("dev", "dev", "devtmpfs", 0, NULL);
    if (symlink("/proc/self/fd", "dev/fd") != 0) { /* bash's <(...) */
        die("/dev/fd");
    }
    attach("shm", "dev/shm", "tmpfs", 0, NULL);
    attach("pts", "dev/pts", "devpts", 0, NULL);
    attach("run", "run", "tmpfs", 0, "mode=755");
    attach("tmp", "tmp", "tmpfs", 0, "mode=1777");
    attach("vm", "run/vm", "9p", 0, P9 "cache=none,access=any");
    if ((chroot(".") != 0) || (chdir("/") != 0)) {
        die("chroot");
    }
}

static _Noreturn void start(void)
{
    int output = open("/run/vm/output", O_WRONLY | O_CREAT | O_APPEND, 0644);
    int input  = open("/dev/null", O_RDONLY);

    setsid();
    if ((output >= 0) && (input >= 0)) {
        dup2(input, STDIN_FILENO);
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
        execl("/bin/bash", "bash", "/run/vm/start", (char*)NULL);
    }
    _exit(127);
}

int main(void)
{
    int status = 0;
    FILE *file;
    pid_t pid, ended;

    open_console();
    load_modules();
    make_root();
    /* mpirun refuses the kernel's default, "(none)". */
    if (sethostname("rdmavm", strlen("rdmavm")) != 0) {
        die("hostname");
    }
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
           1);
    setenv("HOME", "/root", 1);

    pid = fork();
    if (pid == 0) {
        start();
    }
    do {
        ended = wait(&status); /* orphans are this process's to bury */
    } while ((ended != pid) && ((ended > 0) || (errno == EINTR)));

    file = fopen("/run/vm/status", "w");
    if (file != NULL) {
        fprintf(file, "%d\n", WIFEXITED(status) ? WEXITSTATUS(status) :
                                                  128 + WTERMSIG(status));
        fclose(file);
    }
    power_off();
}
