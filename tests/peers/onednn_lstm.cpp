// onednn_lstm.cpp - speed of one LSTM layer, forward for training and backward, through oneDNN 2.x's own primitive.
//
//   c++ -O2 -std=c++17 -fopenmp onednn_lstm.cpp -ldnnl -o onednn_lstm        (Debian: libdnnl-dev)
//   OMP_NUM_THREADS=4 ./onednn_lstm HIDDEN BATCH STEPS [ROUNDS]
//
// The input is as wide as the hidden state.  All memory formats are left to the library and weights are given in the
// formats that it prefers, one for forward and one for backward, so that no reordering is in the times of these.  A
// trainer, whose optimiser changes weights (4H,H) after each step, must bring them into both formats, and gradients,
// which it sets to zero because the library adds to them, back: all of it is timed in rounds of their own ("trainer").
// Operations counted: 16 H^2 per row and step forward (two products of 4H x H), twice that backward.  Prints one JSON
// line; times are medians over the rounds.
#include <dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>
#include <vector>

using dnnl::memory;
using arguments = std::unordered_map<int, memory>;

static memory filled(const memory::desc &d, const dnnl::engine &e)
{
    memory m(d, e);
    float *x = static_cast<float *>(m.get_data_handle());
    unsigned s = 1;
    for (size_t i = 0; i < d.get_size() / sizeof(float); i++) {
        s = s * 1664525u + 1013904223u;
        x[i] = (static_cast<float>(s >> 8) * 0x1p-23f - 1.0f) * 0.1f;
    }
    return m;
}

template <typename Work> static double seconds_of(dnnl::stream &s, Work work)
{
    auto begin = std::chrono::steady_clock::now();
    work();
    s.wait();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

static void set_to_zero(const memory &m)
{
    float *x = static_cast<float *>(m.get_data_handle());
    const long n = static_cast<long>(m.get_desc().get_size() / sizeof(float));
#pragma omp parallel for
    for (long i = 0; i < n; i++)
        x[i] = 0;
}

// Weights or gradients of a trainer, (gate, output, input), that go to and from a primitive's own format.
struct Exchange {
    memory own, plain;
    dnnl::reorder to_own, to_plain;
    Exchange(const memory &m, const dnnl::engine &e)
        : own(m), plain({m.get_desc().dims(), memory::data_type::f32, memory::format_tag::ldgoi}, e),
          to_own(plain, own), to_plain(own, plain)
    {
    }
};

static double median(std::vector<double> x)
{
    std::nth_element(x.begin(), x.begin() + x.size() / 2, x.end());
    return x[x.size() / 2];
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        std::fprintf(stderr, "usage: %s HIDDEN BATCH STEPS [ROUNDS]\n", argv[0]);
        return 2;
    }
    const memory::dim H = std::atoi(argv[1]), B = std::atoi(argv[2]), T = std::atoi(argv[3]);
    const int rounds = argc > 4 ? std::atoi(argv[4]) : 11;

    dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(cpu);
    auto any = [](memory::dims d) {
        return memory::desc(d, memory::data_type::f32, memory::format_tag::any);
    };
    memory::desc layer = any({T, B, H}), state = any({1, 1, B, H}), weight = any({1, 1, H, 4, H}),
                 bias = any({1, 1, 4, H});
    const auto direction = dnnl::rnn_direction::unidirectional_left2right;

    dnnl::lstm_forward::primitive_desc forward_desc({dnnl::prop_kind::forward_training, direction, layer,
                                                     state, state, weight, weight, bias, layer, state, state},
                                                    cpu);
    dnnl::lstm_backward::primitive_desc backward_desc({dnnl::prop_kind::backward,
                                                       direction,
                                                       layer,
                                                       state,
                                                       state,
                                                       weight,
                                                       weight,
                                                       bias,
                                                       layer,
                                                       state,
                                                       state,
                                                       layer,
                                                       state,
                                                       state,
                                                       weight,
                                                       weight,
                                                       bias,
                                                       layer,
                                                       state,
                                                       state},
                                                      cpu, forward_desc);

    arguments forward = {{DNNL_ARG_SRC_LAYER, filled(forward_desc.src_layer_desc(), cpu)},
                         {DNNL_ARG_SRC_ITER, filled(forward_desc.src_iter_desc(), cpu)},
                         {DNNL_ARG_SRC_ITER_C, filled(forward_desc.src_iter_c_desc(), cpu)},
                         {DNNL_ARG_WEIGHTS_LAYER, filled(forward_desc.weights_layer_desc(), cpu)},
                         {DNNL_ARG_WEIGHTS_ITER, filled(forward_desc.weights_iter_desc(), cpu)},
                         {DNNL_ARG_BIAS, filled(forward_desc.bias_desc(), cpu)},
                         {DNNL_ARG_DST_LAYER, filled(forward_desc.dst_layer_desc(), cpu)},
                         {DNNL_ARG_DST_ITER, filled(forward_desc.dst_iter_desc(), cpu)},
                         {DNNL_ARG_DST_ITER_C, filled(forward_desc.dst_iter_c_desc(), cpu)},
                         {DNNL_ARG_WORKSPACE, memory(forward_desc.workspace_desc(), cpu)}};
    arguments backward = forward;
    const arguments added = {
        {DNNL_ARG_WEIGHTS_LAYER, filled(backward_desc.weights_layer_desc(), cpu)},
        {DNNL_ARG_WEIGHTS_ITER, filled(backward_desc.weights_iter_desc(), cpu)},
        {DNNL_ARG_DIFF_SRC_LAYER, filled(backward_desc.diff_src_layer_desc(), cpu)},
        {DNNL_ARG_DIFF_SRC_ITER, filled(backward_desc.diff_src_iter_desc(), cpu)},
        {DNNL_ARG_DIFF_SRC_ITER_C, filled(backward_desc.diff_src_iter_c_desc(), cpu)},
        {DNNL_ARG_DIFF_WEIGHTS_LAYER, filled(backward_desc.diff_weights_layer_desc(), cpu)},
        {DNNL_ARG_DIFF_WEIGHTS_ITER, filled(backward_desc.diff_weights_iter_desc(), cpu)},
        {DNNL_ARG_DIFF_BIAS, filled(backward_desc.diff_bias_desc(), cpu)},
        {DNNL_ARG_DIFF_DST_LAYER, filled(backward_desc.diff_dst_layer_desc(), cpu)},
        {DNNL_ARG_DIFF_DST_ITER, filled(backward_desc.diff_dst_iter_desc(), cpu)},
        {DNNL_ARG_DIFF_DST_ITER_C, filled(backward_desc.diff_dst_iter_c_desc(), cpu)}};
    for (const auto &a : added)
        backward[a.first] = a.second;

    dnnl::lstm_forward forward_layer(forward_desc);
    dnnl::lstm_backward backward_layer(backward_desc);
    std::vector<double> forward_s, backward_s, trainer_s;
    for (int i = -2; i < rounds; i++) { // the first two warm up
        double f = seconds_of(stream, [&] { forward_layer.execute(stream, forward); }),
               b = seconds_of(stream, [&] { backward_layer.execute(stream, backward); });
        if (i >= 0) {
            forward_s.push_back(f);
            backward_s.push_back(b);
        }
    }

    std::vector<Exchange> forward_weights, backward_weights, gradients;
    for (int name : {DNNL_ARG_WEIGHTS_LAYER, DNNL_ARG_WEIGHTS_ITER}) {
        forward_weights.emplace_back(forward.at(name), cpu);
        backward_weights.emplace_back(backward.at(name), cpu);
    }
    for (int name : {DNNL_ARG_DIFF_WEIGHTS_LAYER, DNNL_ARG_DIFF_WEIGHTS_ITER})
        gradients.emplace_back(backward.at(name), cpu);
    for (auto *weights : {&forward_weights, &backward_weights})
        for (auto &w : *weights)
            w.to_plain.execute(stream, w.own, w.plain); // the values that there were
    for (int i = -2; i < rounds; i++) {
        double all = seconds_of(stream, [&] {
            for (auto &w : forward_weights)
                w.to_own.execute(stream, w.plain, w.own);
            forward_layer.execute(stream, forward);
            for (auto &w : backward_weights)
                w.to_own.execute(stream, w.plain, w.own);
            for (auto &g : gradients)
                set_to_zero(g.own);
            backward_layer.execute(stream, backward);
            for (auto &g : gradients)
                g.to_plain.execute(stream, g.own, g.plain);
        });
        if (i >= 0)
            trainer_s.push_back(all);
    }
    const double f = median(forward_s), b = median(backward_s), t = median(trainer_s),
                 gflop = 16e-9 * double(H) * double(H) * double(B) * double(T);
    const dnnl_version_t *v = dnnl_version();
    std::printf(
        "{\"program\": \"oneDNN %d.%d.%d %s\", \"hidden\": %ld, \"batch\": %ld, \"steps\": %ld, "
        "\"forward_ms\": %.3f, "
        "\"backward_ms\": %.3f, \"trainer_ms\": %.3f, \"forward_gflops\": %.1f, \"backward_gflops\": %.1f, "
        "\"gflops\": %.1f, \"trainer_gflops\": %.1f}\n",
        v->major, v->minor, v->patch, forward_desc.impl_info_str(), long(H), long(B), long(T), f * 1e3,
        b * 1e3, t * 1e3, gflop / f, 2 * gflop / b, 3 * gflop / (f + b), 3 * gflop / t);
    return 0;
}
