#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "ringfeed/torch.h"

namespace ringfeed {
namespace {

ImageFolder open_split(const std::filesystem::path& data_root, const char* split) {
  const std::filesystem::path folder = data_root / split;
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    throw LoadError(Error{Stage::setup, ENOENT, folder.string(),
                          "not a folder; data_root must hold train/CLASS/IMAGE and "
                          "val/CLASS/IMAGE"});
  }
  try {
    return ImageFolder::open(folder);
  } catch (const LoadError& failure) {
    Error error = failure.error();
    if (error.option == Option::none) throw;
    error.option = Option::none;  // ScanOptions are not the data module's
    throw LoadError(std::move(error));
  }
}

/// Labels are places in the list of classes: a class more or less shifts them.
void compare_classes(const ImageFolder& train, const ImageFolder& val) {
  const auto in = train.classes(), out = val.classes();
  const auto [a, b] = std::mismatch(in.begin(), in.end(), out.begin(), out.end());
  if (a == in.end() && b == out.end()) return;
  const auto name = [](auto at, auto end) { return at == end ? "none" : "'" + *at + "'"; };
  throw LoadError(Error{Stage::setup, 0, val.root(),
                        "its classes are not those of train: class " +
                            std::to_string(a - in.begin()) + " is " + name(a, in.end()) +
                            " there and " + name(b, out.end()) + " here"});
}

const ImageFolder& require(const std::optional<ImageFolder>& dataset, const char* what) {
  if (!dataset) {
    throw std::logic_error(std::string("ImageNetDataModule: there is no ") + what +
                           " yet; call setup() first");
  }
  return *dataset;
}

}  // namespace

ImageNetDataModule::ImageNetDataModule(ImageNetOptions options) : options_(std::move(options)) {}

void ImageNetDataModule::setup(std::string_view stage) {
  const bool fit = stage == "fit";
  if (!fit && stage != "validate" && stage != "test" && stage != "predict") {
    throw std::invalid_argument("ImageNetDataModule: stage must be fit, validate, test or predict");
  }
  if (fit && !train_) train_ = open_split(options_.data_root, "train");
  if (!val_) val_ = open_split(options_.data_root, "val");
  if (fit) compare_classes(*train_, *val_);
}

const ImageFolder& ImageNetDataModule::train_dataset() const {
  return require(train_, "train_dataset");
}

const ImageFolder& ImageNetDataModule::val_dataset() const { return require(val_, "val_dataset"); }

DataLoader ImageNetDataModule::train_dataloader() const {
  return make_loader(train_dataset(), options_.train_plan, true);
}

DataLoader ImageNetDataModule::val_dataloader() const {
  return make_loader(val_dataset(), options_.val_plan, false);
}

DataLoader ImageNetDataModule::make_loader(const ImageFolder& dataset, const TransformPlan& plan,
                                           bool training) const {
  LoaderOptions options;
  options.batch_size = options_.batch_size;
  options.num_workers = options_.num_workers;
  options.prefetch_factor = options_.prefetch_factor;
  options.shuffle = training;
  options.drop_last = training && options_.drop_last;
  options.seed = options_.seed;
  options.rank = options_.rank;
  options.world_size = options_.world_size;
  options.limits = options_.limits;
  options.max_file_bytes = options_.max_file_bytes;
  options.depth = options_.depth;
  options.read_ahead_bytes = options_.read_ahead_bytes;
  options.retries = options_.retries;
  if (training) {
    options.on_error = options_.on_error;
    options.max_failures = options_.max_failures;
  }
  return DataLoader(dataset, plan, std::move(options),
                    {.pin_memory = options_.pin_memory,
                     .finish_on = options_.finish_on,
                     .mixing = training ? options_.mixing : std::nullopt});
}

}  // namespace ringfeed
