/*
 * Preloaded into a node: makes its fsync fail, lie or be slow, and its writes fail, for files under one directory.
 *
 * What is to happen stands in a file that the harness writes and that is mapped here, so that a change counts at once
 * and what was hit can be counted. The layout is that of shim.rs. io_uring and mapped files are not covered.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PASS, FAIL, LIE, DELAY };

struct control {
    volatile uint32_t sync_mode;
    volatile uint32_t sync_delay_ms;
    volatile uint32_t write_errno;
    uint32_t loaded;
    uint64_t sync_hits;
    uint64_t write_hits;
};

static struct control nothing;
static struct control *control = &nothing;
static const char *prefix = "";

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("REEVE_SHIM_CONTROL");
    const char *directory = getenv("REEVE_SHIM_DIRECTORY");
    if (!path || !directory)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED)
        return;
    prefix = directory;
    control = mapped;
    __atomic_add_fetch(&control->loaded, 1, __ATOMIC_SEQ_CST);
}

static int ours(int fd)
{
    char link[64], path[4096];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = saved;
    size_t wanted = strlen(prefix);
    return length >= (ssize_t)wanted && strncmp(path, prefix, wanted) == 0;
}

/* 1: the caller returns *result. 0: the caller does the real thing. */
static int sync_fault(int fd, int *result)
{
    uint32_t mode = control->sync_mode;
    if (mode == PASS || !ours(fd))
        return 0;
    __atomic_add_fetch(&control->sync_hits, 1, __ATOMIC_SEQ_CST);
    if (mode == DELAY) {
        uint32_t ms = control->sync_delay_ms;
        struct timespec pause = { ms / 1000, (long)(ms % 1000) * 1000000 };
        nanosleep(&pause, NULL);
        return 0;
    }
    *result = mode == FAIL ? -1 : 0;
    if (mode == FAIL)
        errno = EIO;
    return 1;
}

static int write_fault(int fd)
{
    int wanted = (int)control->write_errno;
    if (wanted == 0 || !ours(fd))
        return 0;
    __atomic_add_fetch(&control->write_hits, 1, __ATOMIC_SEQ_CST);
    errno = wanted;
    return 1;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) \
        real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define SYNC(name, parameters, arguments) \
    int name parameters \
    { \
        int result; \
        REAL(name); \
        return sync_fault(fd, &result) ? result : real arguments; \
    }

#define WRITE(type, name, parameters, arguments) \
    type name parameters \
    { \
        REAL(name); \
        return write_fault(fd) ? -1 : real arguments; \
    }

SYNC(fsync, (int fd), (fd))
SYNC(fdatasync, (int fd), (fd))
SYNC(sync_file_range, (int fd, off64_t from, off64_t count, unsigned int flags), (fd, from, count, flags))

WRITE(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
WRITE(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRITE(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
WRITE(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
WRITE(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at))
WRITE(int, fallocate, (int fd, int mode, off_t from, off_t size), (fd, mode, from, size))
WRITE(int, fallocate64, (int fd, int mode, off64_t from, off64_t size), (fd, mode, from, size))
/* These two return the error. */
int posix_fallocate(int fd, off_t from, off_t size)
{
    REAL(posix_fallocate);
    return write_fault(fd) ? errno : real(fd, from, size);
}
int posix_fallocate64(int fd, off64_t from, off64_t size)
{
    REAL(posix_fallocate64);
    return write_fault(fd) ? errno : real(fd, from, size);
}
