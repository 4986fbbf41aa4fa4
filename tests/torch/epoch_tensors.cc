// For test_libtorch.py: writes one epoch's tensors to standard output. Each batch: a line of text
// with the images' shape, strides and torch's name of the dtype, then the targets' shape and dtype;
// then the images' bytes as memory holds them, and the targets'.
#include <cstdint>
#include <exception>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

#include "ringfeed/torch.h"

using namespace ringfeed;

namespace {

struct Arguments {
  std::string root, split, dtype, layout;
  std::uint64_t epoch = 0;
  LoaderOptions options{};
  TorchOptions torch{};
  int resume_after = 0;  // batches
};

DType dtype_of(std::string_view name) {
  for (const DType dtype : {DType::float32, DType::float16, DType::bfloat16, DType::uint8}) {
    if (to_string(dtype) == name) return dtype;
  }
  throw std::invalid_argument("no dtype: " + std::string(name));
}

Mixing::Mode mode_of(std::string_view name) {
  if (name == "pair") return Mixing::Mode::pair;
  return name == "elem" ? Mixing::Mode::elem : Mixing::Mode::batch;
}

void set_mixing(Mixing& mixing, const std::string& key, const std::string& value) {
  const std::map<std::string_view, double*> numbers{{"mixup_alpha", &mixing.mixup_alpha},
                                                    {"cutmix_alpha", &mixing.cutmix_alpha},
                                                    {"prob", &mixing.prob},
                                                    {"switch_prob", &mixing.switch_prob},
                                                    {"label_smoothing", &mixing.label_smoothing}};
  if (const auto found = numbers.find(key); found != numbers.end()) {
    *found->second = std::stod(value);
  } else if (key == "timm") {
    mixing.rule = Mixing::Rule::timm;
    mixing.mode = mode_of(value);
  } else if (key == "cutmix_max") {
    mixing.cutmix_minmax = {0.2, std::stod(value)};
  } else if (key == "correct_lam") {
    mixing.correct_lam = std::stoi(value) != 0;
  } else if (key == "num_classes") {
    mixing.num_classes = std::stoi(value);
  } else {
    throw std::invalid_argument("no option: " + key);
  }
}

void set(Arguments& arguments, const std::string& key, const std::string& value) {
  if (key == "rank") {
    arguments.options.rank = std::stoi(value);
    arguments.options.world_size = 2;
  } else if (key == "num_workers") {
    arguments.options.num_workers = std::stoi(value);
  } else if (key == "resume_after") {
    arguments.resume_after = std::stoi(value);
  } else if (key == "finish_on") {
    arguments.torch.finish_on = at::Device(value);
  } else {
    if (!arguments.torch.mixing) arguments.torch.mixing = Mixing{};
    set_mixing(*arguments.torch.mixing, key, value);
  }
}

void write(const at::Tensor& tensor) {
  std::cout.write(static_cast<const char*>(tensor.const_data_ptr()),
                  static_cast<std::streamsize>(tensor.nbytes()));
}

void run(const Arguments& arguments) {
  const bool train = arguments.split == "train";
  TransformPlan plan = train ? TransformPlan::imagenet_train() : TransformPlan::imagenet_val();
  plan.dtype = dtype_of(arguments.dtype);
  if (plan.dtype == DType::uint8) plan.normalize.flavour = Normalize::Flavour::none;
  if (arguments.layout == "channels_last") plan.layout = Layout::channels_last;
  const auto make_loader = [&] {
    return DataLoader(ImageFolder::open(arguments.root), plan, arguments.options, arguments.torch);
  };
  Progress progress;
  if (arguments.resume_after > 0) {
    DataLoader loader = make_loader();
    DataLoader::Epoch begun = loader.epoch(arguments.epoch);
    for (int i = 0; i < arguments.resume_after; ++i) begun.next();
    progress = begun.progress();
  }
  DataLoader loader = make_loader();
  for (const DataLoader::Example& example : loader.epoch(arguments.epoch, progress)) {
    std::cout << example.data.sizes() << ' ' << example.data.strides() << ' '
              << example.data.dtype() << "; " << example.target.sizes() << ' '
              << example.target.dtype() << '\n';
    write(example.data);
    write(example.target);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 8) {
    std::cerr << "usage: epoch_tensors ROOT train|val DTYPE nchw|channels_last BATCH SEED EPOCH "
                 "[KEY=VALUE ...]\n";
    return 2;
  }
  try {
    Arguments arguments{argv[1], argv[2], argv[3], argv[4], std::stoull(argv[7])};
    arguments.options.batch_size = std::stoi(argv[5]);
    arguments.options.shuffle = arguments.split == "train";
    arguments.options.seed = std::stoull(argv[6]);
    for (int i = 8; i < argc; ++i) {
      const std::string argument = argv[i];
      const std::size_t at = argument.find('=');
      set(arguments, argument.substr(0, at), argument.substr(at + 1));
    }
    run(arguments);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
