"""Records three steps of SGD of small classifiers of documents, for tests/trainer/test_class_golden.c.

    python3 make_classifier.py > classifier.txt              PyTorch 2.13.0, float64

Nothing is exchanged with the program: initial weights and documents come from one generator that both sides have,

    s = (1664525 s + 1013904223) mod 2^32,  u = s >> 8       from s = 1, first all weights, then the documents

    weight = (u - 2^23) / 2^25         in [-1/4, 1/4), exact in float; tensors in the order of PyTorch's state_dict
    token  = u V >> 24, label = u C >> 24                    document by document: its tokens, then its label

Each line is one case: cell, pooling, units of the head (0: none), layers, label smoothing; the mean loss of each of three
batches before its step; then, of each tensor after the last step, the sum of its elements and of element i times (i % 7 - 3).

Documents of unlike lengths are packed (pack_padded_sequence), which is what the program's rows that begin inside a window
have to agree with.
"""
import torch
from torch import nn

from draw import Generator

V, E, H, C, STEPS, LR = 23, 7, 9, 3, 3, 0.5
LENGTHS = (5, 11, 1, 8, 8, 3)  # of a batch's documents
WEIGHT = (0.5, 1.75, 1.0)  # of the classes


class Classifier(nn.Module):
    def __init__(self, cell, pooling, head, layers):
        super().__init__()
        both = pooling != "attention"
        width = (2 if both else 1) * H
        pooled = width * (3 if pooling == "concat" else 1)
        self.pooling, self.both = pooling, both
        self.encoder = nn.Embedding(V, E)
        self.rnn = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](E, H, layers, bidirectional=both)
        if pooling == "attention":
            self.attention = nn.Linear(width, 1, bias=False)
        if head:
            self.head = nn.Linear(pooled, head)
        self.decoder = nn.Linear(head or pooled, C)
        self.double()

    def start(self, draw):
        for tensor in self.state_dict().values():
            values = [(draw() - 2**23) / 2**25 for _ in range(tensor.numel())]
            tensor.copy_(torch.tensor(values, dtype=torch.float64).view_as(tensor))

    def pool(self, y):
        """One document's outputs, (length, width)."""
        last = torch.cat((y[-1, :H], y[0, H:]))
        if self.pooling == "max":
            return y.max(0).values
        if self.pooling == "attention":
            return (torch.softmax(self.attention(torch.tanh(y)), 0) * y).sum(0)
        return torch.cat((last, y.max(0).values, y.mean(0)))

    def forward(self, documents):
        x = nn.utils.rnn.pack_sequence([self.encoder(d) for d in documents], enforce_sorted=False)
        y, lengths = nn.utils.rnn.pad_packed_sequence(self.rnn(x)[0])
        pooled = torch.stack([self.pool(y[:n, b]) for b, n in enumerate(lengths)])
        if hasattr(self, "head"):
            pooled = torch.relu(self.head(pooled))
        return self.decoder(pooled)


def steps(cell, pooling, head, layers, smoothing):
    draw = Generator()
    model = Classifier(cell, pooling, head, layers)
    model.start(draw)
    optimizer = torch.optim.SGD(model.parameters(), LR)
    weight = torch.tensor(WEIGHT, dtype=torch.float64)
    for _ in range(STEPS):
        documents, labels = [], []
        for length in LENGTHS:
            documents.append(torch.tensor([draw() * V >> 24 for _ in range(length)]))
            labels.append(draw() * C >> 24)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(documents), torch.tensor(labels), weight, label_smoothing=smoothing)
        loss.backward()
        optimizer.step()
        yield loss.item()
    for tensor in model.state_dict().values():
        x = tensor.flatten()
        yield x.sum().item()
        yield (x * (torch.arange(len(x)) % 7 - 3)).sum().item()


print(f"# Made by make_classifier.py, PyTorch {torch.__version__}, float64")
for case in (("lstm", "max", 0, 1, 0.0), ("lstm", "max", 0, 2, 0.1), ("gru", "concat", 5, 1, 0.0),
             ("gru", "concat", 0, 2, 0.1), ("lstm", "attention", 0, 1, 0.0), ("lstm", "attention", 6, 2, 0.1)):
    print(*case, *[f"{x:.12g}" for x in steps(*case)])
