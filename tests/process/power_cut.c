/* A disk that remembers what it was told, and in which order: preloaded into a process, it logs every change to files
 * under SIDEKEY_CUT_FOLDER into SIDEKEY_CUT_LOG, so that a test can say what would be left after a power cut. With
 * SIDEKEY_CUT_NO_SYNC it also makes fsync and fdatasync do nothing, and log nothing. SIDEKEY_CUT_ORDERS names a file of
 * two octets that the test changes meanwhile: while the first is not 0, every sync fails (EIO), and while the second is
 * not, there is no room for a file to grow (ENOSPC).
 *
 * A record: kind u8, inode u64, a u64, b u64, size u32, then so many octets of data or path (host byte order).
 *   C created (data: path)            O opened what was there (data: path)
 *   W wrote (a: offset, data)         T size set (a: size)
 *   B sync of a begins (a: number)    E sync ends (a: number; b: 1 if it succeeded)
 *   R renamed (data: from NUL to)     U unlinked (data: path)         M folder made (data: path)
 * A change is logged once it was made, a sync before it is made and after it: so what the log has between the
 * two is not covered by it. sync_file_range is passed on and is no sync: it says nothing about the disk's own cache. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define INODES_MAX 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char folder[4096];
static int log_fd = -1, no_sync;
static uint64_t inodes[INODES_MAX], syncs;
static int inode_count;
static const volatile unsigned char nothing[2], *orders = nothing;

static void start(void) {
    const char *path = getenv("SIDEKEY_CUT_LOG"), *under = getenv("SIDEKEY_CUT_FOLDER");
    no_sync = getenv("SIDEKEY_CUT_NO_SYNC") != NULL;
    if (!path || !under) return;
    snprintf(folder, sizeof folder, "%s", under);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const char *told = getenv("SIDEKEY_CUT_ORDERS");
    int fd = told ? (int)syscall(SYS_openat, AT_FDCWD, told, O_RDONLY | O_CLOEXEC) : -1;
    void *page = fd < 0 ? MAP_FAILED : mmap(NULL, 2, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) orders = page;
}

/* Whatever cannot be done here would make the test prove nothing. */
static void die(const char *why) {
    dprintf(2, "power_cut: %s\n", why);
    _exit(99);
}

static void put(const void *bytes, size_t size) {
    while (size > 0) {
        ssize_t put = syscall(SYS_write, log_fd, bytes, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) die("cannot write the log");
        bytes = (const char *)bytes + put;
        size -= (size_t)put;
    }
}

/* The caller holds the lock. */
static void record(char kind, uint64_t inode, uint64_t a, uint64_t b, const void *data, uint32_t size) {
    int saved = errno;
    char head[29];
    head[0] = kind;
    memcpy(head + 1, &inode, 8);
    memcpy(head + 9, &a, 8);
    memcpy(head + 17, &b, 8);
    memcpy(head + 25, &size, 4);
    /* One write, so that a kill leaves whole records or a tail that is cut. */
    char *whole = malloc(sizeof head + size);
    if (!whole) die("no memory");
    memcpy(whole, head, sizeof head);
    if (size) memcpy(whole + sizeof head, data, size);
    put(whole, sizeof head + size);
    free(whole);
    errno = saved;
}

static void enter(void) {
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
}

static void leave(void) {
    pthread_mutex_unlock(&lock);
}

static int known(uint64_t inode) {
    for (int i = inode_count; i-- > 0;)
        if (inodes[i] == inode) return 1;
    return 0;
}

/* The absolute path, if it is under the folder. */
static int under(int at, const char *path, char *whole) {
    if (log_fd < 0 || !path) return 0;
    if (path[0] == '/') {
        snprintf(whole, 4096, "%s", path);
    } else {
        char link[64], base[4096];
        if (at == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", at);
            ssize_t size = readlink(link, base, sizeof base - 1);
            if (size < 0) return 0;
            base[size] = 0;
        }
        if (snprintf(whole, 4096, "%s/%s", base, path) >= 4096) return 0;
    }
    size_t size = strlen(folder);
    return strncmp(whole, folder, size) == 0 && (whole[size] == '/' || whole[size] == 0);
}

/* The inode of an open file or folder under the folder; 0 for any other. */
static uint64_t tracked(int fd) {
    struct stat status;
    if (log_fd < 0 || syscall(SYS_fstat, fd, &status) != 0) return 0;
    return known(status.st_ino) ? status.st_ino : 0;
}

static int do_open(int at, const char *path, int flags, mode_t mode) {
    char whole[4096];
    enter();
    int ours = under(at, path, whole), existed = 0;
    struct stat status;
    if (ours) existed = syscall(SYS_newfstatat, AT_FDCWD, whole, &status, 0) == 0;
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (ours && fd >= 0 && syscall(SYS_fstat, fd, &status) == 0) {
        if (!known(status.st_ino)) {
            if (inode_count == INODES_MAX) die("too many files");
            inodes[inode_count++] = status.st_ino;
        }
        if (!existed) record('C', status.st_ino, 0, 0, whole, (uint32_t)strlen(whole));
        else record('O', status.st_ino, 0, 0, whole, (uint32_t)strlen(whole));
        if (existed && (flags & O_TRUNC)) record('T', status.st_ino, 0, 0, NULL, 0);
    }
    leave();
    return fd;
}

#define OPEN(name, ...) \
    int name(__VA_ARGS__, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        }
OPEN(open, const char *path) return do_open(AT_FDCWD, path, flags, mode); }
OPEN(open64, const char *path) return do_open(AT_FDCWD, path, flags, mode); }
OPEN(openat, int at, const char *path) return do_open(at, path, flags, mode); }
OPEN(openat64, int at, const char *path) return do_open(at, path, flags, mode); }

static ssize_t wrote(int fd, const void *bytes, ssize_t size, off_t offset) {
    uint64_t inode = size > 0 ? tracked(fd) : 0;
    if (inode) {
        if (offset < 0) offset = syscall(SYS_lseek, fd, 0, SEEK_CUR) - size;
        record('W', inode, (uint64_t)offset, 0, bytes, (uint32_t)size);
    }
    return size;
}

/* Our files are written under the lock, so that the log has their order; nobody else waits for a pipe. */
ssize_t write(int fd, const void *bytes, size_t size) {
    enter();
    if (!tracked(fd)) {
        leave();
        return syscall(SYS_write, fd, bytes, size);
    }
    if (orders[1]) {
        leave();
        errno = ENOSPC;
        return -1;
    }
    ssize_t done = wrote(fd, bytes, syscall(SYS_write, fd, bytes, size), -1);
    leave();
    return done;
}

static ssize_t do_pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    enter();
    ssize_t done = wrote(fd, bytes, syscall(SYS_pwrite64, fd, bytes, size, offset), offset);
    leave();
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) { return do_pwrite(fd, bytes, size, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset) { return do_pwrite(fd, bytes, size, offset); }

/* Whether the file is ours is known before; other files and sockets keep their gather writes. */
static ssize_t do_writev(int fd, const struct iovec *parts, int count, off_t offset, int at) {
    enter();
    ssize_t done;
    if (tracked(fd)) {
        size_t size = 0;
        for (int i = 0; i < count; i++) size += parts[i].iov_len;
        char *whole = malloc(size + 1), *next = whole;
        if (!whole) die("no memory");
        for (int i = 0; i < count; i++) {
            memcpy(next, parts[i].iov_base, parts[i].iov_len);
            next += parts[i].iov_len;
        }
        done = at ? syscall(SYS_pwrite64, fd, whole, size, offset) : syscall(SYS_write, fd, whole, size);
        wrote(fd, whole, done, at ? offset : -1);
        free(whole);
    } else {
        leave();
        return at ? syscall(SYS_pwritev, fd, parts, count, offset, 0) : syscall(SYS_writev, fd, parts, count);
    }
    leave();
    return done;
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return do_writev(fd, parts, count, 0, 0); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return do_writev(fd, parts, count, offset, 1); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) { return do_writev(fd, parts, count, offset, 1); }

static int do_truncate(int fd, off_t size) {
    enter();
    int done = (int)syscall(SYS_ftruncate, fd, size);
    uint64_t inode = done == 0 ? tracked(fd) : 0;
    if (inode) record('T', inode, (uint64_t)size, 0, NULL, 0);
    leave();
    return done;
}
int ftruncate(int fd, off_t size) { return do_truncate(fd, size); }
int ftruncate64(int fd, off_t size) { return do_truncate(fd, size); }

/* Nothing here uses these on the folder; if that changes, the test must say so. */
static int refuse(int fd, const char *what) {
    enter();
    if (tracked(fd)) die(what);
    leave();
    return 0;
}
int fallocate(int fd, int mode, off_t offset, off_t size) {
    refuse(fd, "fallocate");
    return (int)syscall(SYS_fallocate, fd, mode, offset, size);
}
int fallocate64(int fd, int mode, off_t offset, off_t size) { return fallocate(fd, mode, offset, size); }
int posix_fallocate(int fd, off_t offset, off_t size) {
    refuse(fd, "posix_fallocate");
    return syscall(SYS_fallocate, fd, 0, offset, size) == 0 ? 0 : errno;
}
ssize_t copy_file_range(int from, off_t *a, int to, off_t *b, size_t size, unsigned flags) {
    refuse(to, "copy_file_range");
    return syscall(SYS_copy_file_range, from, a, to, b, size, flags);
}

static int do_sync(int fd, long number) {
    enter();
    uint64_t inode = tracked(fd), sync = ++syncs;
    if (inode && orders[0]) {
        leave();
        errno = EIO;
        return -1;
    }
    if (inode && no_sync) {
        leave();
        return 0;
    }
    if (inode) record('B', inode, sync, 0, NULL, 0);
    leave();
    int done = (int)syscall(number, fd);
    if (inode) {
        enter();
        record('E', inode, sync, done == 0, NULL, 0);
        leave();
    }
    return done;
}
int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

static int do_rename(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char both[8192 + 1], whole[4096];
    enter();
    int ours = under(from_at, from, both);
    size_t size = strlen(both);
    if (ours && under(to_at, to, whole)) memcpy(both + size + 1, whole, strlen(whole) + 1);
    else if (ours) die("renamed out of the folder");
    int done = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    if (done == 0 && ours) record('R', 0, 0, 0, both, (uint32_t)(size + 1 + strlen(whole)));
    leave();
    return done;
}
int rename(const char *from, const char *to) { return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return do_rename(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return do_rename(a, from, b, to, flags); }

static int do_path(char kind, int at, const char *path, long number, unsigned long third) {
    char whole[4096];
    enter();
    int ours = under(at, path, whole);
    int done = (int)syscall(number, at, path, third);
    if (done == 0 && ours) record(kind, 0, 0, 0, whole, (uint32_t)strlen(whole));
    leave();
    return done;
}
int unlink(const char *path) { return do_path('U', AT_FDCWD, path, SYS_unlinkat, 0); }
int unlinkat(int at, const char *path, int flags) { return do_path('U', at, path, SYS_unlinkat, (unsigned long)flags); }
int rmdir(const char *path) { return do_path('U', AT_FDCWD, path, SYS_unlinkat, AT_REMOVEDIR); }
int mkdir(const char *path, mode_t mode) { return do_path('M', AT_FDCWD, path, SYS_mkdirat, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return do_path('M', at, path, SYS_mkdirat, mode); }
