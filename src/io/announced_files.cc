#include "io/announced_files.h"

#include <iterator>
#include <utility>

namespace ringfeed::io {

using Stage = AnnouncedFiles::File::Stage;

void AnnouncedFiles::add(std::string path, std::uint64_t call) {
  const auto [same_path, is_new] = by_path_.try_emplace(std::move(path));
  same_path->second.push_back(next_);
  File& file = files_[next_++];
  file.path = &same_path->first;
  file.call = call;
}

AnnouncedFiles::Iterator AnnouncedFiles::forget(Iterator file) {
  const auto same_path = by_path_.find(*file->second.path);
  std::erase(same_path->second, file->first);
  if (same_path->second.empty()) by_path_.erase(same_path);
  return files_.erase(file);
}

std::optional<AnnouncedFiles::SamePath> AnnouncedFiles::find(const std::string& path) {
  const auto same_path = by_path_.find(path);
  if (same_path == by_path_.end()) return std::nullopt;
  return SamePath{files_.find(same_path->second.front()), files_.find(same_path->second.back())};
}

AnnouncedFiles::Iterator AnnouncedFiles::next_waiting() {
  auto file = files_.lower_bound(first_waiting_);
  while (file != files_.end() && file->second.stage != Stage::waiting) ++file;
  first_waiting_ = file == files_.end() ? next_ : file->first;
  return file;
}

bool AnnouncedFiles::drop_oldest_read(std::uint64_t call) {
  for (auto file = files_.begin(); file != files_.end() && file->second.call < call; ++file) {
    if (file->second.stage != Stage::read || !file->second.buffer) continue;
    forget(file);
    return true;
  }
  return false;
}

void AnnouncedFiles::drop_surplus(std::size_t most, std::uint64_t call) {
  auto file = files_.begin();
  while (files_.size() > most && file != files_.end() && file->second.call < call) {
    file = file->second.stage == Stage::reading ? std::next(file) : forget(file);
  }
}

void AnnouncedFiles::forget_waiting() {
  for (auto file = files_.begin(); file != files_.end();) {
    file = file->second.stage == Stage::waiting ? forget(file) : std::next(file);
  }
}

}  // namespace ringfeed::io
