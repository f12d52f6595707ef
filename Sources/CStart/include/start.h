// Code that runs before the rest of the program; see start.c. There is nothing to call.
#pragma once
