#pragma once

#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "ringfeed/error.h"

namespace ringfeed {

/// A std::bad_alloc that says for what there is no more memory, and what to do.
class OutOfMemory : public std::bad_alloc {
 public:
  static constexpr const char* raise_the_limit =
      "raise the process's limit on memory (ulimit -v, the container's)";

  /// As OptionError's: `text` has a "{}" for each of `options`.
  OutOfMemory(std::string text, std::vector<Option> options)
      : error_(std::make_shared<const OptionError>(std::move(text), std::move(options))) {}
  const char* what() const noexcept override { return error_->what(); }
  std::string message(OptionNames names = field_name) const { return error_->message(names); }

 private:
  std::shared_ptr<const OptionError> error_;  // a copy of an exception may not throw
};

/// What one without words has to say.
inline std::string no_memory() {
  return std::string("there is no memory left; ") + OutOfMemory::raise_the_limit;
}

}  // namespace ringfeed
