// Libraries that are opened at run time, so that neither they nor their headers are needed to build.
#pragma once
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <string>
#include <vector>

namespace border {

/// A library that stays open; functions are looked up by name: `int (*f)(int) = library["f"];`.
class Library {
  public:
    /// Opens the first of these paths that can be opened.
    explicit Library(std::vector<std::string> paths) {
        for (size_t i = 0; i < paths.size() && !handle; i++) {
            name = paths[i];
            handle = dlopen(name.c_str(), RTLD_NOW);
        }
        TORCH_CHECK(handle, paths.front(), " cannot be opened: ", dlerror());
    }

    /// An address that converts to a pointer to a function of any type.
    struct Symbol {
        void *address;
        template <class Function> operator Function *() const { return reinterpret_cast<Function *>(address); }
    };

    Symbol operator[](const char *function) const {
        void *address = dlsym(handle, function);
        TORCH_CHECK(address, name, " has no ", function);
        return {address};
    }

  private:
    void *handle = nullptr;
    std::string name;
};

}  // namespace border
