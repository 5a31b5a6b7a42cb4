// Joins the gateware's XGMII to a descriptor that gives and takes whole Ethernet frames without
// FCS, one a call: a TAP device, or a socket to another card.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "engine_core.h"

namespace tickwire {

class WireBridge {
 public:
  explicit WireBridge(int fd) : fd_(fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

  int fd() const { return fd_; }

  // Frames that came from the descriptor, that went to it, that left the gateware damaged, and
  // that the descriptor did not take.
  uint64_t in = 0, out = 0, damaged = 0, lost = 0;

  // The next word for the receiver; false if no frame waits at the descriptor either.
  bool next(uint64_t &data, uint8_t &control) {
    if (at_ == words_.size() && !fetch()) return false;
    data = words_[at_].data;
    control = words_[at_++].control;
    return true;
  }

  // A frame is being played: its words must follow each other.
  bool in_frame() const { return at_ < words_.size(); }

  // A word that left the transmitter.
  void sent(const TxWord &word) {
    if (open_ && word.cycle != next_cycle_) close(false);
    next_cycle_ = word.cycle + 1;
    for (int lane = 0; lane < 8; lane++) {
      const auto octet = static_cast<uint8_t>(word.data >> 8 * lane);
      if (!(word.control >> lane & 1)) {
        if (open_ && size_ < frame_.size()) frame_[size_++] = octet;
      } else if (octet == kStart) {
        if (open_) close(false);
        open_ = true;
        size_ = 0;
      } else if (open_) {
        close(octet == kTerminate);
      }
    }
  }

 private:
  struct Word {
    uint64_t data;
    uint8_t control;
  };

  static constexpr uint8_t kStart = 0xfb, kTerminate = 0xfd, kIdle = 0x07;
  static constexpr size_t kPreamble = 7, kFcs = 4, kMinimum = 60, kGap = 12, kLongest = 16384;

  bool fetch() {
    uint8_t frame[kLongest];
    const ssize_t size = fd_ < 0 ? -1 : read(fd_, frame, sizeof frame);
    if (size <= 0) {
      // The other end of a socket is gone: nothing will come any more.
      if (size == 0 || (errno != EAGAIN && errno != EINTR)) fd_ = -1;
      return false;
    }
    in++;
    size_t length = static_cast<size_t>(size);
    if (length < kMinimum) {
      std::memset(frame + length, 0, kMinimum - length);
      length = kMinimum;
    }
    const uint32_t fcs = ~crc(frame, length);
    // START and preamble, frame, FCS, and a gap up to the end of a word.
    const size_t end = 1 + kPreamble + length + kFcs, total = (end + kGap + 7) / 8 * 8;
    std::vector<uint8_t> octets(total, kIdle);
    octets[0] = kStart;
    std::memset(&octets[1], 0x55, kPreamble - 1);
    octets[kPreamble] = 0xd5;
    std::memcpy(&octets[1 + kPreamble], frame, length);
    for (size_t k = 0; k < kFcs; k++) octets[end - kFcs + k] = static_cast<uint8_t>(fcs >> 8 * k);
    octets[end] = kTerminate;
    words_.assign(total / 8, {0, 0});
    for (size_t k = 0; k < total; k++) {
      words_[k / 8].data |= static_cast<uint64_t>(octets[k]) << k % 8 * 8;
      if (k == 0 || k >= end) words_[k / 8].control |= 1 << k % 8;
    }
    at_ = 0;
    return true;
  }

  void close(bool terminated) {
    open_ = false;
    static const uint8_t preamble[kPreamble] = {0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xd5};
    const uint8_t *frame = frame_.data() + kPreamble;
    const bool whole = terminated && size_ >= kPreamble + kMinimum + kFcs &&
                       size_ < frame_.size() && !std::memcmp(frame_.data(), preamble, kPreamble);
    // IEEE 802.3-2022, 3.2.9: the register after a frame with its FCS, whatever the frame.
    if (!whole || crc(frame, size_ - kPreamble) != 0xdebb20e3) {
      damaged++;
    } else {
      const size_t length = size_ - kPreamble - kFcs;
      const bool taken = fd_ >= 0 && write(fd_, frame, length) == static_cast<ssize_t>(length);
      (taken ? out : lost)++;
    }
  }

  // The register, reflected, not complemented.
  static uint32_t crc(const uint8_t *data, size_t size) {
    static const auto table = [] {
      std::array<uint32_t, 256> made{};
      for (uint32_t n = 0; n < 256; n++) {
        uint32_t value = n;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
        made[n] = value;
      }
      return made;
    }();
    uint32_t state = 0xffffffff;
    for (size_t k = 0; k < size; k++) state = state >> 8 ^ table[(state ^ data[k]) & 0xff];
    return state;
  }

  int fd_;
  std::vector<Word> words_;
  size_t at_ = 0;
  bool open_ = false;
  uint64_t next_cycle_ = 0;
  std::array<uint8_t, kPreamble + kLongest> frame_{};
  size_t size_ = 0;
};

}  // namespace tickwire
