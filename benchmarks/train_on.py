"""Train the packaged photo model on, each time in another way: the same start, photos and processor time

    python -m benchmarks.train_on as_before PHOTOS MORE_PHOTOS -o as_before.safetensors
    python -m benchmarks.train_on decoder_alone PHOTOS MORE_PHOTOS -o decoder_alone.safetensors
    python -m benchmarks.train_on classification PHOTOS MORE_PHOTOS -o classification.safetensors
    python -m benchmarks.train_on adversarial PHOTOS MORE_PHOTOS -o adversarial.safetensors
    python -m benchmarks.train_on hint_channels PHOTOS MORE_PHOTOS --lr 1e-3 -o hint_channels.safetensors
    python -m benchmarks.train_on measure VALIDATION_PHOTOS --models as_before.safetensors adversarial.safetensors
    python -m benchmarks.train_on measure VALIDATION_PHOTOS --models classification.safetensors --consistently 4

`as_before` goes on with the loss of `benchmarks.photo_model`. `classification` predicts classes of colours by a new
head, with rebalanced weights, and colours by their annealed mean. `adversarial` is L1 against a PatchGAN.
In these three, the decoder and the encoder's deep half learn, in `decoder_alone`, whose loss is that of `as_before`,
only the decoder. Beside each model an average of its weights is written, `as_before_average.safetensors`.
`--size` is that of training. All models work at the sizes of the packaged one.
`--consistently` lets neighbours of like lightness agree on the classes before a colour is chosen.
`hint_channels` gets simulated hints as three more channels. All weights learn; those of the new channels begin at 0.
`python -m benchmarks.hints measure PHOTOS --methods channels --model hint_channels.safetensors` measures that."""
import argparse
import copy
import random
import time

import pandas as pd
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from fastai.callback.training import GradientClip
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.photo_model import RELEASED, ColorfulLoss, base_weights, forward
from colorize_lib.apply.colorizer import Colorizer
from colorize_lib.apply.model_card import colors, measure, plausibility, summarize
from colorize_lib.apply.recolor import box_mean
from colorize_lib.engine.learner import colorize_learner
from colorize_lib.engine.metrics import hue_bias
from colorize_lib.engine.weights import save_weights
from colorize_lib.experiments.methods import TrainingBudget
from colorize_lib.experiments.plans import discriminator_for, plan_losses
from colorize_lib.lab import colorize_dls
from colorize_lib.losses import L1
from colorize_lib.networks.classification import BinClassifier, logits_to_ab
from colorize_lib.networks.lite_unet import LiteUnet
from colorize_lib.networks.simulated_hints import Hinted
from colorize_lib.photos.pictures import photo_files
from colorize_lib.training import PatchGANTrainer

STEM = 'encoder.stem.1.weight'
RATES = .2, 1, 10 # of the parts that learn, see `parts_of`; a stem has large weights, and new ones that begin at 0


class MixedLiteUnet(LiteUnet):
    "A `LiteUnet` that trains with bfloat16 where it is faster"
    forward = forward


@torch.no_grad()
def start_from(net, tensors):
    "Give a `LiteUnet` the weights of another; further channels of its input begin at 0, a head of another size stays"
    for k, own in net.state_dict().items():
        given = tensors[k]
        if k == STEM: own.zero_()[:, :given.shape[1]] = given
        elif own.shape == given.shape: own.copy_(given)
    return net


class SeesLightness(Callback):
    "Tells a `ColorfulLoss` the lightness of the photos"
    order = -20
    def __init__(self, target, weight=.3): self.loss = ColorfulLoss(target, weight=weight)
    def before_batch(self): self.lum = self.xb[0][:, :1]
    def loss_func(self, pred, ab): return self.loss(self.lum, pred, ab)[0]


class WeightAverage(Callback):
    "Keeps an average of the weights, as `benchmarks.photo_model` does"
    def __init__(self, forget): self.forget = forget
    def before_fit(self):
        self.mean = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(self.forget), use_buffers=True)
    def after_batch(self):
        if self.training: self.mean.update_parameters(self.model)


class Consistent(torch.nn.Module):
    "Chooses colours from averages of the classes' log-probabilities, taken along the lightness by a guided filter"
    def __init__(self, classifier, radius, T, contrast=.08):
        super().__init__()
        self.classifier, self.radius, self.T, self.eps = classifier, radius, T, contrast**2

    def forward(self, x):
        scores, mean = self.classifier(x).log_softmax(1), lambda o: box_mean(o, self.radius)
        lum = F.interpolate(x, size=scores.shape[-2:], mode='area')
        mean_lum, mean_scores = mean(lum), mean(scores)
        slopes = (mean(lum*scores) - mean_lum*mean_scores)/(mean(lum**2) - mean_lum**2 + self.eps)
        scores = mean(slopes)*lum + mean(mean_scores - slopes*mean_lum)
        return logits_to_ab(scores, self.T)[..., :x.shape[-2], :x.shape[-1]]


def lite_unet(start, n_in=1, n_out=2, learns='deep'):
    "A network as the packaged one is, whose decoder learns, and of the encoder the deep half, everything or nothing"
    net = start_from(MixedLiteUnet(n_in, n_out, pretrained=False), base_weights(start))
    net.frozen = learns != 'everything' # its batch norms go on with the statistics that they have
    net.encoder.requires_grad_(learns != 'nothing')
    for stage in (net.encoder.stem, *net.encoder.stages[:RELEASED]): stage.requires_grad_(learns == 'everything')
    return net


def parts_of(net):
    "The parameters that learn: the encoder's, those of the others, and those of a stem that learns"
    parts = [[], [], []]
    for k, p in net.named_parameters():
        if p.requires_grad: parts[2 if k == STEM else 'encoder' not in k].append(p)
    return [o for o in parts if o]


def way(name, args, dls):
    "The network of a way, its configuration, its loss, and its callbacks"
    config, clip = dict(task='grayscale', size=128, scales=[1, 2]), GradientClip(1.) # works as the packaged one does
    if name == 'classification':
        net = BinClassifier(lite_unet(args.start, n_out=64))
        config |= dict(generator='bin_classifier', kwargs=dict(body='lite_unet'))
        return net, config, plan_losses['classification'](dls), [clip]
    n_in, sees = dls.task.n_in, SeesLightness(args.colorfulness)
    learns = dict(hint_channels='everything', decoder_alone='nothing').get(name, 'deep')
    net = lite_unet(args.start, n_in, learns=learns)
    config |= dict(generator='lite_unet', kwargs=dict(n_in=n_in, n_out=2))
    if name == 'adversarial':
        discriminator = discriminator_for(args.size, dls.task)
        return net, config, L1, [PatchGANTrainer(discriminator, args.lambda_l1, lr=2e-4)]
    if name == 'hint_channels': sees, config['task'] = SeesLightness(0, 0), 'grayscale_hints' # by its error alone
    return net, config, sees.loss_func, [sees, clip]


def train(args):
    torch.manual_seed(args.seed)
    files = sorted(f for folder in args.photos for f in photo_files(folder))
    random.Random(args.seed).shuffle(files)
    task = Hinted('grayscale', centered=False) if args.what == 'hint_channels' else 'grayscale'
    dls = colorize_dls(files, args.size, args.bs, n_valid=args.n_valid, seed=args.seed, task=task, zoom=2.,
                       cache=args.cache)
    net, config, loss, cbs = way(args.what, args, dls)
    budget = TrainingBudget([args.minutes*60], 'seconds', clock=time.process_time, # another program makes no difference
                            tell=lambda o: print(f'{o:.0%}', budget.used, flush=True))
    learn = colorize_learner(dls, net, loss, 'bf16', splitter=parts_of)
    average = WeightAverage(args.average)
    moms = (.5,)*3 if args.what == 'adversarial' else (.9,)*3
    with learn.no_bar():
        rates = [args.lr*o for o in RATES[:len(parts_of(net))]]
        learn.fit_one_cycle(10**5, rates, pct_start=.1, moms=moms, cbs=[*cbs, average, budget])
    print(save_weights(learn.model, args.out, config))
    print(save_weights(average.mean.module, args.out.removesuffix('.safetensors') + '_average.safetensors', config))


def colorizer_of(model, args):
    "The model, perhaps with another way to choose from its classes"
    colorizer = Colorizer.load(model)
    if args.consistently is None: return colorizer
    classifier = copy.deepcopy(colorizer.model).float()
    return Colorizer(Consistent(classifier, args.consistently, args.temperature), colorizer.config)


def row_of(model, photos, args):
    "What the card says of a model, as a row; its colours may be made stronger first"
    saturation = args.saturation
    df, squares = measure(colorizer_of(model, args), photos, saturation=saturation)
    s = summarize(df)
    return dict(model=model, saturation=saturation, photos=s['photos'], over_gray=s['over_gray'],
                colorfulness=s['colorfulness'], hue_bias=hue_bias(colors(squares['coloured'])), ssim=s['ssim'],
                frechet=plausibility(df, squares)['coloured'], worst=(df.psnr - df.psnr_gray).min())


def measure_all(args):
    df = pd.DataFrame(row_of(o, args.photos[0], args) for o in args.models)
    if args.out: df.round(4).to_csv(args.out, index=False)
    print(df.round(3).to_string(index=False))


def main(argv=None):
    parser = argparse.ArgumentParser('benchmarks.train_on', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('what', choices=('as_before', 'decoder_alone', 'classification', 'adversarial', 'hint_channels', 'measure'))
    add('photos', nargs='+', help='folders')
    add('-o', '--out', help='file to write')
    add('--minutes', type=float, default=7, help='of processor time, for training')
    add('--start', default='grayscale', help='a model in the package, or a file')
    add('--models', nargs='+', default=['grayscale'], help='names or files, to measure')
    add('--saturation', type=float, default=1., help='factor on the colours of a model that is measured')
    add('--consistently', type=int, help='measure classes by what neighbours agree on, so many quarter pixels around')
    add('--temperature', type=float, default=.38, help='with --consistently; towards 0 the likeliest class is taken')
    add('--average', type=float, default=.99, help='how slowly the average of the weights forgets')
    add('--size', type=int, default=128)
    add('--bs', type=int, default=32)
    add('--lr', type=float, default=5e-4, help="of the decoder; the encoder's is a fifth, a new stem's ten times that")
    add('--lambda-l1', type=float, default=100, help='weight of L1 against the discriminator')
    add('--colorfulness', type=float, default=.82, help='share of the true colorfulness, for as_before')
    add('--n-valid', type=int, default=128, help='photos that are not trained on')
    add('--seed', type=int, default=0)
    add('--cache', help='folder for decoded photos')
    args = parser.parse_args(argv)
    if args.what == 'measure': measure_all(args)
    else: train(args)


if __name__ == '__main__': main()
