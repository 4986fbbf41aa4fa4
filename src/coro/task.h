#pragma once

#include <coroutine>
#include <exception>
#include <utility>

#include "coro/frame_pool.h"
#include "coro/inbox.h"

namespace ringfeed::coro {

class Scope;

/// A coroutine that a Scope runs: it starts when spawned, not when called, and its frame belongs
/// to the scope from then on. Its first argument names a `FramePool& frames()`, where the frame
/// comes from.
///
/// Locals die on the thread that runs the last line; parameters die with the frame, on the
/// scope's own thread. Whatever must be released there is passed as a parameter.
class [[nodiscard]] Task {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&&) = delete;
  /// A task never spawned is destroyed unstarted.
  ~Task() {
    if (handle_) handle_.destroy();
  }

 private:
  friend class Scope;
  explicit Task(Handle handle) noexcept : handle_(handle) {}
  Handle handle_;
};

struct Task::promise_type {
  template <class Context, class... Args>
  static void* operator new(std::size_t bytes, Context& context, Args&&...) {
    return context.frames().allocate(bytes);
  }
  static void operator delete(void* frame) noexcept { FramePool::deallocate(frame); }

  Task get_return_object() noexcept { return Task(Handle::from_promise(*this)); }
  std::suspend_always initial_suspend() noexcept { return {}; }
  struct Retire {
    bool await_ready() noexcept { return false; }
    void await_suspend(Handle handle) noexcept { handle.promise().home->retire(handle); }
    void await_resume() noexcept {}
  };
  Retire final_suspend() noexcept { return {}; }
  void return_void() noexcept {}
  // Failures of a sample are values; anything thrown here is a fault of the program.
  void unhandled_exception() noexcept { std::terminate(); }

  Inbox* home = nullptr;  // set by the scope
};

}  // namespace ringfeed::coro
