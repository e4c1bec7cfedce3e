"""Records what scikit-learn says of made-up classifiers, for tests/trainer/test_scores.c.

    python3 make_scores.py > scores.txt              scikit-learn 1.9.1

Probabilities are sixteenths, so that any program can repeat them, and full of ties:

    case two     document i = 0..96 has w = 1 + (7 i mod 15), p = (16 - w, w) / 16, and is of class 1 where i*i mod 16 < w
    case four    document i = 0..210 has ROWS[i mod 6] turned right by t = (i*i + i/7) mod 4 places, over 16; it is of
                 class (t + (i mod 5 < 3 ? 0 : i mod 3)) mod 4, but of class i mod 3 where that gives 3: no document is of class 3
                 (of which nothing is said, and which the averages leave out)

Keys are those of scores_record(); lists stand on one line.  The bins of the calibration, which scikit-learn has only for two
classes, are written out from Guo 2017.
"""
import numpy as np
import sklearn
from sklearn import metrics

ROWS = [(9, 4, 2, 1), (5, 5, 3, 3), (13, 1, 1, 1), (7, 6, 2, 1), (4, 4, 4, 4), (6, 6, 2, 2)]


def two():
    w = np.array([1 + 7 * i % 15 for i in range(97)])
    y = np.array([int(i * i % 16 < w[i]) for i in range(97)])
    return np.stack([16 - w, w], 1) / 16, y


def four():
    p, y = [], []
    for i in range(211):
        t = (i * i + i // 7) % 4
        p.append(np.roll(ROWS[i % 6], t) / 16)
        label = (t + (0 if i % 5 < 3 else i % 3)) % 4
        y.append(label if label < 3 else i % 3)
    return np.array(p), np.array(y)


def calibration(p, y):
    """Guo 2017, section 2: bins ((m-1)/M, m/M] of the confidence."""
    confidence, right = p.max(1), p.argmax(1) == y
    place = np.ceil(confidence * 10).astype(int) - 1
    count = np.bincount(place, minlength=10)
    with np.errstate(invalid="ignore"):
        mean, accuracy = (np.bincount(place, weights=x, minlength=10) / count for x in (confidence, right))
    return count, mean, accuracy, np.nansum(count / len(y) * abs(accuracy - mean))


def scores(p, y):
    C, guess = p.shape[1], p.argmax(1)
    classes = list(range(C))
    there = np.bincount(y, minlength=C) > 0
    *each, support = metrics.precision_recall_fscore_support(y, guess, labels=classes, zero_division=0)
    auc = [metrics.roc_auc_score(y == c, p[:, c]) if 0 < (y == c).sum() < len(y) else np.nan for c in classes]
    count, mean, accuracy, error = calibration(p, y)
    yield "loss", metrics.log_loss(y, p, labels=classes)
    yield "accuracy", metrics.accuracy_score(y, guess)
    yield "auc", auc[1] if C == 2 else np.nanmean(auc)
    yield "brier", metrics.brier_score_loss(y, p, labels=classes)
    yield "calibration_error", error
    for average in "macro", "weighted":
        values = metrics.precision_recall_fscore_support(y, guess, labels=np.flatnonzero(there), average=average, zero_division=0)
        for name, value in zip(("precision", "recall", "f1"), values):
            yield f"{average}_{name}", value
    for name, value in zip(("precision", "recall", "f1"), each):
        yield name, np.where(there, value, np.nan)
    yield "support", support
    yield "class_auc", auc
    yield "confusion", metrics.confusion_matrix(y, guess, labels=classes)
    yield "bin_count", count
    yield "bin_confidence", mean
    yield "bin_accuracy", accuracy


print(f"# Made by make_scores.py, scikit-learn {sklearn.__version__}")
for case in two, four:
    print("case", case.__name__)
    for key, value in scores(*case()):
        print(key, *(f"{x:.17g}" for x in np.ravel(value)))
