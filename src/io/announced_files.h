#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/reader.h"

namespace ringfeed::io {

/// The files that a FileFetcher has been told of and that have not been taken, in the order in
/// which they were announced. A path announced twice is two files. One thread.
class AnnouncedFiles {
 public:
  struct File {
    enum class Stage : std::uint8_t { waiting, reading, read };

    const std::string* path = nullptr;  // absolute
    std::uint64_t call = 0;             // of announce()
    Stage stage = Stage::waiting;
    Buffer buffer;
    Expected<Encoded> result;
  };
  using Iterator = std::map<std::uint64_t, File>::iterator;  // by sequence
  struct SamePath {
    Iterator oldest, newest;
  };

  void add(std::string path, std::uint64_t call);
  /// The iterator behind it. Not of a file that is being read.
  Iterator forget(Iterator file);
  std::optional<SamePath> find(const std::string& path);

  /// The oldest that waits; end() where none does.
  Iterator next_waiting();
  /// Forgets the oldest file that has been read and holds bytes, of the calls before `call`.
  bool drop_oldest_read(std::uint64_t call);
  /// Forgets the oldest of the calls before `call` until there are no more than `most`.
  void drop_surplus(std::size_t most, std::uint64_t call);
  void forget_waiting();

  const std::string& path(std::uint64_t sequence) const { return *files_.at(sequence).path; }
  Iterator end() noexcept { return files_.end(); }
  /// Of the next file that is announced.
  std::uint64_t next_sequence() const noexcept { return next_; }

 private:
  std::unordered_map<std::string, std::vector<std::uint64_t>> by_path_;
  std::map<std::uint64_t, File> files_;
  std::uint64_t next_ = 0;
  std::uint64_t first_waiting_ = 0;  // none before it waits
};

}  // namespace ringfeed::io
