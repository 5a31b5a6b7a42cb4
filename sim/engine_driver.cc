// What Python calls through ctypes: the engine in this process, driven in bulk.
#include <cstddef>

#include "engine_core.h"

namespace {

struct Engine : tickwire::TxSink {
  std::vector<tickwire::TxWord> tx;
  tickwire::Core core{*this};
  void word(const tickwire::TxWord &word) override { tx.push_back(word); }
};

Engine &engine(void *handle) { return *static_cast<Engine *>(handle); }

}  // namespace

extern "C" {

void *tickwire_create() {
  auto *made = new Engine;
  made->tx.clear();  // what left during reset
  return made;
}

void tickwire_destroy(void *handle) { delete static_cast<Engine *>(handle); }

// From now on all waveforms go into a VCD file. Returns whether they do.
int tickwire_waves(void *handle, const char *path) {
#if VM_TRACE
  return engine(handle).core.open_waves(path);
#else
  return 0;
#endif
}

void tickwire_event_ring(void *handle, uint8_t *ring, uint64_t records) {
  engine(handle).core.set_event_ring(ring, records);
}

void tickwire_frame_ring(void *handle, uint8_t *ring, uint64_t slots, uint64_t slot_bytes) {
  engine(handle).core.set_frame_ring(ring, slots, slot_bytes);
}

// Plays n words; before word skips[2k] the time counters jump by skips[2k + 1] cycles.
void tickwire_run(void *handle, const uint64_t *data, const uint8_t *control, uint64_t n,
                  const uint64_t *skips, uint64_t skip_count) {
  auto &core = engine(handle).core;
  uint64_t next = 0;
  for (uint64_t k = 0; k < n; k++) {
    for (; next < skip_count && skips[2 * next] == k; next++) core.skip(skips[2 * next + 1]);
    core.cycle(data[k], control[k]);
  }
}

void tickwire_idle(void *handle, uint64_t n) {
  for (uint64_t k = 0; k < n; k++) engine(handle).core.idle();
}

void tickwire_skip(void *handle, uint64_t cycles) { engine(handle).core.skip(cycles); }

void tickwire_kill_pin(void *handle, int level) { engine(handle).core.set_kill(level != 0); }

// One bus access while the wire idles. Returns the data, or -1 if the bus did not answer.
int64_t tickwire_access(void *handle, int write, uint32_t offset, uint32_t data) {
  auto &core = engine(handle).core;
  core.begin_access(write != 0, offset, data);
  while (core.busy()) core.idle();
  return core.failed() ? -1 : static_cast<int64_t>(core.read_data());
}

uint64_t tickwire_cycles(void *handle) { return engine(handle).core.cycles(); }
uint64_t tickwire_events(void *handle) { return engine(handle).core.events(); }

uint64_t tickwire_tx_count(void *handle) { return engine(handle).tx.size(); }

// Hands over everything that has left so far.
void tickwire_take_tx(void *handle, uint64_t *cycle, uint64_t *data, uint8_t *control) {
  auto &tx = engine(handle).tx;
  for (size_t k = 0; k < tx.size(); k++) {
    cycle[k] = tx[k].cycle;
    data[k] = tx[k].data;
    control[k] = tx[k].control;
  }
  tx.clear();
}

}  // extern "C"
