#include "decode/png/session.h"

#include <algorithm>
#include <csetjmp>
#include <cstring>

namespace ringfeed::decode {
namespace {

/// Pillow hands zlib at most this much at a time, and where a piece ends decides whether a wrong
/// Adler checksum is noticed.
constexpr std::size_t most_content = 65536;

std::uint8_t* put_u32(std::uint8_t* out, std::size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) *out++ = static_cast<std::uint8_t>(value >> shift);
  return out;
}

std::uint8_t* put_chunk_start(std::uint8_t* out, std::size_t length, const char* name) {
  out = put_u32(out, length);
  std::memcpy(out, name, 4);
  return out + 4;
}

void ignore_warning(png_structp, png_const_charp) {}

}  // namespace

PngSession::PngSession(Bytes file, const PngHeader& header)
    : file_(file), header_(header), behind_chunk_(header.data) {
  chunk = *next_png_data(file_, behind_chunk_);  // the walk has seen it
  std::uint8_t* p = framing_.data();
  std::memcpy(p, "\x89PNG\r\n\x1A\n", 8);
  p = put_chunk_start(p + 8, 13, "IHDR");
  p = put_u32(put_u32(p, header.width), header.height);
  *p++ = static_cast<std::uint8_t>(header.bit_depth);
  *p++ = static_cast<std::uint8_t>(header.color_type);
  *p++ = 0;
  *p++ = 0;
  *p++ = header.interlaced ? 1 : 0;
  p = put_u32(p, 0);  // checksums are not looked at
  if (header.color_type == PNG_COLOR_TYPE_PALETTE) {
    p = put_chunk_start(p, 3, "PLTE") + 3;
    p = put_u32(p, 0);
  }
  next_ = framing_.data();
  left_ = static_cast<std::size_t>(p - framing_.data());

  png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, fail, ignore_warning);
  if (png == nullptr) return;
  info = png_create_info_struct(png);
  png_set_read_fn(png, this, read);
}

PngSession::~PngSession() { png_destroy_read_struct(&png, &info, nullptr); }

/// Serves the next chunk start (with the checksum of the one before) or chunk content.
bool PngSession::refill() {
  if (piece_ == Piece::framing && piece_size_ > 0) {
    next_ = chunk.data() + piece_at_;
    left_ = piece_size_;
    piece_at_ += piece_size_;
    piece_ = Piece::content;
    return true;
  }
  const bool first = piece_size_ == 0;
  while (piece_at_ == chunk.size()) {
    const auto next = next_png_data(file_, behind_chunk_);
    if (!next) {
      if (last_checksum_) return false;
      last_checksum_ = true;
      put_u32(framing_.data(), 0);
      next_ = framing_.data();
      left_ = 4;
      return true;
    }
    chunk = *next;
    piece_at_ = 0;
  }
  piece_size_ = std::min(most_content, chunk.size() - piece_at_);
  std::uint8_t* p = framing_.data();
  if (!first) p = put_u32(p, 0);
  p = put_chunk_start(p, piece_size_, "IDAT");
  next_ = framing_.data();
  left_ = static_cast<std::size_t>(p - framing_.data());
  piece_ = Piece::framing;
  return true;
}

/// Rows count as read before libpng looks for the end of the compressed stream, whose absence is
/// none of Pillow's concern.
bool PngSession::all_rows_read() const {
  return header_.interlaced ? png_get_current_pass_number(png) >= PNG_INTERLACE_ADAM7_PASSES
                            : png_get_current_row_number(png) >= header_.height;
}

void PngSession::read(png_structp png, png_bytep out, std::size_t count) {
  PngSession& session = *static_cast<PngSession*>(png_get_io_ptr(png));
  while (count > 0) {
    if (session.left_ == 0 && !session.refill()) {
      session.out_of_bytes = true;
      png_error(png, "the image data ends early");
    }
    const std::size_t n = std::min(count, session.left_);
    std::memcpy(out, session.next_, n);
    session.next_ += n;
    session.left_ -= n;
    out += n;
    count -= n;
  }
}

void PngSession::fail(png_structp png, png_const_charp message) {
  static_cast<PngSession*>(png_get_error_ptr(png))->error = message;
  png_longjmp(png, 1);
}

}  // namespace ringfeed::decode
