# physics informed network, 1D heat equation, full batch of collocation points
import torch
torch.manual_seed(0)
N_COL, N_BC, ITER = 256, 64, 60
net = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.Tanh(), torch.nn.Linear(32, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
xt = torch.rand(N_COL, 2, requires_grad=True)
bc = torch.rand(N_BC, 2); bc[:, 1] = 0; u0 = torch.sin(torch.pi * bc[:, :1])
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for it in range(ITER):
    u = net(xt)
    g = torch.autograd.grad(u.sum(), xt, create_graph=True)[0]
    uxx = torch.autograd.grad(g[:, 0].sum(), xt, create_graph=True)[0][:, 0]
    loss = ((g[:, 1] - 0.1 * uxx) ** 2).mean() + ((net(bc) - u0) ** 2).mean()
    opt.zero_grad(); loss.backward(); opt.step()
    if it % 20 == 0: print(it, loss.item())
