#pragma once

#include <coroutine>
#include <functional>
#include <vector>

#include "coro/frame_pool.h"
#include "coro/scope.h"

namespace ringfeed::coro {

/// The thread that owns a scope and its inbox, as far as the tests need it.
struct Owner {
  FramePool pool;
  int wakes = 0;
  Inbox inbox{[this] { ++wakes; }};
  Scope scope{inbox};
  std::vector<std::coroutine_handle<>> finished;
  std::vector<std::function<void()>> calls;

  FramePool& frames() { return pool; }
  void turn() {
    inbox.take(finished, calls);
    for (auto handle : finished) scope.collect(handle);
    for (auto& call : calls) call();
  }
};

}  // namespace ringfeed::coro
