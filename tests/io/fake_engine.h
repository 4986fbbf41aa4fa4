#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "io/engine.h"

namespace ringfeed::io {

/// An engine whose files live in memory and whose operations end when, and how, the test says.
class FakeEngine : public Engine {
 public:
  struct Operation {
    std::uint32_t slot;
    bool open;
    std::string path;
    std::span<std::byte> buffer;
    std::uint64_t offset;
    bool cancelled = false;
    bool waits = false;
  };

  explicit FakeEngine(std::uint32_t slots) : paths_(slots) {}

  std::string_view name() const noexcept override { return "fake"; }
  std::uint32_t slots() const noexcept override {
    return static_cast<std::uint32_t>(paths_.size());
  }
  const std::string& note() const noexcept override { return note_; }
  void open_and_read(std::uint32_t slot, const char* path, std::span<std::byte> buffer,
                     std::uint64_t offset) override {
    paths_[slot] = path;
    held.insert(slot);
    open.insert(slot);
    operations.push_back({slot, true, path, buffer, offset});
  }
  void wait_and_read(std::uint32_t slot, const char* path, std::span<std::byte> buffer,
                     std::uint64_t offset) override {
    open_and_read(slot, path, buffer, offset);
    operations.back().waits = true;
  }
  void read_more(std::uint32_t slot, std::span<std::byte> buffer, std::uint64_t offset) override {
    operations.push_back({slot, false, paths_[slot], buffer, offset});
  }
  void cancel(std::uint32_t slot) override {
    for (auto& operation : operations) {
      if (operation.slot == slot) operation.cancelled = true;
    }
  }
  void release(std::uint32_t slot) override { held.erase(slot); }
  void close_files() override {
    std::erase_if(open, [this](std::uint32_t slot) { return !held.contains(slot); });
    ++closed_files;
  }
  void poll(Clock::time_point until, std::vector<Completion>& out) override {
    if (on_poll) on_poll(until, out);
  }
  void wake() noexcept override { woken = true; }

  /// Takes operation `i` off the list and answers it as a file system would, at most `limit` bytes.
  Completion answer(std::size_t i, std::size_t limit = SIZE_MAX) {
    const Operation operation = take(i);
    const auto file = files.find(operation.path);
    if (file == files.end()) return {operation.slot, Step::open, -ENOENT};
    const std::string& content = file->second;
    const std::size_t from = std::min<std::size_t>(operation.offset, content.size());
    const std::size_t n = std::min({content.size() - from, operation.buffer.size(), limit});
    std::memcpy(operation.buffer.data(), content.data() + from, n);
    return {operation.slot, Step::read, static_cast<int>(n)};
  }
  /// Likewise, but fails it.
  Completion refuse(std::size_t i, int error) {
    const Operation operation = take(i);
    return {operation.slot, operation.open ? Step::open : Step::read, -error};
  }
  /// Likewise, but with an error on the read even if the operation began with an open.
  Completion break_read(std::size_t i, int error) { return {take(i).slot, Step::read, -error}; }

  std::map<std::string, std::string> files;
  std::vector<Operation> operations;  // outstanding
  std::set<std::uint32_t> held;       // slots that have a file
  std::set<std::uint32_t> open;       // those, and released ones whose file is not closed
  int closed_files = 0;               // calls
  std::function<void(Clock::time_point until, std::vector<Completion>& out)> on_poll;
  bool woken = false;

 private:
  Operation take(std::size_t i) {
    const Operation operation = operations.at(i);
    operations.erase(operations.begin() + static_cast<std::ptrdiff_t>(i));
    return operation;
  }
  std::vector<std::string> paths_;
  std::string note_;
};

}  // namespace ringfeed::io
