#include "poller.h"

namespace ryegate {

namespace {

struct Backend {
  const char* name;
  std::unique_ptr<Poller> (*make)();
};

constexpr Backend kBackends[] = {
#ifdef RYEGATE_HAVE_KQUEUE
    {"kqueue", MakeKqueuePoller},
#endif
#ifdef RYEGATE_HAVE_EPOLL
    {"epoll", MakeEpollPoller},
#endif
    {"poll", MakePollPoller},
    {"select", MakeSelectPoller},
};

}  // namespace

std::vector<std::string> PollerNames() {
  std::vector<std::string> names;
  for (const Backend& backend : kBackends) names.emplace_back(backend.name);
  return names;
}

std::unique_ptr<Poller> MakePoller(const std::string& name) {
  for (const Backend& backend : kBackends) {
    if (name == backend.name) return backend.make();
  }
  return nullptr;
}

}  // namespace ryegate
