"""The numbers that golden cases and the tests which repeat them both draw: 24 bits of a linear congruential generator."""


class Generator:
    def __init__(self):
        self.s = 1

    def __call__(self):
        self.s = (1664525 * self.s + 1013904223) % 2**32
        return self.s >> 8
