/* Loaded into the service by the chaos run (LD_PRELOAD), because nothing else can move the clock
 * of one process, or make the writes of files fail that are open already: a file system with
 * files that are open for writing cannot be remounted read-only.
 *
 * REFLEXARC_CHAOS_CONTROL is a file with two numbers of 64 bits: seconds to add to the wall clock,
 * and the errno with which writes of the store fail (0: they do not). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static volatile const long long *control;

__attribute__((constructor)) static void open_control(void) {
    const char *path = getenv("REFLEXARC_CHAOS_CONTROL");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) control = mapped;
}

/* The monotonic clocks stay as they are: they do not jump. */
int clock_gettime(clockid_t clock, struct timespec *time) {
    long result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && control) time->tv_sec += control[0];
    return (int)result;
}

/* Whether a write to this descriptor must fail; sets errno. */
static int fails(int file) {
    if (!control || control[1] == 0) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "/reflexarc.db")) return 0;
    errno = (int)control[1];
    return 1;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    return fails(file) ? -1 : syscall(SYS_pwrite64, file, bytes, count, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    return fails(file) ? -1 : syscall(SYS_pwrite64, file, bytes, count, offset);
}

int ftruncate64(int file, off64_t length) {
    return fails(file) ? -1 : (int)syscall(SYS_ftruncate, file, length);
}

int ftruncate(int file, off_t length) {
    return fails(file) ? -1 : (int)syscall(SYS_ftruncate, file, length);
}

int fsync(int file) {
    return fails(file) ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    return fails(file) ? -1 : (int)syscall(SYS_fdatasync, file);
}
