// The simulated card's own loop: it plays words, answers the mailbox, and sleeps when idle.
#include <poll.h>
#include <time.h>

#include <memory>

#include "card_memory.h"  // made from host/card_memory.py
#include "wire_bridge.h"

namespace {

struct Regions {
  uint64_t *header;
  uint8_t *events, *frames;
  uint64_t *rx_data;
  uint16_t *rx_control;
  uint64_t *tx_cycle, *tx_data;
  uint8_t *tx_control;
  uint32_t *burst;
};

uint64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

class Card : tickwire::TxSink {
 public:
  explicit Card(const Regions &regions) : r_(regions), core_(*this) {
    core_.set_event_ring(r_.events, load(card::event_records));
    core_.set_frame_ring(r_.frames, load(card::frame_slots), load(card::frame_slot));
    mask_ = load(card::wire_words) - 1;
    busy_until_ = kSettleCycles;
    leave_wall_clock();
  }

  void connect(int fd) { bridge_ = std::make_unique<tickwire::WireBridge>(fd); }

  // Serves until `nanoseconds` of wall clock are over, or `stop` is set.
  void serve(uint64_t nanoseconds) {
    const uint64_t end = now_ns() + nanoseconds;
    uint64_t hot_until = now_ns() + kSpinNs, nap = kShortestNapNs;
    while (!load(card::stop)) {
      bool worked = false;
      for (int k = 0; k < kBatch && step(); k++) worked = true;
      publish();
      const uint64_t now = now_ns();
      if (worked) {
        hot_until = now + kSpinNs;
        nap = kShortestNapNs;
        if (!at_rest()) fall_behind();
      } else if (now > hot_until) {
        // A frame that comes on the wire ends the nap.
        const timespec t{0, static_cast<long>(nap)};
        pollfd wire{bridge_ ? bridge_->fd() : -1, POLLIN, 0};
        ppoll(&wire, 1, &t, nullptr);
        nap = nap * 2 < kLongestNapNs ? nap * 2 : kLongestNapNs;
        at_rest() ? follow_wall_clock() : leave_wall_clock();
      }
      if (now >= end) return;
    }
  }

 private:
  static constexpr int kBatch = 256;
  static constexpr unsigned kAskEvery = 16;         // idle cycles
  static constexpr uint64_t kSettleCycles = 4096;   // idle cycles after something happened
  static constexpr uint64_t kSpinNs = 200000;       // time without work before the first nap
  static constexpr uint64_t kMakeUpNs = 500000000;  // behind the wall clock by accesses
  static constexpr uint64_t kShortestNapNs = 50000, kLongestNapNs = 2000000;

  uint64_t load(card::Field field) const {
    return __atomic_load_n(r_.header + field, __ATOMIC_ACQUIRE);
  }
  void store(card::Field field, uint64_t value) {
    __atomic_store_n(r_.header + field, value, __ATOMIC_RELEASE);
  }

  void publish() {
    store(card::cycles, core_.cycles());
    store(card::events_produced, core_.events());
    store(card::frames_produced, core_.frames());
    if (!bridge_) return;
    store(card::wire_in, bridge_->in);
    store(card::wire_out, bridge_->out);
    store(card::wire_damaged, bridge_->damaged);
    store(card::wire_lost, bridge_->lost);
  }

  // At most one cycle (or one skip). Returns whether there was anything to do.
  bool step() {
    core_.set_kill(load(card::kill_pin) != 0);
    const bool paused = load(card::mode) == card::kModePaused;
    if (!accessing_ && load(card::request) != load(card::response)) {
      const uint64_t address = load(card::address);
      const bool burst = address & card::kBurst;
      if (at_rest()) {
        // A host that reads a clock finds it right: what is skipped shows in it 3 cycles later,
        // and is sampled one after the strobe.
        follow_wall_clock();
        core_.idle();
      }
      writing_ = address & card::kWrite;
      core_.begin_access(writing_, static_cast<uint32_t>(address) + 4 * burst_,
                         burst ? r_.burst[burst_] : static_cast<uint32_t>(load(card::write_data)));
      accessing_ = true;
    }
    if (tx_full()) return false;
    const uint64_t consumed = load(card::rx_consumed);
    const bool running = !paused || core_.cycles() < load(card::run_target);
    const bool word = running && consumed != load(card::rx_produced);
    const bool idles = accessing_ || (paused && running) ||
                       (!paused && core_.cycles() < busy_until_);
    if (running && bridge_ && (bridge_->in_frame() || !word) && play_bridge(idles)) {
      busy_until_ = core_.cycles() + kSettleCycles;
      played_ = true;
    } else if (word) {
      played_ = true;
      const uint64_t place = consumed & mask_, control = r_.rx_control[place];
      if (control & card::kSkip)
        core_.skip(r_.rx_data[place]);
      else
        core_.cycle(r_.rx_data[place], static_cast<uint8_t>(control));
      store(card::rx_consumed, consumed + 1);
    } else if (idles) {
      core_.idle();
    } else {
      return false;
    }
    // A read starts nothing that would have to settle.
    if (word || (accessing_ && writing_)) busy_until_ = core_.cycles() + kSettleCycles;
    if (accessing_ && !core_.busy()) {
      store(card::response_data, core_.failed() ? card::kFailed : core_.read_data());
      store(card::accesses, load(card::accesses) + 1);
      accessing_ = false;
      // Of a burst the host hears when its last word is written, or the first one failed.
      if (load(card::address) & card::kBurst && !core_.failed() &&
          ++burst_ < load(card::write_data))
        return true;
      burst_ = 0;
      publish();
      store(card::response, load(card::request));
    }
    return true;
  }

  // Plays a word from the other end of the wire, if there is one. While cycles pass anyway, the
  // descriptor is only asked from time to time, because asking costs as much as some cycles.
  bool play_bridge(bool idles) {
    if (!bridge_->in_frame() && idles && ++asked_ % kAskEvery) return false;
    uint64_t data;
    uint8_t control;
    if (!bridge_->next(data, control)) return false;
    core_.cycle(data, control);
    return true;
  }

  // Nothing is under way in the gateware, except perhaps a read, and time is the card's own.
  bool at_rest() const {
    return load(card::mode) != card::kModePaused && core_.cycles() >= busy_until_;
  }

  // A card at rest is as old as the wall clock says.
  void follow_wall_clock() { core_.skip(behind()); }

  // While it works, time passes more slowly. It makes up for what a few accesses take, so that
  // its clock can be disciplined, but not for traffic: timers would run out at once.
  void fall_behind() {
    const double most = kMakeUpNs * 1e-9 * load(card::core_hz);
    if (played_ || load(card::mode) == card::kModePaused || behind() > most) leave_wall_clock();
    played_ = false;
  }

  void leave_wall_clock() {
    base_wall_ = now_ns();
    base_age_ = core_.age();
  }

  // Cycles that are missing to the wall clock.
  uint64_t behind() const {
    const double passed = (now_ns() - base_wall_) * (load(card::core_hz) * 1e-9);
    const uint64_t due = base_age_ + static_cast<uint64_t>(passed);
    return due > core_.age() ? due - core_.age() : 0;
  }

  bool tx_full() const {
    return load(card::tx_collect) &&
           load(card::tx_produced) - load(card::tx_consumed) > mask_;
  }

  void word(const tickwire::TxWord &word) override {
    if (bridge_) bridge_->sent(word);
    if (!load(card::tx_collect)) return;
    const uint64_t produced = load(card::tx_produced), place = produced & mask_;
    r_.tx_cycle[place] = word.cycle;
    r_.tx_data[place] = word.data;
    r_.tx_control[place] = word.control;
    store(card::tx_produced, produced + 1);
  }

  Regions r_;
  uint64_t mask_ = 0, busy_until_ = 0;
  uint64_t base_wall_ = 0, base_age_ = 0;  // from when on it follows the wall clock
  bool accessing_ = false, writing_ = false, played_ = false;
  unsigned asked_ = 0;
  uint32_t burst_ = 0;  // words of a burst that are written
  std::unique_ptr<tickwire::WireBridge> bridge_;
  tickwire::Core core_;
};

}  // namespace

extern "C" {

void *tickwire_card_create(const Regions *regions) { return new Card(*regions); }
void tickwire_card_serve(void *card, uint64_t nanoseconds) {
  static_cast<Card *>(card)->serve(nanoseconds);
}
// The descriptor gives and takes whole frames; it stays the caller's.
void tickwire_card_wire(void *card, int fd) { static_cast<Card *>(card)->connect(fd); }
void tickwire_card_destroy(void *card) { delete static_cast<Card *>(card); }

}  // extern "C"
