#pragma once

#include <cstddef>
#include <iterator>
#include <optional>

namespace ringfeed::detail {

/// An input iterator over what `Epoch::next()` gives. The epoch holds the element, so that copies
/// of the iterator share it; it must not move while it is iterated.
template <class Epoch, class Element>
class EpochIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = Element;
  using difference_type = std::ptrdiff_t;
  using pointer = Element*;
  using reference = Element&;
  Element& operator*() const noexcept { return **current_; }
  Element* operator->() const noexcept { return &**current_; }
  EpochIterator& operator++() {
    *current_ = epoch_->next();
    return *this;
  }
  bool operator==(std::default_sentinel_t) const noexcept { return !current_->has_value(); }

 private:
  friend Epoch;
  EpochIterator(Epoch* epoch, std::optional<Element>* current) : epoch_(epoch), current_(current) {}
  Epoch* epoch_;
  std::optional<Element>* current_;
};

}  // namespace ringfeed::detail
