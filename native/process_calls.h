// The addon's functions on processes, and for the supervisor of this one.
#pragma once

#include <napi.h>

namespace ryegate {

void DefineProcessCalls(Napi::Object exports);

}  // namespace ryegate
