#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace ringfeed::testing {

/// Holds every open of a file in `dir`, or of `dir` itself with FAN_ONDIR in place of
/// FAN_EVENT_ON_CHILD, until allowed (fanotify; root only): a storage server that does not answer.
class HeldOpens {
 public:
  explicit HeldOpens(const std::string& dir, std::uint64_t which = FAN_EVENT_ON_CHILD)
      : fd_(::fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY)) {
    held_ = fd_ >= 0 &&
            ::fanotify_mark(fd_, FAN_MARK_ADD, FAN_OPEN_PERM | which, AT_FDCWD, dir.c_str()) == 0;
  }
  ~HeldOpens() {
    if (fd_ >= 0) ::close(fd_);  // allows whatever is still held
  }
  HeldOpens(const HeldOpens&) = delete;
  HeldOpens& operator=(const HeldOpens&) = delete;

  bool works() const { return held_; }
  /// Waits until an open is held.
  fanotify_event_metadata next() const {
    fanotify_event_metadata event{};
    REQUIRE(::read(fd_, &event, sizeof event) == sizeof event);
    return event;
  }
  void allow(const fanotify_event_metadata& event) const {
    const fanotify_response response{event.fd, FAN_ALLOW};
    REQUIRE(::write(fd_, &response, sizeof response) == sizeof response);
    ::close(event.fd);
  }

 private:
  int fd_;
  bool held_ = false;
};

}  // namespace ringfeed::testing
