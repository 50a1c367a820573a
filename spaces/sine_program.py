"""A program that knows nothing of hpsearch: it fits a sine by a polynomial and prints how that goes."""

import argparse
import math
import random


def examples(count, seed):
    draw = random.Random(seed)
    return [(x, math.sin(3 * x) + draw.gauss(0, 0.1)) for x in (draw.uniform(-1, 1) for _ in range(count))]


def mean_squared_error(weights, pairs):
    return sum((sum(w * x**power for power, w in enumerate(weights)) - y) ** 2 for x, y in pairs) / len(pairs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--degree", type=int, default=3)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train, val, test = examples(200, 1), examples(100, 2), examples(100, 3)
    draw = random.Random(options.seed)
    weights = [draw.gauss(0, 0.1) for _ in range(options.degree + 1)]
    velocity = [0.0] * len(weights)
    for epoch in range(1, options.epochs + 1):
        draw.shuffle(train)
        for x, y in train:
            error = sum(w * x**power for power, w in enumerate(weights)) - y
            for power in range(len(weights)):
                velocity[power] = options.momentum * velocity[power] - options.lr * 2 * error * x**power
                weights[power] += velocity[power]
        print(f"epoch {epoch}: validation error {mean_squared_error(weights, val):.6f}")
    print(f"done; test error {mean_squared_error(weights, test):.6f}")


if __name__ == "__main__":
    main()
