// A layer of memristor neurons over time, forwards and backwards: train/steps.py in one pass.
//
// A spike is 1 and rare: what a layer's spikes add to its drives are rows of weights, not a product of
// matrices.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

// As `Constants` in train/native.py.
struct Constants {
    float kf, kr, kb, r_max, r_noise, sigma, level, f_loss, r_loss, g_loss, f_max, v_max;
    float mean, beyond, sharpness, open_slope, drive_slope, held;
    int32_t entries, sustained;
};

struct Sizes {
    int32_t ticks, batch, neurons;
};

// A normal number of mean 0 and variance 1, nearly: the sum of a hash's four bytes.
inline float normal(uint32_t x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    int32_t sum = (x & 255) + (x >> 8 & 255) + (x >> 16 & 255) + (x >> 24);
    return (sum - 510) * (1 / 147.8006f);
}

inline uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

// By value: of references, compilers make branches, and loops with branches are not vectorised.
inline float larger(float a, float b) { return a > b ? a : b; }
inline float clamped(float x, float low, float high) {
    x = larger(x, low);
    return x < high ? x : high;
}

// Adds to four items' sums the products of their factors and the rows, four rows at a time.
void add_products(float *sum, const float *factor, const float *rows, int items, int width) {
    int item = 0;
    for (; item + 4 <= items; item += 4, sum += 4 * width, factor += 4 * width) {
        for (int k = 0; k < width; k += 4) {
            const int more = std::min(width - k, 4) - 1;
            // What is beyond the last row is added nought times.
            const float *a = rows + static_cast<int64_t>(k) * width, *b = a + std::min(more, 1) * width,
                        *c = a + std::min(more, 2) * width, *d = a + more * width;
            float by[16];
            for (int i = 0; i < 16; i++) by[i] = (i & 3) <= more ? factor[(i >> 2) * width + k + (i & 3)] : 0;
#pragma GCC ivdep
            for (int n = 0; n < width; n++) {
                sum[n] += by[0] * a[n] + by[1] * b[n] + by[2] * c[n] + by[3] * d[n];
                sum[n + width] += by[4] * a[n] + by[5] * b[n] + by[6] * c[n] + by[7] * d[n];
                sum[n + 2 * width] += by[8] * a[n] + by[9] * b[n] + by[10] * c[n] + by[11] * d[n];
                sum[n + 3 * width] += by[12] * a[n] + by[13] * b[n] + by[14] * c[n] + by[15] * d[n];
            }
        }
    }
    for (; item < items; item++, sum += width, factor += width)
        for (int k = 0; k < width; k++)
#pragma GCC ivdep
            for (int n = 0; n < width; n++) sum[n] += factor[k] * rows[static_cast<int64_t>(k) * width + n];
}

void add(float *__restrict sum, const float *__restrict row, int width) {
    for (int n = 0; n < width; n++) sum[n] += row[n];
}

// Calls what it is given with the number of each neuron that fired; most did not, and eight in a row
// that did not cost one comparison.
template <class Do> void each_fired(const float *z, int width, Do &&act) {
    int n = 0;
    for (; n + 8 <= width; n += 8) {
        uint64_t words[4];
        std::memcpy(words, z + n, sizeof words);
        if (!(words[0] | words[1] | words[2] | words[3])) continue;
        for (int i = n; i < n + 8; i++)
            if (z[i] != 0) act(i);
    }
    for (; n < width; n++)
        if (z[n] != 0) act(n);
}

void add_fired(float *drive, const float *z, const float *weights, int width) {
    each_fired(z, width, [=](int64_t n) { add(drive, weights + n * width, width); });
}

// The spikes of one item that arrive at the layer itself in this tick; `spikes` are those of the tick before.
const float *arriving(const float *spikes, const int32_t *delays, int tick, int64_t all, int width, float *found) {
    if (!delays) return spikes;
    for (int64_t n = 0; n < width; n++) found[n] = delays[n] < tick ? spikes[n - delays[n] * all] : 0;
    return found;
}

void add_outer(float *d_weights, const float *z, const float *dd, int width) {
    each_fired(z, width, [=](int64_t n) { add(d_weights + n * width, dd, width); });
}

}  // namespace

extern "C" {

// d holds the given drives and gets those of the layer itself added; the rest is written. delays: of each
// neuron's spikes to the layer, in ticks beside the one, or none.
void forward(const Sizes *size, const Constants *c, const float *kg, const float *growth,
             const float *limit, const float *table, const float *rest, const float *weights,
             const int32_t *delays, int noisy, uint64_t seed, float *d, float *spikes, float *gates, float *slopes,
             float *bridges) {
    const int N = size->neurons;
    const int64_t all = static_cast<int64_t>(size->batch) * N;
    std::vector<float> state(4 * all), draws(N + 1), late(N);
    std::fill(state.begin() + 3 * all, state.end(), 1.0f);
    float *__restrict xi = draws.data();
    const Constants k = *c;
    const float entries = k.entries, last = k.entries - 1;
    for (int tick = 0; tick < size->ticks; tick++) {
        for (int item = 0; item < size->batch; item++) {
            const int64_t at = tick * all + static_cast<int64_t>(item) * N;
            float *__restrict f = state.data() + static_cast<int64_t>(item) * N;
            float *__restrict r = f + all, *__restrict g = r + all, *__restrict off = g + all;
            float *__restrict drive = d + at, *__restrict z = spikes + at;
            float *__restrict gate = gates + at, *__restrict slope = slopes + at;
            float *__restrict bridge = bridges + at;
            if (weights && tick)
                add_fired(drive, arriving(spikes + at - all, delays, tick, all, N, late.data()), weights, N);
            if (noisy) {
                const uint32_t first = mixed(seed + (static_cast<uint64_t>(tick) << 32) + item);
                for (int n = 0; n < N; n++) xi[n + 1] = normal(first + n * 0x9e3779b9u);
                xi[0] = xi[N];
            }
#pragma GCC ivdep
            for (int n = 0; n < N; n++) {
                const float v = clamped(drive[n], 0, k.v_max), e = larger(v - g[n], 0.0f);
                const float h = table[static_cast<int>(clamped((limit[n] - f[n] - r[n]) * entries, 0, last))];
                const float df = growth[n] * e * h - k.kf * f[n] - k.f_loss;
                float f1 = f[n] + df, r1 = larger((1 - k.kr) * r[n] - k.r_loss, 0.0f);
                f1 += xi[n + 1] * std::sqrt(k.sigma * std::fabs(df));
                r1 += k.r_noise * xi[n];
                f1 = clamped(f1, 0, k.f_max);
                r1 = clamped(r1 + k.kb * f1, 0, k.r_max);
                const float over = f1 + r1 - limit[n];
                // Of numbers and not of truths: those, compilers make branches of.
                const float bridged = over >= 0 ? 1.0f : 0.0f, open = 1 - bridged;
                const float reaches = v >= k.level ? bridged : 0.0f;
                const float left = rest[static_cast<int>(clamped(-over * entries, 0, last))];
                const float away = bridged * over * k.beyond + open * left;
                const float g1 = larger((1 - kg[n]) * g[n] - k.g_loss, 0.0f);
                const float held = larger(g[n], v);
                z[n] = reaches * off[n];
                slope[n] = off[n] / (1 + k.sharpness * k.sharpness * away * away);
                gate[n] = g[n];
                bridge[n] = bridged;
                const float g2 = over >= 0 ? held : g1;
                g[n] = g2;
                f[n] = over >= 0 ? limit[n] - r1 : f1;
                r[n] = r1;
                off[n] = g2 < k.level ? 1.0f : 0.0f;
            }
            if (k.sustained)
                for (int n = 0; n < N; n++) z[n] = 1 - off[n];
        }
    }
}

// turned: the weights' transpose; d_kg, d_growth and d_weights have to be zero.
void backward(const Sizes *size, const Constants *c, const float *kg, const float *growth,
              const float *turned, const int32_t *delays, const float *d, const float *spikes, const float *gates,
              const float *slopes, const float *bridges, const float *d_spikes, float *out,
              float *d_kg, float *d_growth, float *d_weights) {
    const int N = size->neurons;
    const int64_t all = static_cast<int64_t>(size->batch) * N;
    std::vector<float> state(4 * all), late(N), stay(N);
    // What the layer's own weights bring back to spikes of earlier ticks, and to those of this one.
    std::vector<float> returned(turned ? size->ticks * all : all), product(turned ? all : 0);
    const Constants k = *c;
    const float even = 1 / k.mean, ends = k.sustained ? 1 / k.level : 0;
    if (k.sustained)
        for (int n = 0; n < N; n++)
            stay[n] = 1 - 1 / larger(1.0f, std::log(k.held / k.level) / -std::log1p(-kg[n]));
    for (int tick = size->ticks - 1; tick >= 0; tick--) {
        for (int item = 0; item < size->batch; item++) {
            const int64_t at = tick * all + static_cast<int64_t>(item) * N;
            float *__restrict dn = state.data() + static_cast<int64_t>(item) * N;
            float *__restrict dg = dn + all, *__restrict lasting = dg + all;
            const float *__restrict back = returned.data() + (turned ? at : at - tick * all);
            const float *__restrict stays = stay.data();
            const float *__restrict drive = d + at, *__restrict g = gates + at;
            const float *__restrict slope = slopes + at, *__restrict dz = d_spikes + at;
            const float *__restrict bridge = bridges + at;
            float *__restrict dd = out + at;
#pragma GCC ivdep
            for (int n = 0; n < N; n++) {
                const float bridged = bridge[n], open = 1 - bridged;
                const float raw = clamped(drive[n], 0, k.v_max) - g[n];
                const float e = larger(raw, 0.0f), opened = raw > 0 ? 1.0f : 0.0f;
                const float d_z = dz[n] + back[n];
                lasting[n] = d_z + stays[n] * lasting[n];
                const float d_n = lasting[n] * slope[n] + open * dn[n];
                const float scaled = d_n * even, d_e = scaled * growth[n];
                const float left = (1 - kg[n]) * g[n] - k.g_loss, decays = left > 0 ? open : 0.0f;
                const float over = k.sharpness * (larger(left, 0) / k.level - 1);
                dg[n] += open * ends * d_z / (1 + over * over);
                const float holds = g[n] > drive[n] ? bridged : 0.0f;
                const float d_v = raw > 0 ? d_e : k.open_slope * d_e;
                dd[n] = drive[n] < k.v_max ? d_v : k.drive_slope * d_v;
                dn[n] = (1 - k.kf) * d_n;
                d_growth[n] += scaled * e;
                d_kg[n] -= decays * dg[n] * g[n];
                dg[n] = (holds + decays * (1 - kg[n])) * dg[n] - opened * d_e;
            }
            if (turned && tick)
                add_outer(d_weights, arriving(spikes + at - all, delays, tick, all, N, late.data()), dd, N);
        }
        if (!turned || !tick) continue;
        std::fill(product.begin(), product.end(), 0.0f);
        add_products(product.data(), out + tick * all, turned, size->batch, N);
        for (int64_t at = 0; at < all; at += N)
            for (int64_t n = 0; n < N; n++) {
                const int64_t delay = delays ? delays[n] : 0;
                if (delay < tick) returned[(tick - 1 - delay) * all + at + n] += product[at + n];
            }
    }
}

}
