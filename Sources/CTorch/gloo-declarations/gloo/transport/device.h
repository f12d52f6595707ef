// Declarations of Gloo that c10d's headers use (see context.h).
#pragma once

namespace gloo::transport {
struct Device;
struct UnboundBuffer;
}  // namespace gloo::transport
