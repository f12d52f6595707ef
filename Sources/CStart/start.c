// Lets threads that wait for each other sleep early, so that the program can share the cores with other jobs.
//
// libgomp's threads spin at each barrier, by default 300,000 times or about 6 ms, which is longer than a time slice: beside
// another job on the same cores a thread mostly spins waiting for one that is not running, and training drops to a small fraction
// of its speed. With 10,000 spins (0.2 ms) a step on its own is as fast as before (0.1756 s against 0.1750 s); with 1,000 it
// takes 3 % longer.
//
// libgomp reads its environment when it is initialised, before main. The loader calls the functions in .preinit_array before
// that, and thus before libtorch's initialisers, which take 0.2 s: there the program re-executes itself with the variable set,
// which costs 10 ms. It does so only once, since the variable is set the second time.
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

static void shareCores(int count, char **arguments, char **environment) {
    (void)count;
    if (isSet(environment, "GOMP_SPINCOUNT") || isSet(environment, "OMP_WAIT_POLICY")) return;
    if (!getauxval(AT_BASE)) return;  // started through the loader, whose own options would be lost on a second start

    char path[4096];  // not /proc/self/exe itself: the process would be listed as "exe"
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;

    size_t variables = 0;
    while (environment[variables]) variables++;
    char *changed[variables + 2];
    memcpy(changed, environment, variables * sizeof *changed);
    changed[variables] = "GOMP_SPINCOUNT=10000";
    changed[variables + 1] = NULL;
    execve(path, arguments, changed);  // if this fails, the program continues as it is
}

__attribute__((section(".preinit_array"), used)) static void (*const beforeLibraries)(int, char **, char **) = shareCores;
