"""The reference: pix2pix on Lab photos in plain PyTorch, as the paper describes it and as tutorials write it

Nothing here comes from colorize_lib, so that a change there cannot change what it is measured against."""
import time

import numpy as np
import torch
from PIL import Image
from skimage.color import rgb2lab
from torch import nn
from torch.utils.data import DataLoader, Dataset

bce = nn.BCEWithLogitsLoss()


class PlainDataset(Dataset):
    "One photo at a time: open, convert, resize, flip, scikit-image's Lab"
    def __init__(self, files, size): self.files, self.size = list(files), size
    def __len__(self): return len(self.files)
    def __getitem__(self, i):
        img = Image.open(self.files[i]).convert('RGB').resize((self.size, self.size), Image.BICUBIC)
        if torch.rand(()) < .5: img = img.transpose(Image.FLIP_LEFT_RIGHT)
        lab = torch.from_numpy(rgb2lab(np.asarray(img)).astype('float32')).permute(2, 0, 1)
        return lab[:1]/50 - 1, lab[1:]/110


def plain_loader(files, size, bs, workers=0):
    return DataLoader(PlainDataset(files, size), bs, shuffle=True, drop_last=True, num_workers=workers, pin_memory=torch.cuda.is_available())


def adam(net, lr=1e-4): return torch.optim.Adam(net.parameters(), lr=lr, betas=(.5, .999))


def plain_step(G, D, opt_G, opt_D, lum, ab, lambda_l1=100.):
    "One G+D step; loss_D_fake, loss_D_real, loss_D, loss_G_GAN, loss_G_L1, loss_G"
    fake = G(lum)
    for p in D.parameters(): p.requires_grad_(True)
    on_fake, on_real = D(torch.cat([lum, fake.detach()], 1)), D(torch.cat([lum, ab], 1))
    loss_D_fake, loss_D_real = bce(on_fake, torch.zeros_like(on_fake)), bce(on_real, torch.ones_like(on_real))
    loss_D = (loss_D_fake + loss_D_real)*.5
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    for p in D.parameters(): p.requires_grad_(False)
    fooled = D(torch.cat([lum, fake], 1))
    loss_G_GAN, loss_G_L1 = bce(fooled, torch.ones_like(fooled)), (fake - ab).abs().mean()*lambda_l1
    loss_G = loss_G_GAN + loss_G_L1
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return [o.item() for o in (loss_D_fake, loss_D_real, loss_D, loss_G_GAN, loss_G_L1, loss_G)]


def plain_epoch(G, D, loader, device, opts=None):
    "Train on every batch once; `(photos, seconds)`"
    opt_G, opt_D = opts or (adam(G), adam(D))
    G.train(), D.train()
    n, start = 0, time.perf_counter()
    for lum, ab in loader:
        plain_step(G, D, opt_G, opt_D, lum.to(device), ab.to(device)) # its `item` waits for the device
        n += len(lum)
    return n, time.perf_counter() - start


def plain_pass(files, size, bs, workers, device):
    "Make every batch once, train on none; seconds a photo"
    loader, start = plain_loader(files, size, bs, workers), time.perf_counter()
    for lum, ab in loader: lum.to(device), ab.to(device)
    return (time.perf_counter() - start)/(len(loader)*bs)
