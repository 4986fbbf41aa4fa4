// For test_libtorch.py: writes one epoch's tensors to standard output. Each batch: a line of text
// with the shape, the strides and torch's name of the dtype, then the images' bytes as memory holds
// them, then the labels'.
#include <cstdint>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "ringfeed/torch.h"

using namespace ringfeed;

namespace {

DType dtype_of(std::string_view name) {
  for (const DType dtype : {DType::float32, DType::float16, DType::bfloat16, DType::uint8}) {
    if (to_string(dtype) == name) return dtype;
  }
  throw std::invalid_argument("no dtype: " + std::string(name));
}

void write(const at::Tensor& tensor) {
  std::cout.write(static_cast<const char*>(tensor.const_data_ptr()),
                  static_cast<std::streamsize>(tensor.nbytes()));
}

void run(const std::string& root, std::string_view split, std::string_view dtype,
         std::string_view layout, int batch_size, std::uint64_t seed, std::uint64_t epoch) {
  const bool train = split == "train";
  TransformPlan plan = train ? TransformPlan::imagenet_train() : TransformPlan::imagenet_val();
  plan.dtype = dtype_of(dtype);
  if (plan.dtype == DType::uint8) plan.normalize.flavour = Normalize::Flavour::none;
  if (layout == "channels_last") plan.layout = Layout::channels_last;
  LoaderOptions options;
  options.batch_size = batch_size;
  options.shuffle = train;
  options.seed = seed;
  DataLoader loader(ImageFolder::open(root), plan, options);
  for (const DataLoader::Example& example : loader.epoch(epoch)) {
    std::cout << example.data.sizes() << ' ' << example.data.strides() << ' '
              << example.data.dtype() << '\n';
    write(example.data);
    write(example.target);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    std::cerr << "usage: epoch_tensors ROOT train|val DTYPE nchw|channels_last BATCH SEED EPOCH\n";
    return 2;
  }
  try {
    run(argv[1], argv[2], argv[3], argv[4], std::stoi(argv[5]), std::stoull(argv[6]),
        std::stoull(argv[7]));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
