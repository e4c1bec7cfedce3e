"""Records what torch.optim does with groups of parameters at rates of their own, which thaw one after the other, for
tests/trainer/test_groups.c.

    python3 make_groups.py > groups.txt              PyTorch 2.13.0, float64

The parameters are those of a language model with 2 layers of 2 tanh units, vectors of 2 and 3 words, in the order of NAMES
(tied: without decoder.weight, encoder.weight in its place).  Their elements, counted through, start at w[i] = 1 - i/32; before
step s = 1..30

    gradient[i] = (((7*i + 3*s) mod 11) - 5) / 8 + w[i] / 4

A parameter of group d has the rate lr / layer_decay^d and no gradient at all (None) before step d * thaw + 1.  Clipping is
torch.nn.utils.clip_grad_norm_.  Each line `case NAME KIND` is followed by the settings, in the order of SETTINGS, and by all
parameters after the steps of RECORDS.
"""
import torch

NAMES = {"decoder.weight": (3, 2), "decoder.bias": (3,), "rnn.weight_hh_l1": (2, 2), "rnn.weight_ih_l1": (2, 2),
         "rnn.bias_hh_l1": (2,), "rnn.bias_ih_l1": (2,), "rnn.weight_hh_l0": (2, 2), "rnn.weight_ih_l0": (2, 2),
         "rnn.bias_hh_l0": (2,), "rnn.bias_ih_l0": (2,), "encoder.weight": (3, 2)}
SETTINGS = ("tied layer_decay thaw clip_norm lr momentum dampening beta1 beta2 eps alpha lr_decay "
            "weight_decay").split()
KINDS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
         "rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad}
RECORDS = (1, 5, 6, 11, 16, 30)
CASES = [
    ("rates", "sgd", False, 2.6, 0, 0, dict(lr=0.1)),
    ("thawing", "sgd", False, 1, 5, 0.5, dict(lr=0.1)),
    ("momentum", "sgd", False, 2.6, 5, 0.5, dict(lr=0.05, momentum=0.9, dampening=0.25)),
    ("adam", "adam", False, 2.6, 5, 0.5, dict(lr=0.01, weight_decay=0.1)),
    ("adam_tied", "adam", True, 1.5, 5, 0, dict(lr=0.01, betas=(0.5, 0.95))),
    ("adamw", "adamw", False, 2, 4, 1, dict(lr=0.02, weight_decay=0.25)),
    ("rmsprop", "rmsprop", False, 2.6, 5, 0, dict(lr=0.01, alpha=0.5, eps=0.01)),
    ("adagrad", "adagrad", True, 2.6, 3, 0, dict(lr=0.1, lr_decay=0.125)),
]


def depth(name):
    return {"d": 0, "e": 3}.get(name[0]) if name[0] != "r" else 1 if name.endswith("l1") else 2


def record(name, kind, tied, layer_decay, thaw, clip, given):
    names = {"encoder.weight" if tied and n == "decoder.weight" else n: s for n, s in NAMES.items()
             if not (tied and n == "encoder.weight")}
    w, first = {}, {}
    count = 0
    for n, shape in names.items():
        size = torch.Size(shape).numel()
        first[n] = count
        w[n] = torch.nn.Parameter((1 - torch.arange(count, count + size, dtype=torch.float64) / 32).reshape(shape))
        count += size
    groups = [dict(params=[w[n] for n in w if depth(n) == d], lr=given["lr"] / layer_decay**d) for d in range(4)]
    optimizer = KINDS[kind](groups, **given)
    used = dict(optimizer.param_groups[0], tied=tied, layer_decay=layer_decay, thaw=thaw, clip_norm=clip)
    used["beta1"], used["beta2"] = used.get("betas", (0, 0))
    print("case", name, kind, *[f"{float(used.get(key) or 0):.17g}" for key in SETTINGS])
    for step in range(1, 31):
        for n, p in w.items():
            i = first[n] + torch.arange(p.numel()).reshape(p.shape)
            p.grad = (((7 * i + 3 * step) % 11 - 5) / 8 + p.detach() / 4).double() if step > depth(n) * thaw else None
        if clip:
            torch.nn.utils.clip_grad_norm_(w.values(), clip)
        optimizer.step()
        if step in RECORDS:
            print(step, *[f"{x:.17g}" for p in w.values() for x in p.flatten().tolist()])


print(f"# Made by make_groups.py, PyTorch {torch.__version__}, float64")
print("# case name kind", *SETTINGS)
for case in CASES:
    record(*case)
