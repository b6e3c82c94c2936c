import random
import os

n = int(os.environ.get("N", 200000))
hits = 0
epochs = 3
batch_size = 1000
for epoch in range(epochs):
    for _ in range(n // epochs // batch_size):
        for _ in range(batch_size):
            x, y = random.random(), random.random()
            hits += x * x + y * y < 1
print(4 * hits / n)
