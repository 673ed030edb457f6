// The addon's calls on files: argument checks for what files.h does, at once or on the pool.
#pragma once

#include <napi.h>

namespace ryegate {

void DefineFileCalls(Napi::Object exports);

}  // namespace ryegate
