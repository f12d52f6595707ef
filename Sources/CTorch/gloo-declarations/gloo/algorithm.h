// Included by c10d's headers, which use nothing of it (see context.h).
