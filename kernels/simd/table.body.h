/* table.body.h - the table itself: every member that table.h lists, in its order. */

extern const kernels FN(kernels);
const kernels FN(kernels) = {
    .isa = KERNELS_ISA,

    .exp = FN(exp),
    .log = FN(log),
    .tanh = FN(tanh),
    .sigmoid = FN(sigmoid),

    .gemm = FN(gemm),
    .gemm_also = FN(gemm_also),
    .gemm_pack_rows = FN(gemm_pack_rows),

    .lstm_forward = FN(lstm_forward),
    .lstm_backward = FN(lstm_backward),
    .gru_forward = FN(gru_forward),
    .gru_backward = FN(gru_backward),
    .gru_before_forward_gates = FN(gru_before_forward_gates),
    .gru_before_forward_new = FN(gru_before_forward_new),
    .gru_before_backward_new = FN(gru_before_backward_new),
    .gru_before_backward_gates = FN(gru_before_backward_gates),
    .rnn_tanh_forward = FN(rnn_tanh_forward),
    .rnn_tanh_backward = FN(rnn_tanh_backward),
    .rnn_relu_forward = FN(rnn_relu_forward),
    .rnn_relu_backward = FN(rnn_relu_backward),

    .widen = FN(widen),
    .narrow = FN(narrow),

    .dropout = FN(dropout),

    .optim_sgd = FN(optim_sgd),
    .optim_adam = FN(optim_adam),
    .optim_rmsprop = FN(optim_rmsprop),
    .optim_adagrad = FN(optim_adagrad),

    .add = FN(add),
    .squares = FN(squares),
    .all_finite = FN(all_finite),

    .panel_bias_max = FN(panel_bias_max),
    .columns_max = FN(columns_max),
    .columns_sum = FN(columns_sum),
    .columns_exp = FN(columns_exp),

    .fma_chains = FN(fma_chains),
};
