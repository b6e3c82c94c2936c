"""For scripts under test that import torchvision: the operators that this module describes are in CUDA alone."""

import sys
import types

sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
