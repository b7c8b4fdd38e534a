"""The reference: pix2pix on Lab photos in plain PyTorch, as the paper describes it and as tutorials write it

The arithmetic of one step is shared: `colorize_lib.training.pix2pix_step`, a plain function that a test holds against
losses and gradients worked out by hand. All else comes from here and from nothing in colorize_lib: loading, Lab, Adam,
the loop, and a host that waits for six losses at every step. So what makes the library fast does not touch it."""
import time

import numpy as np
import torch
from PIL import Image
from skimage.color import rgb2lab
from torch.utils.data import DataLoader, Dataset

from colorize_lib.training import pix2pix_step


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
    return DataLoader(PlainDataset(files, size), bs, shuffle=True, drop_last=True,
                      num_workers=workers, pin_memory=torch.cuda.is_available())


def adam(net, lr=1e-4): return torch.optim.Adam(net.parameters(), lr=lr, betas=(.5, .999))


def plain_step(G, D, opt_G, opt_D, lum, ab):
    "One G+D step, and its six losses as numbers: `item` waits for the device, as in the tutorials"
    return [o.item() for o in pix2pix_step(G, D, opt_G, opt_D, lum, ab).values()]


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
