"""Training speed of PyTorch's stock recurrent word language model, in tokens per second.

    python3 torch_lm.py --cell lstm --layers 2 --embedding 650 --hidden 650 --vocab 10000 --batch 20 --bptt 35

A step is what a user of PyTorch writes: nn.Embedding, nn.LSTM / GRU / RNN, nn.Linear, cross-entropy, backward,
clipping by global norm, SGD, state carried over. Thread counts take turns, round by round, so that a busy host
disturbs all of them alike; a count's rate is the median of its rounds, and the best count is reported. One JSON line
is printed. "gflops" counts, per token, 6 operations for each weight of the products (a multiply-add forward, two
backward), as `unroll bench` does.

Denormals are flushed: the flag is set before the first parallel work, and threads inherit it from their creator.
"""
import argparse
import json
import os
import statistics
import time

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.encoder = nn.Embedding(a.vocab, a.embedding)
        if a.cell in ("rnn_tanh", "rnn_relu"):
            self.rnn = nn.RNN(a.embedding, a.hidden, a.layers, nonlinearity=a.cell[4:], dropout=a.dropout)
        else:
            self.rnn = {"lstm": nn.LSTM, "gru": nn.GRU}[a.cell](a.embedding, a.hidden, a.layers, dropout=a.dropout)
        self.decoder = nn.Linear(a.hidden, a.vocab)
        self.drop = nn.Dropout(a.dropout) if a.dropout > 0 else nn.Identity()
        if a.tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, x, state):
        y, state = self.rnn(self.drop(self.encoder(x)), state)
        return self.decoder(self.drop(y)), state

    def products(self):
        """Multiply-adds of a token's forward products."""
        return sum(w.numel() for name, w in self.named_parameters() if "weight_" in name) + self.decoder.weight.numel()


class Trainer:
    def __init__(self, a):
        self.a, self.model, self.state = a, Model(a), None
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.x = torch.randint(a.vocab, (a.bptt, a.batch))
        self.y = torch.randint(a.vocab, (a.bptt * a.batch,))

    def step(self):
        if self.state is not None:
            many = isinstance(self.state, tuple)
            self.state = tuple(s.detach() for s in self.state) if many else self.state.detach()
        self.optimizer.zero_grad()
        logits, self.state = self.model(self.x, self.state)
        loss = nn.functional.cross_entropy(logits.view(-1, self.a.vocab), self.y)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 0.25)
        self.optimizer.step()
        return loss.item()

    def rate(self, threads, seconds):
        """Tokens per second of one round: two steps to warm up, then whole steps for about `seconds`."""
        torch.set_num_threads(threads)
        self.step(), self.step()
        steps, begin = 0, time.perf_counter()
        while steps < 2 or time.perf_counter() - begin < seconds:
            self.step()
            steps += 1
        return steps * self.a.batch * self.a.bptt / (time.perf_counter() - begin)


def arguments():
    p = argparse.ArgumentParser(description="Training speed of PyTorch's recurrent word language model.")
    p.add_argument("--cell", choices=["rnn_tanh", "rnn_relu", "lstm", "gru"], default="lstm")
    for name, default in dict(layers=2, embedding=200, hidden=200, vocab=10000, batch=20, bptt=20).items():
        p.add_argument("--" + name, type=int, default=default)
    p.add_argument("--tied", action="store_true")
    p.add_argument("--dropout", type=float, default=0.0)
    p.add_argument("--threads", help="counts to try, as in 1,2,4; default: 1 .. cores that this process may use")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=1.0, help="length of a round")
    return p.parse_args()


def main():
    a = arguments()
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    counts = range(1, len(os.sched_getaffinity(0)) + 1)
    if a.threads:
        counts = [int(n) for n in a.threads.split(",")]
    trainer, rates = Trainer(a), {n: [] for n in counts}
    for _ in range(a.rounds):
        for n in counts:
            rates[n].append(trainer.rate(n, a.seconds))
    by_threads = {n: statistics.median(r) for n, r in rates.items()}
    best = max(by_threads, key=by_threads.get)
    shape = {k: getattr(a, k) for k in "cell layers embedding hidden vocab batch bptt tied dropout".split()}
    print(json.dumps({"program": f"torch {torch.__version__}", **shape, "threads": best,
                      "tokens_per_s": round(by_threads[best], 1),
                      "gflops": round(6 * trainer.model.products() * by_threads[best] * 1e-9, 1),
                      "by_threads": {n: round(r, 1) for n, r in by_threads.items()}, "rounds": a.rounds}))


if __name__ == "__main__":
    main()
