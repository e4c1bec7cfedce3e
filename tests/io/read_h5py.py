"""read_h5py.py FILE...: reads containers as a stranger would, with h5py, and compares with the manifest and with the values that
make_container.c writes.  Exit 77 without h5py."""
import hashlib
import json
import struct
import sys

try:
    import h5py
    import numpy as np
except ImportError as why:
    print("skip:", why)
    sys.exit(77)


def expected():
    n = (1 << 18) + 5
    return {
        "encoder.weight": (np.arange(6, dtype="f4") * np.float32(0.5) - 1).reshape(2, 3),
        "rnn/l0/m": np.arange(4) / 3.0,
        "rnn/l0/v": ((250 + np.arange(24)) % 256).astype("u1").reshape(1, 2, 3, 4),
        "train": ((np.arange(n, dtype="u8") * 2654435761) % 2**32).astype("u4"),
        "rnn/l1": (np.uint64(2**64 - 1) - np.arange(8, dtype="u8")).reshape(2, 2, 2),
        "step": np.array(-(2**63), dtype="i8"),
        "rnn.l1": (np.arange(5, dtype="f4") * np.float32(0.5) - 1).reshape(1, 5),
    }


def check(path):
    raw = open(path, "rb").read()
    assert raw[:8] == b"\x89UNROLL\n"
    version, = struct.unpack_from("<Q", raw, 8)
    file_bytes, user_block, manifest_bytes = struct.unpack_from("<3Q", raw, 48)
    assert version == 1 and file_bytes == len(raw)
    assert raw[16:48] == hashlib.sha256(raw[48:]).digest()
    manifest = json.loads(raw[72:72 + manifest_bytes].decode())
    assert not any(raw[72 + manifest_bytes:user_block]), "the user block ends in zeros"

    want = expected()
    with h5py.File(path, "r") as f:
        assert f.userblock_size == user_block
        found = {}
        f.visititems(lambda name, o: found.update({name: o}) if isinstance(o, h5py.Dataset) else None)
        assert set(found) == set(want) == {t["name"] for t in manifest["tensors"]}
        for t in manifest["tensors"]:
            d, w = found[t["name"]], want[t["name"]]
            assert d.shape == w.shape == tuple(t["shape"]), t
            assert d.dtype == w.dtype == np.dtype("<" + {"f": "f", "u": "u", "i": "i"}[t["type"][0]] + str(int(t["type"][1:]) // 8)), t
            assert np.array_equal(d[()], w), t
            assert d.id.get_offset() == t["offset"] and d.id.get_storage_size() == t["bytes"], t
            assert t["offset"] % (4096 if t["type"] == "u32" else 64) == 0, t
            assert raw[t["offset"]:t["offset"] + t["bytes"]] == w.tobytes(), t
            assert len(t["xxh3_128"]) == (2 if t["type"] == "u32" else 1), t
        a = f.attrs
        text = lambda x: x.decode() if isinstance(x, bytes) else str(x)
        assert a["int"] == -7 and a["double"] == 0.1 and a["yes"] == 1, dict(a)
        assert text(a["text"]) == "z\u00fcge" and text(a["empty"]) == "" and text(a["best"]) == "inf", dict(a)
        assert a["list"][0] == 1 and a["list"][1] == 0.25 and np.isnan(a["list"][2]), dict(a)
        assert set(a) == set(manifest["meta"])


for name in sys.argv[1:]:
    check(name)
    print(name, "is what it should be")
