#pragma once

#include <memory>
#include <new>
#include <string>
#include <utility>

namespace ringfeed {

/// A std::bad_alloc that says for what there is no more memory, and what to do.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string what)
      : what_(std::make_shared<const std::string>(std::move(what))) {}
  const char* what() const noexcept override { return what_->c_str(); }

 private:
  std::shared_ptr<const std::string> what_;  // a copy of an exception may not throw
};

}  // namespace ringfeed
