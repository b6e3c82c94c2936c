from torch import nn
REGISTRY = {}
def register(cls):
    REGISTRY[cls.__name__.lower()] = cls
    return cls
@register
class SharedTrunk(nn.Module):
    def __init__(self, inputs, width, heads):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width), nn.Mish(), nn.Linear(width, width), nn.Mish())
        self.heads = nn.ModuleDict({k: nn.Linear(width, n) for k, n in heads.items()})
    def forward(self, x):
        z = self.trunk(x)
        return {k: h(z) for k, h in self.heads.items()}
