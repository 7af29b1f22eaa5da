// A compiled top level with a UART at its pins and, if wanted, a pseudo-terminal at the UART.
//
// Everything that happens every clock is here. `top.cpp` is what Yosys made of the top level.

#include <asm/termbits.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "top.cpp"

namespace {

#include "watch.h"

using Queue = std::deque<uint8_t>;

constexpr size_t kQueued = 4096;        // bytes held in each direction; more stays in the terminal
constexpr uint64_t kQuietBits = 40;     // four characters: longer than any synchroniser
constexpr uint64_t kQuietCycles = 1 << 20;  // for a top level that cannot say that it is idle
constexpr uint64_t kMinSlice = 64, kMaxSlice = 1 << 16;
constexpr auto kSliceTime = std::chrono::microseconds(100);

size_t take(Queue &queue, uint8_t *data, size_t size) {
    size_t count = std::min(size, queue.size());
    std::copy_n(queue.begin(), count, data);
    queue.erase(queue.begin(), queue.begin() + count);
    return count;
}

// Drives `uart_rx`: start bit, eight data bits, stop bit, without a gap while bytes wait.
struct Sender {
    Queue queue;
    uint32_t shift = 1, bits = 0, wait = 0;

    bool busy() const { return bits || wait || !queue.empty(); }

    bool step(uint32_t divisor) {
        if (wait) {
            --wait;
        } else if (bits) {
            shift >>= 1, --bits, wait = divisor - 1;
        } else if (!queue.empty()) {
            shift = queue.front() << 1 | 0x200, bits = 9, wait = divisor - 1;
            queue.pop_front();
        }
        return shift & 1;
    }
};

// Samples `uart_tx` in the middle of each bit.
struct Receiver {
    Queue queue;
    uint32_t shift = 0, bits = 0, wait = 0;
    bool line_low = false;
    uint64_t errors = 0;

    bool busy() const { return bits; }

    void step(bool line, uint32_t divisor) {
        if (bits) {
            if (--wait) return;
            wait = divisor;
            if (--bits) {
                shift = shift >> 1 | line << 7;
            } else if (line) {
                queue.push_back(shift);
            } else {
                ++errors;
                line_low = true;
            }
        } else if (line) {
            line_low = false;
        } else if (!line_low) {
            // A line that stays low is a break, not one character after the other.
            bits = 9, wait = divisor + divisor / 2;
        }
    }
};

template<class Top> auto idle_pin(const Top &top, int) -> decltype(bool(top.p_idle.data[0])) {
    return top.p_idle.data[0];
}
template<class Top> bool idle_pin(const Top &, long) { return true; }
template<class Top> constexpr auto has_idle(int) -> decltype(&Top::p_idle, true) { return true; }
template<class Top> constexpr bool has_idle(long) { return false; }

struct Model {
    using Top = cxxrtl_design::p_top;

    Top top;
    Sender to_board;
    Receiver from_board;
    std::atomic<uint32_t> divisor;
    std::atomic<uint64_t> cycles{0};
    std::atomic<bool> stopping{false};
    Recorder recorder;
    std::mutex running;
    std::atomic<int> waiting{0};
    uint64_t still = 0;     // clocks since the line or the board last had something to do
    uint32_t speed = 0;     // of the terminal, in baud; 0 before the first byte

    explicit Model(uint32_t divisor) : divisor(divisor) {
        top.p_uart__rx.data[0] = 1;
        top.p_rst.data[0] = 1;
        clock(), clock();
        top.p_rst.data[0] = 0;
    }

    // One clock. Outputs are those of the cycle that ends with this edge, because CXXRTL evaluates
    // them from the state before it.
    void clock() {
        // The falling edge does nothing in a design with one edge; telling the model that it has
        // seen it saves half of all evaluations.
        top.p_clk.data[0] = 0;
        if (SETTLE) top.step();
        top.prev_p_clk.data[0] = 0;
        top.p_clk.data[0] = 1;
        bool converged;
        do converged = top.Top::eval();
        while (top.Top::commit() && !converged);
    }

    uint64_t run(uint64_t limit, size_t until) {
        return recorder.on ? advance<true>(limit, until) : advance<false>(limit, until);
    }

    template<bool watched> uint64_t advance(uint64_t limit, size_t until) {
        uint64_t done = 0;
        const uint32_t divisor = this->divisor;
        const uint64_t begun = cycles;
        for (; done < limit && from_board.queue.size() < until; ++done) {
            top.p_uart__rx.data[0] = to_board.step(divisor);
            clock();
            if (watched && recorder.on) {
                recorder.before(begun + done);
                recorder.after(begun + done + 1);
            }
            from_board.step(top.p_uart__tx.data[0], divisor);
            bool moving = to_board.busy() || from_board.busy() || !idle_pin(top, 0);
            still = moving ? 0 : still + 1;
        }
        cycles += done;
        return done;
    }

    bool quiet() const {
        return !to_board.busy() && still >= (has_idle<Top>(0) ? kQuietBits * divisor : kQuietCycles);
    }

    // Has the line keep the terminal's speed. That of the first bytes, whatever it is, stands for the
    // rate the board was built with: many programs leave a terminal's speed as they find it.
    void follow(int terminal, uint32_t clock_hz) {
        termios2 terms;
        if (ioctl(terminal, TCGETS2, &terms) || !terms.c_ospeed || terms.c_ospeed == speed) return;
        if (speed) divisor = std::max(2u, (clock_hz + terms.c_ospeed / 2) / terms.c_ospeed);
        speed = terms.c_ospeed;
    }

    // Connects the UART to the controlling side of a pseudo-terminal until it is told to stop.
    // Returns 0, or the number of the error that ended it.
    int serve(int terminal, int wake, uint32_t clock_hz) {
        uint8_t buffer[kQueued];
        uint64_t slice = 1024;
        while (!stopping) {
            if (size_t room = kQueued - std::min(kQueued, to_board.queue.size())) {
                ssize_t count = read(terminal, buffer, room);
                if (count > 0) to_board.queue.insert(to_board.queue.end(), buffer, buffer + count);
                else if (count < 0 && errno != EAGAIN && errno != EINTR) return errno;
                // After the bytes: who changes the speed has waited until they were gone.
                if (count > 0 || speed) follow(terminal, clock_hz);
            }

            bool asleep = quiet() || from_board.queue.size() >= kQueued;
            if (!asleep) {
                while (waiting) std::this_thread::yield();
                std::lock_guard<std::mutex> lock(running);
                auto start = std::chrono::steady_clock::now();
                run(slice, SIZE_MAX);
                auto time = std::chrono::steady_clock::now() - start;
                if (time < kSliceTime / 2 && slice < kMaxSlice) slice *= 2;
                if (time > kSliceTime * 2 && slice > kMinSlice) slice /= 2;
            }

            Queue &out = from_board.queue;
            if (!out.empty()) {
                size_t size = std::min(kQueued, out.size());
                std::copy_n(out.begin(), size, buffer);
                ssize_t count = write(terminal, buffer, size);
                if (count > 0) out.erase(out.begin(), out.begin() + count), asleep = false;
                else if (count < 0 && errno != EAGAIN && errno != EINTR) return errno;
            }

            if (asleep) {
                short events = (to_board.queue.size() < kQueued ? POLLIN : 0) |
                               (out.empty() ? 0 : POLLOUT);
                pollfd files[] = {{terminal, events, 0}, {wake, POLLIN, 0}};
                if (poll(files, 2, -1) < 0 && errno != EINTR) return errno;
            }
        }
        return 0;
    }

    const Signal *find(const std::vector<Signal> &signals, const char *name) {
        for (const Signal &signal : signals) if (name == std::string(signal.name)) return &signal;
        return nullptr;
    }
};

// Keeps the serving thread out; a mutex alone would let it in again before anybody else.
struct Pause {
    Model &model;
    explicit Pause(Model *model) : model(*model) {
        ++model->waiting;
        model->running.lock();
        --model->waiting;
    }
    ~Pause() { model.running.unlock(); }
};

}  // namespace

extern "C" {

void *model_create(uint32_t divisor) { return new Model(divisor); }
void model_destroy(Model *model) { delete model; }
uint32_t model_divisor(const Model *model) { return model->divisor; }
void model_set_divisor(Model *model, uint32_t divisor) { model->divisor = divisor; }
uint64_t model_cycles(const Model *model) { return model->cycles; }
uint64_t model_line_errors(const Model *model) { return model->from_board.errors; }
int model_quiet(const Model *model) { return model->quiet(); }
size_t model_unsent(const Model *model) { return model->to_board.queue.size(); }
size_t model_received(const Model *model) { return model->from_board.queue.size(); }

void model_send(Model *model, const uint8_t *data, size_t size) {
    model->to_board.queue.insert(model->to_board.queue.end(), data, data + size);
}

size_t model_receive(Model *model, uint8_t *data, size_t size) {
    return take(model->from_board.queue, data, size);
}

// Runs up to `limit` clocks, fewer if `until` bytes have been received; returns how many.
uint64_t model_run(Model *model, uint64_t limit, size_t until) { return model->run(limit, until); }

// The same without UART and queues: what there is to lose.
void model_run_bare(Model *model, uint64_t limit) {
    for (; limit; --limit) model->clock();
}

int model_serve(Model *model, int terminal, int wake, uint32_t clock_hz) {
    return model->serve(terminal, wake, clock_hz);
}
void model_stop(Model *model) { model->stopping = true; }

// Calls back with each signal's name, bits and words.
void model_signals(Model *model, void (*tell)(const char *, uint32_t, size_t)) {
    for (const Signal &s : signals_of(model->top)) tell(s.name, s.bits, s.words);
}

int model_watch(Model *model, const char *name, size_t word, uint32_t shift, uint32_t bits,
                int at_rest) {
    Pause pause(model);
    auto signals = signals_of(model->top);
    const Signal *signal = model->find(signals, name);
    return signal && model->recorder.add(*signal, word, shift, bits, at_rest);
}

int model_watch_start(Model *model, const char *tick, const char *busy, uint32_t from, uint32_t to,
                      int file, uint64_t most) {
    Pause pause(model);
    auto signals = signals_of(model->top);
    const Signal *a = model->find(signals, tick), *b = model->find(signals, busy);
    if (a && b) model->recorder.start(*a, *b, from, to, file, most);
    return a && b;
}

int model_watch_stop(Model *model) {
    Pause pause(model);
    return model->recorder.stop();
}

}
