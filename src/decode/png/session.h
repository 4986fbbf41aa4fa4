#pragma once

#include <png.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "decode/bytes.h"
#include "decode/png/chunks.h"

namespace ringfeed::decode {

/// libpng's state for one image. libpng never sees the file: it gets a signature, an IHDR, a
/// one-entry palette where needed and IDAT chunks made from the walk's result, so that chunks
/// Pillow ignores cannot make it fail.
struct PngSession {
  PngSession(Bytes file, const PngHeader& header);
  ~PngSession();
  PngSession(const PngSession&) = delete;
  PngSession& operator=(const PngSession&) = delete;

  bool all_rows_read() const;

  png_structp png = nullptr;
  png_infop info = nullptr;
  Bytes chunk;  ///< content of the IDAT being read
  bool out_of_bytes = false;
  std::string error;

 private:
  static void read(png_structp png, png_bytep out, std::size_t count);
  static void fail(png_structp png, png_const_charp message);
  bool refill();

  Bytes file_;
  const PngHeader& header_;
  std::size_t behind_chunk_;
  std::array<std::uint8_t, 64> framing_{};  ///< what is served besides the file's own bytes
  const std::uint8_t* next_ = nullptr;
  std::size_t left_ = 0;
  std::size_t piece_at_ = 0;  ///< of the chunk: bytes already handed on
  enum class Piece { framing, content } piece_ = Piece::framing;
  std::size_t piece_size_ = 0;
  bool last_checksum_ = false;
};

}  // namespace ringfeed::decode
