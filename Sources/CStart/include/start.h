// What the program does before anything else; see start.c. There is nothing to call.
#pragma once
