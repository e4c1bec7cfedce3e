"""Records the first 20 training losses of small word language models, for tests/trainer/test_torch_golden.c.

    python3 make_lm_losses.py > lm_losses.txt                PyTorch 2.13.0, float64

Nothing is exchanged with the program: initial weights and text come from one generator that both sides have,

    s = (1664525 s + 1013904223) mod 2^32,  u = s >> 8       from s = 1, first all weights, then the text

    weight = (u - 2^23) / 2^25         in [-1/4, 1/4), exact in float; tensors in PyTorch's order, row by row
    token  = min(u V >> 24, u' V >> 24)                      two draws, so that frequent words can be learnt

The text has 6 rows of 20*5 + 1 tokens, drawn row by row; window k is steps 5k .. 5k+4 of all rows, and h (and c) are
carried from window to window.  Each line is one case: cell, tied, loss_scale, optimiser, lr, clip (0: none), and then
the mean loss in nats per token of windows 1 .. 20, each before its step.
"""
import torch
from torch import nn

from draw import Generator

V, H, LAYERS, T, B, STEPS = 31, 12, 2, 5, 6, 20
E_UNTIED = 10


class GruBefore(nn.Module):
    """A GRU whose reset gate multiplies the state before the product, as in Cho et al. 2014; parameters as nn.GRU's."""

    def __init__(self, inputs, hidden, layers):
        super().__init__()
        self.parts = nn.GRU(inputs, hidden, layers)

    def state_dict(self, *args, **kwargs):
        return self.parts.state_dict(*args, **kwargs)

    def forward(self, x, h):
        last = []
        for l in range(self.parts.num_layers):
            w_ih, w_hh, b_ih, b_hh = self.parts.all_weights[l]
            w_h, b_h, state, out = w_hh.chunk(3), b_hh.chunk(3), h[l], []
            for step in x:
                r_in, z_in, n_in = nn.functional.linear(step, w_ih, b_ih).chunk(3, 1)
                r = torch.sigmoid(r_in + nn.functional.linear(state, w_h[0], b_h[0]))
                z = torch.sigmoid(z_in + nn.functional.linear(state, w_h[1], b_h[1]))
                n = torch.tanh(n_in + nn.functional.linear(r * state, w_h[2], b_h[2]))
                state = (1 - z) * n + z * state
                out.append(state)
            x = torch.stack(out)
            last.append(state)
        return x, torch.stack(last)


class Model(nn.Module):
    def __init__(self, cell, tied):
        super().__init__()
        inputs = H if tied else E_UNTIED
        self.encoder = nn.Embedding(V, inputs)
        make = {"lstm": nn.LSTM, "gru": nn.GRU, "gru_before": GruBefore}.get(cell)
        self.rnn = make(inputs, H, LAYERS) if make else nn.RNN(inputs, H, LAYERS, nonlinearity=cell[4:])
        self.decoder = nn.Linear(H, V)
        if tied:
            self.decoder.weight = self.encoder.weight
        self.double()

    def start(self, draw):
        seen = set()
        for tensor in self.state_dict().values():
            if tensor.data_ptr() in seen:
                continue
            seen.add(tensor.data_ptr())
            values = [(draw() - 2**23) / 2**25 for _ in range(tensor.numel())]
            tensor.copy_(torch.tensor(values, dtype=torch.float64).view_as(tensor))

    def forward(self, x, state):
        y, state = self.rnn(self.encoder(x), state)
        return self.decoder(y), state


def losses(cell, tied, loss_scale, optimiser, lr, clip):
    draw = Generator()
    model = Model(cell, tied)
    model.start(draw)
    text = [[min(draw() * V >> 24, draw() * V >> 24) for _ in range(STEPS * T + 1)] for _ in range(B)]
    text = torch.tensor(text).t()
    optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimiser](model.parameters(), lr)
    state = torch.zeros(LAYERS, B, H, dtype=torch.float64)
    if cell == "lstm":
        state = (state, state.clone())
    for k in range(STEPS):
        x, y = text[k * T:(k + 1) * T], text[k * T + 1:(k + 1) * T + 1]
        optimizer.zero_grad()
        logits, state = model(x, state)
        state = tuple(s.detach() for s in state) if cell == "lstm" else state.detach()
        nats = nn.functional.cross_entropy(logits.view(-1, V), y.reshape(-1), reduction="sum")
        (nats / (T * B if loss_scale == "token_mean" else B)).backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        yield nats.item() / (T * B)


print(f"# Made by make_lm_losses.py, PyTorch {torch.__version__}, float64")
CELLS = ("rnn_tanh", "rnn_relu", "lstm", "gru", "gru_before")
CASES = [(cell, tied, scale, "sgd", lr, 0)
         for cell in CELLS for tied in (0, 1) for scale, lr in (("token_mean", 2.0), ("time_sum", 0.25))]
CASES += [(cell, tied, "token_mean", "adam", 0.0625, 0) for cell in CELLS for tied in (0, 1)]
CASES += [(cell, 1, "time_sum", "sgd", 0.5, 1.25) for cell in CELLS]
for case in CASES:
    print(*case, *[f"{loss:.12g}" for loss in losses(*case)])
