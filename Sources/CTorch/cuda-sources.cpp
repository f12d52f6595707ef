// The sources that are compiled for CUDA at run time, and the headers that they share with the CPU.
#include "cuda.h"

#pragma clang diagnostic ignored "-Wc23-extensions"
namespace {
constexpr char numbers[] = {
#embed "numbers.h" suffix(, 0)
};
constexpr char columns[] = {
#embed "columns-cuda.h" suffix(, 0)
};
constexpr char residualArguments[] = {
#embed "residual-arguments.h" suffix(, 0)
};
constexpr char residual[] = {
#embed "residual-cuda.h" suffix(, 0)
};
constexpr char geluArguments[] = {
#embed "gelu-arguments.h" suffix(, 0)
};
constexpr char gelu[] = {
#embed "gelu-cuda.h" suffix(, 0)
};
constexpr char attentionArguments[] = {
#embed "attention-arguments.h" suffix(, 0)
};
constexpr char attention[] = {
#embed "attention-cuda.h" suffix(, 0)
};
}  // namespace

const std::map<std::string, const char *> &cuda::sources() {
    static const std::map<std::string, const char *> all{
        {"numbers.h", numbers},
        {"columns-cuda.h", columns},
        {"residual-arguments.h", residualArguments},
        {"residual-cuda.h", residual},
        {"gelu-arguments.h", geluArguments},
        {"gelu-cuda.h", gelu},
        {"attention-arguments.h", attentionArguments},
        {"attention-cuda.h", attention},
    };
    return all;
}
