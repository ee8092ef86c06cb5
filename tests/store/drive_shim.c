/* What drives of networks and sticks answer. SHIM names which: flock, nosup, link, fsyncdir. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int on(const char *what) {
    const char *shim = getenv("SHIM");
    return shim && strstr(shim, what);
}

static int refused(int error) {
    errno = error;
    return -1;
}

int link(const char *from, const char *to) {
    if (on("link")) return refused(EPERM);
    return ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "link"))(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    if (on("link")) return refused(EPERM);
    int (*real)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    return real(from_folder, from, to_folder, to, flags);
}

int flock(int descriptor, int operation) {
    if (on("flock")) return refused(ENOLCK);
    if (on("nosup")) return refused(EOPNOTSUPP);
    return ((int (*)(int, int))dlsym(RTLD_NEXT, "flock"))(descriptor, operation);
}

int fsync(int descriptor) {
    struct stat found;
    if (on("fsyncdir") && !fstat(descriptor, &found) && S_ISDIR(found.st_mode)) return refused(EINVAL);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(descriptor);
}
