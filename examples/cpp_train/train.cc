// Trains a small network on a folder with train/ and val/, in C++ alone.
//
//   cpp_train DATA_ROOT [EPOCHS [SEED [MIXUP_ALPHA]]]
//
// With a MIXUP_ALPHA above 0 training batches are mixed: by MixUp with it, or by CutMix.
// Images are cut to 64 x 64, so that the ten classes of the sample set take seconds on two cores.
#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/nn.h>
#include <torch/optim/adamw.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>

#include "ringfeed/torch.h"

namespace {

namespace nn = torch::nn;
using Clock = std::chrono::steady_clock;

constexpr int side = 64;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

nn::Sequential make_network(std::int64_t classes) {
  nn::Sequential network;
  std::int64_t channels = 3;
  for (const std::int64_t width : {16, 32, 64}) {
    network->push_back(
        nn::Conv2d(nn::Conv2dOptions(channels, width, 3).stride(2).padding(1).bias(false)));
    network->push_back(nn::BatchNorm2d(width));
    network->push_back(nn::ReLU());
    channels = width;
  }
  network->push_back(nn::AdaptiveAvgPool2d(1));
  network->push_back(nn::Flatten());
  network->push_back(nn::Linear(channels, classes));
  return network;
}

ringfeed::ImageNetDataModule make_data(const std::string& data_root, std::uint64_t seed,
                                       double mixup_alpha) {
  ringfeed::ImageNetOptions options{.data_root = data_root, .batch_size = 50, .num_workers = 0};
  options.seed = seed;
  options.train_plan.geometry =
      ringfeed::RandomResizedCrop{.height = side, .width = side, .scale_min = 0.25};
  options.val_plan.geometry =
      ringfeed::ResizeCenterCrop{.resize = 72, .height = side, .width = side};
  if (mixup_alpha > 0) {
    options.mixing = ringfeed::Mixing{.mixup_alpha = mixup_alpha, .cutmix_alpha = 1};
  }
  return ringfeed::ImageNetDataModule(options);
}

double accuracy(nn::Sequential& network, ringfeed::DataLoader& val, const torch::Device& device) {
  const torch::NoGradGuard no_grad;
  network->eval();
  std::int64_t right = 0, seen = 0;
  for (const auto& batch : val.epoch(0)) {
    const torch::Tensor guess = network->forward(batch.data.to(device, true)).argmax(1);
    right += guess.eq(batch.target.to(device, true)).sum().item<std::int64_t>();
    seen += batch.target.size(0);
  }
  return static_cast<double>(right) / static_cast<double>(seen);
}

void train(const std::string& data_root, std::uint64_t epochs, std::uint64_t seed,
           double mixup_alpha) {
  torch::manual_seed(seed);
  ringfeed::ImageNetDataModule data = make_data(data_root, seed, mixup_alpha);
  data.setup("fit");
  const std::size_t classes = data.train_dataset().classes().size();
  std::printf("%zu images to train on, %zu to validate on, %zu classes\n",
              data.train_dataset().size(), data.val_dataset().size(), classes);

  const torch::Device device(torch::cuda::is_available() ? torch::kCUDA : torch::kCPU);
  // More threads would wait for each other by spinning, on the cores that decode.
  at::set_num_threads(1);
  nn::Sequential network = make_network(static_cast<std::int64_t>(classes));
  network->to(device);
  torch::optim::AdamW optimizer(network->parameters(), torch::optim::AdamWOptions(5e-3));
  // The loaders keep their threads and memory from one epoch to the next.
  ringfeed::DataLoader train = data.train_dataloader();
  ringfeed::DataLoader val = data.val_dataloader();

  for (std::uint64_t epoch = 0; epoch < epochs; ++epoch) {
    const auto start = Clock::now();
    network->train();
    // Summed on the device: item() at every step would wait for it.
    torch::Tensor loss_sum = torch::zeros({}, device);
    std::int64_t seen = 0;
    for (const auto& batch : train.epoch(epoch)) {
      const torch::Tensor images = batch.data.to(device, /*non_blocking=*/true);
      // Labels, or a probability for each class where batches are mixed: the loss takes both.
      const torch::Tensor target = batch.target.to(device, /*non_blocking=*/true);
      const torch::Tensor loss = nn::functional::cross_entropy(network->forward(images), target);
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
      loss_sum += loss.detach() * target.size(0);
      seen += target.size(0);
    }
    const double loss = loss_sum.item<double>() / static_cast<double>(seen);
    const double speed = static_cast<double>(seen) / seconds_since(start);
    std::printf("epoch %llu  loss %.4f  images/s %.0f  val accuracy %.3f\n",
                static_cast<unsigned long long>(epoch), loss, speed,
                accuracy(network, val, device));
    std::fflush(stdout);
  }
  std::printf("%s\n", train.core().stats().verdict_line().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 5) {
    std::fprintf(stderr, "usage: %s DATA_ROOT [EPOCHS [SEED [MIXUP_ALPHA]]]\n", argv[0]);
    return 2;
  }
  try {
    train(argv[1], argc > 2 ? std::stoull(argv[2]) : 5, argc > 3 ? std::stoull(argv[3]) : 0,
          argc > 4 ? std::stod(argv[4]) : 0);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
