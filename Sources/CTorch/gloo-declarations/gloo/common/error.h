// Included by c10d's headers, which use nothing from it (see context.h).
