// Settings of libraries that read them from the environment before main.
//
// Threads that wait for each other sleep early, so that the program can share the cores with other jobs.
// libgomp's threads spin at each barrier, by default 300,000 times or about 6 ms, which is longer than a time slice: beside
// another job on the same cores a thread mostly spins waiting for one that is not running, and training drops to a small fraction
// of its speed. With 10,000 spins (0.2 ms) a step on its own is as fast as before (0.1756 s against 0.1750 s); with 1,000 it
// takes 3 % longer.
//
// Large tensors lie in huge pages: a product reads rows that are more pages apart than the processor remembers addresses of, and
// a step is 1 % faster. glibc's allocator asks for them without using more memory.
//
// libgomp reads its environment when it is initialised, before main. The loader calls the functions in .preinit_array before
// that, and thus before libtorch's initialisers, which take 0.2 s: there the program re-executes itself with the variables set,
// which costs 10 ms. It does so only once, since they are set the second time.
#include "start.h"
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static int isSet(char **environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment; environment++)
        if (!strncmp(*environment, name, length) && (*environment)[length] == '=') return 1;
    return 0;
}

/// Adds a variable, unless it or another that replaces it is set already.
static size_t add(char **environment, char **added, size_t count, char *variable, const char *name, const char *other) {
    if (isSet(environment, name) || (other && isSet(environment, other))) return count;
    added[count] = variable;
    return count + 1;
}

static void setEnvironment(int count, char **arguments, char **environment) {
    (void)count;
    char *added[2];
    size_t news = add(environment, added, 0, "GOMP_SPINCOUNT=10000", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY");
    news = add(environment, added, news, "GLIBC_TUNABLES=glibc.malloc.hugetlb=1", "GLIBC_TUNABLES", NULL);
    if (!news) return;
    if (!getauxval(AT_BASE)) return;  // started through the loader, whose own options would be lost on a second start

    char path[4096];  // not /proc/self/exe itself: the process would be listed as "exe"
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;

    size_t variables = 0;
    while (environment[variables]) variables++;
    char *changed[variables + news + 1];
    memcpy(changed, environment, variables * sizeof *changed);
    memcpy(changed + variables, added, news * sizeof *changed);
    changed[variables + news] = NULL;
    execve(path, arguments, changed);  // if this fails, the program continues as it is
}

__attribute__((section(".preinit_array"), used)) static void (*const beforeLibraries)(int, char **, char **) = setEnvironment;
