// Runs the gateware that Verilator made C++ of: one clock edge, one bus access, one word at a time.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "Vgateway.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace tickwire {

constexpr uint64_t kIdleData = 0x0707070707070707ull;
constexpr uint8_t kIdleControl = 0xff;
constexpr uint64_t kRecordBytes = 64;
constexpr uint64_t kPeriodPs = 6400;
constexpr uint64_t kFrameHeader = 16;  // bytes of a frame ring's slot before the frame

struct TxWord {
  uint64_t cycle, data;
  uint8_t control;
};

// What `Core` calls when a word leaves that is not idle.
class TxSink {
 public:
  virtual void word(const TxWord &word) = 0;
  virtual ~TxSink() = default;
};

class Core {
 public:
  explicit Core(TxSink &sink) : sink_(sink) { top_.eval(); }

  void set_event_ring(uint8_t *ring, uint64_t records) {
    ring_ = ring;
    records_ = records;
  }

#if VM_TRACE
  // The file ends when this object does.
  bool open_waves(const char *path) {
    context_.traceEverOn(true);
    top_.trace(&waves_, 99);
    waves_.open(path);
    return waves_.isOpen();
  }
#endif

  void set_frame_ring(uint8_t *ring, uint64_t slots, uint64_t slot_bytes) {
    frame_ring_ = ring;
    slots_ = slots;
    slot_bytes_ = slot_bytes;
  }

  void set_kill(bool level) { top_.kill = level; }

  // One cycle of both clocks with this word on the receiver's input.
  void cycle(uint64_t data, uint8_t control) {
    auto &rx = top_.rx___05Fpayload;
    rx[0] = static_cast<uint32_t>(data);
    rx[1] = static_cast<uint32_t>(data >> 32);
    rx[2] = control;
    top_.rx___05Fvalid = 1;
    edge();
  }

  void idle() { cycle(kIdleData, kIdleControl); }

  // `cycles` idle cycles in the time of one: the gateware's time counters jump by the others.
  void skip(uint64_t cycles) {
    if (cycles == 0) return;
    top_.i_skip = cycles - 1;
    idle();
    top_.i_skip = 0;
    skipped_ += cycles - 1;
  }

  // A bus access begins with the next cycle. Poll `busy()` while cycles pass.
  void begin_access(bool write, uint32_t offset, uint32_t data) {
    top_.csr___05Faddress = offset >> 2;
    top_.csr___05Fwrite_data = data;
    (write ? top_.csr___05Fwrite : top_.csr___05Fread) = 1;
    busy_ = true;
    waited_ = 0;
    failed_ = false;
  }

  bool busy() const { return busy_; }
  bool failed() const { return failed_; }
  uint32_t read_data() const { return read_data_; }
  uint64_t cycles() const { return cycles_; }
  uint64_t age() const { return cycles_ + skipped_; }
  uint64_t events() const { return events_; }
  uint64_t frames() const { return frames_; }

 private:
  void edge() {
    // Inputs change with the falling edges, outputs are read before the rising ones.
    top_.clk = 0;
    top_.eval();
    dump(0);
    sample();  // what stood on the outputs when the edge came
    top_.clk = 1;
    top_.eval();
    dump(kPeriodPs / 2);
    // The bus strobes are high for this one edge.
    top_.csr___05Fread = top_.csr___05Fwrite = 0;
    cycles_++;
  }

  // Time goes on over what was skipped.
  void dump(uint64_t phase) {
#if VM_TRACE
    if (waves_.isOpen()) waves_.dump((cycles_ + skipped_) * kPeriodPs + phase);
#endif
  }

  void sample() {
    const auto &tx = top_.tx;
    uint64_t data = tx[0] | static_cast<uint64_t>(tx[1]) << 32;
    uint8_t control = static_cast<uint8_t>(tx[2]);
    if (data != kIdleData || control != kIdleControl) sink_.word({cycles_, data, control});
    if (top_.o_event___05Fvalid) {
      const auto &event = top_.o_event___05Fpayload;
      event_word(event[0] | static_cast<uint64_t>(event[1]) << 32, event[2] & 1);
    }
    if (top_.o_frame___05Fvalid) {
      const auto &frame = top_.o_frame___05Fpayload;
      frame_word(frame[0] | static_cast<uint64_t>(frame[1]) << 32, frame[2] & 1, frame[2] >> 1 & 1);
    }
    if (busy_) {
      if (top_.csr___05Facknowledge) {
        read_data_ = top_.csr___05Fread_data;
        busy_ = false;
      } else if (++waited_ > kPatience) {
        failed_ = true;
        busy_ = false;
      }
    }
  }

  void event_word(uint64_t word, bool first) {
    if (ring_ == nullptr) return;
    if (first) place_ = 0;
    if (place_ >= kRecordBytes) return;  // words after the eighth belong to no record
    std::memcpy(record_ + place_, &word, sizeof word);
    place_ += sizeof word;
    if (place_ < kRecordBytes) return;
    uint8_t *slot = ring_ + kRecordBytes * (events_ % records_);
    std::memcpy(slot, record_, kRecordBytes - 1);
    // The first round's phase is 1, so that a ring of zeros holds no record.
    uint8_t phase = (events_ / records_ & 1) ^ 1;
    __atomic_store_n(slot + kRecordBytes - 1, phase, __ATOMIC_RELEASE);
    events_++;
  }

  // The header's first word, the frame from kFrameHeader on, the header's second word.
  void frame_word(uint64_t word, bool first, bool last) {
    if (frame_ring_ == nullptr) return;
    uint8_t *slot = frame_ring_ + slot_bytes_ * (frames_ % slots_);
    if (last) {
      std::memcpy(slot + 8, &word, 7);
      uint8_t phase = (frames_ / slots_ & 1) ^ 1;
      __atomic_store_n(slot + kFrameHeader - 1, phase, __ATOMIC_RELEASE);
      frames_++;
    } else if (first) {
      std::memcpy(slot, &word, sizeof word);
      frame_place_ = kFrameHeader;
    } else if (frame_place_ + sizeof word <= slot_bytes_) {
      std::memcpy(slot + frame_place_, &word, sizeof word);
      frame_place_ += sizeof word;
    }
  }

  static constexpr uint64_t kPatience = 10000;

  VerilatedContext context_;  // of its own: the default one remembers cores that have ended
  Vgateway top_{&context_};
  TxSink &sink_;
  bool busy_ = false, failed_ = false;
  uint32_t read_data_ = 0;
  uint64_t cycles_ = 0, waited_ = 0, events_ = 0, records_ = 1, place_ = kRecordBytes;
  uint64_t frames_ = 0, slots_ = 1, slot_bytes_ = 0, frame_place_ = 0;
  uint8_t *ring_ = nullptr, *frame_ring_ = nullptr;
  uint8_t record_[kRecordBytes] = {};
  uint64_t skipped_ = 0;
#if VM_TRACE
  VerilatedVcdC waves_;
#endif
};

}  // namespace tickwire
