#include "decode/jpeg/decoder.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "decode/jpeg/markers.h"
#include "decode/jpeg/session.h"

// clang-format off
#include <jerror.h>  // after jpeglib.h
// clang-format on

namespace ringfeed::decode {
namespace {

/// Columns to decode so that `region` comes out as in a full decode. One column beyond either side,
/// because fancy upsampling treats the outermost ones specially. And never a narrow strip: libjpeg
/// replaces fancy upsampling where a chroma row is at most 2 samples wide (4 pixels at 4:2:0).
struct Columns {
  JDIMENSION left, width;
};

Columns columns_around(const Region& region, int image_width) {
  constexpr int margin = 1, narrowest = 32;
  const int right =
      std::min(image_width, std::max(region.left + region.width + margin, region.left + narrowest));
  const int left = std::max(0, std::min(region.left - margin, image_width - narrowest));
  return {static_cast<JDIMENSION>(left), static_cast<JDIMENSION>(right - left)};
}

/// What libjpeg holds of any file: a strip of rows. 4 components x 10 row groups of at most 4 rows,
/// an iMCU's colour rows.
constexpr std::size_t strip_bytes(std::size_t width) {
  constexpr std::size_t most_in_mcu = 64, besides = 256 << 10;
  return (width + most_in_mcu) * (4 * 10 * 4 + 4 * 8 * 4) + besides;
}
constexpr std::size_t strip_bound = strip_bytes(max_side);

/// Where each row of a whole image's coefficients is.
constexpr std::size_t list_bytes(std::size_t height) {
  return 4 * (height / DCTSIZE + 8) * sizeof(void*);
}

/// What of an image is decoded: the region's pixels and the verdict come out as those of a full
/// decode.
struct ScanPlan {
  Columns columns;
  int first_row, last_row;  ///< [first, last)
  bool finish;              ///< to the end of the file: what follows the scan may be an error
};

/// A file of several scans has been read to its end before the first row, so nothing is left to go
/// wrong; libjpeg cannot skip parts of a lossless one; a Huffman-coded single scan that runs into
/// EOI cannot go wrong. Any other is decoded in full, as Pillow does, for the verdict. Only
/// sequential files gain from decoding a part: a progressive one spends its time on reading the
/// scans, and block smoothing (scans missing) wants neighbours.
ScanPlan plan_scan(jpeg_decompress_struct& cinfo, const JpegHeader& header, bool whole_scan,
                   const Region& region) {
  const auto width = static_cast<int>(cinfo.image_width);
  const Columns all{0, cinfo.image_width};
  const int below = region.top + region.height;
  if (jpeg_has_multiple_scans(&cinfo)) return {all, 0, below, false};
  if (!whole_scan || cinfo.arith_code || header.lossless)
    return {all, 0, static_cast<int>(cinfo.image_height), true};
  return {columns_around(region, width), region.top, below, false};
}

/// Pillow's MULDIV255: a * b / 255, rounded.
int times_255th(int a, int b) {
  const int t = a * b + 128;
  return ((t >> 8) + t) >> 8;
}

/// Pillow takes every four-component JPEG as Adobe's inverted CMYK, whatever its markers say.
void inverted_cmyk_to_rgb(const std::uint8_t* cmyk, int pixels, std::uint8_t* rgb) {
  for (int i = 0; i < pixels; ++i, cmyk += 4, rgb += 3) {
    const int white = cmyk[3];
    for (int c = 0; c < 3; ++c) {
      rgb[c] = static_cast<std::uint8_t>(white - times_255th(255 - cmyk[c], white));
    }
  }
}

std::size_t padded(JDIMENSION blocks, int factor) {
  const auto f = static_cast<std::size_t>(factor);
  return (blocks + f - 1) / f * f;
}

/// What libjpeg keeps of a file of several scans: the coefficients of the whole image.
std::size_t coefficient_bytes(const jpeg_decompress_struct& cinfo) {
  std::size_t blocks = 0;
  for (int c = 0; c < cinfo.num_components; ++c) {
    const jpeg_component_info& component = cinfo.comp_info[c];
    blocks += padded(component.width_in_blocks, component.h_samp_factor) *
              padded(component.height_in_blocks, component.v_samp_factor);
  }
  return blocks * sizeof(JBLOCK);
}

/// Scans that an image may have: `most` up to 1.6 megapixels, fewer the larger it is, and a tenth
/// of them from 16 on. There an empty scan takes up to 16 ms and a hundred bytes, and one in
/// arithmetic coding, which goes on behind its end, four times as long: of these a quarter. So no
/// file takes much more than a second for 16 megapixels.
int scans_allowed(int most, const JpegHeader& header) {
  constexpr std::uint64_t all = 1'600'000, tenth = 16'000'000;
  const auto pixels =
      static_cast<std::uint64_t>(header.height) * static_cast<std::uint64_t>(header.width);
  const std::uint64_t scans =
      static_cast<std::uint64_t>(most) * all / std::clamp(pixels, all, tenth);
  return std::max(1, static_cast<int>(header.arithmetic ? scans / 4 : scans));
}

/// To the first scan; false where the bytes end before. May jump.
bool read_frame(jpeg_decompress_struct* cinfo, const JpegHeader& header) {
  int status;
  do status = jpeg_read_header(cinfo, FALSE);
  while (status == JPEG_HEADER_TABLES_ONLY);
  if (status == JPEG_SUSPENDED) return false;
  // The walk that sized everything and libjpeg must have seen the same frame header.
  if (static_cast<int>(cinfo->image_width) != header.width ||
      static_cast<int>(cinfo->image_height) != header.height ||
      cinfo->num_components != header.components) {
    ERREXIT(cinfo, JERR_SOF_DUPLICATE);
  }
  return true;
}

/// The coefficients that libjpeg would keep of this file: none of a single scan's, and none where
/// it does not get as far. Every call may jump, and nothing here has a destructor.
std::size_t kept_coefficients(JpegSession& session, const JpegHeader& header) {
  if (setjmp(session.on_error)) return 0;
  jpeg_decompress_struct* const cinfo = &session.cinfo;
  session.open();
  if (!read_frame(cinfo, header) || !jpeg_has_multiple_scans(cinfo)) return 0;
  return coefficient_bytes(*cinfo);
}

/// Whether this is a file of one Huffman-coded scan that can be decoded; reads nothing of the scan.
/// Every call may jump, and nothing here has a destructor.
bool starts_single_scan(JpegSession& session, const JpegHeader& header) {
  if (setjmp(session.on_error)) return false;
  jpeg_decompress_struct* const cinfo = &session.cinfo;
  session.open();
  return read_frame(cinfo, header) && !jpeg_has_multiple_scans(cinfo) && !cinfo->arith_code &&
         jpeg_start_decompress(cinfo);
}

}  // namespace

std::size_t JpegDecoder::need(Bytes file, const JpegHeader& header, const DecodeLimits& limits) {
  constexpr std::size_t small = 3 << 20;  // not worth a look at the frame, which takes 5 us
  const auto height = static_cast<std::size_t>(header.height);
  const auto width = static_cast<std::size_t>(header.width);
  std::size_t coefficients =
      static_cast<std::size_t>(header.components) * (width + 64) * (height + 64) * sizeof(JCOEF);
  if (coefficients > small) {
    JpegSession session(file, limits.load_truncated, limits.max_scans);
    coefficients = kept_coefficients(session, header);
  }
  return strip_bytes(width) + list_bytes(height) + std::min(coefficients, limits.max_decoder_bytes);
}

std::size_t JpegDecoder::most_need(const DecodeLimits& limits) noexcept {
  return limits.max_decoder_bytes + strip_bound + list_bytes(max_side);
}

std::size_t JpegDecoder::scratch_bound() noexcept {
  return ScratchRow::memory_bound(max_side * 4) + ScratchRow::memory_bound(max_side * 3) +
         JpegMemory::kept_bytes + EntropyDecoder::memory_bound() + PixelStage::memory_bound();
}

tl::expected<JpegHeader, Failure> JpegDecoder::header(Bytes file, const DecodeLimits& limits) {
  auto header = read_jpeg_header(file);
  if (!header) return header;
  const auto pixels =
      static_cast<std::uint64_t>(header->height) * static_cast<std::uint64_t>(header->width);
  if (pixels > limits.max_pixels) {
    return tl::unexpected(over_limit("JPEG of " + std::to_string(pixels) + " pixels, more than " +
                                         std::to_string(limits.max_pixels),
                                     Option::max_pixels));
  }
  // libjpeg's verdict, before anything is drawn or allocated for that size. Under load_truncated
  // such a file is black, as in Pillow.
  if (!limits.load_truncated && std::max(header->height, header->width) > JPEG_MAX_DIMENSION) {
    return tl::unexpected(broken_file("JPEG", "Maximum supported image dimension is " +
                                                  std::to_string(JPEG_MAX_DIMENSION) + " pixels"));
  }
  return header;
}

bool JpegDecoder::is_sound(Bytes file, const JpegHeader& header) {
  if (header.lossless || !scan_ends_in_eoi(file.subspan(header.scan))) return false;
  JpegSession session(file, false, 1);
  return starts_single_scan(session, header);
}

tl::expected<void, Failure> JpegDecoder::decode(Bytes file, RowSink& sink) {
  const auto header = JpegDecoder::header(file, limits_);
  if (!header) return tl::unexpected(header.error());
  const Region region = sink.begin(header->height, header->width);
  rows_pushed_ = 0;
  const int max_scans = scans_allowed(limits_.max_scans, *header);
  if (entropy_backend_ != EntropyBackend::libjpeg) {
    JpegSession session(file, limits_.load_truncated, max_scans, &memory_);
    const Ending ending = run(session, *header, &entropy_, region, sink);
    if (!session.is_odd) return judge(session, ending, *header, region, sink);
  }
  // Whatever is odd about the scan is libjpeg's to judge. The rows that came before it are right.
  JpegSession session(file, limits_.load_truncated, max_scans, &memory_);
  const Ending ending = run(session, *header, nullptr, region, sink);
  return judge(session, ending, *header, region, sink);
}

tl::expected<void, Failure> JpegDecoder::judge(JpegSession& session, Ending ending,
                                               const JpegHeader& header, const Region& region,
                                               RowSink& sink) {
  if (ending == Ending::complete) return {};
  if (session.too_many_scans) {
    return tl::unexpected(over_limit(
        "JPEG of more than " + std::to_string(scans_allowed(limits_.max_scans, header)) +
            " scans, " + std::to_string(header.width) + " x " + std::to_string(header.height),
        Option::max_scans));
  }
  if (ending == Ending::error && session.cinfo.err->msg_code == JERR_OUT_OF_MEMORY) {
    return tl::unexpected(over_limit("JPEG whose coefficients need more than " +
                                         std::to_string(limits_.max_decoder_bytes) + " bytes",
                                     Option::max_decoder_bytes));
  }
  if (ending == Ending::error && header.lossless &&
      session.cinfo.err->msg_code == JERR_SOF_UNSUPPORTED) {
    // Not Pillow's black image under load_truncated, whose libjpeg reads it.
    return tl::unexpected(
        Failure{false,
                "lossless JPEG needs libjpeg-turbo 3.0 or later, which this build "
                "is without; convert the file or remove it"});
  }
  if (limits_.load_truncated) {
    // Pillow leaves the rows it did not get at zero: black, or white once CMYK becomes RGB.
    const std::size_t bytes = static_cast<std::size_t>(region.width) * 3;
    std::uint8_t* const blank = rgb_.reserve(bytes);
    std::memset(blank, header.components == 4 ? 255 : 0, bytes);
    for (; rows_pushed_ < region.height && region.width > 0; ++rows_pushed_) sink.push_row(blank);
    return {};
  }
  if (ending == Ending::out_of_bytes) return tl::unexpected(truncated_file("JPEG"));
  char why[JMSG_LENGTH_MAX];
  session.format_error(why);
  return tl::unexpected(broken_file("JPEG", why));
}

void JpegDecoder::push(const std::uint8_t* pixels, int channels, int width, RowSink& sink) {
  if (channels != 3) {
    std::uint8_t* const rgb = rgb_.reserve(static_cast<std::size_t>(width) * 3);
    if (channels == 4) {
      inverted_cmyk_to_rgb(pixels, width, rgb);
    } else {
      for (int i = 0; i < width; ++i) std::memset(rgb + std::ptrdiff_t{3} * i, pixels[i], 3);
    }
    pixels = rgb;
  }
  sink.push_row(pixels);
  ++rows_pushed_;
}

/// Every call that may jump. Nothing here has a destructor; what must survive a jump is a member.
JpegDecoder::Ending JpegDecoder::run(JpegSession& session, const JpegHeader& header,
                                     EntropyDecoder* entropy, Region region, RowSink& sink) {
  if (setjmp(session.on_error)) return Ending::error;
  jpeg_decompress_struct* const cinfo = &session.cinfo;
  session.open();

  if (!read_frame(cinfo, header)) return Ending::out_of_bytes;

  if (jpeg_has_multiple_scans(cinfo) && coefficient_bytes(*cinfo) > limits_.max_decoder_bytes) {
    ERREXIT1(cinfo, JERR_OUT_OF_MEMORY, 0);
  }

  // Grey is replicated by libjpeg, which converts no colours of a lossless file.
  const bool grey = header.lossless && header.components == 1;
  const int channels = header.components == 4 ? 4 : grey ? 1 : 3;
  cinfo->out_color_space = channels == 4 ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
  if (!jpeg_start_decompress(cinfo)) return Ending::out_of_bytes;
  const Bytes scan{cinfo->src->next_input_byte, cinfo->src->bytes_in_buffer};
  const bool takes_over = entropy != nullptr && !header.lossless &&
                          entropy->begin(*cinfo, scan, region.top + region.height);
  const bool whole_scan = takes_over || scan_ends_in_eoi(scan);

  ScanPlan plan = plan_scan(*cinfo, header, whole_scan, region);
  const bool wanted = region.height > 0 && region.width > 0;
  if (!wanted && !plan.finish) return Ending::complete;
  if (takes_over && pixel_backend_ != PixelBackend::libjpeg && stage_.begin(*cinfo, region)) {
    session.is_odd = !stage_.run(entropy->bands(), sink, region, rows_pushed_);
    return Ending::complete;
  }
  if (takes_over) session.decode_entropy_by(*entropy);
  if (plan.columns.width < cinfo->image_width) {
    // Moves left to an MCU boundary.
    jpeg_crop_scanline(cinfo, &plan.columns.left, &plan.columns.width);
    if (takes_over) entropy->set_columns(plan.columns.left, plan.columns.width);
  }
  // Once and from row 0: later skips have returned wrong rows in several versions.
  if (plan.first_row > 0) jpeg_skip_scanlines(cinfo, static_cast<JDIMENSION>(plan.first_row));

  JSAMPROW row =
      row_.reserve(std::size_t{cinfo->output_width} * static_cast<std::size_t>(channels));
  const std::uint8_t* const pixels =
      row + (region.left - static_cast<int>(plan.columns.left)) * channels;
  for (int y = plan.first_row; y < plan.last_row; ++y) {
    if (jpeg_read_scanlines(cinfo, &row, 1) != 1) return Ending::out_of_bytes;
    if (wanted && y >= region.top + rows_pushed_ && y < region.top + region.height) {
      push(pixels, channels, region.width, sink);
    }
  }
  // What follows the scan may be an error; that it has no end is none to Pillow, all rows being in.
  if (plan.finish && !jpeg_finish_decompress(cinfo) && begins_frame(cinfo->unread_marker)) {
    // Before libjpeg-turbo 3.0 the verdict waited for all of the second frame's header.
    ERREXIT(cinfo, JERR_SOF_DUPLICATE);
  }
  return Ending::complete;
}

}  // namespace ringfeed::decode
