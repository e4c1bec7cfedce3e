"""Training speed of PyTorch's stock bidirectional document classifier, in real tokens per second.

    python3 torch_classify.py FORM CELL LAYERS HIDDEN EMBEDDING VOCABULARY BATCH MEAN_LENGTH THREADS SECONDS
    python3 torch_classify.py packed lstm 1 128 128 20000 32 230 2 5

FORM packed: pack_padded_sequence, the last states of both directions. FORM padded: the padded batch as it is, the
forward direction read at each row's last word, the backward one at the first, which padding has gone through before:
another result, that favours the speed. Take the better of both, at the best of several thread counts.

A step is what a user of PyTorch writes: nn.Embedding, nn.LSTM / GRU / RNN, nn.Linear to two classes, cross-entropy,
backward, Adam at 1e-3. Words and labels are random; making them is not timed. One JSON line is printed. "gflops" counts
6 operations for each weight of the products (a multiply-add forward, two backward): of the recurrent layers for every
real token, of the output for every document. Padding does not count; "padded" is its share of what was computed, when
rows are padded. Denormals are flushed, before the first parallel work, so that all threads inherit it.

Lengths are given by whole numbers alone, so that any program can repeat them:

    document d = 0, 1, ... has max(1, (2 * QUANTILES[j] * MEAN_LENGTH + 1000) / 2000) words, j = (37 d + 11 (d / 64)) mod 64
    pool p = 0, 1, ... is the next 50 * BATCH documents, sorted by length, the shorter first; equal ones by d
    its batch number i = 0 .. 49 is number (17 i + 5) mod 50 of the 50 runs of BATCH documents in that order

all divisions rounded down. QUANTILES are those of the log-normal distribution whose logarithm has deviation 0.6, at
(j + 1/2) / 64, in thousandths of the mean; the last stands for the tail, so that their mean is 1000. IMDB's reviews are
spread so.
"""
import argparse
import json
import time

import torch
from torch import nn

QUANTILES = (
    196, 253, 290, 320, 345, 368, 389, 409, 428, 447, 465, 482, 499, 516, 533, 549,
    565, 582, 598, 615, 631, 648, 665, 681, 698, 716, 733, 751, 769, 788, 806, 826,
    845, 865, 886, 907, 929, 951, 975, 999, 1024, 1050, 1077, 1105, 1135, 1166, 1199, 1234,
    1271, 1310, 1352, 1398, 1448, 1502, 1562, 1629, 1705, 1793, 1896, 2022, 2183, 2404, 2752, 3865)
POOL = 50


def batches(batch, mean_length):
    """Lengths of batch after batch, without end; each batch with its longest document first, as packing wants it."""
    first = 0
    while True:
        documents = range(first, first + POOL * batch)
        quantiles = (QUANTILES[(37 * d + 11 * (d // 64)) % 64] for d in documents)
        pool = sorted(max(1, (2 * q * mean_length + 1000) // 2000) for q in quantiles)
        for i in range(POOL):
            run = (17 * i + 5) % POOL
            yield torch.tensor(pool[run * batch:(run + 1) * batch][::-1])
        first += POOL * batch


class Model(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.packed, self.hidden = a.form == "packed", a.hidden
        self.encoder = nn.Embedding(a.vocabulary, a.embedding)
        settings = dict(num_layers=a.layers, bidirectional=True)
        if a.cell in ("rnn_tanh", "rnn_relu"):
            self.rnn = nn.RNN(a.embedding, a.hidden, nonlinearity=a.cell[4:], **settings)
        else:
            self.rnn = {"lstm": nn.LSTM, "gru": nn.GRU}[a.cell](a.embedding, a.hidden, **settings)
        self.output = nn.Linear(2 * a.hidden, 2)

    def forward(self, x, lengths):
        x = self.encoder(x)
        if self.packed:
            _, state = self.rnn(nn.utils.rnn.pack_padded_sequence(x, lengths))
            h = state[0] if isinstance(state, tuple) else state
            return self.output(torch.cat([h[-2], h[-1]], 1))
        y, _ = self.rnn(x)
        last = y[lengths - 1, torch.arange(len(lengths)), :self.hidden]
        return self.output(torch.cat([last, y[0, :, self.hidden:]], 1))

    def operations(self, tokens, documents):
        a_token = sum(w.numel() for name, w in self.rnn.named_parameters() if name.startswith("weight_"))
        return 6 * (a_token * tokens + self.output.weight.numel() * documents)


class Trainer:
    def __init__(self, a):
        self.a, self.model = a, Model(a)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def step(self, lengths):
        """Seconds of one step on a new random batch."""
        x = torch.randint(self.a.vocabulary, (int(lengths[0]), len(lengths)))
        y = torch.randint(2, (len(lengths),))
        begin = time.perf_counter()
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(x, lengths), y)
        loss.backward()
        self.optimizer.step()
        loss.item()
        return time.perf_counter() - begin


def measure(a):
    """Two batches to warm up, then whole batches, from the first on, for about a.seconds."""
    trainer, warm = Trainer(a), batches(a.batch, a.mean_length)
    trainer.step(next(warm)), trainer.step(next(warm))
    seconds = steps = tokens = places = 0
    for lengths in batches(a.batch, a.mean_length):
        seconds += trainer.step(lengths)
        steps, tokens, places = steps + 1, tokens + int(lengths.sum()), places + int(lengths[0]) * a.batch
        if seconds >= a.seconds:
            break
    work = trainer.model.operations(tokens, steps * a.batch)
    return {"batches": steps, "tokens_per_s": round(tokens / seconds, 1), "gflops": round(work / seconds * 1e-9, 2),
            "padded": round(1 - tokens / places, 4)}


def arguments():
    p = argparse.ArgumentParser(description="Training speed of PyTorch's bidirectional document classifier.")
    p.add_argument("form", choices=["packed", "padded"])
    p.add_argument("cell", choices=["rnn_tanh", "rnn_relu", "lstm", "gru"])
    for name in "layers hidden embedding vocabulary batch mean_length threads".split():
        p.add_argument(name, type=int)
    p.add_argument("seconds", type=float)
    return p.parse_args()


def main():
    a = arguments()
    torch.set_flush_denormal(True)
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    print(json.dumps({"program": f"torch {torch.__version__}", **vars(a), **measure(a)}))


if __name__ == "__main__":
    main()
