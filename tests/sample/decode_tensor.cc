// For test_parity.py: makes samples as a loader's decode thread does, and says how. Each line of
// standard input is a position, a space and a path. Each reply is thirteen little-endian i32 (0 or
// 1 for failure, the geometry's eleven, the size of what follows) and the tensor or the message.
#include <CLI/CLI.hpp>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "augment/geometry.h"
#include "batch/lay_out.h"
#include "options.h"
#include "sample/sample_maker.h"

using namespace ringfeed;

namespace {

struct Options {
  cli::TransformFlags transform;
  cli::LimitFlags limits;
  std::vector<int> size{224, 224};
  int resize = 256;
  std::vector<int> resize_to{0, 0};
  bool v2 = false;
  std::uint64_t seed = 0, epoch = 0;
  std::vector<int> draws;

  explicit Options(CLI::App& app) {
    transform.add(app);
    limits.add(app);
    cli::add_seed(app, seed);
    app.add_option("--epoch", epoch);
    app.add_option("--size", size, "HEIGHT WIDTH of the tensor")->expected(2);
    app.add_option("--resize", resize, "the shorter side before val's crop");
    app.add_option("--resize-to", resize_to, "HEIGHT WIDTH before val's crop")->expected(2);
    app.add_flag("--v2", v2, "normalise as torchvision.transforms.v2");
    app.add_option("--draws", draws, "HEIGHT WIDTH COUNT: draw for such an image, read nothing")
        ->expected(3);
  }

  TransformPlan plan() const {
    TransformPlan plan = transform.plan();
    if (auto* val = std::get_if<ResizeCenterCrop>(&plan.geometry)) {
      val->resize = resize;
      val->resize_height = resize_to[0];
      val->resize_width = resize_to[1];
    }
    std::visit(
        [&](auto& geometry) {
          if constexpr (requires { geometry.height; }) {
            geometry.height = size[0];
            geometry.width = size[1];
          }
        },
        plan.geometry);
    if (v2) plan.normalize.flavour = Normalize::Flavour::to_dtype;
    plan.validate();
    return plan;
  }
};

void reply(bool failed, const augment::Geometry& g, std::span<const std::byte> body) {
  const auto size = static_cast<std::int32_t>(body.size());
  const std::array<std::int32_t, 13> head{
      failed,           g.top,           g.left,       g.height,      g.width,
      g.resized_height, g.resized_width, g.window_top, g.window_left, g.out_height,
      g.out_width,      g.hflip,         size};
  std::fwrite(head.data(), sizeof head, 1, stdout);
  std::fwrite(body.data(), 1, body.size(), stdout);
}

std::vector<char> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void decode_files(const TransformPlan& plan, const DecodeLimits& limits, data::Key key) {
  // One maker for all, so that what one image leaves in it can spoil the next.
  sample::SampleMaker maker({plan}, limits);
  const auto views = batch::lay_out({plan}, 1);
  std::vector<std::byte> out(plan.sample_bytes());
  std::uint64_t position = 0;
  for (std::string path; std::cin >> position >> std::ws && std::getline(std::cin, path);) {
    const std::vector<char> file = read_file(path);
    out.assign(out.size(), std::byte{0xA5});  // a value left unwritten differs
    const auto done =
        maker.make(std::as_bytes(std::span(file)), key, position, {out.data(), views});
    if (done) {
      reply(false, maker.geometry(), out);
    } else {
      reply(true, {}, std::as_bytes(std::span(done.error().detail)));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app;
  Options options(app);
  CLI11_PARSE(app, argc, argv);
  try {
    const TransformPlan plan = options.plan();
    const data::Key key = data::make_key(options.seed, options.epoch);
    if (options.draws.empty()) {
      decode_files(plan, options.limits.decode(), key);
      return 0;
    }
    const int height = options.draws[0], width = options.draws[1], count = options.draws[2];
    for (int i = 0; i < count; ++i) {
      const auto position = static_cast<std::uint64_t>(i);
      reply(false, augment::draw_geometry(plan, height, width, key, position), {});
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "decode_tensor: %s\n", error.what());
    return 1;
  }
}
