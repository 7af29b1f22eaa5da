// What simulates a netlist, and models of the hard cells in it; see gates.py.
//
// Each model has its ports as fields, evaluate(), which sets the outputs from inputs and state, and
// edge(), which is a rising edge and tells whether the next one may differ though no input does.
// What a device leaves undefined is made wrong on purpose, so that no design gets away with using it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace cxxrtl_design {

struct Pin { uint32_t data[1] = {0}; };

struct p_top;

template<size_t kNets, size_t kWords, size_t kFlops, size_t kCells> struct Gates {
    Pin p_clk, prev_p_clk, p_rst, p_uart__rx, p_uart__tx, p_idle;
    uint8_t v[kNets] = {};
    uint64_t dirty[kWords] = {};
    size_t toggled = 0, edged = 0;
    uint32_t toggles[kFlops + 1];
    void (*edges[kCells + 1])(p_top &);

    bool commit() { return false; }

    void mark(const uint32_t *first, const uint16_t *fan, uint32_t net) {
        for (uint32_t k = first[net]; k < first[net + 1]; ++k)
            dirty[fan[k] >> 6] |= 1ull << (fan[k] & 63);
    }

    template<class Top>
    void set(Top &top, const uint32_t *first, const uint16_t *fan, uint32_t net, uint32_t value) {
        if (v[net] == value) return;
        v[net] = value;
        top.mark(first, fan, net);
    }

    // A piece marks only pieces after it.
    template<class Top> void settle(Top &top, void (*const *pieces)(Top &)) {
        for (size_t word = 0; word < kWords; ++word) {
            while (dirty[word]) {
                int bit = __builtin_ctzll(dirty[word]);
                dirty[word] &= dirty[word] - 1;
                pieces[word * 64 + bit](top);
            }
        }
    }

    template<class Top> void advance(Top &top, const uint32_t *first, const uint16_t *fan) {
        for (size_t k = 0; k < toggled; ++k) {
            v[toggles[k]] ^= 1;
            mark(first, fan, toggles[k]);
        }
        toggled = 0;
        for (size_t k = 0; k < edged; ++k) edges[k](top);
        edged = 0;
    }
};

// iCE40 block RAM: 256 rows of 16 bits. In mode m a row holds 2**m words, their bits interleaved,
// and the address bits above the row's choose one of them.
struct Ram40 {
    const uint32_t read_mode, write_mode;
    uint32_t RADDR = 0, RE = 0, RCLKE = 0, WADDR = 0, WE = 0, WCLKE = 0, MASK = 0, WDATA = 0;
    uint32_t RDATA = 0;
    uint16_t memory[256] = {};

    // Contents are 256 words as hexadecimal digits, the first word first; or nothing.
    Ram40(uint32_t read_mode, uint32_t write_mode, const char *contents = "")
        : read_mode(read_mode), write_mode(write_mode) {
        for (size_t k = 0; contents[k]; ++k) {
            char c = contents[k];
            memory[k / 4] = memory[k / 4] << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
        }
    }

    static bool selected(uint32_t mode, uint32_t address, int bit) {
        int parts = 1 << mode;
        return bit % parts == int(address >> 8) % parts;
    }

    // Bit of the port that carries a bit of the row.
    static int carrier(uint32_t mode, int bit) {
        static const int offset[] = {0, 0, 1, 3};
        int parts = 1 << mode;
        return bit / parts * parts + offset[mode];
    }

    void evaluate() {}

    bool edge() {
        uint32_t wanted = 0, data = 0;
        bool writes = WE && WCLKE;
        if (writes) {
            if (write_mode == 0) {
                wanted = ~MASK & 0xFFFF, data = WDATA;
            } else {
                for (int bit = 0; bit < 16; ++bit) {
                    if (!selected(write_mode, WADDR, bit)) continue;
                    wanted |= 1u << bit;
                    data |= (WDATA >> carrier(write_mode, bit) & 1) << bit;
                }
            }
        }
        if (RE && RCLKE) {
            uint32_t row = memory[RADDR & 255];
            if (writes && (RADDR & 255) == (WADDR & 255)) row ^= wanted;
            if (read_mode == 0) {
                RDATA = row;
            } else {
                RDATA = 0;
                for (int bit = 0; bit < 16; ++bit)
                    if (selected(read_mode, RADDR, bit))
                        RDATA |= (row >> bit & 1) << carrier(read_mode, bit);
            }
        }
        if (writes) {
            uint16_t &row = memory[WADDR & 255];
            row = (row & ~wanted) | (data & wanted);
        }
        return writes;
    }
};

// iCE40 UltraPlus single-port RAM.
struct Spram {
    uint32_t ADDRESS = 0, DATAIN = 0, MASKWREN = 0, WREN = 0, CHIPSELECT = 0;
    uint32_t STANDBY = 0, SLEEP = 0, POWEROFF = 1;
    uint32_t DATAOUT = 0;
    std::vector<uint16_t> memory;

    Spram() : memory(16384) {
        for (uint32_t k = 0; k < 16384; ++k) memory[k] = k * 40503u >> 3;
    }

    void evaluate() {}

    bool edge() {
        if (STANDBY || SLEEP || !POWEROFF) {
            DATAOUT ^= 0xFFFF;
            return true;
        }
        if (!CHIPSELECT) return false;
        uint16_t &row = memory[ADDRESS & 16383];
        if (!WREN) {
            DATAOUT = row;
            return false;
        }
        uint32_t wanted = 0;
        for (int k = 0; k < 4; ++k)
            if (MASKWREN >> k & 1) wanted |= 0xFu << 4 * k;
        row = (row & ~wanted) | (DATAIN & wanted);
        DATAOUT ^= 0xFFFF;
        return true;
    }
};

// iCE40 UltraPlus multiplier and accumulator, without its links to neighbours.
struct Mac16 {
    struct Mode {
        uint32_t c_reg, a_reg, b_reg, d_reg, top_reg, bottom_reg, cross_reg, product_reg;
        uint32_t top_output, top_lower, top_upper, top_carry;
        uint32_t bottom_output, bottom_lower, bottom_upper, bottom_carry;
        uint32_t small, a_signed, b_signed;
    };
    const Mode mode;
    uint32_t A = 0, B = 0, C = 0, D = 0, CE = 0, AHOLD = 0, BHOLD = 0, CHOLD = 0, DHOLD = 0;
    uint32_t IRSTTOP = 0, IRSTBOT = 0, ORSTTOP = 0, ORSTBOT = 0, OLOADTOP = 0, OLOADBOT = 0;
    uint32_t ADDSUBTOP = 0, ADDSUBBOT = 0, OHOLDTOP = 0, OHOLDBOT = 0, CI = 0;
    uint32_t O = 0, CO = 0;

    struct State {
        uint32_t a = 0, b = 0, c = 0, d = 0, f = 0, g = 0, j = 0, k = 0, h = 0, q = 0, s = 0;
        bool operator!=(const State &other) const { return std::memcmp(this, &other, sizeof *this); }
    } now, next;

    template<class... Modes> explicit Mac16(Modes... modes) : mode{uint32_t(modes)...} { evaluate(); }

    static uint32_t part(uint32_t value, bool high, bool sign) {
        uint32_t byte = high ? value >> 8 & 255 : value & 255;
        return sign && byte & 128 ? byte | 0xFF00 : byte;
    }

    // `now` holds the registers; the inputs of all of them are left in `next`.
    void evaluate() {
        uint32_t a = mode.a_reg ? now.a : A, b = mode.b_reg ? now.b : B;
        uint32_t c = mode.c_reg ? now.c : C, d = mode.d_reg ? now.d : D;
        uint32_t ah = part(a, true, mode.a_signed), al = part(a, false, mode.a_signed && mode.small);
        uint32_t bh = part(b, true, mode.b_signed), bl = part(b, false, mode.b_signed && mode.small);
        next = {A, B, C, D};
        next.f = ah * bh & 0xFFFF, next.j = (al & 255) * bh & 0xFFFF;
        next.k = ah * (bl & 255) & 0xFFFF, next.g = al * bl & 0xFFFF;
        uint32_t f = mode.top_reg ? now.f : next.f, g = mode.bottom_reg ? now.g : next.g;
        uint32_t j = mode.cross_reg ? now.j : next.j, k = mode.cross_reg ? now.k : next.k;
        uint32_t j_wide = mode.b_signed ? uint32_t(int16_t(j)) : j;
        uint32_t k_wide = mode.a_signed ? uint32_t(int16_t(k)) : k;
        next.h = g + (((j_wide & 0xFFFFFF) + (k_wide & 0xFFFFFF)) << 8) + (f << 16);
        uint32_t h = mode.product_reg ? now.h : next.h;

        uint32_t y = mode.bottom_upper ? d : now.s;
        uint32_t z = mode.bottom_lower == 0 ? b : mode.bottom_lower == 1 ? g :
                     mode.bottom_lower == 2 ? h & 0xFFFF : 0;
        uint32_t ci = mode.bottom_carry == 1 ? 1 : mode.bottom_carry == 3 ? CI : 0;
        uint32_t low = z + (y ^ (ADDSUBBOT ? 0xFFFF : 0)) + ci;
        uint32_t r = OLOADBOT ? d : (low ^ (ADDSUBBOT ? 0xFFFF : 0)) & 0xFFFF;
        uint32_t w = mode.top_upper ? c : now.q;
        uint32_t x = mode.top_lower == 0 ? a : mode.top_lower == 1 ? f :
                     mode.top_lower == 2 ? h >> 16 : z >> 15 & 1 ? 0xFFFF : 0;
        uint32_t carry = low >> 16 & 1;
        uint32_t hci = mode.top_carry < 2 ? mode.top_carry :
                       mode.top_carry == 2 ? carry : carry ^ ADDSUBBOT;
        uint32_t high = x + (w ^ (ADDSUBTOP ? 0xFFFF : 0)) + hci;
        uint32_t p = OLOADTOP ? c : (high ^ (ADDSUBTOP ? 0xFFFF : 0)) & 0xFFFF;
        next.q = p, next.s = r;
        const uint32_t top[] = {p, now.q, f, h >> 16}, bottom[] = {r, now.s, g, h & 0xFFFF};
        O = top[mode.top_output] << 16 | bottom[mode.bottom_output];
        CO = (high >> 16 & 1) ^ ADDSUBTOP;
    }

    bool edge() {
        evaluate();
        State before = now;
        if (CE) {
            if (!AHOLD) now.a = next.a;
            if (!BHOLD) now.b = next.b;
            if (!CHOLD) now.c = next.c;
            if (!DHOLD) now.d = next.d;
            now.f = next.f, now.g = next.g;
            if (!mode.small) now.j = next.j, now.k = next.k, now.h = next.h;
            if (!OHOLDTOP) now.q = next.q;
            if (!OHOLDBOT) now.s = next.s;
        }
        if (IRSTTOP) now.a = now.c = now.f = now.j = 0;
        if (IRSTBOT) now.b = now.d = now.g = now.k = now.h = 0;
        if (ORSTTOP) now.q = 0;
        if (ORSTBOT) now.s = 0;
        return now != before;
    }
};

// ECP5 distributed RAM: 16 words, read without a clock.
struct Dpr16 {
    uint32_t RAD = 0, WAD = 0, DI = 0, WRE = 0;
    uint32_t DO = 0;
    uint8_t memory[16] = {};

    void evaluate() { DO = memory[RAD]; }

    bool edge() {
        if (WRE) memory[WAD] = DI;
        return WRE;
    }
};

// ECP5 block RAM without output registers: 2048 parts of 9 bits. At 18 and 36 bits the lowest
// address bits of port A enable parts, and at 36 the second port's data are the upper half.
struct Dp16 {
    const uint32_t width_a, width_b;
    uint32_t ADA = 0, DIA = 0, CSA = 0, CEA = 0, WEA = 0, RSTA = 0;
    uint32_t ADB = 0, DIB = 0, CSB = 0, CEB = 0, WEB = 0, RSTB = 0;
    uint32_t DOA = 0, DOB = 0;
    uint16_t memory[2048] = {};

    Dp16(uint32_t width_a, uint32_t width_b) : width_a(width_a), width_b(width_b) {}

    static uint32_t first(uint32_t width, uint32_t address) {
        return width == 36 ? address >> 5 << 2 : width == 18 ? address >> 4 << 1 : address >> 3;
    }

    void evaluate() {}

    // Reads, with every bit wrong of a part that is written in this clock; and parts to write.
    uint64_t read(uint32_t width, uint32_t address, uint32_t from, uint32_t parts) const {
        uint64_t value = 0;
        for (uint32_t k = 0; k < width / 9; ++k) {
            uint32_t at = first(width, address) + k;
            uint64_t part = memory[at];
            if (at >= from && at - from < 4 && parts >> (at - from) & 1) part ^= 0x1FF;
            value |= part << 9 * k;
        }
        return value;
    }

    bool edge() {
        bool a = CEA && CSA == 0, b = CEB && CSB == 0;
        uint32_t from = first(width_a, ADA);
        uint32_t parts = !a || !WEA ? 0 : width_a == 36 ? ADA & 15 : width_a == 18 ? ADA & 3 : 1;
        if (b && !WEB) {
            uint64_t value = RSTB ? 0 : read(width_b, ADB, from, parts);
            if (width_b == 36) DOA = value & 0x3FFFF, DOB = value >> 18;
            else DOB = value;
        }
        if (a && !parts && width_b != 36) DOA = RSTA ? 0 : read(width_a, ADA, 0, 0);
        uint64_t data = width_a == 36 ? uint64_t(DIB) << 18 | DIA : DIA;
        for (uint32_t k = 0; k < 4; ++k)
            if (parts >> k & 1) memory[from + k] = data >> 9 * k & 0x1FF;
        return parts;
    }
};

// ECP5 multiplier without registers.
struct Mult18 {
    uint32_t A = 0, B = 0, SIGNEDA = 0, SIGNEDB = 0;
    uint64_t P = 0;

    static int64_t value(uint32_t bits, bool sign) {
        return sign && bits >> 17 ? int64_t(bits) - (1 << 18) : bits;
    }

    void evaluate() { P = uint64_t(value(A, SIGNEDA) * value(B, SIGNEDB)) & 0xFFFFFFFFF; }
    bool edge() { return false; }
};

}  // namespace cxxrtl_design
