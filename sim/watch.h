// What of a compiled top level can be watched, and a log of its changes.
//
// `signals.inc` lists its registers, memories and pins by the gateware's names.

struct Signal {
    const char *name;
    const uint32_t *data;
    uint32_t bits, stride;      // stride: chunks from one word of a memory to the next
    size_t words;
    bool pin;                   // pins show the clock that ends with an edge, all else the one after
};

template<class Top> std::vector<Signal> signals_of(Top &top) {
    return {
#define WIRE(name, member, bits) {name, top.member.curr.data, bits, 1, 1, false},
#define PIN(name, member, bits) {name, top.member.data, bits, 1, 1, true},
#define MEMORY(name, member, bits) {name, top.member.data[0].data, bits, \
    cxxrtl::value<bits>::chunks, top.member.depth, false},
#include "signals.inc"
#undef WIRE
#undef PIN
#undef MEMORY
    };
}

struct Watch {
    const uint32_t *data;
    uint32_t index, shift;
    bool wide, at_rest;
    uint64_t mask, last;

    uint64_t value() const {
        uint64_t chunk = data[0];
        if (wide) chunk |= uint64_t(data[1]) << 32;
        return chunk >> shift & mask;
    }
};

// Only what changes is written: clock and number of the watch in one word, its value in the next.
class Recorder {
    struct Change {
        uint64_t clock_and_watch, value;
    };
    static constexpr size_t kHeld = 4096;

    std::vector<Watch> pins, others;
    std::vector<Change> held;
    const uint32_t *tick = nullptr, *busy = nullptr;
    uint32_t from = 0, to = 0;
    uint64_t room = 0;
    int file = -1, error = 0;
    bool inside = false, full = false;

    void flush() {
        const char *data = reinterpret_cast<const char *>(held.data());
        size_t left = held.size() * sizeof(Change);
        while (left && !error) {
            ssize_t count = write(file, data, left);
            if (count > 0) data += count, left -= count;
            else if (errno != EINTR) error = errno;
        }
        held.clear();
        if (error) on = false;
    }

    void look(std::vector<Watch> &watches, uint64_t clock, bool all) {
        for (Watch &watch : watches) {
            if (watch.at_rest && *busy && !all) continue;
            uint64_t value = watch.value();
            if (value == watch.last && !all) continue;
            watch.last = value;
            if (!room) {
                full = true, on = false;
                return;
            }
            --room;
            held.push_back({clock << 16 | watch.index, value});
        }
        if (held.size() >= kHeld) flush();
    }

public:
    bool on = false;

    bool add(const Signal &signal, size_t word, uint32_t shift, uint32_t bits, bool at_rest) {
        size_t count = pins.size() + others.size();
        if (word >= signal.words || !bits || shift + bits > signal.bits || count >> 16) return false;
        const uint32_t *data = signal.data + word * signal.stride + shift / 32;
        shift %= 32;
        if (shift + bits > 64) return false;
        uint64_t mask = bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
        (signal.pin ? pins : others).push_back(
            {data, uint32_t(count), shift, shift + bits > 32, at_rest, mask, 0});
        return true;
    }

    void start(const Signal &tick, const Signal &busy, uint32_t from, uint32_t to, int file,
               uint64_t most) {
        this->tick = tick.data, this->busy = busy.data, this->from = from, this->to = to;
        this->file = file, room = most, error = 0, inside = full = false, on = true;
    }

    // Once before and once after the edge that ends a clock.
    void before(uint64_t clock) {
        if (inside) look(pins, clock, false);
    }
    void after(uint64_t clock) {
        bool was = inside;
        inside = from <= *tick && *tick < to;
        if (inside) {
            if (!was) look(pins, clock, true);
            look(others, clock, !was);
        }
    }

    // Returns the number of an error, -1 if there were more changes than wanted, or 0.
    int stop() {
        flush();
        pins.clear(), others.clear();
        on = false;
        return error ? error : full ? -1 : 0;
    }
};
