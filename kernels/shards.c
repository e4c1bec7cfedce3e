#include "kernels/shards.h"

int shard_row(int B, int S, int s)
{
    return (int)((long long)s * B / S);
}

int shards_largest(const shards *p)
{
    int most = 0;
    for (int s = 0; s < p->S; s++) {
        int rows = shard_row(p->B, p->S, s + 1) - shard_row(p->B, p->S, s);
        most = rows > most ? rows : most;
    }
    return most;
}

int shard_split(int a, int b)
{
    int half = 1;
    while (half * 2 < b - a)
        half *= 2;
    return a + half;
}

/* Appends the maximal subtrees of [a,b) that lie under the node [x,y). */
static int cover(int x, int y, int a, int b, shard_node *node, int n)
{
    if (b <= x || y <= a)
        return n;
    if (a <= x && y <= b) {
        node[n] = (shard_node){.first = x, .last = y};
        return n + 1;
    }
    int middle = shard_split(x, y);
    n = cover(x, middle, a, b, node, n);
    return cover(middle, y, a, b, node, n);
}

int shard_cover(int S, int a, int b, shard_node *node)
{
    return cover(0, S, a, b, node, 0);
}

int shard_merges(int a, int b, int s)
{
    int merges = 0;
    while (b - a >=
           2) { /* go down from the root to leaf s; the nodes on the way that end behind s are complete now */
        merges += b == s + 1;
        int middle = shard_split(a, b);
        if (s < middle)
            b = middle;
        else
            a = middle;
    }
    return merges;
}

void shards_init(shards *p, int B, int S, int rank, int size)
{
    *p = (shards){.B = B, .S = S};
    p->first = (int)((long long)rank * S / size);
    p->count = (int)((long long)(rank + 1) * S / size) - p->first;
    p->row0 = shard_row(B, S, p->first);
    p->rows = shard_row(B, S, p->first + p->count) - p->row0;
    p->nodes = shard_cover(S, p->first, p->first + p->count, p->node);
}
