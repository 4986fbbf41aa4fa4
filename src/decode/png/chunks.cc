#include "decode/png/chunks.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace ringfeed::decode {
namespace {

std::uint32_t u32(const std::uint8_t* p) {
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}

struct Chunk {
  std::string_view name;
  std::size_t length = 0;  ///< as stated
  Bytes content;           ///< as far as the file goes
  bool cut() const { return content.size() < length; }
};

/// Over name and content, which must be there.
std::uint32_t checksum(const Chunk& chunk) {
  const auto* const named = reinterpret_cast<const Bytef*>(chunk.content.data() - 4);
  return static_cast<std::uint32_t>(crc32(0, named, static_cast<uInt>(chunk.length + 4)));
}

enum class Next { chunk, end_of_file, bad_name };

Next read_chunk(Bytes file, std::size_t& at, Chunk& chunk) {
  if (at > file.size() || file.size() - at < 8) return Next::end_of_file;
  chunk.length = u32(&file[at]);
  chunk.name = {reinterpret_cast<const char*>(&file[at + 4]), 4};
  at += 8;
  chunk.content = file.subspan(at, std::min(chunk.length, file.size() - at));
  at += chunk.length;
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return std::all_of(chunk.name.begin(), chunk.name.end(), is_word) ? Next::chunk : Next::bad_name;
}

bool is_ascii(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return (c & 0x80) == 0; });
}

/// A chunk with content whose name the file ends in. Under LOAD_TRUNCATED_IMAGES alone Pillow takes
/// such a name for one, and misses the content.
bool cut_in_name(Bytes file, std::size_t at) {
  if (at > file.size() || file.size() - at < 4 || u32(&file[at]) == 0) return false;
  return std::all_of(file.begin() + static_cast<std::ptrdiff_t>(at) + 4, file.end(),
                     [](std::uint8_t c) { return c < 0x80; });
}

/// Bytes below which Pillow's handler of a chunk raises, unless it may load truncated files.
std::size_t least_length(std::string_view name, const PngHeader& header) {
  struct Least {
    std::string_view name;
    std::size_t length;
  };
  static constexpr Least table[] = {{"IHDR", 13}, {"gAMA", 4}, {"cHRM", 32}, {"sRGB", 1},
                                    {"pHYs", 9},  {"acTL", 8}, {"fcTL", 26}, {"fdAT", 4}};
  for (const Least& least : table) {
    if (name == least.name) return least.length;
  }
  if (name == "tRNS") {
    if (header.color_type == 2) return 6;
    if (header.color_type == 0) return 2;
  }
  return 0;
}

/// The compression method follows the first NUL of both: it must be 0, and in iCCP be there.
bool compression_known(const Chunk& chunk) {
  const bool profile = chunk.name == "iCCP";
  if (!profile && chunk.name != "zTXt") return true;
  const auto nul = std::find(chunk.content.begin(), chunk.content.end(), std::uint8_t{0});
  if (nul == chunk.content.end()) {
    return !profile || (!chunk.content.empty() && chunk.content[0] == 0);
  }
  if (nul + 1 == chunk.content.end()) return !profile;
  return nul[1] == 0;
}

std::optional<Failure> check_chunk(const Chunk& chunk, const PngHeader& header,
                                   bool load_truncated) {
  if (chunk.cut()) return truncated_file("PNG");
  if (chunk.length < least_length(chunk.name, header) && !load_truncated) {
    return broken_file("PNG", "short chunk");
  }
  if (!compression_known(chunk)) {
    return unidentified(broken_file("PNG", "unknown compression method"));
  }
  return std::nullopt;
}

bool is_empty(const PngHeader& header) {
  return header.bit_depth == 0 || header.width == 0 || header.height == 0;
}

bool bits_and_type_exist(int bit_depth, int color_type) {
  switch (color_type) {
    case 0:
      return bit_depth == 1 || bit_depth == 2 || bit_depth == 4 || bit_depth == 8 ||
             bit_depth == 16;
    case 3: return bit_depth == 1 || bit_depth == 2 || bit_depth == 4 || bit_depth == 8;
    case 2:
    case 4:
    case 6: return bit_depth == 8 || bit_depth == 16;
    default: return false;
  }
}

/// Whether the frame control or frame data of an animation is the next.
bool follows(std::uint32_t sequence, PngHeader& header) {
  const bool next =
      header.sequence ? *header.sequence + 1 == sequence && sequence != 0 : sequence == 0;
  header.sequence = sequence;
  return next;
}

/// false if Pillow rejects the content of a chunk that controls an animation.
bool apply_animation(const Chunk& chunk, PngHeader& header) {
  const std::uint8_t* const p = chunk.content.data();
  if (chunk.name == "acTL" && chunk.length >= 8) {
    const std::uint32_t frames = u32(p);
    if (header.frames) {
      header.frames.reset();  // of two neither counts
    } else if (frames > 0 && frames <= 0x80000000) {
      header.frames = frames;
    }
  }
  if (chunk.name == "fdAT" && chunk.length >= 4) return header.sequence && follows(u32(p), header);
  if (chunk.name != "fcTL" || chunk.length < 26) return true;
  if (!follows(u32(p), header)) return false;
  const PngFrame frame{u32(p + 8), u32(p + 4), u32(p + 16), u32(p + 12)};
  header.first_frame = frame;
  return std::uint64_t{frame.left} + frame.width <= header.width &&
         std::uint64_t{frame.top} + frame.height <= header.height;
}

/// Takes over what the decoder needs; false if Pillow rejects the content.
bool apply_chunk(const Chunk& chunk, PngHeader& header) {
  if (chunk.name == "IHDR" && chunk.length >= 13) {
    const std::uint8_t* const p = chunk.content.data();
    header.width = u32(p);
    header.height = u32(p + 4);
    // Pillow keeps an earlier mode where this one does not exist.
    if (bits_and_type_exist(p[8], p[9])) {
      header.bit_depth = p[8];
      header.color_type = p[9];
    }
    header.interlaced = header.interlaced || p[12] != 0;
    return p[11] == 0;
  }
  if (chunk.name == "PLTE" && header.color_type == 3) {
    header.palette.fill(0);
    const std::size_t bytes = chunk.content.size() / 3 * 3;
    if (bytes > header.palette.size()) return false;
    std::memcpy(header.palette.data(), chunk.content.data(), bytes);
  }
  return apply_animation(chunk, header);
}

}  // namespace

tl::expected<PngHeader, Failure> read_png_header(Bytes file, bool load_truncated) {
  PngHeader header;
  std::size_t at = 8;
  Chunk chunk;
  while (true) {
    const Next next = read_chunk(file, at, chunk);
    if (next == Next::end_of_file) return tl::unexpected(unidentified(truncated_file("PNG")));
    if (next == Next::bad_name && (!load_truncated || !is_ascii(chunk.name))) {
      return tl::unexpected(unidentified(broken_file("PNG", "no chunk where one is due")));
    }
    if (chunk.name == "IDAT") break;
    if (chunk.name == "IEND" || chunk.name == "fdAT") {
      Failure failure = broken_file("PNG", "no image data");
      failure.unidentified = is_empty(header);
      return tl::unexpected(std::move(failure));
    }
    if (auto failure = check_chunk(chunk, header, load_truncated)) {
      return tl::unexpected(std::move(*failure));
    }
    if (!apply_chunk(chunk, header)) {
      return tl::unexpected(unidentified(broken_file("PNG", "bad chunk content")));
    }
    if (load_truncated && (chunk.name[0] & 0x20) != 0) {  // ancillary: checksum not looked at
      at += 4;
      continue;
    }
    if (file.size() - at < 4) return tl::unexpected(unidentified(truncated_file("PNG")));
    if (checksum(chunk) != u32(&file[at])) {
      return tl::unexpected(unidentified(broken_file("PNG", "bad header checksum")));
    }
    at += 4;
  }
  if (is_empty(header)) {
    return tl::unexpected(unidentified(broken_file("PNG", "no usable header, or an empty image")));
  }
  if (const auto& frame = header.first_frame;
      frame && (frame->height != header.height || frame->width != header.width)) {
    return tl::unexpected(Failure{false,
                                  "animated PNG whose first frame is a part of the image is not "
                                  "supported; convert the file or remove it"});
  }
  // The image is in consecutive IDATs (their checksums do not count).
  header.data = static_cast<std::size_t>(chunk.content.data() - file.data()) - 8;
  Next next = Next::chunk;
  while (next == Next::chunk && chunk.name == "IDAT") {
    header.data_cut = chunk.cut();
    at += 4;
    next = read_chunk(file, at, chunk);
  }
  header.data_cut = header.data_cut || next == Next::end_of_file;
  return header;
}

std::optional<Bytes> next_png_data(Bytes file, std::size_t& at) {
  std::size_t behind = at;
  Chunk chunk;
  if (read_chunk(file, behind, chunk) != Next::chunk || chunk.name != "IDAT") return std::nullopt;
  at = behind + 4;
  return chunk.content;
}

bool png_is_sound(Bytes file, const PngHeader& header) {
  if (header.data_cut || header.frames || header.sequence || header.first_frame) return false;
  std::size_t at = header.data;
  Chunk chunk;
  while (read_chunk(file, at, chunk) == Next::chunk) {
    if (chunk.cut() || at > file.size() || file.size() - at < 4) return false;
    if (checksum(chunk) != u32(&file[at])) return false;
    at += 4;
    if (chunk.name == "IEND") return chunk.length == 0;
    if (chunk.name != "IDAT") return false;
  }
  return false;
}

std::optional<Failure> check_png_end(Bytes file, Bytes last_data, PngHeader header,
                                     bool load_truncated) {
  const bool animated = header.animated();  // what follows the image changes that no more
  // From the completing chunk's own header, which states its length.
  std::size_t at = static_cast<std::size_t>(last_data.data() - file.data()) - 8;
  Chunk chunk;
  read_chunk(file, at, chunk);
  while (true) {
    at += 4;
    const Next next = read_chunk(file, at, chunk);
    if (next == Next::end_of_file && load_truncated && cut_in_name(file, at)) {
      return truncated_file("PNG");
    }
    if (next == Next::end_of_file || chunk.name == "IEND") return std::nullopt;
    if (next == Next::bad_name && (!load_truncated || !is_ascii(chunk.name))) return std::nullopt;
    if (animated && chunk.name == "fcTL") return std::nullopt;  // the next frame is not read
    if (chunk.name == "IDAT" && chunk.cut() && load_truncated) return std::nullopt;
    if (auto failure = check_chunk(chunk, PngHeader{}, load_truncated)) return failure;
    if (!apply_animation(chunk, header)) return broken_file("PNG", "frames out of order");
  }
}

}  // namespace ringfeed::decode
