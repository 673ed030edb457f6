// Processes and the accounts that they run under. Calls return a negative errno on failure.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace ryegate {

struct Account {
  std::string name;
  uint32_t id = 0;
  uint32_t group = 0;  // of a user: the primary group
};

// As the system's name service knows them, by name or, where `name` is empty, by `id`. -ENOENT when
// there is none.
int FindUser(const std::string& name, uint32_t id, Account* account);
int FindGroup(const std::string& name, uint32_t id, Account* account);

// Takes the status of a child that has ended, without waiting: its pid, 0 while it runs.
int ReapChild(pid_t pid);
// Has orphaned descendants become children of this process, as those of the whole system become
// children of process 1. -ENOTSUP where there is no such thing (it is Linux's).
int BecomeSubreaper();

}  // namespace ryegate
