// Runs the gateware that CXXRTL made of itself: one clock edge, one bus access, one word at a time.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "ports.h"  // made beside design.h: TICKWIRE_TOP, TICKWIRE_TX, TICKWIRE_EVENT_*

namespace tickwire {

constexpr uint64_t kIdleData = 0x0707070707070707ull;
constexpr uint8_t kIdleControl = 0xff;
constexpr uint64_t kRecordBytes = 64;

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
  explicit Core(TxSink &sink) : sink_(sink) {
    top_.p_rst.set<bool>(true);
    top_.p_rx__rst.set<bool>(true);
    // Whether one evaluation settles everything: then a cycle costs one. It says so itself.
    single_ = top_.eval();
    top_.commit();
    for (int k = 0; k < 4; k++) edge();
    top_.p_rst.set<bool>(false);
    top_.p_rx__rst.set<bool>(false);
    cycles_ = 0;
  }

  void set_event_ring(uint8_t *ring, uint64_t records) {
    ring_ = ring;
    records_ = records;
  }

  void set_kill(bool level) { top_.p_kill.set<bool>(level); }

  // One cycle of both clocks with this word on the receiver's input.
  void cycle(uint64_t data, uint8_t control) {
    auto &rx = top_.p_rx____payload.data;
    rx[0] = static_cast<uint32_t>(data);
    rx[1] = static_cast<uint32_t>(data >> 32);
    rx[2] = control;
    top_.p_rx____valid.set<bool>(true);
    edge();
  }

  void idle() { cycle(kIdleData, kIdleControl); }

  // `cycles` idle cycles in the time of one: the gateware's time counters jump by the others.
  void skip(uint64_t cycles) {
    if (cycles == 0) return;
    top_.p_i__skip.set<uint64_t>(cycles - 1);
    idle();
    top_.p_i__skip.set<uint64_t>(0);
  }

  // A bus access begins with the next cycle. Poll `busy()` while cycles pass.
  void begin_access(bool write, uint32_t offset, uint32_t data) {
    top_.p_csr____address.set<uint32_t>(offset >> 2);
    top_.p_csr____write__data.set<uint32_t>(data);
    (write ? top_.p_csr____write : top_.p_csr____read).set<bool>(true);
    busy_ = true;
    waited_ = 0;
    failed_ = false;
  }

  bool busy() const { return busy_; }
  bool failed() const { return failed_; }
  uint32_t read_data() const { return read_data_; }
  uint64_t cycles() const { return cycles_; }
  uint64_t events() const { return events_; }
  bool single() const { return single_; }

 private:
  void edge() {
    if (!single_) {
      // Settle with no edge first; the edge then sees settled wires only.
      top_.prev_p_clk.set<bool>(true);
      top_.prev_p_rx__clk.set<bool>(true);
      top_.p_clk.set<bool>(true);
      top_.p_rx__clk.set<bool>(true);
      bool converged;
      do converged = top_.eval(); while (top_.commit() && !converged);
    }
    // Both clocks stay high and are said to have been low: a rising edge without a falling one.
    top_.p_clk.set<bool>(true);
    top_.p_rx__clk.set<bool>(true);
    top_.prev_p_clk.set<bool>(false);
    top_.prev_p_rx__clk.set<bool>(false);
    top_.eval();
    sample();  // what stood on the outputs when the edge came
    top_.commit();
    cycles_++;
  }

  void sample() {
    const auto &tx = TICKWIRE_TX.data;
    uint64_t data = tx[0] | static_cast<uint64_t>(tx[1]) << 32;
    uint8_t control = static_cast<uint8_t>(tx[2]);
    if (data != kIdleData || control != kIdleControl) sink_.word({cycles_, data, control});
    if (TICKWIRE_EVENT_VALID.data[0]) {
      const auto &event = TICKWIRE_EVENT_PAYLOAD.data;
      event_word(event[0] | static_cast<uint64_t>(event[1]) << 32, event[2] & 1);
    }
    if (busy_) {
      top_.p_csr____read.set<bool>(false);
      top_.p_csr____write.set<bool>(false);
      if (TICKWIRE_ACKNOWLEDGE.data[0]) {
        read_data_ = TICKWIRE_READ_DATA.data[0];
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

  static constexpr uint64_t kPatience = 10000;

  cxxrtl_design::TICKWIRE_TOP top_;
  TxSink &sink_;
  bool single_ = false, busy_ = false, failed_ = false;
  uint32_t read_data_ = 0;
  uint64_t cycles_ = 0, waited_ = 0, events_ = 0, records_ = 1, place_ = kRecordBytes;
  uint8_t *ring_ = nullptr;
  uint8_t record_[kRecordBytes] = {};
};

}  // namespace tickwire
