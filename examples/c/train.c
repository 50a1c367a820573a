/* A program in C: logistic regression with momentum on two noisy half moons. It prints a JSON object after each epoch.

   cc -O2 -o train train.c -lm && ./train --lr 0.1 --momentum 0.9 --epochs 20 --seed 0 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = 300, FEATURES = 10 };

static uint64_t state;

static double uniform(void) { /* xorshift64* of Vigna (2016) */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (double)((state * 2685821657736338717ULL) >> 11) / 9007199254740992.0;
}

static double normal(void) { return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform()); }

/* A point of a half moon, as all products of its coordinates up to the third degree. */
static int point(double *features) {
    int moon = uniform() < 0.5, n = 0;
    double angle = 3.141592653589793 * uniform();
    double x = (moon ? 1 - cos(angle) : cos(angle)) + 0.25 * normal();
    double y = (moon ? 0.5 - sin(angle) : sin(angle)) + 0.25 * normal();
    for (int i = 0; i <= 3; i++)
        for (int j = 0; i + j <= 3; j++) features[n++] = pow(x, i) * pow(y, j);
    return moon;
}

static double probability(const double *weights, const double *features) {
    double sum = 0;
    for (int i = 0; i < FEATURES; i++) sum += weights[i] * features[i];
    return 1 / (1 + exp(-sum));
}

static double accuracy(const double *weights, double (*x)[FEATURES], const int *y) {
    int right = 0;
    for (int k = 0; k < POINTS; k++) right += (probability(weights, x[k]) > 0.5) == y[k];
    return (double)right / POINTS;
}

int main(int argc, char **argv) {
    double lr = 0.1, momentum = 0;
    int epochs = 20;
    uint64_t seed = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--lr")) lr = atof(argv[i + 1]);
        else if (!strcmp(argv[i], "--momentum")) momentum = atof(argv[i + 1]);
        else if (!strcmp(argv[i], "--epochs")) epochs = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--seed")) seed = strtoull(argv[i + 1], NULL, 10);
        else return fprintf(stderr, "unknown option %s\n", argv[i]), 2;
    }
    static double x[3][POINTS][FEATURES]; /* training, validation, test */
    static int y[3][POINTS];
    state = 20261127; /* the data are the same for every seed */
    for (int part = 0; part < 3; part++)
        for (int k = 0; k < POINTS; k++) y[part][k] = point(x[part][k]);
    double weights[FEATURES], speed[FEATURES] = {0};
    state = 1 + seed;
    for (int i = 0; i < 20; i++) uniform();
    for (int i = 0; i < FEATURES; i++) weights[i] = 0.1 * normal();
    for (int epoch = 1; epoch <= epochs; epoch++) {
        for (int step = 0; step < POINTS; step++) {
            int k = (int)(uniform() * POINTS);
            double error = probability(weights, x[0][k]) - y[0][k];
            for (int i = 0; i < FEATURES; i++) {
                speed[i] = momentum * speed[i] - lr * error * x[0][k][i];
                weights[i] += speed[i];
            }
        }
        printf("{\"epoch\": %d, \"val/accuracy\": %.4f, \"test/accuracy\": %.4f}\n", epoch,
               accuracy(weights, x[1], y[1]), accuracy(weights, x[2], y[2]));
        fflush(stdout);
    }
    return 0;
}
