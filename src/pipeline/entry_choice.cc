#include "pipeline/entry_choice.h"

#include <cerrno>
#include <utility>

namespace ringfeed::pipeline {

bool is_files_fault(const Error& error) noexcept {
  switch (error.code) {
    case ENOMEM:
    case ENOBUFS:
    case EMFILE:
    case ENFILE:
    case ENOTCONN:  // a FUSE file system whose server has gone
    case ESHUTDOWN:
    case ECANCELED: return false;
    default: return error.stage != Stage::setup;
  }
}

bool EntryChoice::try_another(Error error) {
  if (tried_ == nullptr) {
    tried_ = std::make_unique<Tried>(
        Tried{data::RandomStream(key_, sample_.position, data::Purpose::replacement)});
  }
  const bool another = settings_.on_error == OnError::replace && is_files_fault(error) &&
                       tried_->failures.size() + 1 < most_tries;
  tried_->failures.push_back({sample_.position, sample_.entry, std::move(error), std::nullopt});
  if (!another) return false;
  const auto& indices = settings_.indices;
  const auto drawn =
      static_cast<std::size_t>(tried_->draws.bounded(indices ? indices->size() : dataset_size_));
  sample_.entry = indices ? (*indices)[drawn] : static_cast<std::uint32_t>(drawn);
  return true;
}

std::vector<Failure> EntryChoice::failures(bool loaded) {
  if (tried_ == nullptr) return {};
  std::vector<Failure> failures = std::move(tried_->failures);
  if (loaded) {
    for (Failure& failure : failures) failure.substitute = sample_.entry;
  }
  return failures;
}

}  // namespace ringfeed::pipeline
