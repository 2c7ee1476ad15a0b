/* A disk that forgets and fails, preloaded between a program and the real one. It minds only the files whose path begins with
 * POSTROOM_DISK_STORE: a store and its log, not what they keep in shared memory beside them.
 *
 * POSTROOM_DISK_SYNCED=DIR     a file that is synced is copied to DIR: what would be left of it after a power cut
 * POSTROOM_DISK_FAIL=EIO:3     the third write or sync fails with this error (EIO, ENOSPC), and leaves the file DIR/failed;
 *                              with KILL it is not made, and the program is killed
 * POSTROOM_DISK_BROKEN=FILE    as long as this file exists every write and sync fails with EIO
 * POSTROOM_DISK_SLOW=2000      a sync takes so many microseconds longer
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

static const char *store, *synced, *broken;
static long fail_at, slow;
static int fail_with;
static long met;
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    store = getenv("POSTROOM_DISK_STORE");
    synced = getenv("POSTROOM_DISK_SYNCED");
    broken = getenv("POSTROOM_DISK_BROKEN");
    const char *told = getenv("POSTROOM_DISK_SLOW");
    slow = told ? atol(told) : 0;
    /* Threads inherit it: so long, and not up to 50 microseconds more. */
    if (slow)
        prctl(PR_SET_TIMERSLACK, 1UL);
    told = getenv("POSTROOM_DISK_FAIL");
    if (told && strchr(told, ':')) {
        fail_at = atol(strchr(told, ':') + 1);
        fail_with = strncmp(told, "ENOSPC", 6) == 0 ? ENOSPC : strncmp(told, "KILL", 4) == 0 ? -1 : EIO;
    }
}

/* What follows the last slash of the file's path if it is one of ours, else nothing. */
static const char *ours(int fd, char *path, size_t room) {
    char link[64];
    if (!store)
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, room - 1);
    if (length <= 0)
        return NULL;
    path[length] = 0;
    size_t begins = strlen(store);
    if (strncmp(path, store, begins) != 0 || (path[begins] && strcmp(path + begins, "-wal") != 0))
        return NULL;
    return strrchr(path, '/') + 1;
}

/* The error that a write or sync of one of our files must meet now; 0: none. If the file that breaks it says anything, only syncs fail. */
static int fault(int sync) {
    struct stat why;
    if (broken && stat(broken, &why) == 0 && (sync || why.st_size == 0))
        return EIO;
    if (fail_at && __atomic_add_fetch(&met, 1, __ATOMIC_SEQ_CST) == fail_at) {
        char name[4096];
        snprintf(name, sizeof name, "%s/failed", synced ? synced : "/nowhere");
        int fd = open(name, O_WRONLY | O_CREAT, 0600);
        if (fd >= 0)
            close(fd);
        if (fail_with < 0)
            kill(getpid(), SIGKILL);
        return fail_with;
    }
    return 0;
}

static int refuse(int fd) {
    /* A disk that is only slow or forgets must not cost a look at every write. */
    if (!broken && !fail_at)
        return 0;
    char path[4096];
    int saved = errno;
    int error = ours(fd, path, sizeof path) ? fault(0) : 0;
    errno = error ? error : saved;
    return error;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return refuse(fd) ? -1 : real_write(fd, bytes, length);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return refuse(fd) ? -1 : real_pwrite(fd, bytes, length, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) {
    return pwrite(fd, bytes, length, at);
}

int ftruncate(int fd, off_t length) {
    return refuse(fd) ? -1 : real_ftruncate(fd, length);
}

int ftruncate64(int fd, off_t length) {
    return ftruncate(fd, length);
}

/* Copies a file whole, so that nobody ever sees half a copy. One at a time, whatever process: an older copy must not follow a newer one. */
static int keep(int fd, const char *name) {
    char path[4096], half[4200];
    snprintf(path, sizeof path, "%s/lock", synced);
    int lock = open(path, O_RDWR | O_CREAT, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/%s", synced, name);
    snprintf(half, sizeof half, "%s.half", path);
    int copy = open(half, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    static char piece[1 << 16];
    off_t at = 0;
    ssize_t read;
    int done = copy >= 0 ? 0 : -1;
    while (done == 0 && (read = pread(fd, piece, sizeof piece, at)) != 0) {
        if (read < 0 || real_write(copy, piece, (size_t)read) != read)
            done = -1;
        at += read;
    }
    if (copy >= 0)
        close(copy);
    if (done == 0)
        done = rename(half, path);
    close(lock);
    return done;
}

static int sync_by(int (*real)(int), int fd) {
    char path[4096];
    const char *name = ours(fd, path, sizeof path);
    if (!name)
        return real(fd);
    int error = fault(1);
    if (error) {
        errno = error;
        return -1;
    }
    if (slow)
        usleep((useconds_t)slow);
    if (!synced)
        return real(fd);
    pthread_mutex_lock(&one);
    int done = keep(fd, name);
    pthread_mutex_unlock(&one);
    if (done != 0)
        abort();
    return 0;
}

int fsync(int fd) {
    return sync_by(real_fsync, fd);
}

int fdatasync(int fd) {
    return sync_by(real_fdatasync, fd);
}
